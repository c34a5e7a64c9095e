// Where one request ends and the next begins. Two programs in a chain that disagree about it can be made to take a part
// of one client's request for another's: so whatever has two readings is refused, and the connection closed.
// The cases are those of RFC 9112, of llhttp's tests and of the published lists of request smuggling.

#include "api/http/parser.h"
#include "tests/api/api_world.h"

namespace tidemill {
namespace {

using namespace std::string_literals;

struct Case {
  const char* name;
  std::string bytes;
  std::vector<int> statuses;  // of the answers, in order
  bool closed = false;        // after the last of them
};

const std::string kRecord = R"({"InvoiceNo":"1"})";  // 17 bytes, 0x11
const std::string kLength = "Content-Length: 17\r\n\r\n" + kRecord;
const std::string kChunks = "11\r\n" + kRecord + "\r\n0\r\n\r\n";

std::string post(const std::string& rest) {
  return "POST /v1/streams/retail/records HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n" + rest;
}
std::string chunked(const std::string& chunks) {
  return post("Transfer-Encoding: chunked\r\n\r\n" + chunks);
}
std::string get(const std::string& headers) {
  return "GET /healthz HTTP/1.1\r\nHost: a\r\n" + headers + "\r\n";
}
std::string line(const std::string& request_line) {
  return request_line + "\r\nHost: a\r\n\r\n";
}
std::string host(const std::string& value) {
  return "GET /healthz HTTP/1.1\r\nHost: " + value + "\r\n\r\n";
}

// Each of these is one answer, of that status, and the end: what comes after it in the same piece is not looked at.
std::vector<Case> refused() {
  std::vector<Case> all;
  const auto add = [&](const char* name, const std::string& bytes, int status = 400) {
    all.push_back({name, bytes, {status}, true});
  };
  // Two lengths.
  add("length and encoding", post("Transfer-Encoding: chunked\r\n" + kLength));
  add("encoding and length", post("Content-Length: 17\r\nTransfer-Encoding: chunked\r\n\r\n" + kChunks));
  add("length 0 and encoding", post("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n" + kChunks));
  add("two lengths", post("Content-Length: 5\r\n" + kLength));
  add("two equal lengths", post("Content-Length: 17\r\n" + kLength));
  add("two lengths, other case", post("content-length: 17\r\n" + kLength));
  add("a list of lengths", post("Content-Length: 17, 17\r\n\r\n" + kRecord));
  add("a list without a space", post("Content-Length: 17,17\r\n\r\n" + kRecord));
  // No length.
  add("empty length", post("Content-Length: \r\n\r\n" + kRecord));
  add("negative length", post("Content-Length: -17\r\n\r\n" + kRecord));
  add("minus nothing", post("Content-Length: -0\r\n\r\n"));
  add("plus sign", post("Content-Length: +17\r\n\r\n" + kRecord));
  add("hex length", post("Content-Length: 0x11\r\n\r\n" + kRecord));
  add("exponent", post("Content-Length: 1e1\r\n\r\n" + kRecord));
  add("fraction", post("Content-Length: 17.0\r\n\r\n" + kRecord));
  add("two numbers", post("Content-Length: 1 7\r\n\r\n" + kRecord));
  add("underscore", post("Content-Length: 1_7\r\n\r\n" + kRecord));
  add("quoted length", post("Content-Length: \"17\"\r\n\r\n" + kRecord));
  add("other digits", post("Content-Length: \xd9\xa1\xd9\xa7\r\n\r\n" + kRecord));
  add("vertical tab before it", post("Content-Length: \v17\r\n\r\n" + kRecord));
  add("NUL after it", post("Content-Length: 17\0\r\n\r\n"s + kRecord));
  add("2 to the 64th", post("Content-Length: 18446744073709551616\r\n\r\n"));
  add("wraps to 17", post("Content-Length: 18446744073709551633\r\n\r\n" + kRecord));
  add("far beyond 64 bits", post("Content-Length: 99999999999999999999999999\r\n\r\n"));
  add("too long a body", post("Content-Length: 16777217\r\n\r\n"), 413);
  add("2 to the 63rd", post("Content-Length: 9223372036854775808\r\n\r\n"), 413);
  // Encodings.
  for (const char* value :
       {"xchunked", "gzip", "identity", "chunked, gzip", "gzip, chunked", "chunked, identity", "chunked, chunked",
        "chunked,", ",chunked", "chunked;q=1", "\"chunked\"", "chunk", "chunkedd", "", "\vchunked", "chunked\v",
        "\x01"
        "chunked",
        "ch\xc3\xbcnked", "chunked\tchunked"}) {
    add(value, post("Transfer-Encoding: " + std::string(value) + "\r\n\r\n" + kChunks));
  }
  add("encoding twice", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" + kChunks));
  add("encoding, then another", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n" + kChunks));
  add("NUL in the encoding", post("Transfer-Encoding: chunked\0\r\n\r\n"s + kChunks));
  add("chunked in HTTP/1.0",
      "POST /v1/streams/retail/records HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" + kChunks);
  add("chunked in HTTP/1.0 with a length", "POST /v1/streams/retail/records HTTP/1.0\r\nContent-Length: 17\r\n" +
                                               ("Transfer-Encoding: chunked\r\n\r\n" + kChunks));
  // Names and colons.
  add("space before the colon", post("Content-Length : 17\r\n\r\n" + kRecord));
  add("tab before the colon", post("Content-Length\t: 17\r\n\r\n" + kRecord));
  add("encoding, space before the colon", post("Transfer-Encoding : chunked\r\n" + kLength));
  add("space before the name", "GET /healthz HTTP/1.1\r\n Host: a\r\n\r\n");
  add("no colon", get("X\r\n"));
  add("no name", get(": 1\r\n"));
  add("space in the name", get("X Y: 1\r\n"));
  add("parenthesis in the name", get("X(: 1\r\n"));
  add("NUL in the name", get("X\0Y: 1\r\n"s));
  add("byte above 127 in the name", get("X\xc3\xa4: 1\r\n"));
  // Values.
  add("NUL in a value", get("X: a\0b\r\n"s));
  add("control character in a value", get("X: a\x01"
                                          "b\r\n"));
  add("DEL in a value", get("X: a\x7f"
                            "b\r\n"));
  add("folded value", get("X: 1\r\n 2\r\n"));
  add("folded value, tab", get("X: 1\r\n\t2\r\n"));
  add("folded nothing", get("X: 1\r\n \r\n"));
  add("folded nothing after nothing", get("X:\r\n \r\n"));
  add("folded length", post("Content-Length:\r\n 17\r\n\r\n" + kRecord));
  add("folded encoding", post("Transfer-Encoding:\r\n chunked\r\n\r\n" + kChunks));
  // Line ends.
  add("two before the request", "\r\n\r\n" + get(""));
  add("bare LF before the request", "\n" + get(""));
  add("bare CR before the request", "\r" + get(""));
  add("bare LF after the request line", "GET /healthz HTTP/1.1\nHost: a\r\n\r\n");
  add("bare LF after a field", "GET /healthz HTTP/1.1\r\nHost: a\nX: 1\r\n\r\n");
  add("bare LF at the end of the header", "GET /healthz HTTP/1.1\r\nHost: a\r\n\n");
  add("only bare LFs", "GET /healthz HTTP/1.1\nHost: a\n\n");
  add("bare CR in a value", get("X: a\rb\r\n"));
  add("bare CR instead of CR LF", "GET /healthz HTTP/1.1\rHost: a\r\r");
  add("CR CR LF", "GET /healthz HTTP/1.1\r\r\nHost: a\r\n\r\n");
  add("bare CR before a field", get("\rX: 1\r\n"));
  add("bare CR in a length", post("Content-Length: 1\r7\r\n\r\n" + kRecord));
  // Request lines.
  add("tab in the request line", line("GET\t/healthz HTTP/1.1"));
  add("two spaces", line("GET  /healthz HTTP/1.1"));
  add("two spaces before the version", line("GET /healthz  HTTP/1.1"));
  add("space at the end", line("GET /healthz HTTP/1.1 "));
  add("space at the front", line(" GET /healthz HTTP/1.1"));
  add("no version", line("GET /healthz"));
  add("no target", line("GET HTTP/1.1"));
  add("no method", line("/healthz HTTP/1.1"));
  add("method with a parenthesis", line("GE(T /healthz HTTP/1.1"));
  add("NUL at the front", line("\0GET /healthz HTTP/1.1"s));
  add("NUL in the target", line("GET /healthz\0 HTTP/1.1"s));
  add("control character in the target", line("GET /health\x01z HTTP/1.1"));
  add("DEL in the target", line("GET /health\x7fz HTTP/1.1"));
  add("lower-case version", line("GET /healthz http/1.1"));
  add("version without a slash", line("GET /healthz HTTP1.1"));
  add("version with a space", line("GET /healthz HTTP /1.1"));
  add("version of three digits", line("GET /healthz HTTP/1.11"));
  add("version with zeros", line("GET /healthz HTTP/01.1"));
  add("version of a letter", line("GET /healthz HTTP/1.x"));
  add("another protocol", line("GET /healthz ICE/1.0"));
  add("HTTP/1.2", line("GET /healthz HTTP/1.2"), 505);
  add("HTTP/2.0", line("GET /healthz HTTP/2.0"), 505);
  add("HTTP/0.9", line("GET /healthz HTTP/0.9"), 505);
  add("HTTP/2 with prior knowledge", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505);
  add("TLS", std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03hello\r\n\r\n", 20));
  // Targets.
  add("no slash", line("GET healthz HTTP/1.1"));
  add("another scheme", line("GET ftp://a/healthz HTTP/1.1"));
  add("absolute without a host", line("GET http:///healthz HTTP/1.1"));
  add("absolute with only a port", line("GET http://:80/healthz HTTP/1.1"));
  add("only a query", line("GET ?x HTTP/1.1"));
  add("asterisk", line("GET * HTTP/1.1"));
  add("absolute with a user", line("GET http://user@a/healthz HTTP/1.1"));
  add("absolute of another scheme's look", line("GET http:/healthz HTTP/1.1"));
  add("CONNECT", line("CONNECT a:80 HTTP/1.1"));
  add("fragment", line("GET /healthz#x HTTP/1.1"));
  // Host.
  add("no host", "GET /healthz HTTP/1.1\r\n\r\n");
  add("two hosts", get("Host: b\r\n"));
  add("two equal hosts", get("Host: a\r\n"));
  add("two hosts in HTTP/1.0", "GET /healthz HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n");
  for (const char* value : {"a b", "a/b", "a@b", "a?b", "a#b", "a\\b", "a\"b", "<a>", "a:b", "a:80:80", "[::1", "::1]",
                            "[::1]x", "[]", "\xc3\xa4"}) {
    add(value, host(value));
  }
  // Chunks.
  for (const char* size : {"",
                           " ",
                           "g",
                           "xyz",
                           "-11",
                           "+11",
                           "0x11",
                           " 11",
                           "\t11",
                           "1 1",
                           "11 ",
                           "11\t",
                           "1_1",
                           "11,",
                           "\"11\"",
                           "11.0",
                           "11\v",
                           "10000000000000011",
                           "fffffffffffffffff",
                           "ffffffffffffffff11"}) {
    add(size, chunked(size + "\r\n"s + kRecord + "\r\n0\r\n\r\n"));
  }
  add("too long a chunk", chunked("1000001\r\n"), 413);
  add("the longest size", chunked("ffffffffffffffff\r\n"), 413);
  add("size with NUL", chunked("11\0\r\n"s + kRecord + "\r\n0\r\n\r\n"));
  add("LF after a size", chunked("11\n" + kRecord + "\r\n0\r\n\r\n"));
  add("CR after a size", chunked("11\r" + kRecord + "\r\n0\r\n\r\n"));
  add("CR CR LF after a size", chunked("11\r\r\n" + kRecord + "\r\n0\r\n\r\n"));
  add("LF after a chunk", chunked("11\r\n" + kRecord + "\n0\r\n\r\n"));
  add("CR after a chunk", chunked("11\r\n" + kRecord + "\r0\r\n\r\n"));
  add("nothing after a chunk", chunked("11\r\n" + kRecord + "0\r\n\r\n"));
  add("two bytes after a chunk", chunked("11\r\n" + kRecord + "XX0\r\n\r\n"));
  add("chunk longer than its size", chunked("10\r\n" + kRecord + "\r\n0\r\n\r\n"));
  add("LF at the end of the chunks", chunked("11\r\n" + kRecord + "\r\n0\r\n\n"));
  add("LF after the last size", chunked("11\r\n" + kRecord + "\r\n0\n\r\n"));
  // A reader that takes LF for the end of an extension sees another chunk.
  add("LF in an extension", chunked("11;x\ny\r\n" + kRecord + "\r\n0\r\n\r\n"));
  add("CR in an extension", chunked("11;x\ry\r\n" + kRecord + "\r\n0\r\n\r\n"));
  add("LF at the end of an extension", chunked("11;x\n" + kRecord + "\r\n0\r\n\r\n"));
  add("LF in a quoted extension", chunked("11;x=\"\n\"\r\n" + kRecord + "\r\n0\r\n\r\n"));
  add("CR LF in a quoted extension", chunked("11;x=\"\r\n\"\r\n" + kRecord + "\r\n0\r\n\r\n"));
  add("NUL in an extension", chunked("11;x\0y\r\n"s + kRecord + "\r\n0\r\n\r\n"));
  add("extension without a name", chunked("11;\r\n" + kRecord + "\r\n0\r\n\r\n"));
  add("extension without a semicolon", chunked("11 x\r\n" + kRecord + "\r\n0\r\n\r\n"));
  add("endless extension", chunked("11;x=" + std::string(100'000, 'y') + "\r\n" + kRecord + "\r\n0\r\n\r\n"), 431);
  add("endless size", chunked(std::string(100'000, '0')), 431);
  // Trailers.
  add("space before a trailer's colon", chunked("11\r\n" + kRecord + "\r\n0\r\nX : 1\r\n\r\n"));
  add("folded trailer", chunked("11\r\n" + kRecord + "\r\n0\r\nX: 1\r\n 2\r\n\r\n"));
  add("LF after a trailer", chunked("11\r\n" + kRecord + "\r\n0\r\nX: 1\n\r\n"));
  add("NUL in a trailer", chunked("11\r\n" + kRecord + "\r\n0\r\nX: \0\r\n\r\n"s));
  add("length as a trailer", chunked("11\r\n" + kRecord + "\r\n0\r\nContent-Length: 5\r\n\r\n"));
  add("encoding as a trailer", chunked("11\r\n" + kRecord + "\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n"));
  std::string many;
  for (int i = 0; i < 120; ++i) many += "X: 1\r\n";
  add("too many trailers", chunked("11\r\n" + kRecord + "\r\n0\r\n" + many + "\r\n"), 431);
  add("an endless trailer", chunked("11\r\n" + kRecord + "\r\n0\r\nX: " + std::string(100'000, 'x')), 431);
  // Limits.
  add("too many fields", get(many), 431);
  add("too large a header", get("X: " + std::string(40'000, 'x') + "\r\n"), 431);
  add("a header without an end", "GET /healthz HTTP/1.1\r\nHost: a\r\nX: " + std::string(40'000, 'x'), 431);
  add("a request line without an end", "GET /" + std::string(40'000, 'x'), 431);
  add("a method without an end", std::string(40'000, 'x'), 431);
  add("another expectation", post("Expect: more\r\n" + kLength), 417);
  return all;
}

std::vector<Case> accepted() {
  const std::string next = get("");
  return {
      {"length", post(kLength) + next, {200, 200}},
      {"length with zeros", post("Content-Length: 0017\r\n\r\n" + kRecord) + next, {200, 200}},
      {"length with white space around it", post("Content-Length: \t 17 \t\r\n\r\n" + kRecord) + next, {200, 200}},
      {"neither length nor encoding", post("\r\n") + next, {411}, true},
      {"length 0", post("Content-Length: 0\r\n\r\n") + next, {400, 200}},
      {"GET with a body", get("Content-Length: 17\r\n") + kRecord + next, {200, 200}},
      {"GET with a request as its body",
       get("Content-Length: " + std::to_string(next.size()) + "\r\n") + next + next,
       {200, 200}},
      {"DELETE without a length", "DELETE /v1/streams/x HTTP/1.1\r\nHost: a\r\n\r\n" + next, {404, 200}},
      {"chunks", chunked(kChunks) + next, {200, 200}},
      {"CHUNKED", post("transfer-ENCODING:CHUNKED\r\n\r\n" + kChunks) + next, {200, 200}},
      {"no white space", "GET /healthz HTTP/1.1\r\nHost:a\r\nX:\r\n\r\n" + next, {200, 200}},
      {"sizes of other spellings", chunked("00B\r\n{\"InvoiceNo\r\n6\r\n\":\"1\"}\r\n000\r\n\r\n") + next, {200, 200}},
      {"extensions", chunked("11;x;y=z;q=\"a;\\\" b\"\r\n" + kRecord + "\r\n0;x\r\n\r\n") + next, {200, 200}},
      {"trailers", chunked("11\r\n" + kRecord + "\r\n0\r\nX: 1\r\nY:\r\n\r\n") + next, {200, 200}},
      {"an empty line before the request", "\r\n" + next + "\r\n" + next, {200, 200}},
      {"bytes above 127 in a value", get("X: \xc3\xa4\xff\r\n") + next, {200, 200}},
      {"an unknown method", line("BREW /healthz HTTP/1.1") + next, {405, 200}},
      {"a lower-case method is another", line("get /healthz HTTP/1.1") + next, {405, 200}},
      {"absolute target", line("GET http://other:80/healthz?x=/y HTTP/1.1") + next, {200, 200}},
      {"absolute target, other case", line("GET HTTP://other/healthz HTTP/1.1") + next, {200, 200}},
      {"absolute target without a path", line("GET http://other HTTP/1.1") + next, {200, 200}},
      {"absolute target with only a query", line("GET http://other?/nosuch HTTP/1.1") + next, {200, 200}},
      {"bytes above 127 in a query, as curl sends them", line("GET /healthz?x=\xc3\xa4 HTTP/1.1") + next, {200, 200}},
      {"two slashes are a path", line("GET //healthz HTTP/1.1") + next, {404, 200}},
      {"dots are no way up", line("GET /v1/../healthz HTTP/1.1") + next, {404, 200}},
      {"OPTIONS *", line("OPTIONS * HTTP/1.1") + next, {204, 200}},
      {"hosts",
       host("") + host("a.b-c_d:80") + host("[::1]:7077") + host("127.0.0.1") + host("a:") + host("%41"),
       {200, 200, 200, 200, 200, 200}},
      {"upgrades are not made", get("Connection: Upgrade\r\nUpgrade: h2c\r\n") + next, {200, 200}},
      {"HTTP/1.0", "GET /healthz HTTP/1.0\r\n\r\n" + next, {200}, true},
      {"HTTP/1.0 keep-alive", "GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + next, {200, 200}},
      {"HTTP/1.1 close", get("Connection: close\r\n") + next, {200}, true},
      {"close among others", get("Connection: x, Close\r\n") + next, {200}, true},
      {"garbage after a good request", post(kLength) + "garbage\r\n\r\n", {200, 400}, true},
      {"NUL after a good request", post(kLength) + "\0"s + next, {200, 400}, true},
      {"one byte too many", post(kLength) + "}" + next, {200, 400}, true},
      {"a length that is too short", post("Content-Length: 16\r\n\r\n" + kRecord) + next, {400, 400}, true},
  };
}

class FramingTest : public ::testing::Test {
 protected:
  void check(const Case& c, const std::string& after) {
    SCOPED_TRACE(c.name);
    RawClient client(world.server->port());
    client.send(c.bytes + after);
    for (const int status : c.statuses) {
      auto answer = client.answer();
      ASSERT_FALSE(answer.closed) << "closed instead of " << status;
      EXPECT_EQ(answer.status, status) << answer.body;
      if (status >= 400) {
        EXPECT_EQ(answer.headers.at("content-type"), "application/problem+json");
      }
      if (c.closed && &status == &c.statuses.back()) {
        EXPECT_EQ(answer.headers["connection"], "close");
      }
    }
    if (!c.closed) {
      client.send(get("Connection: close\r\n"));
      EXPECT_EQ(client.answer().status, 200) << "the connection does not go on";
    }
    client.end();
    EXPECT_FALSE(client.more()) << "the connection goes on: " << client.unread();
  }
  ApiWorld world;
};

TEST_F(FramingTest, WhatHasTwoReadingsIsRefusedAndClosed) {
  for (const Case& c : refused()) check(c, get(""));
  EXPECT_EQ(world.stream->log().durable(), Sequence(0)) << "something of it came in";
}

TEST_F(FramingTest, WhatHasOneIsTaken) {
  for (const Case& c : accepted()) check(c, "");
}

// However the network cuts it, the answer is the same.
TEST(Framing, DoesNotDependOnWhereTheBytesAreCut) {
  auto all = refused();
  for (auto& c : all) c.bytes += get("");
  for (auto& c : accepted()) all.push_back(c);
  for (const Case& c : all) {
    SCOPED_TRACE(c.name);
    const auto parse = [&](std::size_t piece) {
      std::vector<std::string> said;
      http::Limits limits;
      http::RequestParser parser;
      parser.begin(limits);
      std::string buffer = c.bytes;
      std::size_t at = 0;
      for (std::size_t come = 0; come < buffer.size();) {
        come = std::min(buffer.size(), come + piece);
        for (;;) {
          std::size_t taken = 0;
          const auto step = parser.feed(buffer.data() + at, come - at, taken);
          at += taken;
          if (step == http::RequestParser::Step::need_more) break;
          if (step == http::RequestParser::Step::refused) {
            said.push_back("refused");
            return said;
          }
          const http::Request& r = parser.request();
          said.push_back(std::string(r.method) + " " + std::string(r.path) + " " + std::string(r.body));
          parser.begin(limits);
        }
      }
      return said;
    };
    const auto whole = parse(c.bytes.size());
    EXPECT_FALSE(whole.empty());
    EXPECT_EQ(parse(1), whole);
    EXPECT_EQ(parse(7), whole);
  }
}

}  // namespace
}  // namespace tidemill
