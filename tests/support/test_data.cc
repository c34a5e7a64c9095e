#include "tests/support/test_data.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <set>

#include "tests/support/source_tree.h"

namespace tidemill {

std::optional<std::string> test_data(const std::string& name) {
  const char* variable = std::getenv("TIDEMILL_TEST_DATA");
  const std::filesystem::path root =
      variable != nullptr && *variable != '\0' ? variable : source_tree() + "/../shared/data";
  const std::filesystem::path path = (root / name).lexically_normal();
  std::error_code error;
  if (std::filesystem::exists(path, error)) return path.string();
  static std::mutex mutex;
  static std::set<std::string> said;
  const std::lock_guard lock(mutex);
  if (said.insert(path.string()).second)
    std::fprintf(stderr, "NOTE: test data %s is missing (TIDEMILL_TEST_DATA names the folder it is in)\n",
                 path.c_str());
  return std::nullopt;
}

}  // namespace tidemill
