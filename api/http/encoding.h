#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace tidemill::http {

enum class Unpacked { ok, unknown_encoding, broken, too_large };

// Undoes a Content-Encoding (gzip, x-gzip, zstd; several members or frames in a row count). Stops at `bytes_max`.
Unpacked unpack(std::string_view encoding, std::string_view body, std::size_t bytes_max, std::string& out);

}  // namespace tidemill::http
