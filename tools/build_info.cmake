# Writes OUT with the commit of SOURCE, only when it changed, so that nothing is compiled again for nothing.
# Called at build time: cmake -DSOURCE=... -DOUT=... -DVERSION=... -P build_info.cmake
set(commit "unknown")
find_program(GIT git)
if(GIT)
  # safe.directory: a clone that belongs to another user (a container's mount) is as good.
  execute_process(COMMAND ${GIT} -c safe.directory=* -C ${SOURCE} describe --always --dirty --abbrev=12 --exclude *
                  OUTPUT_VARIABLE said RESULT_VARIABLE status ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(status EQUAL 0)
    set(commit "${said}")
  endif()
endif()
set(text "// Made by tools/build_info.cmake.
#include \"storage/base/build_info.h\"

namespace tidemill {

std::string_view version() {
  return \"${VERSION}\";
}

std::string_view commit() {
  return \"${commit}\";
}

}  // namespace tidemill
")
set(old "")
if(EXISTS ${OUT})
  file(READ ${OUT} old)
endif()
if(NOT old STREQUAL text)
  file(WRITE ${OUT} "${text}")
endif()
