# `cmake --install BUILD [--prefix DIR]`, and the Debian package: `cpack --config BUILD/CPackConfig.cmake -B DIR`.
# docs/operations.md says what goes where, docs/decisions/0035 why.
include(GNUInstallDirs)
install(TARGETS tidemill RUNTIME)
set(doc ${CMAKE_INSTALL_DATAROOTDIR}/doc/tidemill)
install(FILES README.md CHANGELOG.md LICENSE DESTINATION ${doc})
install(FILES tools/packaging/debian/copyright DESTINATION ${doc})
install(DIRECTORY docs DESTINATION ${doc})
# What the program itself says (completion, manual page, configuration), and the unit with this prefix.
install(CODE "
  set(SOURCE \"${PROJECT_SOURCE_DIR}/tools/packaging\")
  set(MADE \"${PROJECT_BINARY_DIR}/packaging\")
  set(PROGRAM \"$<TARGET_FILE:tidemill>\")
  set(BINDIR \"${CMAKE_INSTALL_BINDIR}\")
  set(DOC \"${doc}\")
")
install(SCRIPT tools/packaging/install.cmake)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME tidemill)
set(CPACK_PACKAGE_VENDOR "Tidemill")
set(CPACK_PACKAGE_CONTACT "The Tidemill authors <tidemill@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "durable log with text files and live SQL views")
set(CPACK_PACKAGE_DESCRIPTION
"Producers POST JSON; it is on disk, in an append-only sharded log, before they
get their answer. Consumer groups turn it, exactly once, into timestamped text
files and live views; people query the views over REST and SQL, and Prometheus
scrapes the rest. One program, one data directory.")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION database)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)  # the exact versions of the libraries that it was linked with
set(CPACK_DEBIAN_PACKAGE_DEPENDS "adduser")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "prometheus")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${PROJECT_SOURCE_DIR}/tools/packaging/debian/postinst
    ${PROJECT_SOURCE_DIR}/tools/packaging/debian/prerm ${PROJECT_SOURCE_DIR}/tools/packaging/debian/postrm
    ${PROJECT_SOURCE_DIR}/tools/packaging/debian/conffiles)
include(CPack)
