#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "engine/limits/limiter.h"
#include "tests/engine/fake_log.h"
#include "tests/support/fake_usage_log.h"
#include "tests/support/sim_env.h"

namespace tidemill {

inline constexpr KeyId kTill{7};
inline constexpr KeyId kBoard{9};
inline const std::string kAcme = "acme";

inline LimitSet limits(std::string_view json) {
  return std::get<LimitSet>(parse_limits(json, true));
}
inline Amounts amounts(std::uint64_t records, std::uint64_t bytes = 0) {
  Amounts a;
  a[Measure::records] = records;
  a[Measure::bytes] = bytes;
  return a;
}
inline LimitOwner key(KeyId id) {
  return {id, {}};
}
inline LimitOwner tenant(std::string name) {
  return {std::nullopt, std::move(name)};
}

// A limiter over logs in memory and a clock that the test moves.
struct LimiterTest : ::testing::Test {
  SimEnv sim;
  std::shared_ptr<FakeLog> log = std::make_shared<FakeLog>(sim.env);
  std::unique_ptr<SystemStream> system = std::make_unique<SystemStream>(sim.env, log);
  FakeUsageLog usage;
  std::uint64_t disk = 0;
  std::uint64_t changes_per_hour = 0;
  std::unique_ptr<Limiter> limiter;

  void SetUp() override { open(); }
  void open() {
    auto opened = Limiter::open(sim.env, *system,
                                {sim.executor, &usage, [this](const std::string&) { return disk; }, changes_per_hour});
    ASSERT_TRUE(opened);
    limiter = std::move(*opened);
  }
  // Another life over the same logs; `crash`: without close().
  void restart(bool crash = false) {
    usage.failing = crash;  // what is written on the way out is not what a crash writes
    limiter->close();
    limiter.reset();
    usage.failing = false;
    sim.executor.drop_all();
    system = std::make_unique<SystemStream>(sim.env, log);
    open();
  }
  std::optional<Refusal> request(KeyId id = kTill, const std::string& of = kAcme) {
    return limiter->admit(id, of, nullptr).refused;
  }
  // What the limiter is asked and told, of a request that was let in just now.
  using MaybeKey = std::optional<KeyId>;
  std::optional<Refusal> foresee(MaybeKey id, const std::string& of, const Amounts& a) {
    return limiter->foresee(id, of, a, sim.clock.monotonic());
  }
  std::optional<Refusal> charge(MaybeKey id, const std::string& of, const Amounts& a) {
    return limiter->charge(id, of, a, sim.clock.monotonic(), nullptr);
  }
  void give_back(MaybeKey id, const std::string& of, const Amounts& a) {
    limiter->give_back(id, of, a, sim.clock.monotonic());
  }
  void replayed(MaybeKey id, const std::string& of, const Amounts& a) {
    limiter->replayed(id, of, a, sim.clock.monotonic());
  }
  std::optional<Refusal> hold(MaybeKey id, const std::string& of, std::shared_ptr<void>& held) {
    return limiter->hold(id, of, held, sim.clock.monotonic());
  }
  std::optional<Refusal> change(MaybeKey id, const std::string& of) {
    return limiter->change(id, of, sim.clock.monotonic());
  }
  std::size_t passing(std::size_t tries, KeyId id = kTill) {
    std::size_t n = 0;
    while (tries-- > 0) n += !request(id);
    return n;
  }
  void set(const LimitOwner& owner, std::string_view json) { ASSERT_TRUE(limiter->set(owner, limits(json), kBoard)); }
};

}  // namespace tidemill
