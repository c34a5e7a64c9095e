#pragma once

#include <optional>
#include <string_view>

#include "api/http/message.h"

namespace tidemill {

// A browser sends what a page of any site asks for, and with it whatever stands for a key by itself: this machine,
// while there are no keys, and a client's certificate. 403 for what would change something and came from a page of
// another site: browsers say so in Sec-Fetch-Site, older ones in Origin. Other clients send neither. What carries a key
// in its head passes: a page of another site would have to ask first (CORS), and nobody answers yes.
std::optional<http::Response> refuse_cross_site(const http::Request& request);

// Whether a Host header can be meant for this machine alone: an address, localhost, or a name without a dot. A page
// whose name was made to lead to 127.0.0.1 (DNS rebinding) is of the same site as what it finds there, so nothing above
// tells; but its name is one that the world's DNS knows, and has a dot.
bool is_local_host(std::string_view host);

}  // namespace tidemill
