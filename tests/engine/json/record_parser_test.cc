#include "engine/json/record_parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "engine/stream.h"

namespace tidemill {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class RecordParserTest : public ::testing::Test {
 protected:
  ParseOptions options{.key_field = "id"};
  RecordParser parser;
  ParsedBody out;

  void json(std::string_view body) { EXPECT_TRUE(parser.parse(body, BodyFormat::json, options, out)); }
  void ndjson(std::string_view body) { EXPECT_TRUE(parser.parse(body, BodyFormat::ndjson, options, out)); }
  std::vector<std::string> texts() const {
    std::vector<std::string> all;
    for (const NewRecord& r : out.records) all.emplace_back(r.data);
    return all;
  }
  std::vector<std::string> keys() const {
    std::vector<std::string> all;
    for (const NewRecord& r : out.records) all.emplace_back(r.key);
    return all;
  }
  // "1:invalid_json 3:too_deep"
  std::string refused() const {
    std::string all;
    for (const RejectedRecord& r : out.rejected) {
      if (!all.empty()) all += ' ';
      all += std::to_string(r.index) + ":" + std::string(rejection_name(static_cast<Rejection>(r.code)));
    }
    return all;
  }
  std::string refused(std::string_view body) {
    json(body);
    return refused();
  }
};

TEST_F(RecordParserTest, OneObjectLosesItsWhiteSpaceOnly) {
  json(" \n{ \"id\" : \"a b\" ,\t\"n\":1.50e+3, \"z\":-0, \"u\":\"\\u00e9\\/\", \"b\":[ 1 , 2 ] }\r\n");
  EXPECT_THAT(texts(), ElementsAre(R"({"id":"a b","n":1.50e+3,"z":-0,"u":"\u00e9\/","b":[1,2]})"));
  EXPECT_THAT(keys(), ElementsAre("a b"));
  EXPECT_EQ(out.records[0].hash, hash_key("a b"));
  EXPECT_EQ(refused(), "");
}

TEST_F(RecordParserTest, OrderOfNamesIsKept) {
  json(R"({"z":1,"id":"k","a":2})");
  EXPECT_THAT(texts(), ElementsAre(R"({"z":1,"id":"k","a":2})"));
}

TEST_F(RecordParserTest, ArrayElementsAreIndependent) {
  json(R"([{"id":"a"}, {"id":}, 7, {"id":"b"}, , {"id":"c","x":"],{\"\\"}])");
  EXPECT_THAT(keys(), ElementsAre("a", "b", "c"));
  EXPECT_EQ(refused(), "1:invalid_json 2:not_an_object 4:invalid_json");
  EXPECT_EQ(out.count(), 6u);
}

