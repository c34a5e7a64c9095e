#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "engine/json/record_parser.h"
#include "tests/support/test_data.h"

namespace tidemill {
namespace {

struct Case {
  std::string name;
  std::string text;
};

std::vector<Case> cases(const std::string& folder, const std::string& prefix) {
  std::vector<Case> found;
  for (const auto& entry : std::filesystem::directory_iterator(folder + "/test_parsing")) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(prefix)) continue;
    std::ostringstream text;
    text << std::ifstream(entry.path(), std::ios::binary).rdbuf();
    found.push_back({name, text.str()});
  }
  return found;
}

// Valid JSON in the suite, refused by decision: readers disagree about what a repeated name means.
const std::set<std::string> kDuplicates{"y_object_duplicated_key.json", "y_object_duplicated_key_and_value.json"};

TEST(JsonSuite, AllDecidedCasesAreDecidedRight) {
  const auto folder = test_data("json-test-suite");
  if (!folder) GTEST_SKIP() << "no json-test-suite";
  RecordParser parser;
  std::size_t decided = 0;
  for (const Case& c : cases(*folder, "y_")) {
    ++decided;
    const auto verdict = parser.check(c.text);
    if (kDuplicates.contains(c.name))
      EXPECT_EQ(verdict, Rejection::duplicate_name) << c.name;
    else
      EXPECT_TRUE(!verdict || verdict == Rejection::not_an_object)
          << c.name << ": " << (verdict ? rejection_name(*verdict) : "");
  }
  for (const Case& c : cases(*folder, "n_")) {
    ++decided;
    const auto verdict = parser.check(c.text);
    EXPECT_TRUE(verdict && *verdict != Rejection::not_an_object) << c.name;
  }
  EXPECT_EQ(decided, 283u);
}

// The same through a body: as the value of a record's field, alone, in an array and as a line.
TEST(JsonSuite, HoldsInsideRecordsArraysAndLines) {
  const auto folder = test_data("json-test-suite");
  if (!folder) GTEST_SKIP() << "no json-test-suite";
  RecordParser parser;
  ParsedBody out;
  const ParseOptions options{.key_field = "key"};
  for (const Case& c : cases(*folder, "y_")) {
    const std::string record = "{\"key\":\"k\", \"value\": " + c.text + "}";
    const std::size_t taken = kDuplicates.contains(c.name) ? 0 : 1;
    parser.parse(record, BodyFormat::json, options, out);
    EXPECT_EQ(out.records.size(), taken) << c.name;
    parser.parse("[" + record + "," + record + "]", BodyFormat::json, options, out);
    EXPECT_EQ(out.records.size(), 2 * taken) << c.name;
    EXPECT_EQ(out.count(), 2u) << c.name;
    if (c.text.find('\n') != std::string::npos) continue;
    parser.parse(record + "\n" + record, BodyFormat::ndjson, options, out);
    EXPECT_EQ(out.records.size(), 2 * taken) << c.name;
  }
  for (const Case& c : cases(*folder, "n_")) {
    parser.parse(c.text, BodyFormat::json, options, out);
    EXPECT_TRUE(out.records.empty()) << c.name;
    EXPECT_FALSE(out.rejected.empty()) << c.name;
    // Between two good ones: whatever it is, the good one before it goes in.
    parser.parse("[{\"key\":1}," + c.text + ",{\"key\":2}]", BodyFormat::json, options, out);
    ASSERT_GE(out.records.size(), 1u) << c.name;
    EXPECT_EQ(out.records[0].data, "{\"key\":1}") << c.name;
  }
}

// What RFC 8259 leaves open must not crash, and is decided the same in each shape of body.
TEST(JsonSuite, OpenCasesAreDecidedTheSameEverywhere) {
  const auto folder = test_data("json-test-suite");
  if (!folder) GTEST_SKIP() << "no json-test-suite";
  RecordParser parser;
  ParsedBody out;
  for (const Case& c : cases(*folder, "i_")) {
    const std::string record = "{\"key\":\"k\",\"value\":" + c.text + "}";
    const auto verdict = parser.check(record);
    parser.parse(record, BodyFormat::json, {.key_field = "key"}, out);
    EXPECT_EQ(out.records.empty(), verdict.has_value()) << c.name;
  }
}

}  // namespace
}  // namespace tidemill
