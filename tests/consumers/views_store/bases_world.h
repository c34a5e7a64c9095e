#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "consumers/views/views.h"
#include "tests/consumers/views_store/views_world.h"
#include "tests/engine/engine_world.h"
#include "tests/support/hold_executor.h"

namespace tidemill::views {

// An engine and its views on a simulated disk: a stream `s` with a record every quarter of an hour, five of them a
// segment. Record n is known from its number.
class BasesWorld : public EngineWorld {
 public:
  explicit BasesWorld(std::uint64_t seed = 1, Logger& logger = null_logger()) : EngineWorld(seed, logger) {
    builds.over(sim.executor);
    options.log.segment_bytes_first = options.log.segment_bytes_max = 32 << 10;
    open_all();
    EXPECT_TRUE(create("s", 2));
  }
  ~BasesWorld() {
    sim.power_off();
    engine.reset();  // its groups first: they use the views' database
    views.reset();
    all.reset();
  }

  void open_all() {
    open();
    AllViews::Options of_views{engine->directory().views(), 24u << 20, &builds, audit};
    of_views.history_every = history_every;
    of_views.history_keep = history_keep;
    auto made = AllViews::open(sim.env, *engine, of_views);
    ASSERT_TRUE(made) << made.error().message();
    all = std::move(*made);
    views = all->of(kDefaultTenant);
  }
  void close_all() {
    ASSERT_TRUE(engine->close());
    ASSERT_TRUE(all->close());
    views.reset();
    all.reset();
    engine.reset();
    sim.executor.run_until_idle();
    sim.executor.drop_all();
  }
  void reopen() {
    close_all();
    open_all();
  }
  void power_cut(const CrashPolicy& policy = {}) {
    sim.power_off();
    // What is under way meets a dead disk and ends: an append to the system stream is its own until it is answered.
    sim.executor.run_until_idle();
    views.reset();
    all.reset();
    engine.reset();
    sim.executor.drop_all();
    sim.files.crash(policy);
  }

  Stream& stream() { return *engine->find(in_default("s")); }
  Log& log() { return stream().log(); }
  void create_view(const std::string& name = "v", const std::string& stream = "s") {
    const auto made = views->create(
        name, "SELECT k, count(*) AS n, sum(n) AS total, count(DISTINCT n) AS members FROM " + stream + " GROUP BY k");
    const auto* error = std::get_if<SqlError>(&made);
    ASSERT_EQ(error, nullptr) << error->message;
  }
  void begin() {
    engine->begin_retention([this](const Stream& stream, Sequence target, const std::function<void(Sequence)>& drop) {
      return all->release(stream, target, drop);
    });
  }
  void fill(int count) {
    for (int i = 0; i < count && sim.files.powered(); ++i) {
      const std::uint64_t n = records.size() + 1;
      auto& one =
          put(stream(), key_of(n),
              "{\"k\":\"" + key_of(n) + "\",\"n\":" + std::to_string(n) + ",\"x\":\"" + std::string(6000, 'x') + "\"}");
      EXPECT_TRUE(one.ok() || !sim.files.powered());
      if (one.ok()) acknowledged_ = n;
      sim.executor.run_for(std::chrono::minutes(15));
    }
  }
  std::uint64_t acknowledged() const { return acknowledged_; }
  // Records of more than five hours may go.
  void shorten() {
    StreamDefinition d = stream().definition();
    d.retention = {.age = std::chrono::hours(5)};
    (void)engine->change(d).has_value();
    check();
  }
  // A view has counted 60 records, and the log does not begin with the first of them.
  void shorten_a_view() {
    create_view();
    begin();
    fill(60);
    shorten();
  }
  void check() { sim.executor.run_for(4 * Retention::kInterval); }

  std::vector<std::string> rows(const std::string& view = "v", const std::string& of = "s") {
    const Log& log = engine->find(in_default(of))->log();
    sim.executor.run_until([&] { return views->find(view)->applied.sequence() == log.durable(); });
    std::vector<std::string> out;
    const auto got = views->range(view, {.limit = 1000});
    EXPECT_TRUE(got && *got);
    for (const Row& r : (*got)->rows) out.push_back(ViewsWorld::text(r));
    return out;
  }
  static std::vector<std::string> expected(std::uint64_t first, std::uint64_t last) {
    std::map<std::string, std::pair<std::uint64_t, std::uint64_t>> rows;
    for (std::uint64_t n = first; n <= last; ++n) {
      auto& row = rows[key_of(n)];
      ++row.first;
      row.second += n;
    }
    std::vector<std::string> out;
    for (const auto& [k, row] : rows)
      out.push_back(k + "|" + std::to_string(row.first) + "|" + std::to_string(row.second) + "|" +
                    std::to_string(row.first));
    return out;
  }
  std::vector<std::string> bases() {
    std::vector<std::string> names;
    const auto entries = sim.files.list("/data/views.bases");
    if (entries)
      for (const auto& e : *entries) names.push_back(e.name);
    return names;
  }

  std::chrono::milliseconds audit{0};
  std::chrono::milliseconds history_every{0};
  std::uint64_t history_keep = 1'000;
  HoldExecutor builds;  // where definitions are built
  std::unique_ptr<AllViews> all;
  std::shared_ptr<Views> views;  // of the default tenant

 private:
  static std::string key_of(std::uint64_t n) { return "k" + std::to_string(n % 7); }
  std::uint64_t acknowledged_ = 0;
};

}  // namespace tidemill::views
