// The view `usage`: one for each tenant with usage, of exactly what was noted, and a view like any other.
#include "consumers/usage/usage_view.h"

#include <gmock/gmock.h>

#include <map>
#include <thread>

#include "engine/usage/usage_log.h"
#include "tests/consumers/views_store/views_world.h"
#include "tests/support/capture_logger.h"

namespace tidemill::views {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class UsageViewTest : public ::testing::Test {
 protected:
  void SetUp() override { open(); }
  void TearDown() override { close(); }
  void open() {
    auto opened = Engine::open(real.env, {.data = real.directory.path() + "/data", .log = {}});
    ASSERT_TRUE(opened) << opened.error().message();
    engine = std::move(*opened);
    auto made = AllViews::open(real.env, *engine, {engine->directory().views(), 48u << 20});
    ASSERT_TRUE(made) << made.error().message();
    all = std::move(*made);
    usage = std::move(UsageLog::open(real.env, *engine)).value();
    workers = std::make_unique<ThreadExecutor>("worker", 1);
    keep_usage_views(real.env, *engine, *all, *workers);
  }
  void close() {
    settle();
    workers->stop();
    usage.reset();
    EXPECT_TRUE(engine->groups().close());
    EXPECT_TRUE(all->close());
    EXPECT_TRUE(engine->close());
    all.reset();
    engine.reset();
  }
  void reopen() {
    close();
    open();
    settle();
  }
  // One worker: what was posted before is done.
  void settle() {
    const auto signal = workers->make_signal();
    workers->post([signal] { signal->set(); });
    signal->wait();
  }
  static WallTime at(const std::string& text) { return *parse_rfc3339(text); }
  static UsageDelta delta(const std::string& tenant, std::uint64_t key, const std::string& hour, UsageCounts counts) {
    return {tenant, KeyId{key}, at(hour), counts};
  }
  void append(const std::vector<UsageDelta>& deltas) {
    ASSERT_TRUE(usage->append(deltas));
    settle();
  }
  // Once the view has all that is noted.
  std::vector<std::string> ask(const std::string& tenant, const std::string& sql) {
    const auto views = all->of(tenant);
    const auto stream = engine->find({tenant, "_usage"});
    if (stream && views->find("usage")) {
      const auto signal = real.background.make_signal();
      const auto handle =
          views->when_applied("usage", Position::through(stream->log().durable()), [signal] { signal->set(); });
      signal->wait();
    }
    auto asked = views->query(sql, {}, {});
    if (const auto* error = std::get_if<SqlError>(&asked)) return {error->code};
    std::vector<std::string> out;
    for (;;) {
      const auto rows = std::get<0>(asked)->next(1'000);
      EXPECT_EQ(rows.index(), 0u);
      if (std::get<0>(rows).empty()) return out;
      for (const Row& row : std::get<0>(rows)) out.push_back(ViewsWorld::text(row));
    }
  }

  CaptureLogger logger;
  RealEnv real{logger};
  std::unique_ptr<Engine> engine;
  std::unique_ptr<AllViews> all;
  std::unique_ptr<UsageLog> usage;
  std::unique_ptr<ThreadExecutor> workers;
};

const std::string kOne = to_text(KeyId{1});
const std::string kTwo = to_text(KeyId{2});

TEST_F(UsageViewTest, CountsByKeyAndDay) {
  append({delta("default", 1, "2026-01-02T03:00:00Z", {1, 10, 100, 0}),
          delta("default", 1, "2026-01-02T04:00:00Z", {2, 20, 200, 5}),
          delta("default", 2, "2026-01-02T04:00:00Z", {7, 0, 0, 0})});
  append({delta("default", 1, "2026-01-03T00:00:00Z", {4, 40, 400, 0}),
          delta("default", 1, "2026-01-02T23:00:00Z", {8, 80, 800, 0})});
  const std::vector<std::string> rows{kOne + "|2026-01-02|11|110|1100|5", kOne + "|2026-01-03|4|40|400|0",
                                      kTwo + "|2026-01-02|7|0|0|0"};
  EXPECT_EQ(ask("default", "SELECT * FROM usage"), rows);
  EXPECT_THAT(ask("default", "SELECT key, sum(records) FROM usage GROUP BY key"),
              ElementsAre(kOne + "|150", kTwo + "|0"));
  const auto row = all->of("default")->get("usage", {kOne, std::string("2026-01-02")});
  ASSERT_TRUE(row && *row && (*row)->row);
  EXPECT_EQ(ViewsWorld::text(*(*row)->row), rows[0]);
  EXPECT_THAT(*all->of("default")->rebuild_and_compare("usage"), IsEmpty());
  reopen();
  EXPECT_EQ(ask("default", "SELECT * FROM usage"), rows);
  EXPECT_EQ(logger.count("the view of usage was made"), 1u);
  EXPECT_EQ(logger.count("warning") + logger.count("error"), 0u);
}

// Whatever is noted, in whatever pieces, the view and read() say the same.
TEST_F(UsageViewTest, IsExactlyWhatWasNoted) {
  std::map<std::string, UsageCounts> wanted;
  std::uint64_t state = 7;
  const auto draw = [&](std::uint64_t n) {
    return (state = state * 6364136223846793005u + 1442695040888963407u, state >> 33) % n;
  };
  for (int round = 0; round < 40; ++round) {
    std::vector<UsageDelta> deltas;
    for (std::uint64_t n = draw(400); n != 0; --n) {
      const std::uint64_t hour = draw(72);
      deltas.push_back({"default",
                        KeyId{draw(50)},
                        at("2026-03-01T00:00:00Z") + std::chrono::hours(hour),
                        {draw(5), draw(1'000), draw(1'000'000'000'000), draw(3)}});
      const UsageDelta& d = deltas.back();
      UsageCounts& sum = wanted[to_text(d.key) + "|2026-03-0" + std::to_string(1 + hour / 24)];
      sum.requests += d.counts.requests;
      sum.records += d.counts.records;
      sum.bytes += d.counts.bytes;
      sum.refused += d.counts.refused;
    }
    append(deltas);
  }
  std::vector<std::string> rows;
  for (const auto& [key, sum] : wanted)
    rows.push_back(key + "|" + std::to_string(sum.requests) + "|" + std::to_string(sum.records) + "|" +
                   std::to_string(sum.bytes) + "|" + std::to_string(sum.refused));
  EXPECT_EQ(ask("default", "SELECT * FROM usage ORDER BY key, day"), rows);
}

TEST_F(UsageViewTest, ATenantSeesItsOwnOnly) {
  append({delta("acme", 1, "2026-01-02T03:00:00Z", {1, 1, 1, 0})});
  EXPECT_THAT(ask("default", "SELECT * FROM usage"), ElementsAre("no_such_view")) << "it has none";
  EXPECT_THAT(all->of("default")->list(), IsEmpty());
  append({delta("default", 2, "2026-01-02T03:00:00Z", {2, 2, 2, 0})});
  EXPECT_THAT(ask("default", "SELECT * FROM usage"), ElementsAre(kTwo + "|2026-01-02|2|2|2|0"));
  EXPECT_THAT(ask("acme", "SELECT * FROM usage"), ElementsAre(kOne + "|2026-01-02|1|1|1|0"));
  EXPECT_EQ(engine->list("acme").size(), 1u);
}

TEST_F(UsageViewTest, ATenantsOwnViewOfThatNameStays) {
  StreamDefinition definition;
  definition.name = "s";
  ASSERT_TRUE(engine->create(definition, 1));
  const auto views = all->of("default");
  ASSERT_EQ(views->create("usage", "SELECT id, count(*) AS n FROM s GROUP BY id").index(), 0u);
  append({delta("default", 1, "2026-01-02T03:00:00Z", {1, 1, 1, 0})});
  EXPECT_EQ(views->find("usage")->stream, "s");
  EXPECT_EQ(logger.count("warning: the tenant has a view `usage` of its own"), 1u);
  // It can have ours beside it.
  ASSERT_EQ(views->create("by_key", "SELECT key, sum(requests) AS requests FROM _usage GROUP BY key").index(), 0u);
  reopen();
  EXPECT_EQ(all->of("default")->find("usage")->stream, "s");
  EXPECT_EQ(logger.count("warning: the tenant has a view `usage` of its own"), 2u);
}

// It is theirs to change. What is dropped comes back with the next start, from all that the log has.
TEST_F(UsageViewTest, MayBeAlteredAndDropped) {
  append({delta("default", 1, "2026-01-02T03:00:00Z", {1, 10, 100, 0}),
          delta("default", 1, "2026-02-02T03:00:00Z", {2, 20, 200, 0})});
  ASSERT_THAT(ask("default", "SELECT * FROM usage"), SizeIs(2));
  ASSERT_EQ(all->of("default")->drop("usage").index(), 0u);
  append({delta("default", 1, "2026-02-02T04:00:00Z", {4, 40, 400, 0})});
  EXPECT_THAT(ask("default", "SELECT * FROM usage"), ElementsAre("no_such_view"));
  reopen();
  EXPECT_THAT(ask("default", "SELECT sum(requests) FROM usage"), ElementsAre("7"));
  ASSERT_EQ(
      all->of("default")
          ->define("usage", "SELECT substr(hour, 1, 7) AS month, sum(requests) AS requests FROM _usage GROUP BY month")
          .index(),
      0u);
  reopen();  // built or not: what is not goes on being built, and the start makes none in its place
  reopen();
  while (all->of("default")->find("usage")->building) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_THAT(all->of("default")->find("usage")->source, HasSubstr("month"));
  EXPECT_THAT(ask("default", "SELECT month, requests FROM usage"), ElementsAre("2026-01|1", "2026-02|6"));
}

}  // namespace
}  // namespace tidemill::views
