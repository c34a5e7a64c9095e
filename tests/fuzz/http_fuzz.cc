// Requests out of a connection's bytes: the same however the network cuts them.
#include <algorithm>

#include "api/http/parser.h"
#include "tests/fuzz/fuzz.h"

using namespace tidemill;

namespace {

std::vector<std::string> parse(std::string buffer, std::size_t piece) {
  std::vector<std::string> said;
  http::Limits limits;  // small ones, so that many an input comes near them
  limits.header_bytes = 120;
  limits.header_count = 6;
  limits.body_bytes = 60;
  http::RequestParser parser;
  parser.begin(limits);
  std::size_t at = 0;
  for (std::size_t come = 0; come < buffer.size();) {
    come = std::min(buffer.size(), come + piece);
    for (;;) {
      std::size_t taken = 0;
      const auto step = parser.feed(buffer.data() + at, come - at, taken);
      CHECK(taken <= come - at);
      at += taken;
      if (step == http::RequestParser::Step::need_more) break;
      if (step == http::RequestParser::Step::refused) {
        said.push_back("refused");
        return said;
      }
      const http::Request& r = parser.request();
      said.push_back(std::string(r.method) + " " + std::string(r.path) + " " + std::string(r.query) + " " +
                     std::string(r.body) + (parser.keep_alive() ? " on" : " off"));
      for (const http::Header& h : r.headers) said.push_back(std::string(h.name) + ": " + std::string(h.value));
      parser.begin(limits);
      if (at == come) break;
    }
  }
  return said;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string bytes(text_of(data + 1, size - 1));
  const auto whole = parse(bytes, bytes.size() + 1);
  const auto cut = parse(bytes, 1 + data[0] % 60);
  // A request whose end has not come may be refused early, or not yet.
  const auto& longer = cut.size() > whole.size() ? cut : whole;
  const auto& shorter = cut.size() > whole.size() ? whole : cut;
  CHECK(std::equal(shorter.begin(), shorter.end(), longer.begin()));
  CHECK(longer.size() == shorter.size() || (longer.size() == shorter.size() + 1 && longer.back() == "refused"));
  return 0;
}
