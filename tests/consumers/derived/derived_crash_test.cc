#include <gtest/gtest.h>

#include "tests/consumers/derived/derived_world.h"

// Exactly once over crashes. The power goes at every step that changes the disk; afterwards the derived stream must
// hold what its source makes, each record once and in order, however the source was cut into batches.

namespace tidemill {
namespace {

using namespace std::chrono_literals;

constexpr const char* kLines =
    "CREATE STREAM lines WITH (shards = 2) AS SELECT n, element.value AS x, country AS _key FROM orders, "
    "json_each(xs) AS element WHERE n % 3 <> 0";
constexpr const char* kOdd = "CREATE STREAM odd AS SELECT * FROM lines WHERE x % 2 = 1";

// The same by hand.
void fold(std::uint64_t n, std::vector<std::string>& lines, std::vector<std::string>& odd) {
  if (n % 3 == 0) return;
  for (std::uint64_t x = 0; x < n % 5; ++x) {
    lines.push_back("c" + std::to_string(n % 2) + " {\"n\":" + std::to_string(n) + ",\"x\":" + std::to_string(x) + "}");
    if (x % 2 == 1) odd.push_back(lines.back());
  }
}

std::string order(std::uint64_t n) {
  std::string xs;
  for (std::uint64_t x = 0; x < n % 5; ++x) xs += (x == 0 ? "" : ",") + std::to_string(x);
  return "{\"n\":" + std::to_string(n) + ",\"country\":\"c" + std::to_string(n % 2) + "\",\"xs\":[" + xs + "]}";
}

struct Life {
  std::uint64_t sent = 0;  // the number in the next record is one above
  std::uint64_t acknowledged = 0;
};

// Opens what is there, makes what is missing, appends, stops. False: the power went.
bool play(DerivedWorld& w, Life& life, int records) {
  if (w.try_start() != ErrorCode()) return false;
  if (!w.engine->find(in_default("orders")) && !w.create("orders")) return false;
  for (const char* sql : {kLines, kOdd}) {
    const std::string name = sql == kLines ? "lines" : "odd";
    if (!w.engine->find(in_default(name)) && !w.run(sql).empty()) return false;
  }
  const auto stream = w.engine->find(in_default("orders"));
  for (int i = 0; i < records; ++i) {
    const OneRecord& one = w.put(*stream, "k", order(++life.sent));
    if (!one.ok()) return false;
    life.acknowledged = one.append.first.value();
    if (w.sim.random.one_in(3)) w.sim.executor.run_for(std::chrono::milliseconds(w.sim.random.below(5)));
  }
  if (w.sim.random.one_in(2)) w.sim.executor.run_for(1s);
  const bool closed = w.engine->close().has_value();
  return closed && w.sim.files.powered();
}

void check(DerivedWorld& w, const Life& life) {
  ASSERT_EQ(w.try_start(), ErrorCode());
  const auto stream = w.engine->find(in_default("orders"));
  if (!stream) return;
  ASSERT_GE(stream->log().durable().value(), life.acknowledged);
  w.sim.executor.run_for(60s);  // also after errors of the last life's disk
  std::vector<std::string> lines;
  std::vector<std::string> odd;
  for (const std::string& record : w.records_of("orders"))
    fold(std::stoull(record.substr(record.find(':') + 1)), lines, odd);
  if (w.engine->find(in_default("lines"))) {
    EXPECT_EQ(w.records_of("lines"), lines);
  }
  if (w.engine->find(in_default("odd"))) {
    EXPECT_EQ(w.records_of("odd"), odd);
  }
}

class DerivedCrash : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Seeds, DerivedCrash, ::testing::Range(1, 4));

TEST_P(DerivedCrash, ExactlyOnceOverAPowerCutAtEveryStep) {
  const auto seed = static_cast<std::uint64_t>(GetParam());
  std::uint64_t steps = 0;
  {
    DerivedWorld w(seed);
    Life life;
    ASSERT_TRUE(play(w, life, 30));
    steps = w.sim.files.steps();
    w.power_cut();
    check(w, life);
    ASSERT_GT(w.records_of("odd").size(), 5u);
  }
  for (std::uint64_t cut = seed; cut < steps; cut += 3) {
    SCOPED_TRACE("cut at step " + std::to_string(cut));
    DerivedWorld w(seed);
    Life life;
    w.sim.files.cut_at_step(cut);
    play(w, life, 30);
    w.power_cut();
    w.sim.files.cut_at_step(w.sim.files.steps() + 1 + w.sim.random.below(60));  // and once more, while it starts
    play(w, life, 10);
    w.power_cut();
    w.sim.files.cut_at_step(~0ull);
    check(w, life);
    if (HasFailure()) return;
  }
}

// What is there already comes in large batches, each of several appends: cut between them.
TEST_P(DerivedCrash, ExactlyOnceWhileItCatchesUp) {
  constexpr const char* kBoth =
      "CREATE STREAM both AS SELECT n, element.value AS x, pad FROM orders, json_each('[1,2]') AS element";
  const std::string pad(20'000, 'p');
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  const auto fill = [&](DerivedWorld& w) {
    w.start();
    const auto stream = *w.create("orders");
    for (std::uint64_t n = 1; n <= 120; ++n)
      ASSERT_TRUE(w.put(*stream, "k", "{\"n\":" + std::to_string(n) + ",\"pad\":\"" + pad + "\"}").ok());
    begin = w.sim.files.steps();
  };
  {
    DerivedWorld w(static_cast<std::uint64_t>(GetParam()));
    fill(w);
    ASSERT_EQ(w.run(kBoth), "");
    w.settle();
    end = w.sim.files.steps();
    ASSERT_GT(w.engine->find(in_default("both"))->log().metrics().commits.value(), 5u)
        << "in one append it would prove nothing";
  }
  SimRandom random(static_cast<std::uint64_t>(GetParam()));
  for (int round = 0; round < 12; ++round) {
    const std::uint64_t cut = begin + 1 + random.below(end - begin);
    SCOPED_TRACE("cut at step " + std::to_string(cut));
    DerivedWorld w(static_cast<std::uint64_t>(GetParam()));
    fill(w);
    w.sim.files.cut_at_step(cut);
    if (w.run(kBoth).empty()) w.settle();
    w.power_cut();
    w.sim.files.cut_at_step(~0ull);
    w.start();
    if (!w.engine->find(in_default("both"))) continue;  // not made yet
    w.settle();
    const auto got = w.records_of("both");
    ASSERT_EQ(got.size(), 240u);
    for (std::uint64_t i = 0; i < got.size(); ++i)
      ASSERT_TRUE(
          got[i].starts_with("k {\"n\":" + std::to_string(i / 2 + 1) + ",\"x\":" + std::to_string(i % 2 + 1) + ","))
          << i << ": " << got[i].substr(0, 40);
  }
}

// A flush that fails: its outcome is unknown, and the same records go out again.
TEST_P(DerivedCrash, ExactlyOnceOverFailingFlushes) {
  for (std::uint64_t nth = 1; nth < 40; nth += 2) {
    SCOPED_TRACE("flush " + std::to_string(nth));
    DerivedWorld w(static_cast<std::uint64_t>(GetParam()));
    Life life;
    ASSERT_TRUE(play(w, life, 3));
    w.power_cut({CrashPolicy::Keep::all, CrashPolicy::Keep::all});
    w.sim.files.fail(
        {.op = DiskOp::sync_data, .path_contains = "/streams/2/", .nth = nth % 7 + 1, .times = 1 + nth % 2});
    play(w, life, 20);
    w.sim.files.clear_faults();
    w.power_cut();
    check(w, life);
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace tidemill
