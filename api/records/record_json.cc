#include <charconv>

#include "api/records/read.h"
#include "engine/json/writer.h"

namespace tidemill {

std::string children_of(const Stream& stream, ShardId shard) {
  std::string out;
  for (const ShardId child : stream.shards().now().table->children(shard))
    out.append(out.empty() ? "" : ",").append(std::to_string(child.value()));
  return out;
}

void append_record(std::string& out, const Stream& stream, const Record& record) {
  char number[20];
  const auto append_number = [&](std::uint64_t n) { out.append(number, std::to_chars(number, number + 20, n).ptr); };
  out.append("{\"sequence\":");
  append_number(record.sequence.value());
  out.append(",\"shard\":");
  append_number(stream.shard_of(record.hash, record.sequence).value());
  out.append(",\"time\":\"").append(format_rfc3339(record.arrival)).append("\",\"key\":");
  append_json_string(out, record.key);
  out.append(",\"data\":");
  if (record.content == ContentType::json) {
    out.append(record.data);
  } else {
    append_bytes_json(out, record.data);
  }
  out.push_back('}');
}

}  // namespace tidemill
