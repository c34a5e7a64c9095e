#pragma once

#include <string>
#include <vector>

#include "consumers/derived/derived_streams.h"
#include "tests/engine/engine_world.h"

namespace tidemill {

// An engine with derived streams on a simulated disk, spoken to in a small language.
class DerivedWorld : public EngineWorld {
 public:
  explicit DerivedWorld(std::uint64_t seed = 1, Logger& logger = null_logger()) : EngineWorld(seed, logger) {}
  ~DerivedWorld() { power_off(); }

  ErrorCode try_start() {
    if (const auto error = try_open()) return error;
    derived = derived::DerivedStreams::open(sim.env, *engine, nullptr);
    return {};
  }
  void start() { ASSERT_EQ(try_start(), ErrorCode()); }
  void stop() {
    close();
    derived.reset();
  }
  void power_cut(const CrashPolicy& policy = {}) {
    power_off();
    sim.files.crash(policy);
  }
  // Pulls the plug: an append that is under way meets a dead disk and ends, for it is its own until it is answered.
  void power_off() {
    sim.power_off();
    sim.executor.run_until_idle();
    engine.reset();
    derived.reset();
    sim.executor.drop_all();
  }

  // Runs a statement. The message of what it was refused for, or nothing.
  std::string run(const std::string& sql, const std::string& tenant = std::string(kDefaultTenant)) {
    const auto done = derived->run(tenant, sql);
    if (!done) return "not a statement about streams";
    if (const auto* error = std::get_if<views::SqlError>(&*done)) return error->message;
    change = std::get<derived::StreamChange>(*done);
    return {};
  }
  void settle() { sim.executor.run_for(std::chrono::seconds(2)); }

  // Every record of a stream: its key and its data.
  std::vector<std::string> records_of(const std::string& name) {
    const auto stream = engine->find(in_default(name));
    std::vector<std::string> out;
    if (!stream) return out;
    Log& log = stream->log();
    for (Sequence at = log.start(); at <= log.durable();) {
      const auto batch = log.read(at, {});
      if (!batch || !batch->lost.empty() || batch->next <= at) {
        ADD_FAILURE() << name << " cannot be read at " << at.value();
        break;
      }
      for (const Record& r : batch->records) out.push_back(std::string(r.key) + " " + std::string(r.data));
      at = batch->next;
    }
    return out;
  }
  SourcePosition position_of(const std::string& name) {
    return derived->status(*engine->find(in_default(name)))->position;
  }

  std::unique_ptr<derived::DerivedStreams> derived;
  derived::StreamChange change;
};

}  // namespace tidemill
