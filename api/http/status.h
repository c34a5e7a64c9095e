#pragma once

#include <string_view>

namespace tidemill::http {

// "HTTP/1.1 200 OK\r\n" and so on, for every status that is sent here.
std::string_view status_line(int status);

// What a browser is told with every answer, for it may be led to any: to take it for what its type says, to run and
// load nothing of it, to show it in no frame.
inline constexpr std::string_view kGuardHeaders =
    "X-Content-Type-Options: nosniff\r\n"
    "Content-Security-Policy: default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n";

}  // namespace tidemill::http
