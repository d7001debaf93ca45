# SPDX-License-Identifier: Apache-2.0
# voxbus_add_plugin(NAME guestbook SOURCES ... [LINKS ...] [OUTPUT folder] [UNCHECKED] [EXPORTS_ALL])
# builds the plugin NAME.so, by default in ${CMAKE_BINARY_DIR}/plugins, exporting nothing but
# voxbus_plugin_entry, and writes its manifest NAME.plugin.yaml beside it.
# For the broken plugins that tests load, UNCHECKED leaves out the manifest and EXPORTS_ALL the list of
# exports.
# Needs the targets voxbus::sdk and voxbus::describe.

function(voxbus_add_plugin)
  cmake_parse_arguments(arg "UNCHECKED;EXPORTS_ALL" "NAME;OUTPUT" "SOURCES;LINKS" ${ARGN})
  if(NOT arg_NAME OR NOT arg_SOURCES)
    message(FATAL_ERROR "voxbus_add_plugin needs NAME and SOURCES")
  endif()
  if(NOT arg_OUTPUT)
    set(arg_OUTPUT ${CMAKE_BINARY_DIR}/plugins)
  endif()
  set(target plugin-${arg_NAME})
  add_library(${target} MODULE ${arg_SOURCES})
  target_link_libraries(${target} PRIVATE voxbus::sdk ${arg_LINKS})
  set_target_properties(${target} PROPERTIES
    PREFIX "" OUTPUT_NAME ${arg_NAME} SUFFIX ".so" LIBRARY_OUTPUT_DIRECTORY ${arg_OUTPUT}
    CXX_VISIBILITY_PRESET hidden C_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
  target_link_options(${target} PRIVATE -Wl,-z,now)
  if(NOT arg_EXPORTS_ALL)
    set(exports ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/plugin.exports)
    target_link_options(${target} PRIVATE -Wl,--version-script=${exports})
    set_target_properties(${target} PROPERTIES LINK_DEPENDS ${exports})
  endif()
  if(arg_UNCHECKED)
    return()
  endif()
  add_custom_command(TARGET ${target} POST_BUILD
    COMMAND voxbus::describe $<TARGET_FILE:${target}> --output ${arg_OUTPUT}/${arg_NAME}.plugin.yaml
    BYPRODUCTS ${arg_OUTPUT}/${arg_NAME}.plugin.yaml
    COMMENT "Describing the plugin ${arg_NAME}" VERBATIM)
endfunction()
