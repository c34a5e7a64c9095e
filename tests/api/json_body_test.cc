// Bodies other than records: whatever is in them, they cost what their bytes are worth.
#include "api/json_body.h"

#include <gmock/gmock.h>

#include "api/keys/key_input.h"
#include "tests/api/api_world.h"

namespace tidemill {
namespace {

using testing::HasSubstr;
using Json = nlohmann::json;

std::string wrong(std::string_view text, JsonBody::Depth depth = {}) {
  const JsonBody body = JsonBody::parse(text, depth);
  return body ? "" : body.error("no JSON").message;
}

std::string nested(std::size_t levels) {
  return std::string(levels, '[') + std::string(levels, ']');
}

TEST(JsonBody, IsWhatTheTextSays) {
  for (const char* text :
       {"1", "-1", "18446744073709551615", "1.5e3", "true", "null", R"("a\u00e4\n")", "[]", "{}", "[{},{},[],1,[2,{}]]",
        R"({"a":{"b":[1,{"c":null},{}],"d":{}},"b":"x"})", R"( [ {"a" : 1} , {"a" : 2} ] )"}) {
    const JsonBody body = JsonBody::parse(text);
    ASSERT_TRUE(body) << text;
    EXPECT_EQ(*body, Json::parse(text)) << text;
  }
  for (const char* text : {"", "{", "[1,]", "{\"a\":}", "1 2", "[1e999]", "nan", "\"\xff\"", "{1:2}", "[\"\n\"]"})
    EXPECT_EQ(wrong(text), "no JSON") << text;
}

TEST(JsonBody, NamesComeOnceAndDepthHasAnEnd) {
  EXPECT_EQ(wrong(R"({"a":1,"b":2,"a":1})"), "`a` comes twice; send it once.");
  EXPECT_EQ(wrong(R"({"o":[{"ab":1,"\u0061b":2}]})"), "`ab` comes twice; send it once.");
  EXPECT_EQ(wrong(R"({"a":{"a":1},"b":[{"a":1},{"a":1}]})"), "");
  EXPECT_EQ(wrong(nested(16)), "");
  EXPECT_EQ(wrong(nested(17)), "The body is nested deeper than 16 levels.");
  EXPECT_EQ(wrong(std::string(12 << 20, '[')), "The body is nested deeper than 16 levels.");
}

TEST(JsonBody, WhatLiesDeeperThanIsKeptIsReadOver) {
  const JsonBody body =
      JsonBody::parse(R"({"data":{"a":[{}],"a":1},"list":[{"x":1},2],"n":3})", {.most = 4, .kept = 1});
  ASSERT_TRUE(body);
  EXPECT_EQ(*body, Json::parse(R"({"data":{},"list":[],"n":3})"));
  EXPECT_EQ(wrong(R"({"a":[[[1]]]})", {.most = 4, .kept = 1}), "");
  EXPECT_EQ(wrong(R"({"a":[[[[1]]]]})", {.most = 4, .kept = 1}), "The body is nested deeper than 4 levels.");
  EXPECT_EQ(wrong(R"({"a":[{]})", {.most = 4, .kept = 1}), "no JSON");
}

TEST(JsonBody, KeysAndCertificatesAreReadAsAllOthers) {
  const auto said = [](const auto& input) { return std::get<InputError>(input).message; };
  EXPECT_EQ(said(parse_key_wanted(R"({"name":"a","scopes":["server:read"],"scopes":["server:admin"]})", "t")),
            "`scopes` comes twice; send it once.");
  EXPECT_EQ(said(parse_key_wanted(R"({"scopes":)" + std::string(10'000, '['), "t")),
            "The body is nested deeper than 16 levels.");
  EXPECT_EQ(said(parse_key_certificate(R"({"certificate":"a","certificate":"b"})", {})),
            "`certificate` comes twice; send it once.");
  EXPECT_EQ(said(parse_key_rotation(R"({"grace_seconds":1,"grace_seconds":0})")),
            "`grace_seconds` comes twice; send it once.");
}

// As large as a body may be, and of what the library with a callback goes through again for each: minutes, then.
TEST(JsonBody, ManyEmptyObjectsAreReadOnce) {
  std::string list = "[{}";
  while (list.size() < (1u << 20) - 10) list += ",{}";
  list += "]";
  const JsonBody body = JsonBody::parse(list);
  ASSERT_TRUE(body);
  EXPECT_EQ(body->size(), (list.size() - 1) / 3);
  const auto input = parse_sql_input(R"({"sql":"SELECT 1","params":)" + list + "}");
  EXPECT_THAT(std::get<InputError>(input).message, HasSubstr("`params` holds text, numbers"));
}

TEST(BodySize, IsRefusedByTheHeadWhereItSaysSo) {
  ApiWorld world;
  const std::map<std::string, std::size_t> most{
      {"POST /v1/sql", 1 << 20},
      {"PUT /v1/streams/retail", 256 << 10},
      {"PUT /v1/views/sums", 256 << 10},
      {"POST /v1/keys", 256 << 10},
      {"POST /v1/views/customers/quarantine", 256 << 10},
      {"POST /v1/streams/retail/shards/0/split", 256 << 10},
  };
  for (const auto& [line, bytes] : most) {
    SCOPED_TRACE(line);
    const auto head = [line = line](const std::string& rest) {
      return line + " HTTP/1.1\r\nHost: a\r\n" + rest + "\r\n\r\n";
    };
    RawClient large(world.server->port());
    large.send(head("Expect: 100-continue\r\nContent-Length: " + std::to_string(bytes + 1)));
    const ClientAnswer refused = large.answer();
    EXPECT_EQ(refused.code(), "body_too_large");
    EXPECT_THAT(refused.body, HasSubstr(std::to_string(bytes >> 10) + " KiB"));
    EXPECT_EQ(refused.headers.at("connection"), "close");
    // As large as may be.
    RawClient fits(world.server->port());
    fits.send(head("Content-Length: " + std::to_string(bytes)) + std::string(bytes, ' '));
    EXPECT_NE(fits.answer().status, 413);
    // Nobody knew before.
    RawClient chunked(world.server->port());
    std::string piece = "10000\r\n" + std::string(1 << 16, ' ') + "\r\n";
    chunked.send(head("Transfer-Encoding: chunked"));
    for (std::size_t sent = 0; sent <= bytes; sent += 1 << 16) chunked.send(piece);
    chunked.send("0\r\n\r\n");
    EXPECT_EQ(chunked.answer().code(), "body_too_large");
  }
  // Records have other limits.
  std::string records(2 << 20, ' ');
  records.replace(0, kGood.size(), kGood);
  EXPECT_EQ(world.ask(ApiWorld::post(records)).status, 200);
}

}  // namespace
}  // namespace tidemill
