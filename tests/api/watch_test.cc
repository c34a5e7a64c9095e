// Clients that watch a view over HTTP: what is refused, and what they are sent.
#include "api/views/watcher.h"
#include "tests/api/api_world.h"

namespace tidemill {
namespace {

TEST(Watching, ACursorKeepsAllDigits) {
  const Token token{{}, {}, {}, Position::through(Sequence(7))};
  for (const std::uint64_t n :
       {std::uint64_t{0}, std::uint64_t{15}, std::uint64_t{16}, std::uint64_t{0xabc}, ~std::uint64_t{0}}) {
    const auto read = decode_cursor(encode_cursor({n, n / 2, {}}, token.encode()));
    ASSERT_TRUE(read) << n;
    EXPECT_EQ(read->cursor.view, n);
    EXPECT_EQ(read->cursor.settled, n / 2);
    EXPECT_EQ(read->token.encode(), token.encode());
  }
  EXPECT_FALSE(decode_cursor("1.2"));
  EXPECT_FALSE(decode_cursor("1.x." + token.encode()));
}

}  // namespace
}  // namespace tidemill
