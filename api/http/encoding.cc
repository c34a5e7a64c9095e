#include "api/http/encoding.h"

#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <memory>

#include "api/http/message.h"

namespace tidemill::http {
namespace {

// Grows in steps, so that a small body never costs a large buffer.
bool grow(std::string& out, std::size_t used, std::size_t bytes_max) {
  if (used < out.size()) return true;
  if (out.size() > bytes_max) return false;
  out.resize(std::min(std::max<std::size_t>(out.size() * 2, 64 << 10), bytes_max + 1));
  return true;
}

Unpacked gunzip(std::string_view body, std::size_t bytes_max, std::string& out) {
  z_stream z{};
  if (inflateInit2(&z, 15 + 16) != Z_OK) return Unpacked::broken;
  const std::unique_ptr<z_stream, decltype(&inflateEnd)> guard(&z, inflateEnd);
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(body.data()));
  z.avail_in = static_cast<uInt>(body.size());
  std::size_t used = 0;
  for (;;) {
    if (!grow(out, used, bytes_max)) return Unpacked::too_large;
    z.next_out = reinterpret_cast<Bytef*>(out.data() + used);
    z.avail_out = static_cast<uInt>(out.size() - used);
    const int rc = inflate(&z, Z_NO_FLUSH);
    used = out.size() - z.avail_out;
    if (used > bytes_max) return Unpacked::too_large;
    if (rc == Z_STREAM_END) {
      if (z.avail_in == 0) break;
      if (inflateReset(&z) != Z_OK) return Unpacked::broken;
    } else if (rc != Z_OK) {
      // Z_BUF_ERROR with room left: the input ends too early.
      if (rc != Z_BUF_ERROR || z.avail_in == 0) {
        if (rc == Z_BUF_ERROR && z.avail_out == 0) continue;
        return Unpacked::broken;
      }
    } else if (z.avail_in == 0 && z.avail_out != 0) {
      return Unpacked::broken;
    }
  }
  out.resize(used);
  return Unpacked::ok;
}

Unpacked unzstd(std::string_view body, std::size_t bytes_max, std::string& out) {
  const std::unique_ptr<ZSTD_DStream, decltype(&ZSTD_freeDStream)> z(ZSTD_createDStream(), ZSTD_freeDStream);
  // A window of 8 MiB is what a server has to take (RFC 9659); more would be memory for the asking.
  if (!z || ZSTD_isError(ZSTD_DCtx_setParameter(z.get(), ZSTD_d_windowLogMax, 23))) return Unpacked::broken;
  ZSTD_inBuffer in{body.data(), body.size(), 0};
  std::size_t used = 0;
  std::size_t rest = 1;
  while (in.pos < in.size || rest != 0) {
    if (!grow(out, used, bytes_max)) return Unpacked::too_large;
    ZSTD_outBuffer to{out.data(), out.size(), used};
    const std::size_t before_in = in.pos;
    rest = ZSTD_decompressStream(z.get(), &to, &in);
    if (ZSTD_isError(rest)) return Unpacked::broken;
    const bool stuck = to.pos == used && in.pos == before_in;
    used = to.pos;
    if (used > bytes_max) return Unpacked::too_large;
    if (stuck && in.pos == in.size && used < out.size()) return Unpacked::broken;
  }
  out.resize(used);
  return Unpacked::ok;
}

}  // namespace

Unpacked unpack(std::string_view encoding, std::string_view body, std::size_t bytes_max, std::string& out) {
  out.clear();
  if (iequals(encoding, "gzip") || iequals(encoding, "x-gzip")) return gunzip(body, bytes_max, out);
  if (iequals(encoding, "zstd")) return unzstd(body, bytes_max, out);
  return Unpacked::unknown_encoding;
}

}  // namespace tidemill::http
