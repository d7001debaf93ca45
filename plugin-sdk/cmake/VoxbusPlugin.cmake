# SPDX-License-Identifier: Apache-2.0
# voxbus_add_plugin(NAME guestbook SOURCES ... [LINKS ...] [OUTPUT folder] [UNCHECKED])
# builds the plugin NAME.so, by default in ${CMAKE_BINARY_DIR}/plugins, exporting nothing but
# voxbus_plugin_entry, and writes its manifest NAME.plugin.yaml beside it.
# UNCHECKED leaves out the manifest and the export list: for the broken plugins that tests load.
# Needs the targets voxbus::sdk and voxbus::describe.

function(voxbus_add_plugin)
  cmake_parse_arguments(arg "UNCHECKED" "NAME;OUTPUT" "SOURCES;LINKS" ${ARGN})
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
  if(arg_UNCHECKED)
    return()
  endif()
  set(exports ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/plugin.exports)
  target_link_options(${target} PRIVATE -Wl,--version-script=${exports})
  set_target_properties(${target} PROPERTIES LINK_DEPENDS ${exports})
  add_custom_command(TARGET ${target} POST_BUILD
    COMMAND voxbus::describe $<TARGET_FILE:${target}> --output ${arg_OUTPUT}/${arg_NAME}.plugin.yaml
    BYPRODUCTS ${arg_OUTPUT}/${arg_NAME}.plugin.yaml
    COMMENT "Describing the plugin ${arg_NAME}" VERBATIM)
endfunction()
