#pragma once

#include <string_view>

namespace tidemill::http {

// "HTTP/1.1 200 OK\r\n" and so on, for every status that is sent here.
std::string_view status_line(int status);

}  // namespace tidemill::http
