#include "api/ingest/answer.h"

#include <charconv>

#include "engine/json/writer.h"
#include "engine/rejection.h"

namespace tidemill {
namespace {

void append_number(std::string& out, std::uint64_t n) {
  char text[20];
  out.append(text, std::to_chars(text, text + sizeof text, n).ptr);
}

}  // namespace

void append_rejected(std::string& out, std::span<const RejectedRecord> rejected) {
  out.append("\"rejected\":[");
  for (std::size_t i = 0; i < rejected.size(); ++i) {
    if (i != 0) out.push_back(',');
    const auto code = static_cast<Rejection>(rejected[i].code);
    out.append("{\"index\":");
    append_number(out, rejected[i].index);
    out.append(",\"code\":\"").append(rejection_name(code)).append("\",\"message\":");
    append_json_string(out, rejection_message(code));
    out.push_back('}');
  }
  out.push_back(']');
}

// Written by hand: it is made for every request, and stream names and tokens need no escaping.
void append_answer(std::string& out, const IngestAnswer& a) {
  out.append("{\"stream\":\"").append(a.stream).append("\",\"accepted\":");
  append_number(out, a.accepted);
  if (a.accepted > 0) {
    out.append(",\"first_sequence\":");
    append_number(out, a.first.value());
    out.append(",\"last_sequence\":");
    append_number(out, a.first.value() + a.accepted - 1);
  } else {
    out.append(",\"first_sequence\":null,\"last_sequence\":null");
  }
  out.append(",\"token\":\"").append(a.token).append("\",\"ack\":\"").append(a.ack).append("\",");
  if (!a.behind.empty()) out.append("\"behind\":").append(a.behind).append(",");
  if (a.replayed) out.append("\"replayed\":true,");
  append_rejected(out, a.rejected);
  out.append("}\n");
}

}  // namespace tidemill
