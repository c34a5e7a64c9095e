// Strings that break programs, in every place where a client's text comes back: as it was sent, byte for byte.

#include <fstream>
#include <set>

#include "tests/api/api_world.h"
#include "tests/support/test_data.h"

namespace tidemill {
namespace {

std::string unbase64(std::string_view text) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    if (c == '=') break;
    bits = bits << 6 | static_cast<std::uint32_t>(kDigits.find(c));
    if ((count += 6) >= 8) out.push_back(static_cast<char>(bits >> (count -= 8)));
  }
  return out;
}

bool utf8(const std::string& text) {
  try {
    return !nlohmann::json(text).dump().empty();
  } catch (const nlohmann::json::exception&) {
    return false;
  }
}

// Some of our own, and the big list of naughty strings where it is at hand.
std::vector<std::string> naughty() {
  std::set<std::string> all{"a",
                            "%",
                            "%00",
                            "%2F",
                            "+",
                            " ",
                            "a b",
                            " a ",
                            "/",
                            "//",
                            "..",
                            "../..",
                            ".",
                            "a/b",
                            "a,b",
                            ",",
                            ",,",
                            "[",
                            "[1]",
                            "\"",
                            "\\",
                            "\\u0000",
                            "null",
                            "NULL",
                            "true",
                            "0",
                            "-0",
                            "1e5",
                            "1.0",
                            "0x10",
                            "NaN",
                            "?",
                            "?key=1",
                            "#",
                            "&",
                            "=",
                            "'",
                            "''",
                            "'; DROP TABLE customers; --",
                            "\t",
                            "\n",
                            "\r\n",
                            "\x01\x1f\x7f",
                            std::string("\0", 1),
                            std::string("a\0b", 3),
                            "\xc3\xa4",
                            "a\xcc\x88",
                            "\xef\xbb\xbf"
                            "bom",
                            "\xe2\x80\xa8",
                            "\xf0\x9f\x92\xa9",
                            "\xef\xbf\xbf",
                            "\xf4\x8f\xbf\xbf",
                            "\xe2\x80\xaertl",
                            std::string(250, 'x')};
  if (const auto path = test_data("naughty-strings/blns.base64.json")) {
    for (const auto& s : nlohmann::json::parse(std::ifstream(*path))) {
      const std::string text = unbase64(s.get<std::string>());
      if (utf8(text)) all.insert(text);  // no JSON can hold the others
    }
    EXPECT_GT(all.size(), 400u);
  }
  all.erase("");
  return {all.begin(), all.end()};
}

std::string json_of(const std::string& text) {
  return nlohmann::json(text).dump();
}

// Every byte that need not stand as it is, encoded.
std::string encoded(const std::string& text) {
  std::string out;
  for (const char c : text) {
    char hex[4];
    std::snprintf(hex, sizeof hex, "%%%02X", static_cast<unsigned char>(c));
    out += std::isalnum(static_cast<unsigned char>(c)) ? std::string(1, c) : std::string(hex);
  }
  return out;
}

// What a header can hold: no control characters, no white space at either end.
bool fits_header(const std::string& text) {
  const auto control = [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; };
  return std::none_of(text.begin(), text.end(), control) && text.front() != ' ' && text.back() != ' ';
}

constexpr std::size_t kKeyMax = 256;  // characters of a partition key, here counted as bytes to be on the safe side

