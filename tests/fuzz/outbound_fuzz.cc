// What comes from elsewhere on the way out: URLs that somebody names, and what their servers reply.
#include <algorithm>

#include "engine/outbound/policy.h"
#include "engine/outbound/reply.h"
#include "tests/fuzz/fuzz.h"

using namespace tidemill;
using namespace tidemill::outbound;

namespace {

constexpr std::size_t kHead = 300, kBody = 500;

struct Outcome {
  bool good = false;
  Reply reply;
};

Outcome read(std::string_view bytes, std::size_t piece, bool head_only) {
  ReplyReader reader(kHead, kBody, head_only);
  for (; !bytes.empty(); bytes.remove_prefix(std::min(piece, bytes.size()))) {
    const auto whole = reader.feed(bytes.substr(0, piece));
    if (!whole) return {};
    if (*whole) return {true, reader.take()};
  }
  if (!reader.end()) return {};
  return {true, reader.take()};
}

void reply(std::string_view bytes, bool head_only) {
  const Outcome whole = read(bytes, std::max<std::size_t>(bytes.size(), 1), head_only);
  const Outcome pieces = read(bytes, 1, head_only);
  CHECK(whole.good == pieces.good);
  if (!whole.good) return;
  CHECK(whole.reply.status == pieces.reply.status && whole.reply.body == pieces.reply.body &&
        whole.reply.headers == pieces.reply.headers);
  CHECK(whole.reply.body.size() <= kBody && whole.reply.status >= 200);
  std::size_t head = 0;
  for (const auto& [name, value] : whole.reply.headers) head += name.size() + value.size();
  CHECK(head <= kHead);
}

void url(std::string_view text) {
  static const Policy policy = [] {
    std::string error;
    return *Policy::make({.schemes = {"https", "http"}, .ports = {80, 443, 8443}, .exceptions = {"10.0.0.0/8"}}, error);
  }();
  const auto to = policy.destination(text);
  if (!to) return;
  CHECK(to->target.starts_with('/'));
  CHECK(std::none_of(to->target.begin(), to->target.end(),
                     [](unsigned char c) { return c <= 0x20 || c >= 0x7f || c == '#' || c == '\\'; }));
  CHECK(std::none_of(to->host.begin(), to->host.end(),
                     [](unsigned char c) { return c <= 0x20 || c >= 0x7f || c == '@' || c == '%' || c == '/'; }));
  CHECK(to->literal || (to->host.find('.') != to->host.npos && to->host.find(':') == to->host.npos));
  if (to->literal) CHECK(to_text(*to->literal) == to->host);
  const auto again = policy.destination((to->tls ? "https://" : "http://") + to->authority() + to->target);
  CHECK(again && again->host == to->host && again->port == to->port && again->target == to->target &&
        again->literal == to->literal);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text = text_of(data + 1, size - 1);
  if (data[0] == 'U') {
    url(text);
  } else {
    reply(text, data[0] == 'H');
  }
  return 0;
}
