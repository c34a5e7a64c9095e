#pragma once

// llhttp's own cases of requests, read from its Markdown, and what our parser makes of bytes.

#include <cctype>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "api/errors/catalogue.h"
#include "api/http/parser.h"
#include "tests/support/test_data.h"

namespace tidemill::llhttp {

// A case of the suite. `type` is the suite's own: "request" is its strict mode; "request-lenient-..." is the same bytes
// with one or more of its checks off, so `bodies` and `refused` say nothing about us; "request-finish" ends with the
// connection.
struct Foreign {
  std::string file;
  std::string name;
  std::string type;
  bool skips_body = false;  // as if the application had said that there is none
  std::string bytes;
  std::vector<std::size_t> bodies;  // of the complete requests
  bool refused = false;
  bool closed = false;  // refused for nothing but that it comes behind a "Connection: close"
};

inline void replace(std::string& text, std::string_view what, std::string_view with) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size()) {
    text.replace(at, what.size(), with);
  }
}

// As llhttp's test driver reads its Markdown.
inline std::string input_of(std::string text) {
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

inline std::vector<Foreign> cases_in(const std::string& file, const std::string& path) {
  std::vector<Foreign> out;
  std::ifstream in(path);
  std::string heading;
  std::string type;
  bool skips_body = false;
  std::string block;
  std::string kind;  // of the block we are in
  for (std::string line; std::getline(in, line);) {
    if (kind.empty()) {
      if (line.starts_with("##")) heading = line.substr(line.find_first_not_of("# "));
      if (line.starts_with("<!-- meta=")) {
        std::erase(line, ' ');
        const std::size_t at = line.find("\"type\":\"");
        type = at == std::string::npos ? "" : line.substr(at + 8, line.find('"', at + 8) - at - 8);
        skips_body = line.find("skipBody") != std::string::npos;
      }
      if (line == "```http" || line == "```log") kind = line.substr(3);
      block.clear();
    } else if (line != "```") {
      block += line + "\n";
    } else {
      if (kind == "http") out.push_back({file, heading, type, skips_body, input_of(block), {}, false, false});
      if (kind == "log" && !out.empty()) {
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
            out.back().closed = event.find("code=5 ") != std::string::npos;
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
inline Verdict parse(std::string bytes, std::size_t piece) {
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

// Refused by llhttp for their method alone. Methods are judged by their route (405), not by the parser.
inline const std::set<std::string> kOnlyMethod{"HTTP protocol and ANNOUNCE method", "Invalid method"};

// Every case of every file about requests, or nothing where the suite is not at hand.
inline std::optional<std::vector<Foreign>> all_cases() {
  std::vector<Foreign> out;
  for (const char* file :
       {"connection", "content-length", "finish", "invalid", "lenient-header-value-relaxed", "lenient-headers",
        "lenient-version", "method", "pausing", "pipelining", "sample", "transfer-encoding", "uri"}) {
    const auto path = test_data("http-llhttp/request/" + std::string(file) + ".md");
    if (!path) return std::nullopt;
    for (Foreign& one : cases_in(file, *path)) out.push_back(std::move(one));
  }
  return out;
}

// Some cases end before our parser, which takes a line, a header or a quoted text at a time, has seen enough.
inline constexpr const char* kEnough = "\r\n\r\n\"\r\n\r\n";

}  // namespace tidemill::llhttp
