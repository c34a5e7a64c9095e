#include "api/json_input.h"

#include <charconv>

#include "api/json_body.h"
#include "engine/json/raw_member.h"

namespace tidemill {
namespace {

using Json = nlohmann::json;

std::optional<views::Value> scalar(const Json& json) {
  switch (json.type()) {
    case Json::value_t::null:
      return views::Value(std::monostate());
    case Json::value_t::boolean:
      return views::Value(static_cast<std::int64_t>(json.get<bool>()));
    case Json::value_t::number_integer:
      return views::Value(json.get<std::int64_t>());
    case Json::value_t::number_unsigned:
      if (json.get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX)) return std::nullopt;
      return views::Value(static_cast<std::int64_t>(json.get<std::uint64_t>()));
    case Json::value_t::number_float:
      return views::Value(json.get<double>());
    case Json::value_t::string:
      return views::Value(json.get<std::string>());
    default:
      return std::nullopt;
  }
}

}  // namespace

constexpr double kRetentionSecondsMax = 36'500.0 * 24 * 3600;  // 100 years

Input<StreamInput> parse_stream_input(std::string_view text) {
  StreamInput input;
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) return input;
  const auto json = JsonBody::parse(text);
  if (!json || !json->is_object()) return json.error("The body must be a JSON object.");
  for (const auto& [name, value] : json->items()) {
    if (name == "name" || name == "id" || name == "created") continue;  // as GET gives them: the path decides
    if (name == "shards") {
      // A number, or the list that GET gives, where closed ones do not count.
      std::uint64_t n = value.is_number_unsigned() ? value.get<std::uint64_t>() : 0;
      if (value.is_array())
        for (const Json& shard : value) n += !shard.is_object() || shard.value("open", Json(true)) != Json(false);
      if (n < 1 || n > 10'000) return InputError{"`shards` is a number from 1 to 10,000."};
      input.shards = static_cast<std::uint32_t>(n);
    } else if (name == "partition_key") {
      if (!value.is_string()) return InputError{"`partition_key` is the name of a field, as text."};
      input.partition_key = value.get<std::string>();
    } else if (name == "fields") {
      if (!value.is_object()) return InputError{"`fields` is an object, such as {\"Quantity\":\"integer\"}."};
      std::map<std::string, FieldType, std::less<>> fields;
      for (const auto& [field, type] : value.items()) {
        if (type == "text") {
          fields[field] = FieldType::text;
        } else if (type == "integer") {
          fields[field] = FieldType::integer;
        } else if (type == "number") {
          fields[field] = FieldType::number;
        } else {
          return InputError{"The type of field " + quoted(field) + " is text, integer or number."};
        }
      }
      input.fields = std::move(fields);
    } else if (name == "archive") {
      if (value.is_boolean()) {
        input.archive_enabled = value.get<bool>();
        continue;
      }
      if (!value.is_object()) return InputError{"`archive` is true, false or an object."};
      for (const auto& [key, v] : value.items()) {
        if (key == "enabled" && v.is_boolean()) {
          input.archive_enabled = v.get<bool>();
        } else if (key == "size_bytes" && v.is_number_unsigned() && v.get<std::uint64_t>() >= 1'024) {
          input.archive_size_bytes = v.get<std::uint64_t>();
        } else if (key == "age_seconds" && v.is_number() && v.get<double>() >= 0.1 && v.get<double>() <= 1e7) {
          input.archive_age = std::chrono::milliseconds(static_cast<std::int64_t>(v.get<double>() * 1000));
        } else {
          return InputError{
              "`archive` takes enabled (true or false), size_bytes (1,024 or more) and age_seconds (0.1 "
              "or more); " +
              quoted(key) + " does not fit."};
        }
      }
    } else if (name == "retention") {
      if (!value.is_object()) return InputError{"`retention` is an object, such as {\"age_seconds\":604800}."};
      for (const auto& [key, v] : value.items()) {
        if (key == "age_seconds" && v.is_null()) {
          input.retention_age.emplace();
        } else if (key == "age_seconds" && v.is_number() && v.get<double>() >= 1 &&
                   v.get<double>() <= kRetentionSecondsMax) {
          input.retention_age = std::chrono::milliseconds(static_cast<std::int64_t>(v.get<double>() * 1000));
        } else if (key == "size_bytes" && v.is_null()) {
          input.retention_size_bytes.emplace();
        } else if (key == "size_bytes" && v.is_number_unsigned() && v.get<std::uint64_t>() >= 65'536) {
          input.retention_size_bytes = v.get<std::uint64_t>();
        } else if (key == "wait_for_groups" && v.is_boolean()) {
          input.retention_wait_for_groups = v.get<bool>();
        } else {
          return InputError{
              "`retention` takes age_seconds (1 to 3,153,600,000, or null), size_bytes (65,536 or more, or null) and "
              "wait_for_groups (true or false); " +
              quoted(key) + " does not fit."};
        }
      }
    } else {
      return InputError{quoted(name) +
                        " is not a setting of a stream; these are: shards, partition_key, fields, "
                        "archive, retention."};
    }
  }
  return input;
}

std::optional<ShardId> parse_shard(std::string_view text) {
  if (text.starts_with('s')) text.remove_prefix(1);
  std::uint32_t n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return ShardId(n);
}

