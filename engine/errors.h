#pragma once

#include "storage/base/result.h"

namespace tidemill {

enum class EngineErrc {
  no_such_stream = 1,
  stream_exists,
  invalid_name,
  reserved_stream,  // the server's own
  invalid_definition,
  stream_in_use,  // others are derived from it
  draining,       // SIGTERM came
  unknown_token,  // not ours, or of another incarnation or a cut-off epoch
  no_such_group,
  group_exists,
  no_such_shard,
  shard_closed,          // split or merged before
  invalid_split,         // the shard's range cannot be cut there
  not_adjacent,          // only neighbours can be merged
  too_many_shards,       // open ones, or in the stream's whole life
  archived_by_shard,     // its archive has a file open for each shard, and would have too many
  not_a_data_directory,  // holds files, but none of ours: refusing to write between them
};
ErrorCode make_error_code(EngineErrc e);

}  // namespace tidemill

template <>
struct boost::system::is_error_code_enum<tidemill::EngineErrc> : std::true_type {};
