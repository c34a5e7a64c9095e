#include "consumers/views/store_keys.h"
#include "tests/support/source_tree.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

namespace tidemill::views {
namespace {

// The hex block of docs/formats/views.md.
std::string bytes_of_page() {
  std::ifstream in(source_tree() + "/docs/formats/views.md");
  std::string line, out;
  bool inside = false;
  while (std::getline(in, line)) {
    if (line.starts_with("```")) {
      inside = line == "```hex";
      continue;
    }
    if (!inside) continue;
    std::istringstream hex(line);
    for (int byte; hex >> std::hex >> byte;) out += static_cast<char>(byte);
  }
  return out;
}

TEST(StoreKeys, CheckpointIsThatOfThePage) {
  const Checkpoint checkpoint{Position::through(Sequence(541'909)), *parse_rfc3339("2011-12-09T12:50:00.000Z"), 4'372,
                              1};
  EXPECT_EQ(encode_checkpoint(checkpoint), bytes_of_page());
  const auto back = decode_checkpoint(bytes_of_page());
  ASSERT_TRUE(back);
  EXPECT_EQ(back->position, checkpoint.position);
  EXPECT_EQ(back->time, checkpoint.time);
  EXPECT_EQ(back->rows, 4'372u);
  EXPECT_EQ(back->parked, 1u);
}

TEST(StoreKeys, CheckpointSaysSinceWhenWhereThatIsNotTheBeginning) {
  const std::string all = bytes_of_page();
  auto checkpoint = *decode_checkpoint(all);
  EXPECT_EQ(checkpoint.since, Sequence(1));
  checkpoint.since = Sequence(42);
  const std::string bytes = '\2' + all.substr(1) + '*' + std::string(7, '\0');
  EXPECT_EQ(encode_checkpoint(checkpoint), bytes);
  const auto back = decode_checkpoint(bytes);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->since, Sequence(42));
  EXPECT_EQ(back->position, checkpoint.position);
  for (std::size_t i = 0; i < bytes.size(); ++i) EXPECT_FALSE(decode_checkpoint(bytes.substr(0, i))) << i;
  EXPECT_FALSE(decode_checkpoint('\1' + bytes.substr(1)));
  EXPECT_FALSE(decode_checkpoint(bytes.substr(0, 33) + '\1' + std::string(7, '\0'))) << "one spelling of all records";
}

TEST(StoreKeys, CheckpointSaysWhatHasGoneWithTimeWhereRowsDo) {
  const std::string all = bytes_of_page();
  auto checkpoint = *decode_checkpoint(all);
  EXPECT_FALSE(checkpoint.expiry);
  checkpoint.expiry = {WallTime(std::chrono::milliseconds(0x0102)), 7, 9};
  const auto number = [](char low, char high = 0) { return std::string{low, high} + std::string(6, '\0'); };
  const std::string bytes = '\3' + all.substr(1) + number(1) + number(2, 1) + number(7) + number(9);
  EXPECT_EQ(encode_checkpoint(checkpoint), bytes);
  const auto back = decode_checkpoint(bytes);
  ASSERT_TRUE(back && back->expiry);
  EXPECT_EQ(back->since, Sequence(1));
  EXPECT_EQ(back->expiry->stream_time, checkpoint.expiry->stream_time);
  EXPECT_EQ(back->expiry->expired, 7u);
  EXPECT_EQ(back->expiry->late, 9u);
  for (std::size_t i = 0; i < bytes.size(); ++i) EXPECT_FALSE(decode_checkpoint(bytes.substr(0, i))) << i;
  EXPECT_FALSE(decode_checkpoint(bytes + '\0'));
}

TEST(StoreKeys, ACheckpointMaySayWhereLineageBegins) {
  auto checkpoint = *decode_checkpoint(bytes_of_page());
  EXPECT_FALSE(checkpoint.lineage);
  checkpoint.lineage = Sequence(1);
  const std::string bytes =
      '\4' + bytes_of_page().substr(1) + '\1' + std::string(7, '\0') + '\1' + std::string(7, '\0');
  EXPECT_EQ(encode_checkpoint(checkpoint), bytes);
  const auto back = decode_checkpoint(bytes);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->lineage, Sequence(1));
  EXPECT_EQ(back->since, Sequence(1));
  EXPECT_FALSE(back->expiry);
  for (std::size_t i = 0; i < bytes.size(); ++i) EXPECT_FALSE(decode_checkpoint(bytes.substr(0, i))) << i;
  EXPECT_FALSE(decode_checkpoint(bytes.substr(0, 41) + std::string(8, '\0'))) << "no record is the 0th";

  checkpoint.since = Sequence(7);
  checkpoint.lineage = Sequence(0x0102);
  checkpoint.expiry = {WallTime(std::chrono::milliseconds(5)), 7, 9};
  const std::string both = encode_checkpoint(checkpoint);
  EXPECT_EQ(both.size(), 73u);
  EXPECT_EQ(both[0], 5);
  const auto again = decode_checkpoint(both);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->since, Sequence(7));
  EXPECT_EQ(again->lineage, Sequence(0x0102));
  EXPECT_EQ(again->expiry->late, 9u);
  EXPECT_EQ(encode_checkpoint(*again), both);
  EXPECT_FALSE(decode_checkpoint('\6' + both.substr(1)));
  EXPECT_FALSE(decode_checkpoint('\4' + both.substr(1)));
}

TEST(StoreKeys, EntriesStandInTheOrderOfTheirTime) {
  EXPECT_LT(expiry_key(255, "z"), expiry_key(256, "a"));
  const std::string key = expiry_key(0x0102030405060708, "group");
  const auto entry = expiry_entry(key);
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->bucket_ms, 0x0102030405060708);
  EXPECT_EQ(entry->group_key, "group");
  EXPECT_FALSE(expiry_entry(key.substr(0, 8)));
  EXPECT_FALSE(expiry_entry(parked_key(1) + "group"));
}

TEST(StoreKeys, CheckpointsThatAreNoneAreRefused) {
  const std::string good = bytes_of_page();
  EXPECT_FALSE(decode_checkpoint(""));
  EXPECT_FALSE(decode_checkpoint(good.substr(1)));
  EXPECT_FALSE(decode_checkpoint(good + '\0'));
  EXPECT_FALSE(decode_checkpoint('\2' + good.substr(1)));
}

TEST(StoreKeys, ParkedRecordsComeBackWhole) {
  const ParkedRecord record{"sum: text where a number is wanted", "k", R"({"a":"b"})",
                            WallTime(std::chrono::milliseconds(7))};
  const std::string bytes = encode_parked(record);
  const auto back = decode_parked(bytes);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->reason, record.reason);
  EXPECT_EQ(back->key, record.key);
  EXPECT_EQ(back->data, record.data);
  EXPECT_EQ(back->time, record.time);
  for (std::size_t i = 0; i < bytes.size(); ++i) EXPECT_FALSE(decode_parked(bytes.substr(0, i))) << i;
  EXPECT_FALSE(decode_parked(bytes + "x"));
}

TEST(StoreKeys, ThePrefixBehindIsBehindAllThatBeginSo) {
  EXPECT_EQ(behind_prefix("a"), "b");
  EXPECT_EQ(behind_prefix(std::string("a\xff", 2)), "b");
  EXPECT_EQ(behind_prefix("\xff"), "");
  EXPECT_LT(member_space("k", 1), member_space("k", 2));
  EXPECT_LT(parked_key(255), parked_key(256));
  EXPECT_EQ(parked_sequence(parked_key(0x0102030405060708)), Sequence(0x0102030405060708));
  EXPECT_FALSE(parked_sequence(parked_key(1).substr(0, 8)));
  EXPECT_FALSE(parked_sequence(row_key("12345678")));
}

}  // namespace
}  // namespace tidemill::views
