// The parser alone: the same requests, however the network cuts them.
#include "api/http/parser.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>

namespace tidemill::http {
namespace {

// What the first request in `bytes` says, fed in pieces of `piece` bytes.
std::string parse(std::string bytes, std::size_t piece) {
  RequestParser parser;
  parser.begin(Limits());
  std::size_t at = 0;
  for (std::size_t come = 0; come < bytes.size();) {
    come = std::min(bytes.size(), come + piece);
    std::size_t taken = 0;
    const auto step = parser.feed(bytes.data() + at, come - at, taken);
    at += taken;
    if (step == RequestParser::Step::refused) return "refused";
    if (step == RequestParser::Step::complete)
      return std::string(parser.request().method) + " " + std::string(parser.request().body);
  }
  return "more";
}

TEST(RequestParser, ChunksAreTheSameHoweverTheyAreCut) {
  const std::string head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const auto& [body, said] : {std::pair<std::string, std::string>{"0\r\n\r\n", "POST "},
                                   {"0\r\nA: b\r\n\r\n", "POST "},
                                   {"1\r\nx\r\n0\r\n\r\n", "POST x"},
                                   {"3;e=f\r\nabc\r\n2\r\nde\r\n0\r\nA: b\r\n\r\n", "POST abcde"},
                                   {"0\r\n\rA: b\r\n\r\n", "refused"},
                                   {"0\r\n\r", "more"}}) {
    for (std::size_t piece = 1; piece <= head.size() + body.size(); ++piece) {
      EXPECT_EQ(parse(head + body, piece), said) << body << " in pieces of " << piece;
    }
  }
}

}  // namespace
}  // namespace tidemill::http
