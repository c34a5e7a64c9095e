#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "consumers/views/views.h"
#include "engine/stream.h"

namespace tidemill {

// JSON bodies other than records (api/json_body.h reads them). An error is a sentence for the client.
struct InputError {
  std::string message;
};
template <class T>
using Input = std::variant<T, InputError>;

// PUT /v1/streams/{stream}: only what was said is set.
struct StreamInput {
  std::optional<std::uint32_t> shards;
  std::optional<std::string> partition_key;
  std::optional<std::map<std::string, FieldType, std::less<>>> fields;
  std::optional<bool> archive_enabled;
  std::optional<std::uint64_t> archive_size_bytes;
  std::optional<std::chrono::milliseconds> archive_age;
  // What of it is given; within, null is "off".
  std::optional<std::optional<std::chrono::milliseconds>> retention_age;
  std::optional<std::optional<std::uint64_t>> retention_size_bytes;
  std::optional<bool> retention_wait_for_groups;
};
Input<StreamInput> parse_stream_input(std::string_view json);

// POST .../shards/{shard}/split: {"at":"<32 hex digits>"}, or nothing. .../merge: {"with":SHARD}.
Input<std::optional<HashKey>> parse_split_input(std::string_view json);
Input<ShardId> parse_merge_input(std::string_view json);
// A shard as a path or parameter names it: 3, or s0003 as in the names of text files.
std::optional<ShardId> parse_shard(std::string_view text);

struct SqlInput {
  std::string sql;
  views::Row params;
  std::optional<views::Views::At> at;  // of the past
};
Input<SqlInput> parse_sql_input(std::string_view json);
// A sequence number, or an RFC 3339 time; nullopt: neither.
std::optional<views::Views::At> parse_at(std::string_view text);
inline constexpr char kAtSentence[] = "`at` is a sequence number or an RFC 3339 time such as 2011-12-09T12:50:00Z.";

// POST /v1/views/{view}/quarantine[/{sequence}]. `data` of an edit is as it was spelled.
Input<views::DecisionRequest> parse_decision_input(std::string_view json, std::optional<Sequence> sequence);

Input<std::string> parse_view_input(std::string_view json);  // {"sql":"..."}
Input<views::Row> parse_key_input(std::string_view json);    // a JSON array of scalars

}  // namespace tidemill
