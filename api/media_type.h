#pragma once

#include <span>
#include <string>
#include <string_view>

namespace tidemill {

// A Content-Type: views of the header.
struct MediaType {
  std::string_view type;  // application/json
  std::string_view charset;
  bool is(std::string_view name) const;
};
MediaType parse_media_type(std::string_view header);

// The one of `offered` that an Accept header prefers, the first where it does not care; empty: none will do.
std::string_view negotiate(std::string_view accept, std::span<const std::string_view> offered);

}  // namespace tidemill
