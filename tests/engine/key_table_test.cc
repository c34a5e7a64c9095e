// The keys in memory: what one takes, and readers without a lock beside a writer.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "engine/keys/key_table.h"

namespace tidemill {
namespace {

// The number: 1,000,000 keys add under 150 MB. A quarter of them here; the rest is a multiplication.
TEST(KeyTable, AKeyTakesUnder150Bytes) {
  constexpr std::uint64_t kKeys = 262'144;
  KeyTable table;
  KeyRecord key;
  key.name = "producer of shop 123456";
  key.tenant = "default";
  key.scopes = {*parse_scope("stream:retail:write")};
  key.created = *parse_rfc3339("2026-01-02T03:04:05Z");
  for (std::uint64_t i = 0; i < kKeys; ++i) {
    key.id.value = i * 0x9e3779b97f4a7c15ull;
    const KeyHash hash{i, i, i, i};
    table.add(key, &hash, 1, true);
  }
  EXPECT_LT(table.bytes() / kKeys, 150u);
  for (std::uint64_t i = 0; i < kKeys; i += 7) {
    const auto at = table.find(KeyId{i * 0x9e3779b97f4a7c15ull});
    ASSERT_TRUE(at);
    EXPECT_TRUE(table.has_secret(table.at(*at), {i, i, i, i}, 1));
    EXPECT_FALSE(table.has_secret(table.at(*at), {i, i, i, i + 1}, 1));
  }
  EXPECT_FALSE(table.find(KeyId{12345}));
}

// Readers without a lock beside a writer: a secret that is good all the time is never missed.
TEST(KeyTable, ReadersNeverMissAKeyThatIsRotated) {
  KeyTable table;
  KeyRecord key;
  key.name = "k";
  key.tenant = "default";
  key.scopes = {*parse_scope("server:read")};
  const auto hash = [](std::uint64_t i) { return KeyHash{i, ~i, i * 3, i * 7}; };
  key.id.value = 1;
  table.add(key, &(const KeyHash&)hash(0), 1, true);
  std::atomic<std::uint64_t> now{0};
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> missed{0}, looked{0};
  std::vector<std::thread> readers;
  for (int r = 0; r < 2; ++r)
    readers.emplace_back([&] {
      while (!stop) {
        const std::uint64_t before = now.load();
        const auto& entry = table.at(*table.find(KeyId{1}));
        const bool good = table.has_secret(entry, hash(before), 5);
        // Two rotations later it may be gone.
        if (!good && now.load() <= before) ++missed;
        ++looked;
      }
    });
  while (looked < 2) std::this_thread::yield();  // a machine with one free core may let them wait until all is over
  for (std::uint64_t i = 1; i <= 20'000; ++i) {
    table.rotate(table.at(0), hash(i), 1'000'000, static_cast<std::uint32_t>(i), false);
    now = i;
    key.id.value = i + 1;
    table.add(key, nullptr, 1, false);  // the index grows meanwhile
  }
  stop = true;
  for (auto& r : readers) r.join();
  EXPECT_EQ(missed, 0u);
  EXPECT_GT(looked, 0u);
}

}  // namespace
}  // namespace tidemill
