# SPDX-License-Identifier: Apache-2.0
# How code is compiled here: warnings, sanitizers, a fast linker, a compiler cache, and the two
# functions that declare a floor of the daemon and a test program.

find_program(VOXBUS_CCACHE ccache)
if(VOXBUS_CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER ${VOXBUS_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${VOXBUS_CCACHE})
endif()
find_program(VOXBUS_MOLD mold)
if(VOXBUS_MOLD)
  add_link_options(-fuse-ld=mold)
endif()

add_compile_options(-Wall -Wextra -Wshadow -Wnon-virtual-dtor -Wno-missing-field-initializers)
# g++ 12 warns of overlaps and overflows inside its own std::string once it inlines (GCC PR 105651).
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  add_compile_options("$<$<AND:$<CONFIG:Release>,$<COMPILE_LANGUAGE:CXX>>:-Wno-restrict;-Wno-stringop-overflow;-Wno-array-bounds>")
endif()
if(VOXBUS_WERROR)
  add_compile_options(-Werror)
endif()
if(NOT VOXBUS_SANITIZE)
  add_compile_options($<$<CONFIG:Release>:-D_FORTIFY_SOURCE=2>)
endif()
add_compile_options(-fstack-protector-strong)
add_link_options(-Wl,-z,relro,-z,now)
if(VOXBUS_SANITIZE)
  add_compile_options(-fsanitize=${VOXBUS_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${VOXBUS_SANITIZE})
endif()

# voxbus_floor(NAME SOURCES ... LINKS ... PRIVATE_LINKS ...): the static library voxbus::NAME from
# daemon/NAME. Includes are written from daemon/: #include "journal/log.hpp".
function(voxbus_floor name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINKS;PRIVATE_LINKS" ${ARGN})
  add_library(voxbus_${name} STATIC ${arg_SOURCES})
  add_library(voxbus::${name} ALIAS voxbus_${name})
  target_include_directories(voxbus_${name} PUBLIC ${CMAKE_SOURCE_DIR}/daemon)
  target_link_libraries(voxbus_${name} PUBLIC ${arg_LINKS} PRIVATE ${arg_PRIVATE_LINKS})
  voxbus_precompile(voxbus_${name})
endfunction()

# The standard headers that everything includes, compiled once for libraries and once for programs,
# whose position-independence flags differ.
function(voxbus_precompile target)
  get_target_property(type ${target} TYPE)
  string(TOLOWER voxbus_pch_${type} pch)
  if(NOT TARGET ${pch})
    file(WRITE ${CMAKE_BINARY_DIR}/pch.cpp "int main() {}\n")
    if(type STREQUAL EXECUTABLE)
      add_executable(${pch} ${CMAKE_BINARY_DIR}/pch.cpp)
    else()
      add_library(${pch} STATIC ${CMAKE_BINARY_DIR}/pch.cpp)
    endif()
    target_precompile_headers(${pch} PRIVATE
      <algorithm> <chrono> <cstdint> <filesystem> <functional> <map> <memory> <mutex> <optional>
      <span> <string> <string_view> <unordered_map> <utility> <vector>)
  endif()
  target_precompile_headers(${target} REUSE_FROM ${pch})
endfunction()

# voxbus_test(NAME SOURCES ... LINKS ... [LABELS ...] [TIMEOUT seconds]): a GoogleTest program whose
# tests ctest knows one by one.
function(voxbus_test name)
  cmake_parse_arguments(arg "" "TIMEOUT" "SOURCES;LINKS;LABELS" ${ARGN})
  if(NOT VOXBUS_TESTS)
    return()
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE ${arg_LINKS} GTest::gmock GTest::gtest_main)
  voxbus_precompile(${name})
  set(properties TIMEOUT ${arg_TIMEOUT})
  if(arg_LABELS)
    list(APPEND properties LABELS ${arg_LABELS})
  endif()
  gtest_discover_tests(${name} PROPERTIES ${properties} DISCOVERY_TIMEOUT 60)
endfunction()