Input<std::optional<HashKey>> parse_split_input(std::string_view text) {
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) return std::optional<HashKey>();
  const auto json = JsonBody::parse(text);
  if (!json || !json->is_object() || json->size() > 1 || (json->size() == 1 && !json->contains("at")))
    return json.error("The body is empty, or a JSON object with `at` and nothing else.");
  if (json->empty()) return std::optional<HashKey>();
  const Json& at = (*json)["at"];
  const auto key = at.is_string() ? hash_key_from_hex(at.get<std::string>()) : std::nullopt;
  if (!key) return InputError{"`at` is a hash key of 32 hexadecimal digits: the first of the second child."};
  return std::optional<HashKey>(key);
}

Input<ShardId> parse_merge_input(std::string_view text) {
  const auto json = JsonBody::parse(text);
  if (!json || !json->is_object() || json->size() != 1 || !json->contains("with"))
    return json.error("The body must be a JSON object with the shard `with` and nothing else.");
  const Json& with = (*json)["with"];
  std::optional<ShardId> shard;
  if (with.is_string()) shard = parse_shard(with.get<std::string>());
  if (with.is_number_unsigned() && with.get<std::uint64_t>() <= ~0u) shard = ShardId(with.get<std::uint32_t>());
  if (!shard) return InputError{"`with` is a shard, such as 3 or \"s0003\"."};
  return *shard;
}

std::optional<views::Views::At> parse_at(std::string_view text) {
  std::uint64_t n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error == std::errc() && end == text.data() + text.size()) return Sequence(n);
  if (const auto time = parse_rfc3339(text)) return *time;
  return std::nullopt;
}

Input<SqlInput> parse_sql_input(std::string_view text) {
  const auto json = JsonBody::parse(text);
  if (!json || !json->is_object()) {
    return json.error("The body must be a JSON object, such as {\"sql\":\"SELECT 1\"}.");
  }
  SqlInput input;
  bool has_sql = false;
  for (const auto& [name, value] : json->items()) {
    if (name == "sql" && value.is_string()) {
      input.sql = value.get<std::string>();
      has_sql = true;
    } else if (name == "params" && value.is_array()) {
      for (const Json& v : value) {
        auto s = scalar(v);
        if (!s) return InputError{"`params` holds text, numbers within 64 bits, true, false and null."};
        input.params.push_back(std::move(*s));
      }
    } else if (name == "at" && (value.is_string() || value.is_number())) {
      input.at = parse_at(value.is_string() ? value.get<std::string>() : value.dump());
      if (!input.at) return InputError{kAtSentence};
    } else {
      return InputError{"The body has `sql` (text) and may have `params` (an array) and `at` (a sequence or a time); " +
                        quoted(name) + " does not fit."};
    }
  }
  if (!has_sql) return InputError{"`sql` is missing."};
  return input;
}

Input<views::DecisionRequest> parse_decision_input(std::string_view text, std::optional<Sequence> sequence) {
  using What = views::DecisionRequest::What;
  // `data` is taken as it is spelled, and judged as a record: it may be large, and nested deeper than other bodies.
  const auto json = JsonBody::parse(text, {.most = 80, .kept = 1});
  if (!json || !json->is_object()) return json.error("The body must be a JSON object with `decision`.");
  views::DecisionRequest request;
  request.sequence = sequence;
  bool has_data = false;
  const Json decision = json->value("decision", Json());
  if (decision == "skip") {
    request.what = What::skip;
  } else if (decision == "redrive") {
    request.what = What::redrive;
  } else {
    return InputError{"`decision` is \"skip\" or \"redrive\"."};
  }
  for (const auto& [name, value] : json->items()) {
    if (name == "decision") continue;
    if (name == "dry_run" && value.is_boolean()) {
      request.dry_run = value.get<bool>();
    } else if (sequence && name == "data" && value.is_object() && request.what == What::redrive) {
      has_data = true;
    } else if (!sequence && name == "reason" && value.is_string()) {
      request.reason = value.get<std::string>();
    } else if (!sequence && name == "from" && value.is_number_unsigned()) {
      request.from = Sequence(value.get<std::uint64_t>());
    } else if (!sequence && name == "limit" && value.is_number_unsigned() && value.get<std::uint64_t>() >= 1 &&
               value.get<std::uint64_t>() <= 1'000) {
      request.limit = value.get<std::uint32_t>();
    } else {
      return InputError{
          sequence
              ? "Besides `decision` there may be `dry_run` (true or false), and `data` (a JSON object) where it is "
                "\"redrive\"; " +
                    quoted(name) + " does not fit."
              : "Besides `decision` there may be `dry_run` (true or false), `reason` (text), `from` (a sequence) and "
                "`limit` (1 to 1,000); " +
                    quoted(name) + " does not fit."};
    }
  }
  if (has_data) {
    request.what = What::edit;
    request.data = raw_member(text, "data").value_or("");
  }
  return request;
}

Input<std::string> parse_view_input(std::string_view text) {
  const auto json = JsonBody::parse(text);
  if (!json || !json->is_object() || json->size() != 1 || !json->contains("sql") || !(*json)["sql"].is_string()) {
    return json.error(
        "The body must be a JSON object with the text `sql` and nothing else: a SELECT, a whole CREATE MATERIALIZED "
        "VIEW, "
        "or builtin:NAME.");
  }
  return (*json)["sql"].get<std::string>();
}

Input<views::Row> parse_key_input(std::string_view text) {
  const auto json = JsonBody::parse(text);
  if (!json || !json->is_array()) {
    return json.error("A key is a JSON array with a value for each key column, such as [\"17850\"].");
  }
  views::Row row;
  for (const Json& v : *json) {
    auto s = scalar(v);
    if (!s) return InputError{"A key holds text, numbers within 64 bits, true, false and null."};
    row.push_back(std::move(*s));
  }
  return row;
}

}  // namespace tidemill
