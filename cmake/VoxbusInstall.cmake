# SPDX-License-Identifier: Apache-2.0
# What `cmake --install` puts where. One prefix, /usr unless said otherwise, because the unit, the
# manual pages and the plugins' folder name paths below it; nothing below /etc, where administrators
# write: the daemon starts without any file of theirs.

set(private lib/voxbus)  # the same on every architecture, like the plugins' folder in the configuration
install(TARGETS voxbusd voxbus voxbus-describe RUNTIME DESTINATION bin)
install(TARGETS voxbus-host RUNTIME DESTINATION ${private})

foreach(plugin email phone)
  install(TARGETS plugin-${plugin} LIBRARY DESTINATION ${private}/plugins
    # The daemon loads nothing that others may write.
    PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)
  install(FILES ${CMAKE_BINARY_DIR}/plugins/${plugin}.plugin.yaml DESTINATION ${private}/plugins)
endforeach()

# The prefix may still be chosen by `cmake --install --prefix`.
install(CODE "
  file(READ \"${CMAKE_SOURCE_DIR}/systemd/voxbus.service\" unit)
  string(REPLACE /usr/bin/ \"\${CMAKE_INSTALL_PREFIX}/bin/\" unit \"\${unit}\")
  file(WRITE \"${CMAKE_BINARY_DIR}/voxbus.service\" \"\${unit}\")")
install(FILES ${CMAKE_BINARY_DIR}/voxbus.service DESTINATION lib/systemd/system)
install(FILES systemd/voxbus.sysusers DESTINATION lib/sysusers.d RENAME voxbus.conf)
install(FILES systemd/voxbus.tmpfiles DESTINATION lib/tmpfiles.d RENAME voxbus.conf)

install(FILES docs/man/voxbus.1 DESTINATION share/man/man1)
install(FILES docs/man/voxbus.yaml.5 docs/man/voxbus-channel.5 DESTINATION share/man/man5)
install(FILES docs/man/voxbusd.8 DESTINATION share/man/man8)
install(FILES conf/voxbus.yaml conf/examples/voxbus_client.py systemd/voxbus.service.d/credentials.conf.example
  DESTINATION share/doc/voxbus/examples)
install(DIRECTORY conf/channels.d DESTINATION share/doc/voxbus/examples)
