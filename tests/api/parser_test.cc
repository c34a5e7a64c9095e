// The parser alone: the same requests, however the network cuts them.
#include "api/http/parser.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>

namespace tidemill::http {
namespace {

// What the first request in `bytes` says, fed in pieces of `piece` bytes.
std::string parse(std::string bytes, std::size_t piece, const Limits& limits = Limits()) {
  RequestParser parser;
  parser.begin(limits);
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

// A line end that a client sent too many behind a body (RFC 9112, 2.2), and nothing like it.
TEST(RequestParser, OneLineEndMayComeBeforeARequest) {
  const std::string get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  for (const auto& [bytes, said] : {std::pair<std::string, std::string>{get, "GET "},
                                    {"\r\n" + get, "GET "},
                                    {"\r\n\r\n" + get, "refused"},
                                    {"\n" + get, "refused"},
                                    {"\r" + get, "refused"},
                                    {"\r\r\n" + get, "refused"},
                                    {"\n\r\n" + get, "refused"},
                                    {"\r\n\n" + get, "refused"},
                                    {"\r\n\r", "refused"},
                                    {"\r\n\r\n\r\n\r\n", "refused"},
                                    {"\r\n", "more"},
                                    {"\r", "more"}}) {
    for (std::size_t piece = 1; piece <= bytes.size(); ++piece)
      EXPECT_EQ(parse(bytes, piece), said) << testing::PrintToString(bytes) << " in pieces of " << piece;
  }
}

// Request line and fields count together; so do a chunk's digits and its extension, and the last chunk and its
// trailers.
TEST(RequestParser, LimitsAreTheSameHoweverTheBytesAreCut) {
  Limits limits;
  limits.header_bytes = 100;
  const std::string chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  struct Unit {
    std::string before, front, filler, back, after;
  };
  for (const Unit& unit :
       {Unit{"", "GET /", "abcdefghij", " HTTP/1.1\r\nHost: a\r\nAccept: text/plain\r\n\r\n", ""},
        Unit{"\r\n", "GET / HTTP/1.1\r\nHost: a\r\nA: ", "b", "\r\n\r\n", ""},
        Unit{chunked, "1;", "a", "\r\n", "x\r\n0\r\n\r\n"}, Unit{chunked, "", "0", "1\r\n", "x\r\n0\r\n\r\n"},
        Unit{chunked + "1\r\nx", "\r\n0\r\nA: ", "b", "\r\n\r\n", ""}}) {
    for (const std::size_t size : {limits.header_bytes, limits.header_bytes + 1}) {
      std::string filler;
      while (unit.front.size() + filler.size() + unit.back.size() < size) filler += unit.filler;
      filler.resize(size - unit.front.size() - unit.back.size());
      const std::string bytes = unit.before + unit.front + filler + unit.back + unit.after;
      const bool fits = size <= limits.header_bytes;
      for (std::size_t piece = 1; piece <= bytes.size(); ++piece) {
        EXPECT_EQ(parse(bytes, piece, limits) == "refused", !fits) << bytes << " in pieces of " << piece;
      }
    }
  }
}

}  // namespace
}  // namespace tidemill::http
