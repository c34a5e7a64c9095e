// llhttp's own cases, where they are at hand: what its strict mode refuses, ours refuses; what both take, both cut into
// the same requests with bodies of the same lengths; each whole, a byte at a time, and behind a good request. Where
// ours is stricter, the case is named here with its reason.

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "api/errors/catalogue.h"
#include "api/http/parser.h"
#include "tests/support/test_data.h"

namespace tidemill {
namespace {

struct Foreign {
  std::string name;
  std::string bytes;
  std::vector<std::size_t> bodies;  // of the complete requests
  bool refused = false;
};

void replace(std::string& text, std::string_view what, std::string_view with) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size()) {
    text.replace(at, what.size(), with);
  }
}

// As llhttp's test driver reads its Markdown.
std::string input_of(std::string text) {
  if (text.ends_with('\n')) text.pop_back();
  replace(text, "\\\n", "");
  replace(text, "\n", "\r\n");
  replace(text, "\\r", "\r");
  replace(text, "\\n", "\n");
  replace(text, "\\t", "\t");
  replace(text, "\\f", "\f");
  for (std::size_t at; (at = text.find("\\x")) != std::string::npos;) {
    text.replace(at, 4, 1, static_cast<char>(std::stoi(text.substr(at + 2, 2), nullptr, 16)));
  }
  // Its cases are older than the duty to send a Host.
  std::string lower;
  for (const char c : text) lower += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  const std::size_t line = text.find("\r\n", text.find_first_not_of("\r\n"));
  if (lower.find("\nhost:") == std::string::npos && line != std::string::npos) text.insert(line + 2, "Host: a\r\n");
  return text;
}

std::vector<Foreign> cases(const std::string& path) {
  std::vector<Foreign> out;
  std::ifstream in(path);
  std::string heading;
  bool strict = false;
  std::string block;
  std::string kind;  // of the block we are in
  for (std::string line; std::getline(in, line);) {
    if (kind.empty()) {
      if (line.starts_with("##")) heading = line.substr(line.find_first_not_of("# "));
      if (line.starts_with("<!-- meta=")) {
        std::erase(line, ' ');
        strict = line.find("\"type\":\"request\"") != std::string::npos && line.find("skipBody") == std::string::npos;
      }
      if (line == "```http" || line == "```log") kind = line.substr(3);
      block.clear();
    } else if (line != "```") {
      block += line + "\n";
    } else {
      if (kind == "http" && strict) out.push_back({heading, input_of(block), {}, false});
      if (kind == "log" && strict) {
        std::istringstream log(block);
        std::size_t body = 0;
        for (std::string event; std::getline(log, event);) {
          if (event.find("span[body]") != std::string::npos) body += std::stoul(event.substr(event.find("len=") + 4));
          if (event.find("message complete") != std::string::npos) {
            out.back().bodies.push_back(body);
            body = 0;
          }
          // Pauses are errors to it.
          if (event.find("error code=") != std::string::npos && event.find("code=21") == std::string::npos &&
              event.find("code=22") == std::string::npos) {
            out.back().refused = true;
          }
        }
      }
      kind.clear();
    }
  }
  return out;
}

struct Verdict {
  std::vector<std::size_t> bodies;
  std::string refusal;  // or "close": no more is read
};

// As the network might bring it: in pieces of `piece` bytes.
Verdict parse(std::string bytes, std::size_t piece) {
  Verdict v;
  http::RequestParser parser;
  const http::Limits limits;
  parser.begin(limits);
  std::size_t at = 0;
  for (std::size_t come = 0; come < bytes.size();) {
    come = std::min(bytes.size(), come + piece);
    while (at < come) {
      std::size_t taken = 0;
      const auto step = parser.feed(bytes.data() + at, come - at, taken);
      at += taken;
      if (step == http::RequestParser::Step::need_more) break;
      if (step == http::RequestParser::Step::refused) {
        v.refusal = error_entry(parser.refusal()).code;
        return v;
      }
      v.bodies.push_back(parser.request().body.size());
      if (!parser.keep_alive()) {
        v.refusal = "close";
        return v;
      }
      parser.begin(limits);
    }
  }
  return v;
}

