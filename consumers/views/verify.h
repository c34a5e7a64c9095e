#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/stream.h"
#include "engine/system_stream.h"
#include "storage/base/finding.h"
#include "storage/base/result.h"
#include "storage/seam/env.h"

namespace tidemill::views {

struct VerifyViewsOptions {
  std::string directory;                  // DATA/views
  std::string scratch;                    // an empty directory of its own; what is made there is left there
  std::uint64_t memory_bytes = 96 << 20;  // for each of two databases
  // The stream of a view; nullptr: it cannot be read.
  std::function<std::shared_ptr<Stream>(StreamId)> stream;
};

struct VerifiedView {
  std::string name;            // with its tenant, where that is not the default one
  std::uint64_t sequence = 0;  // the checkpoint: what it was compared at
  std::uint64_t rows = 0;
};

// The views of a data directory that no server uses: RocksDB's files are read through, and each view is made anew from
// the log in `scratch`, at the checkpoint that is on disk, and compared byte for byte. `env` reads (its file system
// should refuse writes), `scratch_env` writes. Blocks, long.
Result<std::vector<VerifiedView>> verify_views(Env& env, Env& scratch_env, SystemStream& system,
                                               const VerifyViewsOptions& options, const FindingSink& sink);

}  // namespace tidemill::views
