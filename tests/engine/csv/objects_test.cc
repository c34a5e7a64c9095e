#include "engine/csv/objects.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tidemill::csv {
namespace {

struct Read {
  std::vector<std::string> objects;
  std::vector<std::string> errors;  // "LINE code"
  std::string failed;
};

Read read_all(std::string_view text, FieldTypes types = {}, Encoding encoding = Encoding::utf8, Dialect dialect = {}) {
  ObjectReader reader(dialect, encoding, std::move(types));
  Read out;
  while (true) {
    std::string object;
    switch (reader.next(text, true, object)) {
      case ObjectReader::Outcome::object:
        out.objects.push_back(object);
        break;
      case ObjectReader::Outcome::rejected:
        EXPECT_TRUE(object.empty());
        EXPECT_FALSE(reader.error().message.empty());
        out.errors.push_back(std::to_string(reader.row().line) + " " +
                             std::string(rejection_name(reader.error().code)));
        break;
      case ObjectReader::Outcome::failed:
        out.failed = reader.error().message;
        return out;
      case ObjectReader::Outcome::need_more:
        ADD_FAILURE() << "need_more at the end";
        return out;
      case ObjectReader::Outcome::end:
        return out;
    }
  }
}
using Strings = std::vector<std::string>;

TEST(CsvObjects, TypedAsDeclaredElseText) {
  const Read r = read_all("No,Quantity,Price\n007,6,2.55\n008,-1,1e2\n009,0,-0.0\n",
                          {{"Quantity", FieldType::integer}, {"Price", FieldType::number}});
  EXPECT_EQ(r.objects,
            (Strings{R"({"No":"007","Quantity":6,"Price":2.55})", R"({"No":"008","Quantity":-1,"Price":1e2})",
                     R"({"No":"009","Quantity":0,"Price":-0.0})"}));
}

TEST(CsvObjects, EmptyIsNullQuotedOrNot) {
  EXPECT_EQ(read_all("a,b,n\n,\"\",\n", {{"n", FieldType::number}}).objects,
            (Strings{R"({"a":null,"b":null,"n":null})"}));
}

TEST(CsvObjects, BlanksBelongToTheValue) {
  EXPECT_EQ(read_all("a\n\"  x \"\n").objects, (Strings{R"({"a":"  x "})"}));
}

TEST(CsvObjects, EscapesWhatJsonCannotHold) {
  std::string control("a\n\"q\"\"\\\t\r\n\x01\x7f/\"\n");
  EXPECT_EQ(read_all(control).objects, (Strings{"{\"a\":\"q\\\"\\\\\\t\\r\\n\\u0001\x7f/\"}"}));
  EXPECT_EQ(read_all("\"n\"\"m\"\n1\n").objects, (Strings{R"({"n\"m":"1"})"}));
}

TEST(CsvObjects, Windows1252BecomesUtf8) {
  const Read r = read_all(
      "name,\xA3\nCaf\xE9 \x80"
      "5,\x81\n",
      {}, Encoding::windows_1252);
  EXPECT_EQ(r.objects, (Strings{"{\"name\":\"Café €5\",\"£\":\"\xC2\x81\"}"}));
}

TEST(CsvObjects, InvalidUtf8RefusesTheRowOnly) {
  const Read r = read_all("name\nok\nCaf\xE9\nЖ漢😀\n");
  EXPECT_EQ(r.objects, (Strings{R"({"name":"ok"})", R"({"name":"Ж漢😀"})"}));
  EXPECT_EQ(r.errors, (Strings{"3 invalid_utf8"}));
}

TEST(CsvObjects, WrongTypesAreRefusedWithTheirLine) {
  const FieldTypes types{{"i", FieldType::integer}, {"n", FieldType::number}};
  const Read r = read_all(
      "i,n\n1.0,1\n01,1\n1,x\n+1,1\n18446744073709551615,1\n18446744073709551616,1\n1,1e999\n"
      "-9223372036854775808,1\n-9223372036854775809,1\n 1,1\n1,.5\n1,5.\n",
      types);
  EXPECT_EQ(r.objects, (Strings{R"({"i":18446744073709551615,"n":1})", R"({"i":-9223372036854775808,"n":1})"}));
  EXPECT_EQ(r.errors.size(), 10u);
  EXPECT_EQ(r.errors.front(), "2 csv_invalid_value");
}

TEST(CsvObjects, TooManyAndTooFewFields) {
  const Read r = read_all("a,b\n1\n1,2\n1,2,3\n\"x\n");
  EXPECT_EQ(r.objects.size(), 1u);
  EXPECT_EQ(r.errors, (Strings{"2 csv_too_few_fields", "4 csv_too_many_fields", "5 csv_bad_quote"}));
}

TEST(CsvObjects, HeadersThatCannotBe) {
  EXPECT_TRUE(read_all("").failed.starts_with("The CSV is empty"));
  EXPECT_TRUE(read_all("a,,b\n").failed.starts_with("Column 2 has no name"));
  EXPECT_TRUE(read_all("a,b,a\n").failed.starts_with("The header line names 'a' twice"));
  EXPECT_TRUE(read_all("\"a\n").failed.starts_with("The header line cannot be read"));
  EXPECT_TRUE(read_all("\xE9\n").failed.starts_with("The name of column 1 is not valid UTF-8"));
}

TEST(CsvObjects, CountsRowsAndKeepsTheHeader) {
  ObjectReader reader({}, Encoding::utf8, {});
  std::string_view text = "a,\"b\"\r\n1,2\r\nx\r\n";
  std::string out;
  EXPECT_EQ(reader.next(text, true, out), ObjectReader::Outcome::object);
  EXPECT_EQ(reader.header(), "a,\"b\"");
  EXPECT_EQ(reader.row().raw, "1,2");
  EXPECT_EQ(reader.column("b"), 1u);
  EXPECT_EQ(reader.column("c"), std::nullopt);
  EXPECT_EQ(reader.next(text, true, out), ObjectReader::Outcome::rejected);
  EXPECT_EQ(reader.row().raw, "x");
  EXPECT_EQ(reader.rows(), 2u);
}

TEST(CsvTypes, ANumberColumnHoldsOnlyNumbers) {
  TypeDetector types;
  Row row;
  row.fields = {"1", "1", "007", "", "", "1e400", "18446744073709551616"};
  types.add(row);
  row.fields = {"-2.5e3", "one", "1", "", "5", "1", "1"};
  types.add(row);
  const FieldTypes found = types.result({"a", "b", "c", "d", "e", "f", "g"});
  EXPECT_EQ(found, (FieldTypes{{"a", FieldType::number}, {"e", FieldType::number}}));
}

TEST(CsvEncoding, DetectsAcrossPieces) {
  const std::string text = "Жук 漢字 😀 é";
  for (std::size_t piece = 1; piece < 8; ++piece) {
    EncodingDetector d;
    for (std::size_t i = 0; i < text.size(); i += piece) d.add(std::string_view(text).substr(i, piece));
    EXPECT_EQ(d.result(), Encoding::utf8) << piece;
    d.add("\xE9");
    EXPECT_EQ(d.result(), Encoding::windows_1252) << piece;
  }
  EncodingDetector utf16;
  utf16.add(
      std::string("\xFF\xFE"
                  "a\0",
                  4));
  EXPECT_EQ(utf16.result(), std::nullopt);
}

TEST(CsvEncoding, RefusesWhatUtf8DoesNotAllow) {
  for (const std::string_view bad :
       {"\xC0\x80", "\xED\xA0\x80", "\xF5\x80\x80\x80", "\xE2\x82", "\x80", "\xF4\x90\x80\x80"})
    EXPECT_EQ(valid_utf8_prefix(bad), 0u);
  EXPECT_EQ(valid_utf8_prefix("12345678\xC3\xA9"
                              "90\xC3"),
            12u);
}

TEST(CsvEncoding, Names) {
  EXPECT_EQ(parse_encoding("UTF-8"), Encoding::utf8);
  EXPECT_EQ(parse_encoding("Windows-1252"), Encoding::windows_1252);
  EXPECT_EQ(parse_encoding("ISO-8859-1"), Encoding::windows_1252);
  EXPECT_EQ(parse_encoding("utf-16"), std::nullopt);
}

}  // namespace
}  // namespace tidemill::csv
