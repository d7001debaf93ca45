# SPDX-License-Identifier: Apache-2.0
# Every library of Debian 12 that Voxbus uses, found once. Boost is 1.81 by name: Debian also ships
# 1.74, and the two must not mix.

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(Boost 1.81.0 EXACT CONFIG REQUIRED COMPONENTS headers json url)
find_package(yaml-cpp REQUIRED)
find_package(spdlog REQUIRED)
pkg_check_modules(rocksdb REQUIRED IMPORTED_TARGET rocksdb)
find_package(CLI11 REQUIRED)
pkg_check_modules(sqlite REQUIRED IMPORTED_TARGET sqlite3)
pkg_check_modules(libzstd REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(curl REQUIRED IMPORTED_TARGET libcurl)
pkg_check_modules(gmime REQUIRED IMPORTED_TARGET gmime-3.0)
pkg_check_modules(gsasl REQUIRED IMPORTED_TARGET libgsasl)
pkg_check_modules(libxml2 REQUIRED IMPORTED_TARGET libxml-2.0)
pkg_check_modules(icu REQUIRED IMPORTED_TARGET icu-uc icu-i18n)
pkg_check_modules(re2 REQUIRED IMPORTED_TARGET re2)
pkg_check_modules(libsystemd REQUIRED IMPORTED_TARGET libsystemd)
if(VOXBUS_TESTS)
  find_package(GTest REQUIRED)
  include(GoogleTest)
endif()
if(VOXBUS_BENCH)
  find_package(benchmark REQUIRED)
endif()

# libphonenumber: Debian 12's development package depends on Boost 1.74's headers, which cannot
# stand beside 1.81's. Its own headers need no Boost, so that one package is downloaded and unpacked
# into the build folder, and the installed library is linked.
set(VOXBUS_PHONENUMBER_ROOT ${CMAKE_BINARY_DIR}/phonenumber)
if(NOT EXISTS ${VOXBUS_PHONENUMBER_ROOT}/usr/include/phonenumbers/phonenumberutil.h)
  file(MAKE_DIRECTORY ${VOXBUS_PHONENUMBER_ROOT})
  execute_process(COMMAND apt-get download libphonenumber-dev
                  WORKING_DIRECTORY ${VOXBUS_PHONENUMBER_ROOT} RESULT_VARIABLE failed
                  OUTPUT_QUIET ERROR_QUIET)
  file(GLOB package ${VOXBUS_PHONENUMBER_ROOT}/libphonenumber-dev_*.deb)
  if(failed OR NOT package)
    message(FATAL_ERROR "cannot download libphonenumber-dev: run 'apt-get update' first")
  endif()
  execute_process(COMMAND dpkg-deb -x ${package} ${VOXBUS_PHONENUMBER_ROOT} COMMAND_ERROR_IS_FATAL ANY)
endif()
find_library(VOXBUS_PHONENUMBER_LIBRARY NAMES libphonenumber.so.8 REQUIRED)
add_library(voxbus_phonenumber INTERFACE)
target_include_directories(voxbus_phonenumber SYSTEM INTERFACE ${VOXBUS_PHONENUMBER_ROOT}/usr/include)
target_link_libraries(voxbus_phonenumber INTERFACE ${VOXBUS_PHONENUMBER_LIBRARY})
