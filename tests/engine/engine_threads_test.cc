#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "engine/engine.h"
#include "tests/support/real_env.h"

// The engine on real threads and a real disk: producers, groups, definitions that come and go, and somebody who always
// asks for the status. For ThreadSanitizer, and that everything arrives.

namespace tidemill {
namespace {

// Sets its signal when it has seen `wanted` records in order.
class Counting final : public Consumer {
 public:
  Counting(std::atomic<std::uint64_t>& seen, std::uint64_t wanted, std::shared_ptr<Signal> all)
      : seen_(seen), wanted_(wanted), all_(std::move(all)) {}

  Result<Position> open() override { return Position(); }
  Result<void> process(const RecordBatch& batch) override {
    for (const Record& r : batch.records) {
      EXPECT_LT(last_, r.sequence);
      EXPECT_EQ(r.data, R"({"n":1})");
      last_ = r.sequence;
    }
    applied_.store(batch.next.value() - 1);
    if (seen_.fetch_add(batch.records.size()) + batch.records.size() == wanted_) all_->set();
    return {};
  }
  Position applied() const override { return Position::through(Sequence(applied_.load())); }
  Position persisted() const override { return applied(); }
  Result<void> close() override { return {}; }

 private:
  std::atomic<std::uint64_t>& seen_;
  const std::uint64_t wanted_;
  const std::shared_ptr<Signal> all_;
  Sequence last_;
  std::atomic<std::uint64_t> applied_{0};
};

struct CountingShards final : ShardedConsumer {
  CountingShards(std::uint64_t w, std::shared_ptr<Signal> a) : wanted(w), all(std::move(a)) {}
  Result<void> open() override { return {}; }
  Result<std::unique_ptr<Consumer>> open_shard(const ShardDefinition&) override {
    return std::unique_ptr<Consumer>(new Counting(seen, wanted, all));
  }
  Result<void> close() override { return {}; }
  std::atomic<std::uint64_t> seen{0};
  const std::uint64_t wanted;
  const std::shared_ptr<Signal> all;
};

// Sends one after the other, on a thread of its own.
class Producer final : public AppendSink {
 public:
  Producer(Env& env, Stream& stream, int number) : env_(env), stream_(stream), key_("key" + std::to_string(number)) {}
  void send(int n) {
    for (int i = 0; i < n; ++i) {
      NewRecord record;
      record.key = key_;
      record.hash = hash_key(key_);
      record.data = R"({"n":1})";
      Append append;
      append.records = {&record, 1};
      append.sink = this;
      answered_ = env_.flush.make_signal();
      const auto mine = answered_;
      stream_.log().append(&append);
      mine->wait();
      EXPECT_FALSE(append.error) << append.error.message();
    }
  }
  void appended(Append*) noexcept override {
    const auto signal = answered_;  // the next append replaces it
    signal->set();
  }

 private:
  Env& env_;
  Stream& stream_;
  const std::string key_;
  std::shared_ptr<Signal> answered_;
};

TEST(EngineThreads, ProducersGroupsAndChangesAtOnce) {
  constexpr int kProducers = 4;
  constexpr int kEach = 200;
  RealEnv real;
  Engine::Options options;
  options.data = real.directory / "data";
  options.log.segment_bytes_first = 64 << 10;
  auto opened = Engine::open(real.env, options);
  ASSERT_TRUE(opened) << opened.error().message();
  Engine& engine = **opened;
  StreamDefinition definition;
  definition.name = "s";
  const auto stream = engine.create(definition, 8);
  ASSERT_TRUE(stream);

  const std::uint64_t wanted = std::uint64_t{kProducers} * kEach;
  std::atomic<std::uint64_t> seen{0};
  const auto all = real.background.make_signal();
  const auto all_sharded = real.background.make_signal();
  ASSERT_TRUE(engine.groups().add("s:whole", *stream, std::make_shared<Counting>(seen, wanted, all)));
  ASSERT_TRUE(engine.groups().add("s:shards", *stream, std::make_shared<CountingShards>(wanted, all_sharded)));

  std::vector<std::thread> threads;
  for (int i = 0; i < kProducers; ++i) threads.emplace_back([&, i] { Producer(real.env, **stream, i).send(kEach); });
  std::atomic<bool> stop{false};
  threads.emplace_back([&] {
    for (int i = 0; i < 10; ++i) {
      StreamDefinition other;
      other.name = "other" + std::to_string(i % 2);
      const auto made = engine.create(other, 1);
      EXPECT_TRUE(made) << made.error().message();
      EXPECT_TRUE(engine.remove(other.qualified_name()));
    }
  });
  threads.emplace_back([&] {
    while (!stop.load()) {
      for (const GroupStatus& status : engine.groups().list()) EXPECT_LE(status.applied.sequence().value(), wanted);
      engine.list();
      std::this_thread::yield();
    }
  });
  all->wait();
  all_sharded->wait();
  stop.store(true);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ((*stream)->log().durable(), Sequence(wanted));
  EXPECT_TRUE(engine.close());
}

}  // namespace
}  // namespace tidemill
