#include "api/errors/problem.h"

#include <algorithm>
#include <cerrno>

#include "engine/errors.h"
#include "engine/json/writer.h"
#include "storage/base/errors.h"

namespace tidemill {

http::Response problem(ErrorId id, std::string_view detail, std::string_view members,
                       std::chrono::nanoseconds retry_after) {
  const ErrorEntry& entry = error_entry(id);
  http::Response response;
  response.status = entry.status;
  response.content_type = kProblemType;
  std::string& out = response.body;
  JsonWriter json(out);
  json.begin_object()
      .field("type", "about:blank")
      .field("title", entry.title)
      .field("status", static_cast<std::uint32_t>(entry.status))
      .field("code", entry.code);
  std::string text;
  // "See the detail" is for the table of codes; here is the detail.
  if (detail.empty() || !entry.remedy.starts_with("See the detail")) text = entry.remedy;
  if (!detail.empty()) text.insert(0, std::string(detail) + (text.empty() ? "" : " "));
  json.field("detail", text);
  out.append(members);
  json.end_object();
  out.push_back('\n');
  // Not where trying again gives the same: a question that is too large, a stream that waits for its operator.
  const bool helps = id != ErrorId::query_timeout && id != ErrorId::not_accepting && id != ErrorId::instance_key &&
                     id != ErrorId::rate_limited && id != ErrorId::quota_exceeded &&
                     id != ErrorId::change_limit;  // those know it to the second
  if (helps && (entry.status == 429 || entry.status == 503)) {
    // Never 0, for that would be no pause; never long, for an estimate is only good for a while.
    const auto whole = std::chrono::ceil<std::chrono::seconds>(retry_after).count();
    response.add_header("Retry-After", std::to_string(std::clamp<std::int64_t>(whole, 1, 60)));
  }
  return response;
}

ErrorId error_id(const ErrorCode& error) {
  if (error.category() == make_error_code(StorageErrc::closed).category()) {
    switch (static_cast<StorageErrc>(error.value())) {
      case StorageErrc::damaged:
        return ErrorId::damaged;
      case StorageErrc::flush_failed:
        return ErrorId::flush_failed;
      case StorageErrc::not_accepting:
        return ErrorId::not_accepting;
      case StorageErrc::closed:
        return ErrorId::draining;
      case StorageErrc::throttled:
        return ErrorId::throttled;
      case StorageErrc::request_too_large:
        return ErrorId::body_too_large;
      case StorageErrc::key_reused:
        return ErrorId::key_reused;
      case StorageErrc::keys_unread:
        return ErrorId::keys_unread;
      case StorageErrc::before_start:
        return ErrorId::records_gone;
      case StorageErrc::beyond_end:
      case StorageErrc::invalid_argument:
        return ErrorId::invalid_parameter;
      case StorageErrc::too_many_files:
        return ErrorId::too_many_files;
      case StorageErrc::directory_in_use:
      case StorageErrc::layout_too_new:
        return ErrorId::internal;
    }
  }
  if (error.category() == make_error_code(EngineErrc::draining).category()) {
    switch (static_cast<EngineErrc>(error.value())) {
      case EngineErrc::no_such_stream:
        return ErrorId::stream_not_found;
      case EngineErrc::stream_exists:
        return ErrorId::stream_exists;
      case EngineErrc::invalid_name:
        return ErrorId::invalid_stream_name;
      case EngineErrc::reserved_stream:
        return ErrorId::reserved_stream;
      case EngineErrc::invalid_definition:
        return ErrorId::invalid_definition;
      case EngineErrc::stream_in_use:
        return ErrorId::stream_in_use;
      case EngineErrc::draining:
        return ErrorId::draining;
      case EngineErrc::unknown_token:
        return ErrorId::token_gone;
      case EngineErrc::no_such_group:
        return ErrorId::group_not_found;
      case EngineErrc::no_such_shard:
        return ErrorId::shard_not_found;
      case EngineErrc::shard_closed:
        return ErrorId::shard_closed;
      case EngineErrc::invalid_split:
        return ErrorId::invalid_split;
      case EngineErrc::not_adjacent:
        return ErrorId::shards_not_adjacent;
      case EngineErrc::too_many_shards:
        return ErrorId::too_many_shards;
      case EngineErrc::archived_by_shard:
        return ErrorId::archived_by_shard;
      case EngineErrc::group_exists:
      case EngineErrc::not_a_data_directory:
        return ErrorId::internal;
    }
  }
  if (error == boost::system::errc::no_space_on_device || error.value() == EDQUOT) return ErrorId::disk_full;
  if (error.category() == boost::system::generic_category() || error.category() == boost::system::system_category()) {
    return ErrorId::disk_error;
  }
  return ErrorId::internal;
}

ErrorId error_id(std::string_view views_code) {
  struct Pair {
    std::string_view code;
    ErrorId id;
  };
  static constexpr Pair kPairs[] = {
      {"invalid_sql", ErrorId::invalid_sql},
      {"invalid_parameters", ErrorId::invalid_parameter},
      {"sql_timeout", ErrorId::query_timeout},
      {"view_damaged", ErrorId::damaged},
      {"no_such_view", ErrorId::view_not_found},
      {"view_exists", ErrorId::view_exists},
      {"invalid_view", ErrorId::invalid_view},
      {"invalid_name", ErrorId::invalid_view},
      {"no_such_stream", ErrorId::stream_not_found},
      {"not_stored", ErrorId::disk_error},
      {"view_changing", ErrorId::view_changing},
      {"view_in_use", ErrorId::view_in_use},
      {"not_in_quarantine", ErrorId::not_in_quarantine},
      {"still_refused", ErrorId::still_refused},
      {"too_many_decisions", ErrorId::too_many_decisions},
      {"not_read_only", ErrorId::not_read_only},
      {"not_supported", ErrorId::not_supported},
      {"no_lineage", ErrorId::no_lineage},
      {"at_ahead", ErrorId::at_ahead},
      {"history_gone", ErrorId::history_gone},
      {"history_too_long", ErrorId::history_too_long},
      {"throttled", ErrorId::throttled},
  };
  for (const Pair& p : kPairs) {
    if (p.code == views_code) return p.id;
  }
  return ErrorId::internal;
}

}  // namespace tidemill