// Whole; and it must be the same a byte at a time, and behind a good request.
Verdict parse(const std::string& bytes) {
  const Verdict whole = parse(bytes, bytes.size());
  const Verdict bytewise = parse(bytes, 1);
  EXPECT_EQ(bytewise.bodies, whole.bodies) << "a byte at a time";
  EXPECT_EQ(bytewise.refusal, whole.refusal) << "a byte at a time";
  const std::string good = "POST /before HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
  for (const std::size_t piece : {good.size() + bytes.size(), good.size() - 1, std::size_t{1}}) {
    Verdict behind = parse(good + bytes, piece);
    EXPECT_FALSE(behind.bodies.empty()) << "the good request before it was not taken";
    if (behind.bodies.empty()) continue;
    EXPECT_EQ(behind.bodies.front(), 3u);
    behind.bodies.erase(behind.bodies.begin());
    EXPECT_EQ(behind.bodies, whole.bodies) << "behind a good request, in pieces of " << piece;
    EXPECT_EQ(behind.refusal, whole.refusal) << "behind a good request, in pieces of " << piece;
  }
  return whole;
}

// Methods are judged by their route (405), not by the parser.
const std::set<std::string> kOnlyLlhttp{"HTTP protocol and ANNOUNCE method", "Invalid method"};

// What we refuse, and llhttp does not.
const std::map<std::string, std::string> kOnlyOurs{
    {"Restarting when keep-alive is explicitly", "host_missing"},  // in its second request
    {"Should parse multiple events", "host_missing"},              // the same
    {"CONNECT request", "target_invalid"},
    {"CONNECT request with CAPS", "target_invalid"},
    {"CONNECT with body", "target_invalid"},
    {"Underscore in hostname", "target_invalid"},  // a CONNECT
    {"M-SEARCH request", "target_invalid"},        // an asterisk
    {"SOURCE request with ICE", "bad_request"},    // other protocols
    {"OPTIONS request with RTSP", "bad_request"},
    {"ANNOUNCE request with RTSP", "bad_request"},
    {"No HTTP version", "target_invalid"},
    {"POST with `chunked` as last transfer-encoding", "bad_framing"},  // we unpack none but chunked
    {"POST with `chunked` as last transfer-encoding (multiple headers)", "bad_framing"},
    {"Fragment in URI", "target_invalid"},
    {"`host:port` and basic auth", "target_invalid"},  // a user in a target
};

TEST(Llhttp, NothingIsTakenThatItRefusesAndTheRestIsCutAlike) {
  std::size_t seen = 0;
  std::set<std::string> stricter;
  for (const char* file : {"connection", "content-length", "finish", "invalid", "method", "pausing", "pipelining",
                           "sample", "transfer-encoding", "uri"}) {
    const auto path = test_data("http-llhttp/request/" + std::string(file) + ".md");
    if (!path) GTEST_SKIP() << "llhttp's cases are not at hand";
    for (const Foreign& c : cases(*path)) {
      if (kOnlyLlhttp.contains(c.name)) continue;
      SCOPED_TRACE(std::string(file) + ": " + c.name);
      ++seen;
      if (c.refused) {
        // Some cases end before our parser, which takes a line, a header or a quoted text at a time, has seen enough.
        const Verdict v = parse(c.bytes + "\r\n\r\n\"\r\n\r\n");
        EXPECT_EQ(v.bodies, c.bodies);
        EXPECT_FALSE(v.refusal.empty());
        continue;
      }
      const Verdict v = parse(c.bytes);
      const auto ours = kOnlyOurs.find(c.name);
      if (ours == kOnlyOurs.end()) {
        EXPECT_EQ(v.bodies, c.bodies) << v.refusal;
      } else if (v.bodies != c.bodies) {
        EXPECT_EQ(v.refusal, ours->second);
        stricter.insert(c.name);
      }
    }
  }
  EXPECT_EQ(stricter.size(), kOnlyOurs.size()) << "one of them is not refused any more";
  EXPECT_GT(seen, 100u);
}

}  // namespace
}  // namespace tidemill
