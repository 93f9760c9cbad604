# What `cmake --install` puts where: component `server` is what a package of a distribution holds, `systemd` the unit.
# The configuration files are the guide's with the folders of a system in place of the container's; the service looks for them in /etc/qwen-thinking whatever the prefix is.
include(GNUInstallDirs)

set(system_configs ${CMAKE_BINARY_DIR}/system_configs)
foreach(file model_config.yaml service_config.yaml)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/configs/${file})
  file(READ ${CMAKE_SOURCE_DIR}/configs/${file} text)
  string(REPLACE "/app/models" "/var/lib/qwen-thinking/models" text "${text}")
  string(REPLACE "/app/logs" "/var/log/qwen-thinking" text "${text}")
  string(REPLACE "/app/certs" "/etc/qwen-thinking/certs" text "${text}")
  file(WRITE ${system_configs}/${file} "${text}")
  install(FILES ${system_configs}/${file} DESTINATION /etc/qwen-thinking COMPONENT server)
endforeach()

install(TARGETS qwen-thinking RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT server)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/models/demo DESTINATION ${CMAKE_INSTALL_DATADIR}/qwen-thinking COMPONENT server)
foreach(script backup daily_check download_model monthly_report restore update weekly_maintenance)
  install(PROGRAMS ${CMAKE_SOURCE_DIR}/scripts/${script}.sh DESTINATION ${CMAKE_INSTALL_DATADIR}/qwen-thinking/scripts COMPONENT server)
endforeach()
install(FILES ${CMAKE_SOURCE_DIR}/scripts/common.sh ${CMAKE_SOURCE_DIR}/scripts/access_log.awk
  DESTINATION ${CMAKE_INSTALL_DATADIR}/qwen-thinking/scripts COMPONENT server)
install(FILES ${CMAKE_SOURCE_DIR}/packaging/systemd/qwen-thinking.service DESTINATION lib/systemd/system COMPONENT systemd)
