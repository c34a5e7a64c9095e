#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/audit/chain.h"
#include "engine/data_reader.h"
#include "storage/base/finding.h"
#include "storage/seam/env.h"

namespace tidemill::cli {

// Where what was found goes, as it is found.
class VerifyReport {
 public:
  virtual ~VerifyReport() = default;
  virtual void finding(const Finding& finding) = 0;
  // One part was gone through: "log" or "archive" of a stream, "view". `facts` are names and numbers, in order.
  using Facts = std::vector<std::pair<const char*, std::uint64_t>>;
  virtual void part(const std::string& what, const std::string& name, const Facts& facts) = 0;
};

struct VerifyDataOptions {
  std::string data;
  std::string scratch;  // for views that are made anew; empty: views are left out
  bool moved_files_ok = false;
  // Asks the server that uses the directory; empty: none does.
  std::function<Result<DataCut>()> cut;
  // Of chained logs, kept elsewhere: no event up to there may be another than it was. By the log's name.
  std::map<std::string, std::vector<ChainHead>> heads;
};

// Everything in a data directory against everything else in it: logs, archives, views. `env` only reads; `scratch_env`
// writes below `scratch`. With a server, what it takes away meanwhile (retention, removed streams) is no damage: a
// stream in which some was found is looked at again from a later cut, and that counts; views are the server's to
// compare. An error: it could not be looked at.
Result<void> verify_data(Env& env, Env& scratch_env, const VerifyDataOptions& options, VerifyReport& report);

}  // namespace tidemill::cli
