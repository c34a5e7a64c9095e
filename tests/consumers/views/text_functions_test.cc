#include "consumers/views/text_functions.h"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <chrono>
#include <random>
#include <string>
#include <vector>

#include "consumers/views/pattern.h"
#include "consumers/views/sql_account.h"
#include "consumers/views/sqlite.h"

namespace tidemill::views {
namespace {

// What a statement gives, with its type, or its error.
std::string answer(sqlite3* db, const std::string& sql, const std::vector<std::string>& texts = {},
                   unsigned blobs = 0) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(db, sql.c_str(), -1, &statement, nullptr) != SQLITE_OK) return sqlite3_errmsg(db);
  const Statement owned(statement);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const auto n = static_cast<int>(i + 1);
    const auto size = static_cast<int>(texts[i].size());
    if ((blobs >> i & 1u) != 0) {
      sqlite3_bind_blob(statement, n, texts[i].data(), size, SQLITE_TRANSIENT);
    } else {
      sqlite3_bind_text(statement, n, texts[i].data(), size, SQLITE_TRANSIENT);
    }
  }
  if (sqlite3_step(statement) != SQLITE_ROW) return std::string("error: ") + sqlite3_errmsg(db);
  const int type = sqlite3_column_type(statement, 0);
  const auto* data = static_cast<const char*>(sqlite3_column_blob(statement, 0));
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement, 0));
  return std::to_string(type) + ":" + (data == nullptr ? std::string() : std::string(data, size));
}

class TextFunctions : public ::testing::Test {
 protected:
  void SetUp() override {
    configure_sqlite();
    auto opened = Connection::open();
    ours_ = std::move(std::get<0>(opened));
    ASSERT_EQ(sqlite3_open(":memory:", &plain_), SQLITE_OK);
  }
  void TearDown() override { sqlite3_close(plain_); }
  void same(const std::string& sql, const std::vector<std::string>& texts = {}, unsigned blobs = 0) {
    ASSERT_EQ(answer(ours_->handle(), sql, texts, blobs), answer(plain_, sql, texts, blobs))
        << sql << ::testing::PrintToString(texts) << " blobs " << blobs;
  }
  std::string ours(const std::string& sql) { return answer(ours_->handle(), sql); }
  std::string random_text(std::size_t most, const std::vector<std::string>& of) {
    std::string out;
    for (std::size_t n = random_() % (most + 1); n > 0; --n) out += of[random_() % of.size()];
    return out;
  }

  std::mt19937 random_{7};
  sqlite3* plain_ = nullptr;
  std::unique_ptr<Connection> ours_;
};

// Also of what is no UTF-8, and with zero bytes.
const std::vector<std::string> kPieces = {"a",
                                          "b",
                                          "A",
                                          "B",
                                          "ä",
                                          "Ä",
                                          "€",
                                          "\xf0\x9f\x90\x9f",
                                          "\x80",
                                          "\xc3",
                                          "\xff",
                                          "\xc3\x80\x80",
                                          std::string(1, '\0'),
                                          "aab"};

TEST_F(TextFunctions, GiveWhatSqliteGives) {
  for (int i = 0; i < 20'000; ++i) {
    const std::string text = random_text(8, kPieces);
    const std::string what = random_text(3, kPieces);
    const std::string with = random_text(2, kPieces);
    const unsigned blobs = random_() % 4 == 0 ? random_() % 8 : 0;
    same("SELECT instr(?, ?)", {text, what}, blobs);
    same("SELECT replace(?, ?, ?)", {text, what, with}, blobs);
    same("SELECT trim(?, ?)", {text, what}, blobs);
    same("SELECT ltrim(?, ?)", {text, what}, blobs);
    same("SELECT rtrim(?, ?)", {text, what}, blobs);
    if (HasFatalFailure()) return;
  }
  for (const char* one : {"NULL", "12.5", "'a'", "x'61'", "''", "x''", "0"}) {
    for (const char* other : {"NULL", "2", "'a'", "x'61'", "''", "x''"}) {
      const std::string two = std::string(one) + ", " + other;
      for (const std::string call : {"instr(", "trim(", "ltrim(", "rtrim(", "like(", "glob(", "json_patch("})
        same("SELECT " + call + two + ")");
      for (const char* third : {"NULL", "7", "'b'", "x'62'"}) {
        same("SELECT replace(" + two + ", " + third + ")");
        same("SELECT like(" + two + ", " + third + ")");
      }
    }
  }
}

TEST_F(TextFunctions, PatternsMatchWhatSqliteMatches) {
  std::vector<std::string> of = kPieces;
  for (const char* c : {"%", "%", "_", "*", "*", "?", "[", "[", "]", "^", "-", "a", "a-c", "[ab]", "[^a]", "!"})
    of.push_back(c);
  for (int i = 0; i < 50'000; ++i) {
    const std::string pattern = random_text(7, of);
    const std::string text = random_text(7, i % 2 == 0 ? kPieces : of);
    same("SELECT ? GLOB ?", {text, pattern});
    same("SELECT ? LIKE ?", {text, pattern});
    same("SELECT ? LIKE ? ESCAPE ?", {text, pattern, of[random_() % of.size()]});
    if (HasFatalFailure()) return;
  }
  for (const char* escape : {"''", "'ab'", "'ä'", "NULL", "'%'", "'_'"})
    same(std::string("SELECT 'a%_b' LIKE 'a%%__b' ESCAPE ") + escape);
  same("SELECT json_patch('{\"a\":1,\"b\":[1]}', '{\"a\":null,\"c\":{\"d\":2}}')");
  same("SELECT json_array(json_patch('{}', '{\"a\":1}'))");  // JSON, and no text
  same("SELECT json_patch('{', '{}')");
}

