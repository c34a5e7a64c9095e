#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "storage/base/errors.h"
#include "tests/support/sim_env.h"

namespace tidemill {

// One record on its way: owns its bytes, is its own sink.
struct OneRecord final : AppendSink {
  Append append;
  NewRecord record;
  std::string key;
  std::string data;
  bool answered = false;

  OneRecord(std::string k, std::string d, WallTime now) : key(std::move(k)), data(std::move(d)) {
    record.key = key;
    record.hash = hash_key(key);
    record.data = data;
    record.arrival = now;
    append.records = {&record, 1};
    append.sink = this;
  }
  void appended(Append* done) noexcept override {
    for (Append* next = nullptr; done != nullptr; done = next) {
      next = done->next_done;
      static_cast<OneRecord*>(done->sink)->answered = true;
    }
  }
  bool ok() const { return answered && !append.error; }
};

// An engine in a data directory on a simulated disk, spoken to in a small language.
class EngineWorld {
 public:
  explicit EngineWorld(std::uint64_t seed = 1, Logger& logger = null_logger()) : sim(seed, logger) {
    options.data = "/data";
    options.log.segment_bytes_first = 32 << 10;
    options.log.segment_bytes_max = 128 << 10;
    options.log.tail_cache_bytes = 64 << 10;
  }
  ~EngineWorld() {
    sim.power_off();
    engine.reset();
    sim.executor.drop_all();
  }

  ErrorCode try_open() {
    auto opened = Engine::open(sim.env, options);
    if (!opened) return opened.error();
    engine = std::move(*opened);
    return {};
  }
  void open() { ASSERT_EQ(try_open(), ErrorCode()); }
  void close() {
    ASSERT_TRUE(engine->close());
    engine.reset();
    sim.executor.run_until_idle();
    sim.executor.drop_all();
  }
  // kill -9.
  void kill() {
    sim.files.kill();
    engine.reset();
    sim.executor.drop_all();
  }
  // The power goes.
  void crash(const CrashPolicy& policy = {}) {
    sim.power_off();
    engine.reset();
    sim.executor.drop_all();
    sim.files.crash(policy);
  }
  void restart() {
    close();
    open();
  }

  Result<std::shared_ptr<Stream>> create(const std::string& name, std::uint32_t shards = 4) {
    StreamDefinition definition;
    definition.name = name;
    definition.partition_key = "id";
    return engine->create(std::move(definition), shards);
  }
  // Waits for the answer.
  OneRecord& put(Stream& stream, const std::string& key, const std::string& data = "{}") {
    OneRecord& one = *records.emplace_back(std::make_unique<OneRecord>(key, data, sim.clock.wall()));
    stream.log().append(&one.append);
    sim.executor.run_until([&] { return one.answered; });
    return one;
  }
  std::vector<std::string> names() const {
    std::vector<std::string> all;
    for (const auto& stream : engine->list()) all.push_back(stream->name());
    return all;
  }

  SimEnv sim;
  Engine::Options options;
  std::deque<std::unique_ptr<OneRecord>> records;  // outlive the log
  std::unique_ptr<Engine> engine;
};

}  // namespace tidemill
