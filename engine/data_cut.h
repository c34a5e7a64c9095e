#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/base/ids.h"
#include "storage/log/log_cut.h"

namespace tidemill {

struct StreamCut {
  StreamId id;
  std::string name;  // with its tenant, where that is not the default one
  LogCut log;
  bool operator==(const StreamCut&) const = default;
};

// All logs of a data directory at one moment. The system stream stands first and was cut first, while no stream could
// come or go: so every stream that its part of the log knows is here, and every position that it names has been
// reached.
struct DataCut {
  std::string instance;
  std::vector<StreamCut> streams;
  bool operator==(const DataCut&) const = default;
};

// As GET /v1/cut answers (docs/http-api.md). nullopt: not one of ours.
std::string encode_cut(const DataCut& cut);
std::optional<DataCut> decode_cut(std::string_view json);

}  // namespace tidemill
