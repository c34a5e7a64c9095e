// Requests out of a connection's bytes: the same however the network cuts them. Their paths and queries, decoded.
#include <algorithm>

#include "api/http/parser.h"
#include "api/http/target.h"
#include "tests/fuzz/fuzz.h"

using namespace tidemill;

namespace {

// Decoding makes nothing longer, and lets no zero byte through.
void decode(const http::Request& r, std::vector<std::string>& said) {
  const auto path = http::percent_decode(r.path);
  CHECK(!path || (path->size() <= r.path.size() && path->find('\0') == std::string::npos));
  const auto query = http::Query::parse(r.query);
  if (!query) return;
  std::size_t bytes = 0;
  for (const auto& [name, value] : query->all()) {
    CHECK(name.find('\0') == std::string::npos && value.find('\0') == std::string::npos);
    CHECK(query->get(name).has_value());
    bytes += name.size() + value.size();
    said.push_back(name + "=" + value);
  }
  CHECK(bytes <= r.query.size());
  if (const std::string* twice = query->repeated()) CHECK(query->get(*twice).has_value());
}

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
      decode(r, said);
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