TEST_F(RecordParserTest, BrokenArrayKeepsWhatStoodBefore) {
  EXPECT_EQ(refused(R"([{"id":"a"},{"id":"b)"), "1:broken_array");
  EXPECT_THAT(keys(), ElementsAre("a"));
  EXPECT_EQ(refused(R"([{"id":"a"},{"id":"b"})"), "2:broken_array");
  EXPECT_THAT(keys(), ElementsAre("a", "b"));
  EXPECT_EQ(refused(R"([{"id":"a"}] x)"), "1:broken_array");
  EXPECT_EQ(refused(R"([{"id":"a"},])"), "1:invalid_json");
  EXPECT_EQ(refused(R"([{"id":"a"} {"id":"b"},{"id":"c"}])"), "0:invalid_json");
  EXPECT_THAT(keys(), ElementsAre("c"));
  EXPECT_EQ(refused("["), "0:broken_array");
  EXPECT_EQ(refused("[,]"), "0:invalid_json 1:invalid_json");
}

TEST_F(RecordParserTest, EmptyArrayAndEmptyLinesAreNothing) {
  json(" [ ] ");
  EXPECT_EQ(out.count(), 0u);
  ndjson("");
  EXPECT_EQ(out.count(), 0u);
  ndjson("\n \r\n\t\n");
  EXPECT_EQ(out.count(), 0u);
  EXPECT_EQ(refused(""), "0:invalid_json");
  EXPECT_EQ(refused("  "), "0:invalid_json");
}

TEST_F(RecordParserTest, LinesAreIndependentAndBlankOnesDoNotCount) {
  ndjson("{\"id\":\"a\"}\r\n\n{\"id\":\n{\"id\":\"b\"}\n[]\n\"x\"\n{\"id\":\"c\"}");
  EXPECT_THAT(keys(), ElementsAre("a", "b", "c"));
  EXPECT_EQ(refused(), "1:invalid_json 3:not_an_object 4:not_an_object");
}

TEST_F(RecordParserTest, ByteOrderMarkBeforeTheBodyIsSkipped) {
  json("\xEF\xBB\xBF{\"id\":\"a\"}");
  EXPECT_THAT(texts(), ElementsAre(R"({"id":"a"})"));
}

TEST_F(RecordParserTest, EachReasonHasItsCode) {
  EXPECT_EQ(refused("{\"id\":\"a\",\"x\":\"\xFF\"}"), "0:invalid_utf8");
  EXPECT_EQ(refused("{\"id\":\"a\",\"x\":\"\xED\xA0\x80\"}"), "0:invalid_utf8");
  EXPECT_EQ(refused(R"({"id":"a","id":"b"})"), "0:duplicate_name");
  EXPECT_EQ(refused(R"({"id":"a","i\u0064":"b"})"), "0:duplicate_name");
  EXPECT_EQ(refused(R"({"id":"a","x":[{"y":{"p":1,"q":2,"p":3}}]})"), "0:duplicate_name");
  EXPECT_EQ(refused(R"({"id":"a","x":{"id":1}})"), "");
  EXPECT_EQ(refused(R"({"id":"a","x":"\ud800"})"), "0:lone_surrogate");
  EXPECT_EQ(refused(R"({"id":"a","x":"\udc00\ud800"})"), "0:lone_surrogate");
  EXPECT_EQ(refused(R"({"id":"a","x":"\ud83dx"})"), "0:lone_surrogate");
  EXPECT_EQ(refused(R"({"id":"a","x":"\ud83d\ude00"})"), "");
  EXPECT_EQ(refused(R"({"id":"a","x":"\x"})"), "0:invalid_json");
  EXPECT_EQ(refused(R"({"id":"a","x":"\u12g4"})"), "0:invalid_json");
  EXPECT_EQ(refused(R"({"id":"a","x":18446744073709551616})"), "0:integer_out_of_range");
  EXPECT_EQ(refused(R"({"id":"a","x":-9223372036854775809})"), "0:integer_out_of_range");
  EXPECT_EQ(refused(R"({"id":"a","x":18446744073709551615,"y":-9223372036854775808})"), "");
  EXPECT_EQ(refused(R"({"id":"a","x":1e400})"), "0:number_out_of_range");
  EXPECT_EQ(refused(R"({"id":"a","x":1e-400})"), "");
  EXPECT_EQ(refused(R"({"id":"18446744073709551616","x":01})"), "0:invalid_json");
  EXPECT_EQ(refused(R"({"id":"a","x":1.})"), "0:invalid_json");
  EXPECT_EQ(refused(R"({"id":"a")"), "0:invalid_json");
  EXPECT_EQ(refused("{\"id\":\"a\",\"x\":\"\n\"}"), "0:invalid_json");
  EXPECT_EQ(refused(R"("text")"), "0:not_an_object");
}

TEST_F(RecordParserTest, SixtyFourLevelsAndNoMore) {
  const auto nested = [](std::size_t depth, std::string_view inner) {
    return R"({"id":"a","x":)" + std::string(depth - 1, '[') + std::string(inner) + std::string(depth - 1, ']') + "}";
  };
  for (const std::string_view inner : {"", "1"}) {
    EXPECT_EQ(refused(nested(64, inner)), "");
    EXPECT_EQ(refused(nested(65, inner)), "0:too_deep");
    // An array around the records is not a level of theirs.
    EXPECT_EQ(refused("[" + nested(64, inner) + "]"), "");
    EXPECT_EQ(refused("[" + nested(65, inner) + "]"), "0:too_deep");
  }
  EXPECT_EQ(refused(nested(100'000, "1")), "0:too_deep");
}

TEST_F(RecordParserTest, ManyNamesAreComparedToo) {
  std::string many = R"({"id":"a")";
  for (int i = 0; i < 5000; ++i) many += ",\"name" + std::to_string(i) + "\":0";
  EXPECT_EQ(refused(many + "}"), "");
  EXPECT_EQ(refused(many + ",\"name2345\":1}"), "0:duplicate_name");
}

TEST_F(RecordParserTest, KeyMayBeStringNumberOrBoolean) {
  json(
      R"([{"id":"caf\u00e9 \ud83d\ude00"},{"id":17850},{"id":1.0e2},{"x":{"id":1},"id" : true},{"y":"},{","z":[],"id":-0}])");
  EXPECT_THAT(keys(), ElementsAre("caf\u00e9 \U0001F600", "17850", "1.0e2", "true", "-0"));
  for (const NewRecord& r : out.records) EXPECT_EQ(r.hash, hash_key(r.key));
}

TEST_F(RecordParserTest, KeyThatIsNoneIsRefused) {
  EXPECT_EQ(refused(R"({"x":1})"), "0:missing_partition_key");
  EXPECT_EQ(refused(R"({"id":null})"), "0:missing_partition_key");
  EXPECT_EQ(refused(R"({"id":""})"), "0:missing_partition_key");
  EXPECT_EQ(refused(R"({"x":{"id":"a"}})"), "0:missing_partition_key");
  EXPECT_EQ(refused(R"({"id":{}})"), "0:invalid_partition_key");
  EXPECT_EQ(refused(R"({"id":[1]})"), "0:invalid_partition_key");
  std::string key;
  for (int i = 0; i < 256; ++i) key += "\u00e9";
  EXPECT_EQ(refused("{\"id\":\"" + key + "\"}"), "");
  EXPECT_EQ(refused("{\"id\":\"" + key + "x\"}"), "0:invalid_partition_key");
  options.key_field = "";
  EXPECT_EQ(refused(R"({"id":"a"})"), "0:missing_partition_key");
}

TEST_F(RecordParserTest, KeyOfTheRequestGoesBeforeTheField) {
  options.request_key = "whole";
  json(R"([{"id":"a"},{"x":1},{"id":{}}])");
  EXPECT_THAT(keys(), ElementsAre("whole", "whole", "whole"));
  EXPECT_EQ(out.records[2].hash, hash_key("whole"));
  EXPECT_EQ(RecordParser::check_key("a"), std::nullopt);
  EXPECT_EQ(RecordParser::check_key(""), Rejection::missing_partition_key);
  EXPECT_EQ(RecordParser::check_key("\xFF"), Rejection::invalid_partition_key);
  EXPECT_EQ(RecordParser::check_key(std::string(257, 'x')), Rejection::invalid_partition_key);
}

TEST_F(RecordParserTest, SizeIsTakenWithoutWhiteSpace) {
  options.record_bytes_max = 64;
  const std::string padded = "{\"id\":\"a\"," + std::string(1000, ' ') + "\"x\":1}";
  json(padded);
  EXPECT_THAT(texts(), ElementsAre(R"({"id":"a","x":1})"));
  const auto of_size = [](std::size_t n) { return R"({"id":"a","x":")" + std::string(n - 17, 'x') + "\"}"; };
  EXPECT_EQ(of_size(64).size(), 64u);
  EXPECT_EQ(refused(of_size(64)), "");
  EXPECT_EQ(refused("[" + of_size(65) + ",{\"id\":\"b\"}]"), "0:record_too_large");
  EXPECT_THAT(keys(), ElementsAre("b"));
}

TEST_F(RecordParserTest, LargeRecordsGoThrough) {
  options.record_bytes_max = 1 << 20;
  const std::string large = R"({"id":"big","x":")" + std::string(900'000, 'x') + "\"}";
  json("[" + large + ",{\"id\":\"small\"}]");
  EXPECT_THAT(texts(), ElementsAre(large, R"({"id":"small"})"));
  EXPECT_THAT(keys(), ElementsAre("big", "small"));
}

TEST_F(RecordParserTest, TooManyRecordsRefuseTheBody) {
  options.records_max = 3;
  EXPECT_TRUE(parser.parse(R"([{"id":1},2,{"id":3}])", BodyFormat::json, options, out));
  EXPECT_EQ(out.count(), 3u);
  EXPECT_FALSE(parser.parse(R"([{"id":1},2,{"id":3},{"id":4}])", BodyFormat::json, options, out));
  EXPECT_EQ(out.count(), 0u);
  EXPECT_FALSE(parser.parse("1\n2\n3\n4\n5\n", BodyFormat::ndjson, options, out));
}

TEST_F(RecordParserTest, TheBodyMayGoAfterwards) {
  std::string body = R"([{"id":"abc","x":1},{"id":12,"x":2}])";
  json(body);
  body.assign(body.size(), '#');
  EXPECT_THAT(texts(), ElementsAre(R"({"id":"abc","x":1})", R"({"id":12,"x":2})"));
  EXPECT_THAT(keys(), ElementsAre("abc", "12"));
}

// The scanner finds the same elements wherever 64-byte blocks and runs of backslashes happen to fall.
TEST_F(RecordParserTest, ElementsAreFoundAtEveryOffset) {
  std::mt19937 random(7);
  const std::vector<std::string> pieces{"\\\\", "\\\"", "]", "}", "{", "[", ",", "x", "\u00e9", ":", "\\n"};
  for (int round = 0; round < 300; ++round) {
    std::vector<std::string> expected;
    std::string body = "[";
    const int n = 1 + static_cast<int>(random() % 6);
    for (int i = 0; i < n; ++i) {
      std::string text;
      for (unsigned j = random() % 150; j > 0; --j) text += pieces[random() % pieces.size()];
      expected.push_back("{\"id\":\"k" + std::to_string(i) + "\",\"x\":[\"" + text + "\",{\"y\":\"" + text + "\"}]}");
      if (i != 0) body += ",";
      body += std::string(random() % 5, ' ') + expected.back() + std::string(random() % 3, '\n');
    }
    json(body + "]");
    EXPECT_THAT(texts(), expected);
    EXPECT_EQ(refused(), "");
  }
}

// Whatever comes in: no crash, every record accounted for, and what is accepted is accepted again alone.
TEST_F(RecordParserTest, SurvivesMangledBodies) {
  std::mt19937 random(11);
  const std::string good =
      R"([{"id":"a","n":[1,2.5,-3e2],"o":{"p":null,"q":"\u00e9\\"}} ,{"id":22,"t":true,"s":"x\ny"},{"id":"c"}])";
  for (int round = 0; round < 20'000; ++round) {
    std::string body = good;
    for (unsigned k = 1 + random() % 3; k > 0; --k) {
      const std::size_t at = random() % body.size();
      switch (random() % 4) {
        case 0:
          body[at] = static_cast<char>(random());
          break;
        case 1:
          body.erase(at, 1 + random() % 4);
          break;
        case 2:
          body.insert(at, 1, "\"{}[],:\\ 01e-\n"[random() % 14]);
          break;
        default:
          body.resize(at + 1);
      }
      if (body.empty()) body = " ";
    }
    parser.parse(body, round % 2 == 0 ? BodyFormat::json : BodyFormat::ndjson, options, out);
    for (const std::string& text : texts()) EXPECT_EQ(parser.check(text), std::nullopt) << body;
  }
}

}  // namespace
}  // namespace tidemill
