#pragma once

#include <span>
#include <string>
#include <string_view>

#include "api/http/message.h"

namespace tidemill {

// A Content-Type: views of the header.
struct MediaType {
  std::string_view type;  // application/json
  std::string_view charset;
  bool is(std::string_view name) const;
};
MediaType parse_media_type(std::string_view header);

// The name that we use for a type: in lower case, and one for the several of NDJSON. Others stay as they are.
std::string_view canonical_type(std::string_view type);

// The one of `offered` that the request's Accept prefers, the first where it does not care; empty: none will do.
std::string_view negotiate(const http::Request& request, std::span<const std::string_view> offered);

}  // namespace tidemill
