#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace tidemill {

// Every problem that an answer as a whole can name. Codes are for programs and never change; docs/errors.md lists them
// (held against this table by a test). Codes of single records are engine's (engine/rejection.h).
enum class ErrorId : std::uint8_t {
  bad_request,
  bad_framing,
  host_missing,
  http_version,
  tls_required,
  request_timeout,
  length_required,
  body_too_large,
  header_too_large,
  expectation_failed,
  target_invalid,
  unauthorized,
  forbidden,
  not_found,
  method_not_allowed,
  not_acceptable,
  unsupported_media_type,
  unsupported_encoding,
  broken_encoding,
  invalid_parameter,
  invalid_body,
  records_rejected,
  records_too_large,
  too_many_records,
  invalid_key_header,
  key_reused,
  stream_not_found,
  stream_exists,
  stream_in_use,
  derived_stream,
  reserved_stream,
  invalid_stream_name,
  invalid_definition,
  shard_not_found,
  shard_closed,
  invalid_split,
  shards_not_adjacent,
  too_many_shards,
  archived_by_shard,
  view_not_found,
  view_exists,
  view_changing,
  view_in_use,
  not_in_quarantine,
  still_refused,
  too_many_decisions,
  invalid_view,
  no_such_row,
  no_lineage,
  at_ahead,
  history_gone,
  history_too_long,
  invalid_key,
  invalid_cursor,
  invalid_sql,
  not_read_only,
  not_supported,
  query_timeout,
  group_not_found,
  key_not_found,
  key_ended,
  too_many_keys,
  certificate_bound,
  too_many_certificates,
  certificate_not_found,
  instance_key,
  invalid_token,
  token_gone,
  not_yet_visible,
  records_gone,
  view_not_ready,
  throttled,
  rate_limited,
  quota_exceeded,
  connection_limit,
  change_limit,
  stream_limit,
  disk_limit,
  too_many_connections,
  keys_unread,
  flush_failed,
  not_accepting,
  draining,
  disk_full,
  disk_error,
  too_many_files,
  damaged,
  internal,
};
inline constexpr std::size_t kErrorCount = static_cast<std::size_t>(ErrorId::internal) + 1;

struct ErrorEntry {
  ErrorId id;
  int status;
  std::string_view code;
  std::string_view title;   // what is wrong, the same each time
  std::string_view remedy;  // what to do
};

const ErrorEntry& error_entry(ErrorId id);
std::span<const ErrorEntry> error_catalogue();

}  // namespace tidemill
