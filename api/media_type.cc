#include "api/media_type.h"

#include <cstdlib>

namespace tidemill {
namespace {

std::string_view trim(std::string_view s) {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t')) s.remove_suffix(1);
  return s;
}

// Takes what stands before the separator off the front.
std::string_view take(std::string_view& text, char separator) {
  const std::size_t end = text.find(separator);
  const std::string_view part = text.substr(0, end);
  text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  return trim(part);
}

std::string_view parameter(std::string_view rest, std::string_view name) {
  while (!rest.empty()) {
    std::string_view part = take(rest, ';');
    const std::string_view n = take(part, '=');
    std::string_view value = trim(part);
    if (!http::iequals(n, name)) continue;
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"') value = value.substr(1, value.size() - 2);
    return value;
  }
  return {};
}

}  // namespace

bool MediaType::is(std::string_view name) const {
  return http::iequals(type, name);
}

MediaType parse_media_type(std::string_view header) {
  MediaType result;
  result.type = take(header, ';');
  if (!header.empty()) result.charset = parameter(header, "charset");
  return result;
}

std::string_view canonical_type(std::string_view type) {
  static constexpr std::string_view kNdjsonNames[] = {"application/ndjson", "application/jsonl",
                                                      "application/jsonlines", "application/x-jsonlines"};
  static constexpr std::string_view kNames[] = {"application/json", "application/x-ndjson", "text/csv",
                                                "application/sql", "text/event-stream"};
  for (const auto name : kNames) {
    if (http::iequals(type, name)) return name;
  }
  for (const auto name : kNdjsonNames) {
    if (http::iequals(type, name)) return "application/x-ndjson";
  }
  return type;
}

std::string_view negotiate(const http::Request& request, std::span<const std::string_view> offered) {
  std::string accept;  // several lines are one list
  for (const http::Header& h : request.headers) {
    if (http::iequals(h.name, "Accept")) accept.append(accept.empty() ? "" : ",").append(h.value);
  }
  if (accept.find_first_not_of(" \t,") == std::string::npos) return offered.front();
  std::string_view best;
  double best_quality = 0;
  int best_specific = -1;
  for (const std::string_view offer : offered) {
    // The most specific range that covers the offer says how much it is wanted.
    double quality = -1;
    int specific = -1;
    std::string_view rest = accept;
    while (!rest.empty()) {
      std::string_view range = take(rest, ',');
      const std::string_view type = canonical_type(take(range, ';'));
      int s = -1;
      if (http::iequals(type, offer)) {
        s = 2;
      } else if (type == "*/*") {
        s = 0;
      } else if (type.ends_with("/*") &&
                 http::iequals(type.substr(0, type.size() - 1), offer.substr(0, offer.find('/') + 1))) {
        s = 1;
      }
      if (s <= specific) continue;
      specific = s;
      const std::string_view q = parameter(range, "q");
      quality = q.empty() ? 1.0 : std::strtod(std::string(q).c_str(), nullptr);
    }
    // Who names one type and takes all others as well wants that one.
    if (quality > best_quality || (quality > 0 && quality == best_quality && specific > best_specific)) {
      best_quality = quality;
      best_specific = specific;
      best = offer;
    }
  }
  return best;
}

}  // namespace tidemill
