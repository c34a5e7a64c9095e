#include "consumers/archive/manifest_format.h"
#include "consumers/views/state.h"
#include "engine/data_directory.h"
#include "storage/base/build_info.h"
#include "storage/log/commit_format.h"
#include "storage/log/segment_format.h"
#include "tools/cli/commands.h"
#include "tools/cli/load/progress.h"
#include "tools/cli/output.h"

namespace tidemill::cli {

// Each format has one version so far, which is the one that is both read and written.
std::string version_text() {
  std::string formats;
  const auto add = [&](const char* name, int number) {
    formats += (formats.empty() ? "" : ", ") + std::string(name) + " " + std::to_string(number);
  };
  add("directory layout", DataDirectory::kLayout);
  add("log segments", kSegmentVersion);
  add("commits", kCommitVersion);
  add("archive manifest", archive::kManifestVersion);
  add("view rows", views::kRowVersion);
  add("load progress", kProgressVersion);
  return "tidemill " + std::string(version()) + " (commit " + std::string(commit()) + ")\nreads and writes: " + formats;
}

int print_version() {
  print(version_text() + "\n");
  return kOk;
}

}  // namespace tidemill::cli
