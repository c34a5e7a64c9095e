#include "tools/cli/serve/differences.h"

namespace tidemill::cli {
namespace {

void compare(std::vector<std::string>& out, const std::string& what, const std::string& there,
             const std::string& wanted) {
  const auto shown = [](const std::string& s) { return s.empty() ? std::string("empty") : s; };
  if (there != wanted) out.push_back(what + " is " + shown(there) + ", the configuration says " + shown(wanted));
}

// White space does not make another view.
std::string squeezed(const std::string& sql) {
  std::string out;
  for (const char c : sql) {
    if (c != ' ' && c != '\n' && c != '\t' && c != '\r') {
      out += c;
    } else if (!out.empty() && out.back() != ' ') {
      out += ' ';
    }
  }
  while (out.ends_with(' ') || out.ends_with(';')) out.pop_back();
  return out;
}

}  // namespace

StreamDefinition definition_of(const StreamConfig& stream) {
  StreamDefinition d;
  d.name = stream.name;
  d.partition_key = stream.partition_key;
  d.fields = stream.fields;
  d.archive.enabled = stream.archive_enabled;
  d.archive.size_bytes = stream.archive_size;
  d.archive.age = stream.archive_age;
  if (stream.retention_age.count() != 0) d.retention.age = stream.retention_age;
  if (stream.retention_size != 0) d.retention.size_bytes = stream.retention_size;
  d.retention.wait_for_groups = stream.retention_wait_for_groups;
  return d;
}

std::string fields_text(const std::map<std::string, FieldType, std::less<>>& fields) {
  std::string out;
  for (const auto& [name, type] : fields) {
    if (type == FieldType::text) continue;  // what is not named is text
    out += (out.empty() ? "" : " ") + name + (type == FieldType::integer ? ":integer" : ":number");
  }
  return out;
}

std::vector<std::string> differences(const StreamConfig& wanted, const StreamDefinition& there) {
  std::vector<std::string> out;
  const std::string name = "stream " + wanted.name + ": ";
  std::uint64_t open = 0;
  for (const ShardDefinition& shard : there.shards) open += shard.open ? 1 : 0;
  compare(out, name + "shards", std::to_string(open), std::to_string(wanted.shards));
  compare(out, name + "partition_key", there.partition_key, wanted.partition_key);
  compare(out, name + "fields", fields_text(there.fields), fields_text(wanted.fields));
  compare(out, name + "archive.enabled", there.archive.enabled ? "true" : "false",
          wanted.archive_enabled ? "true" : "false");
  compare(out, name + "archive.size", format_size(there.archive.size_bytes), format_size(wanted.archive_size));
  compare(out, name + "archive.age", format_duration(there.archive.age), format_duration(wanted.archive_age));
  const auto size_or_off = [](std::uint64_t size) { return size == 0 ? std::string("off") : format_size(size); };
  const auto age_or_off = [](std::chrono::milliseconds age) {
    return age.count() == 0 ? std::string("off") : format_duration(age);
  };
  compare(out, name + "retention.age", age_or_off(there.retention.age.value_or(std::chrono::milliseconds(0))),
          age_or_off(wanted.retention_age));
  compare(out, name + "retention.size", size_or_off(there.retention.size_bytes.value_or(0)),
          size_or_off(wanted.retention_size));
  compare(out, name + "retention.wait_for_groups", there.retention.wait_for_groups ? "true" : "false",
          wanted.retention_wait_for_groups ? "true" : "false");
  return out;
}

std::vector<std::string> differences(const ViewConfig& wanted, const views::ViewInfo& there) {
  std::vector<std::string> out;
  if (squeezed(wanted.sql) != squeezed(there.source))
    out.push_back("view " + wanted.name + ": the definition is another one");
  return out;
}

}  // namespace tidemill::cli
