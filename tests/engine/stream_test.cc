#include "engine/stream.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "engine/position.h"
#include "tests/support/test_data.h"

namespace tidemill {
namespace {

__extension__ using Uint128 = unsigned __int128;

std::string decimal(HashKey key) {
  Uint128 value = Uint128{key.high} << 64 | key.low;
  std::string digits;
  do digits.insert(digits.begin(), static_cast<char>('0' + static_cast<int>(value % 10)));
  while ((value /= 10) != 0);
  return digits;
}

std::vector<std::vector<std::string>> read_tsv(const std::string& path) {
  std::vector<std::vector<std::string>> rows;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    std::vector<std::string> fields;
    std::istringstream in(line);
    for (std::string field; std::getline(in, field, '\t');) fields.push_back(field);
    rows.push_back(fields);
  }
  return rows;
}

// The vectors' keys are JSON strings; those with escapes are left to the parser's own tests.
std::optional<std::string> plain(const std::string& json) {
  if (json.size() < 2 || json.find('\\') != std::string::npos) return std::nullopt;
  return json.substr(1, json.size() - 2);
}

TEST(Shards, RangesAreKinesis) {
  const auto folder = test_data("kinesis-md5");
  if (!folder) GTEST_SKIP() << "no kinesis-md5";
  const auto rows = read_tsv(*folder + "/ranges.tsv");
  ASSERT_GT(rows.size(), 10u);
  for (std::size_t i = 1; i < rows.size(); ++i) {
    const auto shards = make_shards(static_cast<std::uint32_t>(std::stoul(rows[i][0])));
    const ShardDefinition& shard = shards.at(std::stoul(rows[i][1]));
    EXPECT_EQ(shard.id, ShardId(static_cast<std::uint32_t>(std::stoul(rows[i][1]))));
    EXPECT_EQ(decimal(shard.range.first), rows[i][2]);
    EXPECT_EQ(decimal(shard.range.last), rows[i][3]);
  }
}

TEST(Shards, KeysGoWhereKinesisPutsThem) {
  const auto folder = test_data("kinesis-md5");
  if (!folder) GTEST_SKIP() << "no kinesis-md5";
  const auto rows = read_tsv(*folder + "/vectors.tsv");
  ASSERT_GT(rows.size(), 10u);
  std::size_t checked = 0;
  for (std::size_t column = 3; column < rows[0].size(); ++column) {
    StreamDefinition definition;
    definition.shards = make_shards(static_cast<std::uint32_t>(std::stoul(rows[0][column].substr(9))));
    const ShardTable table(definition.shards);
    for (std::size_t i = 1; i < rows.size(); ++i) {
      const auto key = plain(rows[i][0]);
      if (!key) continue;
      EXPECT_EQ(decimal(hash_key(*key)), rows[i][2]) << *key;
      EXPECT_EQ(table.shard_of(hash_key(*key)).value(), std::stoul(rows[i][column])) << *key;
      ++checked;
    }
  }
  EXPECT_GT(checked, 100u);
}

TEST(Shards, HashIsMd5) {
  EXPECT_EQ(hash_key(""), (HashKey{0xd41d8cd98f00b204, 0xe9800998ecf8427e}));
  EXPECT_EQ(hash_key("abc"), (HashKey{0x900150983cd24fb0, 0xd6963f7d28e17f72}));
}

TEST(Shards, CoverTheWholeSpaceWithoutAGap) {
  for (const std::uint32_t n : {1u, 2u, 3u, 7u, 256u, 1000u, 10'000u}) {
    const auto shards = make_shards(n);
    ASSERT_EQ(shards.size(), n);
    EXPECT_EQ(shards.front().range.first, HashKey{});
    EXPECT_EQ(shards.back().range.last, kHashKeyMax);
    StreamDefinition definition;
    definition.shards = shards;
    const ShardTable table(definition.shards);
    for (std::uint32_t i = 0; i < n; ++i) {
      if (i != 0) {
        Uint128 before = Uint128{shards[i - 1].range.last.high} << 64 | shards[i - 1].range.last.low;
        ++before;
        EXPECT_EQ(shards[i].range.first,
                  (HashKey{static_cast<std::uint64_t>(before >> 64), static_cast<std::uint64_t>(before)}));
      }
      EXPECT_EQ(table.shard_of(shards[i].range.first), ShardId(i));
      EXPECT_EQ(table.shard_of(shards[i].range.last), ShardId(i));
    }
  }
}

TEST(StreamName, FollowsKinesis) {
  for (const char* good : {"retail", "a", "A-b_c.9", "_system"}) EXPECT_TRUE(valid_stream_name(good)) << good;
  EXPECT_TRUE(valid_stream_name(std::string(128, 'x')));
  for (const char* bad : {"", ".", "..", "a/b", "a b", "caf\u00e9", "a\n"}) EXPECT_FALSE(valid_stream_name(bad)) << bad;
  EXPECT_FALSE(valid_stream_name(std::string(129, 'x')));
}

TEST(Token, ReadsWhatItWrites) {
  const Token token{StreamId(7), Incarnation(0x0123456789ABCDEF), Epoch(3), Position::through(Sequence(541909))};
  const std::string text = token.encode();
  EXPECT_EQ(text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
            std::string::npos);
  const auto read = Token::decode(text);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->stream, token.stream);
  EXPECT_EQ(read->incarnation, token.incarnation);
  EXPECT_EQ(read->epoch, token.epoch);
  EXPECT_EQ(read->position, token.position);
}

// Clients hold tokens over an upgrade: this spelling must be readable for ever.
TEST(Token, GoldenSpelling) {
  const Token token{StreamId(1), Incarnation(2), Epoch(3), Position::through(Sequence(4))};
  EXPECT_EQ(token.encode(), "AQEAAAAAAAAAAgAAAAAAAAADAAAABAAAAAAAAADusybI");
}

TEST(Token, EveryChangedCharacterIsNoticed) {
  const std::string text = Token{StreamId(1), Incarnation(99), Epoch(3), Position::through(Sequence(1234567))}.encode();
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string changed = text;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(Token::decode(changed)) << i;
  }
  EXPECT_FALSE(Token::decode(""));
  EXPECT_FALSE(Token::decode(text.substr(1)));
  EXPECT_FALSE(Token::decode(text + "A"));
}

}  // namespace
}  // namespace tidemill