// What took minutes: the steps of each are bounded, or the time is linear.
TEST_F(TextFunctions, LongArgumentsEnd) {
  const std::string big = "printf('%.*c', 4000000, 'a')";
  const std::string half = "(printf('%.*c', 2000000, 'a')||'b')";
  EXPECT_EQ(ours("SELECT instr(" + big + ", " + half + ")"), "1:0");
  EXPECT_EQ(ours("SELECT length(replace(" + big + ", " + half + ", 'x'))"), "1:4000000");
  const std::string too_complex = "error: LIKE or GLOB pattern too complex";
  const std::string many = "printf('%.*c', 900, 'a')";
  EXPECT_EQ(ours("SELECT " + big + " LIKE '%_'||" + many + "||'b'"), too_complex);
  EXPECT_EQ(ours("SELECT " + big + " GLOB '*[a-c]'||" + many + "||'b'"), too_complex);
  for (const std::string name : {"trim", "ltrim", "rtrim"})
    EXPECT_EQ(ours("SELECT length(" + name + "(" + big + ", printf('%.*c', 4000, 'b')||'a'))"),
              "error: " + name + "(): what it is given is too long");
  EXPECT_EQ(ours("SELECT json_patch('{\"a\":\"'||" + big + "||'\"}', '{\"a\":\"'||" + big + "||'\"}')"),
            "error: json_patch(): what it is given is too long");
  // For each member that is new SQLite goes through the whole patch again: half an hour for one of 8 MiB.
  const auto patched = [&](int members) {
    return ours("WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < " + std::to_string(members) +
                R"(), p(p) AS (SELECT '{' || group_concat('"' || n || '"' || char(9) || ':"a:b"') || '}' FROM t) )"
                "SELECT json_patch('{}', p) = json(p) FROM p");
  };
  EXPECT_EQ(patched(10'000), "1:1") << "a colon within a text is no member";
  EXPECT_EQ(patched(10'001), "error: json_patch(): what it is given is too long");
  const std::string text(1'000'000, 'a');
  const std::string pattern = "%_" + std::string(900, 'a') + "b";
  const auto* p = reinterpret_cast<const unsigned char*>(pattern.c_str());
  const auto* t = reinterpret_cast<const unsigned char*>(text.c_str());
  const PatternResult result = match_pattern(Patterns::like, p, t, 0, 1'000'000);
  EXPECT_TRUE(result.too_long);
  EXPECT_LE(result.steps, 1'010'000u);
}

TEST_F(TextFunctions, ReplaceEndsWhereSqliteDoes) {
  for (sqlite3* db : {plain_, ours_->handle()}) sqlite3_limit(db, SQLITE_LIMIT_LENGTH, 1'000);
  for (int with = 0; with <= 12; ++with) {
    for (int n : {99, 100, 101})
      same("SELECT replace(printf('%.*c', " + std::to_string(n) + ", 'a'), 'a', printf('%.*c', " +
           std::to_string(with) + ", 'b'))");
  }
  same("SELECT replace(printf('%.*c', 997, 'a') || 'bc', 'bc', '')");
  same("SELECT replace(printf('%.*c', 999, 'a'), 'b', 'c')");
}

// What a function makes is the statement's as all that SQLite allocates for it. Few and long pieces: under tsan a
// search looks at all of what is left, wherever it finds something.
TEST_F(TextFunctions, WhatReplaceMakesIsCounted) {
  SqlAccount account;
  account.begin(nullptr);
  const SqlAccount::Scope scope(account);
  EXPECT_EQ(ours("SELECT length(replace(printf('%.*c', 2000, 'a'), 'a', printf('%.*c', 4000, 'b')))"), "1:8000000");
  EXPECT_LT(account.memory_most(), 30u << 20);
  EXPECT_TRUE(
      ours("SELECT length(replace(printf('%.*c', 7000, 'a'), 'a', printf('%.*c', 4000, 'b')))").starts_with("error: "));
  EXPECT_EQ(account.refused(), SqlAccount::Refused::memory);
}

// Where an account stands on the thread, its clock is looked at in the functions, which have no jump.
TEST_F(TextFunctions, LookAtTheClockOfTheAccount) {
  SqlAccount account;
  int looks = 0;
  account.begin([&] { return ++looks < 3; });
  const SqlAccount::Scope scope(account);
  const std::string big = "printf('%.*c', 4000000, 'a')";
  std::string sql = "SELECT instr(" + big + ", 'b')";
  for (int i = 0; i < 20; ++i) sql += ", instr(" + big + ", 'b" + std::to_string(i) + "')";
  EXPECT_TRUE(ours(sql).starts_with("error: ")) << ours(sql);
  EXPECT_EQ(account.refused(), SqlAccount::Refused::time);
  EXPECT_LT(looks, 10);
}

}  // namespace
}  // namespace tidemill::views