TEST(Naughty, PartitionKeysAndValues) {
  ApiWorld world;
  std::vector<std::string> sent;
  std::string body;
  std::vector<std::string> records;
  for (const std::string& s : naughty()) {
    if (s.size() > kKeyMax) continue;
    sent.push_back(s);
    records.push_back("{\"InvoiceNo\":" + json_of(s) + ",\"v\":[" + json_of(s) + "]," + json_of("k" + s) + ":1}");
    body += records.back() + "\n";
  }
  const auto in = world.ask(ApiWorld::post(body, kNdjsonHeader));
  ASSERT_EQ(in.status, 200) << in.body.substr(0, 2'000);
  const auto out = world.get("/v1/streams/retail/records?limit=10000");
  const auto page = out.json();
  ASSERT_EQ(page["records"].size(), sent.size());
  for (std::size_t i = 0; i < sent.size(); ++i) {
    SCOPED_TRACE(json_of(sent[i]));
    EXPECT_EQ(page["records"][i]["key"], sent[i]);
    EXPECT_EQ(page["records"][i]["data"]["v"][0], sent[i]);
    EXPECT_NE(out.body.find("\"data\":" + records[i]), std::string::npos) << "as it was spelled";
  }
}

TEST(Naughty, PartitionKeysInAHeader) {
  ApiWorld world;
  RawClient client(world.server->port());
  std::vector<std::string> sent;
  for (const std::string& s : naughty()) {
    if (s.size() > kKeyMax || !fits_header(s)) continue;
    SCOPED_TRACE(json_of(s));
    client.send(ApiWorld::post("{}", std::string(kJsonHeader) + "Tidemill-Partition-Key: " + s + "\r\n"));
    const auto answer = client.answer();
    ASSERT_EQ(answer.status, 200) << answer.body;
    sent.push_back(s);
  }
  const auto page = world.get("/v1/streams/retail/records?limit=10000").json();
  ASSERT_EQ(page["records"].size(), sent.size());
  for (std::size_t i = 0; i < sent.size(); ++i) EXPECT_EQ(page["records"][i]["key"], sent[i]);
}

TEST(Naughty, IdempotencyKeysAreTellApart) {
  ApiWorld world;
  RawClient client(world.server->port());
  std::uint64_t sequence = 0;
  for (const std::string& s : naughty()) {
    if (s.size() > 1'000 || !fits_header(s)) continue;
    SCOPED_TRACE(json_of(s));
    const std::string request = ApiWorld::post(kGood, std::string(kJsonHeader) + "Idempotency-Key: " + s + "\r\n");
    client.send(request + request);
    const auto first = client.answer();
    ASSERT_EQ(first.status, 200) << first.body;
    EXPECT_EQ(first.json()["first_sequence"], ++sequence) << "taken for another";
    const auto again = client.answer();
    EXPECT_EQ(again.json()["replayed"], true) << again.body;
    EXPECT_EQ(again.json()["first_sequence"], sequence);
  }
  EXPECT_GT(sequence, 20u);
}

TEST(Naughty, RowKeys) {
  ApiWorld world({}, null_logger(), true);
  const std::string sql = "SELECT InvoiceNo AS k, last(v) AS v, count(*) AS n FROM retail GROUP BY InvoiceNo";
  const auto made = world.ask(ApiWorld::request("PUT", "/v1/views/naughty", sql, "Content-Type: application/sql\r\n"));
  ASSERT_EQ(made.status, 201) << made.body;
  std::string body;
  std::vector<std::string> sent;
  for (const std::string& s : naughty()) {
    if (s.size() > kKeyMax) continue;
    sent.push_back(s);
    body += "{\"InvoiceNo\":" + json_of(s) + ",\"v\":" + json_of(s) + "}\n";
  }
  const auto in = world.ask(ApiWorld::post(body, kNdjsonHeader, "?ack=view&wait=60000"));
  ASSERT_EQ(in.json()["ack"], "view") << in.body.substr(0, 2'000);
  RawClient client(world.server->port());
  for (const std::string& s : sent) {
    SCOPED_TRACE(json_of(s));
    std::vector<std::string> ways{"/v1/views/naughty/rows?key=" + encoded("[" + json_of(s) + "]")};
    if (s.find('\0') == std::string::npos) ways.push_back("/v1/views/naughty/rows/" + encoded(s));
    for (const std::string& path : ways) {
      client.send(ApiWorld::request("GET", path));
      const auto answer = client.answer();
      ASSERT_EQ(answer.status, 200) << path << answer.body;
      const auto row = answer.json()["row"];
      EXPECT_EQ(row["k"], s);
      EXPECT_EQ(row["v"], s);
      EXPECT_EQ(row["n"], 1) << "two keys in one row";
    }
    client.send(ApiWorld::request("POST", "/v1/sql",
                                  "{\"sql\":\"SELECT v FROM naughty WHERE k = ?\",\"params\":[" + json_of(s) + "]}",
                                  kJsonHeader));
    const auto found = client.answer().json();
    ASSERT_EQ(found["rows"].size(), 1u) << found.dump();
    EXPECT_EQ(found["rows"][0][0], s);
  }
}

}  // namespace
}  // namespace tidemill
