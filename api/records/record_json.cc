#include <charconv>

#include "api/records/read.h"
#include "engine/json/writer.h"

namespace tidemill {
namespace {

void append_base64(std::string& out, std::string_view bytes) {
  static constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t n = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t three = 0;
    for (std::size_t j = 0; j < 3; ++j) {
      three = three << 8 | (j < n ? static_cast<unsigned char>(bytes[i + j]) : 0u);
    }
    for (std::size_t j = 0; j < 4; ++j) {
      out.push_back(j <= n ? kAlphabet[three >> (18 - 6 * j) & 63] : '=');
    }
  }
}

}  // namespace

void append_record(std::string& out, const Stream& stream, const Record& record) {
  char number[20];
  const auto append_number = [&](std::uint64_t n) { out.append(number, std::to_chars(number, number + 20, n).ptr); };
  out.append("{\"sequence\":");
  append_number(record.sequence.value());
  out.append(",\"shard\":");
  append_number(stream.shard_of(record.hash).value());
  out.append(",\"time\":\"").append(format_rfc3339(record.arrival)).append("\",\"key\":");
  append_json_string(out, record.key);
  out.append(",\"data\":");
  if (record.content == ContentType::json) {
    out.append(record.data);
  } else {
    out.append("{\"_base64\":\"");
    append_base64(out, record.data);
    out.append("\"}");
  }
  out.push_back('}');
}

}  // namespace tidemill
