#include "storage/base/hash.h"

#include <gtest/gtest.h>

#include <string>

namespace tidemill {
namespace {

TEST(Hash, IsWhatXxhsumPrints) {
  EXPECT_EQ(xxh3(""), 0x2d06800538d394c2u);  // `printf "" | xxhsum -H3`
  EXPECT_NE(xxh3("a"), xxh3("a", 1));
}

TEST(Hash, PieceByPieceIsTheSame) {
  std::string text;
  Xxh3Stream stream;
  for (int i = 0; i < 300; ++i) {
    const std::string piece(static_cast<std::size_t>(i), static_cast<char>(i));
    text += piece;
    stream.add(piece);
    ASSERT_EQ(stream.value(), xxh3(text));
  }
}

}  // namespace
}  // namespace tidemill
