#include "engine/json/writer.h"

#include <gtest/gtest.h>

#include "engine/json/record_parser.h"

namespace tidemill {
namespace {

std::string quoted(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

TEST(JsonWriter, EscapesWhatMustBeEscaped) {
  EXPECT_EQ(quoted("plain"), "\"plain\"");
  EXPECT_EQ(quoted(""), "\"\"");
  EXPECT_EQ(quoted("a\"b\\c\n\r\t\x01\x7F/"), "\"a\\\"b\\\\c\\n\\r\\t\\u0001\\u007f/\"");
  EXPECT_EQ(quoted(std::string_view("\0", 1)), "\"\\u0000\"");
  EXPECT_EQ(quoted("caf\u00e9 \u20ac \U0001F600"), "\"caf\u00e9 \u20ac \U0001F600\"");
}

TEST(JsonWriter, BytesThatAreNotUtf8AreReplaced) {
  for (const std::string_view bad : {"\xFF", "\xC0\xAF", "\xE2\x82", "\xED\xA0\x80", "\xF4\x90\x80\x80", "a\x80z"}) {
    const std::string text = "{\"k\":" + quoted(bad) + "}";
    EXPECT_EQ(RecordParser().check(text), std::nullopt) << text;
    EXPECT_NE(text.find("\xEF\xBF\xBD"), std::string::npos);
  }
}

TEST(JsonWriter, PutsTheCommas) {
  std::string out;
  JsonWriter json(out);
  json.begin_object().field("a", 1u).field("b", "x").name("c").begin_array();
  json.value(std::uint64_t{18446744073709551615u}).value(std::int64_t{-5}).value(0.1).value(true).null();
  json.begin_object().end_object().begin_array().end_array().end_array().field("d", false);
  json.name("e").raw("{\"raw\":1}").end_object();
  EXPECT_EQ(out, R"({"a":1,"b":"x","c":[18446744073709551615,-5,0.1,true,null,{},[]],"d":false,"e":{"raw":1}})");
  EXPECT_EQ(RecordParser().check(out), std::nullopt);
}

}  // namespace
}  // namespace tidemill
