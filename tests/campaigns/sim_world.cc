#include "tests/campaigns/sim_world.h"

#include <algorithm>

#include "consumers/archive/archive.h"
#include "tests/engine/file_consumer.h"

namespace tidemill {
namespace {

using namespace std::chrono_literals;

constexpr const char* kTally = "/effects/a";
constexpr const char* kView = "SELECT k, count(*) AS c, sum(n) AS s FROM a GROUP BY k";

}  // namespace

// What it has seen, its world has seen as well; and what it was told is gone.
class SimWorld::Tally final : public Consumer {
 public:
  Tally(SimWorld& world, std::shared_ptr<Stream> stream)
      : world_(world), stream_(std::move(stream)), file_(world.sim.files, kTally) {}
  Result<Position> open() override { return file_.open(); }
  Result<void> process(const RecordBatch& batch) override {
    world_.told(batch, stream_->log().start());
    return file_.process(batch);
  }
  Position applied() const override { return file_.applied(); }
  Position persisted() const override { return file_.persisted(); }
  Result<void> close() override { return file_.close(); }

 private:
  SimWorld& world_;
  const std::shared_ptr<Stream> stream_;
  FileConsumer file_;
};

SimWorld::SimWorld(std::uint64_t seed, const SimWith& with, Logger& logger)
    : sim(seed, logger),
      env{calls, sim.clock, sim.random, sim.executor, sim.executor, logger},
      with_(with),
      random_(mix(seed) + 99) {
  options_.data = "/data";
  options_.log.segment_bytes_first = 16 << 10;
  options_.log.segment_bytes_max = 24 << 10;
  options_.log.commit_bytes_max = 8 << 10;
  options_.log.tail_cache_bytes = 8 << 10;
  options_.log.mark_delay = 5ms;
  options_.log.request_window = 40;
}

SimWorld::~SimWorld() {
  sim.power_off();
  drop();
}

bool SimWorld::start() {
  wall_at_start_ = sim.clock.wall();
  monotonic_at_start_ = sim.clock.monotonic();
  set_at_.reset();
  const auto attempt = [&]() -> Result<void> {
    ASSIGN_OR_RETURN(engine, Engine::open(env, options_));
    if (with_.views) {
      views::AllViews::Options of_views{engine->directory().views(), 24 << 20};
      of_views.history_every = 20s;
      of_views.history_keep = 2;
      ASSIGN_OR_RETURN(all_views, views::AllViews::open(env, *engine, of_views));
    }
    if (all_views) views = all_views->of(kDefaultTenant);
    if (engine->find(in_default("a")) == nullptr) {
      StreamDefinition definition;
      definition.name = "a";
      definition.archive.size_bytes = 2'000;
      definition.retention = with_.retention;
      RETURN_IF_ERROR(engine->create(std::move(definition), 3));
    }
    for (const auto& one : engine->list()) RETURN_IF_ERROR(archive(one));
    const auto stream = engine->find(in_default("a"));
    RETURN_IF_ERROR(engine->groups().add("a:tally", stream, std::make_shared<Tally>(*this, stream),
                                         Groups::WhenNotOpened::keep_trying));
    if (views && !views->find("v")) {
      const auto made = views->create("v", kView);
      if (std::holds_alternative<views::SqlError>(made)) return ErrorCode(EIO, boost::system::generic_category());
    }
    engine->begin_retention(views ? Retention::Keeper([this](const Stream& of, Sequence target, const auto& drop) {
      return all_views->release(of, target, drop);
    })
                                  : Retention::Keeper());
    return {};
  };
  const auto done = attempt();
  error = done ? ErrorCode() : done.error();
  if (!done) {
    drop();
    return false;
  }
  for (const std::string& name : doubtful_)
    others_[name] = engine->find(in_default(name)) != nullptr;  // and so it stays
  doubtful_.clear();
  const auto now = shards_now();
  EXPECT_TRUE(!shards_ || *shards_ == now) << "a shard is not as it was";
  shards_ = now;
  watch_start();
  return true;
}

Result<void> SimWorld::archive(const std::shared_ptr<Stream>& stream) {
  return add_archive(engine->groups(), env, stream, "/data/archive/" + stream->name());
}

void SimWorld::drop() {
  views.reset();
  all_views.reset();
  engine.reset();
  sim.executor.drop_all();
  settle();
}

bool SimWorld::stop() {
  if (!running()) return true;
  bool whole = engine->groups().close().has_value();
  if (all_views) whole = all_views->close().has_value() && whole;
  whole = engine->close().has_value() && whole;
  sim.executor.run_until_idle();
  drop();
  return whole;
}

void SimWorld::kill() {
  // What the parts try while they are destroyed must not reach the disk any more.
  sim.files.cut_at_step(~0ull);
  sim.files.kill_at_step(sim.files.steps() + 1);
  drop();
  sim.files.kill();
}

void SimWorld::crash(const CrashPolicy& policy) {
  sim.power_off();
  drop();
  sim.files.crash(policy);
}

void SimWorld::work(int rounds) {
  for (int i = 0; i < rounds && sim.files.powered(); ++i) {
    for (std::uint64_t n = 1 + random_.below(3); n > 0; --n) {
      send();
      if (random_.one_in(2)) sim.executor.run_one();
    }
    if (random_.one_in(2)) sim.executor.run_until_idle();
    if (random_.one_in(4)) pass(std::chrono::milliseconds(random_.below(3'000)));
    if (random_.one_in(20)) pass(65s);
    if (with_.clock_jumps && random_.one_in(5)) jump();
    settle();
    watch_start();
    if (random_.one_in(6) && sim.files.powered()) look();
    if (random_.one_in(10) && sim.files.powered()) change_streams();
    if (with_.reshards && random_.one_in(8) && sim.files.powered()) change_shards();
  }
}

void SimWorld::send() {
  Sent& sent = *sent_.emplace_back(std::make_unique<Sent>());
  TestRequest& r = sent.request;
  const bool keyed = random_.one_in(4);
  const std::size_t count = keyed && random_.one_in(3) ? 0 : 1 + random_.below(6);
  const std::size_t bytes = random_.one_in(6) ? 3'000 : 40 + random_.below(300);
  r.texts.reserve(count);
  r.keys.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t n = ++made_;
    r.keys.push_back("k" + std::to_string(n % 7));
    std::string text = "{\"n\":" + std::to_string(n) + ",\"k\":\"" + r.keys.back() + "\",\"x\":\"";
    for (std::size_t at = 0; text.size() < bytes; ++at) text += static_cast<char>('a' + mix(n * 1'000 + at) % 26);
    r.texts.push_back(text + "\"}");
    NewRecord record;
    record.key = r.keys.back();
    record.hash = hash_key(record.key);
    record.arrival = sim.clock.wall();
    record.data = r.texts.back();
    r.records.push_back(record);
  }
  r.append.records = r.records;
  if (keyed) {
    sent.key = "key" + std::to_string(sent_.size());
    r.append.identity = LogWorld::identity(sent.key);
    r.rejected = {{1, 2}, {7, 3}};
    r.append.rejected = r.rejected;
  }
  sent.not_before = log().status().last_time;
  sent.at = sim.clock.monotonic();
  sent.ahead = ahead();
  log().append(&r.append);
}

void SimWorld::settle() {
  for (std::size_t i = unsettled_; i < sent_.size(); ++i) {
    Sent& sent = *sent_[i];
    const TestRequest& r = sent.request;
    EXPECT_LE(r.answers, 1) << "a sink was called twice";
    if (sent.settled || r.answers == 0) continue;
    sent.settled = true;
    answers_ = mix(answers_ ^ i ^ (r.append.first.value() << 20) ^ static_cast<std::uint64_t>(r.append.error.value()));
    if (r.append.error) {
      ++refused;
      continue;
    }
    EXPECT_FALSE(r.append.replayed);
    acknowledged += r.append.accepted;
    if (engine) sent.not_after = log().status().last_time;
    for (std::size_t n = 0; n < r.append.accepted; ++n) {
      const auto [it, fresh] = published_.emplace(r.append.first.value() + n, r.texts[n]);
      EXPECT_TRUE(fresh || it->second == r.texts[n]) << "sequence " << it->first << " was given twice";
    }
  }
  while (unsettled_ < sent_.size() && sent_[unsettled_]->settled) ++unsettled_;
}

void SimWorld::look() {
  Sequence at = log().start();
  while (at <= log().durable()) {
    const auto batch = log().read(at, {.records_max = static_cast<std::uint32_t>(1 + random_.below(200))});
    if (!batch) return;  // a fault; check() has none
    ASSERT_TRUE(batch->lost.empty());
    ASSERT_GT(batch->next, at);
    for (const Record& r : batch->records) {
      const auto [it, fresh] = published_.emplace(r.sequence.value(), std::string(r.data));
      ASSERT_TRUE(fresh || it->second == r.data) << "published record " << it->first << " changed";
    }
    at = batch->next;
  }
}

std::uint64_t SimWorld::trace() {
  std::uint64_t h = answers_;
  const auto add = [&](std::uint64_t x) { h = mix(h ^ x); };
  for (const DiskStep& step : sim.files.journal()) {
    add(step.number);
    add(static_cast<std::uint64_t>(step.op));
    for (const char c : step.path) add(static_cast<unsigned char>(c));
    add(step.offset);
    add(step.length);
  }
  add(sim.executor.tasks_run());
  add(static_cast<std::uint64_t>(sim.clock.monotonic().time_since_epoch().count()));
  add(static_cast<std::uint64_t>(sim.clock.wall().time_since_epoch().count()));
  return h;
}

}  // namespace tidemill
