#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "engine/csv/objects.h"
#include "tools/cli/load/retry.h"
#include "tools/cli/load/sender.h"
#include "tools/cli/remote.h"

namespace tidemill::cli {

// What the server says of the stream that is loaded.
struct StreamInfo {
  std::string partition_key;
  csv::FieldTypes fields;
  std::uint64_t next_sequence = 1;             // of the next record
  std::uint64_t idempotency_keys = 1'000'000;  // how many the stream remembers
};
// The stream that a URL's path names, ".../v1/streams/NAME/records"; empty: none.
std::string stream_in(const std::string& path);
// Asks as long as the server is down, at most `retry_for`. By one request that any scope of the stream allows: a
// producer's key may be one that only writes.
std::optional<StreamInfo> ask_stream(const Server& server, const std::string& stream,
                                     std::chrono::milliseconds retry_for, LoadStop& stop, LoadFailure& failure);

}  // namespace tidemill::cli
