#include "storage/base/text.h"

#include <gtest/gtest.h>

namespace tidemill {
namespace {

using namespace std::string_view_literals;

TEST(Hex, BytesThereAndBack) {
  EXPECT_EQ(to_hex("\x00\xff\x1a"sv), "00ff1a");
  EXPECT_EQ(from_hex("00ff1a"), "\x00\xff\x1a"sv);
  EXPECT_EQ(to_hex(""sv), "");
  EXPECT_EQ(from_hex(""), "");
  for (const char* bad : {"0", "0g", "0A", " 0", "0x", "\xff\xff"}) EXPECT_EQ(from_hex(bad), std::nullopt) << bad;
}

TEST(Hex, Numbers) {
  EXPECT_EQ(to_hex(std::uint64_t{0xabcdef}), "0000000000abcdef");
  EXPECT_EQ(to_hex(~std::uint64_t{0}), "ffffffffffffffff");
  EXPECT_EQ(to_hex(std::uint64_t{0xabcdef}, 8), "00abcdef");
  EXPECT_EQ(to_hex(HashKey{1, 2}), "00000000000000010000000000000002");
}

TEST(EditDistance, CountsWhatMustBeTyped) {
  EXPECT_EQ(edit_distance("", ""), 0u);
  EXPECT_EQ(edit_distance("", "abc"), 3u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
  EXPECT_EQ(edit_distance("customers", "custmers"), 1u);
  EXPECT_EQ(edit_distance("ab", "ba"), 2u);
}

}  // namespace
}  // namespace tidemill
