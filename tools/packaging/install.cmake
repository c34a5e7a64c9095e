# Runs at install time, from package.cmake: makes what the program can say about itself, and places it.
set(prefix "${CMAKE_INSTALL_PREFIX}")
set(root "$ENV{DESTDIR}")
set(etc "${prefix}/etc")
set(data "${prefix}/var/lib/tidemill")
if(prefix MATCHES "^/usr(/local)?$")  # a system's own: its settings and its data are where the system's are
  set(etc /etc)
  set(data /var/lib/tidemill)
endif()

# Runs the program with nothing of this shell's environment, which could change what it prints.
function(say file)
  execute_process(COMMAND /usr/bin/env -i ${PROGRAM} ${ARGN} OUTPUT_FILE ${MADE}/${file} RESULT_VARIABLE status)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "${PROGRAM} ${ARGN} ended with ${status}")
  endif()
endfunction()

file(MAKE_DIRECTORY ${MADE})
say(tidemill completion bash)
say(_tidemill completion zsh)
say(tidemill.1 man)
say(printed.toml serve --data ${data} --print-config)

file(READ ${MADE}/printed.toml printed)
file(WRITE ${MADE}/tidemill.toml "# The settings of the service tidemill, and what each one is when it is left out.
# `tidemill config check ${etc}/tidemill/tidemill.toml` says all that is wrong with it; `systemctl reload tidemill` takes
# over log level and limits, the rest needs `systemctl restart tidemill`.

${printed}")
file(READ ${SOURCE}/tidemill.service unit)
string(REPLACE "/usr/bin/tidemill" "${prefix}/${BINDIR}/tidemill" unit "${unit}")
string(REPLACE "/etc/tidemill" "${etc}/tidemill" unit "${unit}")
string(REPLACE "/usr/share/doc/tidemill" "${prefix}/${DOC}" unit "${unit}")
file(WRITE ${MADE}/tidemill.service "${unit}")
execute_process(COMMAND gzip -9nf ${MADE}/tidemill.1 RESULT_VARIABLE status)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "gzip ended with ${status}")
endif()

file(INSTALL ${MADE}/tidemill DESTINATION "${prefix}/share/bash-completion/completions")
file(INSTALL ${MADE}/_tidemill DESTINATION "${prefix}/share/zsh/vendor-completions")
file(INSTALL ${MADE}/tidemill.1.gz DESTINATION "${prefix}/share/man/man1")
file(INSTALL ${MADE}/tidemill.service DESTINATION "${prefix}/lib/systemd/system")
if(EXISTS "${root}${etc}/tidemill/tidemill.toml")
  message(STATUS "Kept: ${root}${etc}/tidemill/tidemill.toml (the new defaults are in ${MADE}/tidemill.toml)")
else()
  file(INSTALL ${MADE}/tidemill.toml DESTINATION "${etc}/tidemill")
endif()
