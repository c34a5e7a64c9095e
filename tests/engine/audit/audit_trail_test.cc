#include "engine/audit/audit_trail.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "engine/data_reader.h"
#include "tests/engine/audit/audit_world.h"

namespace tidemill {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Json = nlohmann::json;
using namespace std::chrono_literals;

TEST_F(AuditWorld, NothingIsMadeWhereThereIsNothingToSay) {
  pass(10min);
  EXPECT_EQ(audit->log(), nullptr);
  EXPECT_EQ(world.engine->cut().streams.size(), 1u);
  audit->flush();
  EXPECT_EQ(audit->log(), nullptr);
}

TEST_F(AuditWorld, TheFirstUseOfAKeyIsAnEventAndTheRestOfTheHourAnother) {
  audit->accepted(request(kTill));
  EXPECT_THAT(events(), IsEmpty());
  pass(2s);
  ASSERT_EQ(events().size(), 1u);
  EXPECT_EQ(events()[0], (Json{{"action", "auth.accepted"},
                               {"key", to_text(kTill)},
                               {"tenant", "default"},
                               {"address", "10.0.0.1"},
                               {"count", 1}}));
  for (int i = 0; i < 1'000; ++i) audit->accepted(request(kTill));
  pass(10min);
  EXPECT_EQ(events().size(), 1u);
  audit->accepted(request(kTill, "10.0.0.2"));  // from elsewhere
  audit->accepted(request(kBoard));
  pass(2s);
  EXPECT_EQ(events().size(), 3u);
  pass(1h);
  ASSERT_EQ(events().size(), 4u);
  EXPECT_EQ(events()[3]["count"], 1'000);
  EXPECT_EQ(events()[3]["key"], to_text(kTill));
  EXPECT_TRUE(events()[3].contains("first"));
  // Another hour: its first use is said again.
  audit->accepted(request(kTill));
  pass(2s);
  EXPECT_EQ(events().size(), 5u);
  EXPECT_EQ(requests("auth.accepted"), 1'004u);
  EXPECT_EQ(breaks(), 0u);
}

TEST_F(AuditWorld, DenialsSayWhoWhatAndWhy) {
  audit->denied(request(kBoard), "forbidden", "stream:retail:write");
  audit->denied(request({}, "10.0.0.9"), "no_key", {});
  audit->denied(request({}, "10.0.0.9"), "no_key", {});
  audit->asked({kTill, "default", "DELETE", "stream_delete", "retail", "10.0.0.1"});
  audit->ended({kTill, "default", "GET", "records", "retail", "10.0.0.1"}, "revoked");
  pass(2s);
  const auto all = events();
  ASSERT_EQ(all.size(), 4u);
  EXPECT_THAT(all, Contains(Json{{"action", "auth.ended"},
                                 {"reason", "revoked"},
                                 {"key", to_text(kTill)},
                                 {"tenant", "default"},
                                 {"method", "GET"},
                                 {"route", "records"},
                                 {"name", "retail"},
                                 {"address", "10.0.0.1"},
                                 {"count", 1}}));
  EXPECT_THAT(all, Contains(Json{{"action", "auth.denied"},
                                 {"reason", "forbidden"},
                                 {"needs", "stream:retail:write"},
                                 {"key", to_text(kBoard)},
                                 {"tenant", "default"},
                                 {"method", "POST"},
                                 {"route", "ingest"},
                                 {"name", "retail"},
                                 {"address", "10.0.0.1"},
                                 {"count", 1}}));
  EXPECT_THAT(all, Contains(Json{{"action", "change.asked"},
                                 {"key", to_text(kTill)},
                                 {"tenant", "default"},
                                 {"method", "DELETE"},
                                 {"route", "stream_delete"},
                                 {"name", "retail"},
                                 {"address", "10.0.0.1"},
                                 {"count", 1}}));
  EXPECT_EQ(requests("auth.denied"), 3u);
}

// What a stranger chose is cut off, and has nothing in it that a terminal or a reader of lines would take for more.
TEST_F(AuditWorld, TextOfOthersIsBoundedAndPlain) {
  const std::string name = "a\n\x1b[31m\"\\\xff" + std::string(100'000, 'x');
  audit->denied(request(kTill, "10.0.0.1", name), "forbidden", "stream:" + name + ":read");
  pass(2s);
  ASSERT_EQ(events().size(), 1u);
  const std::string said = events()[0]["name"];
  EXPECT_LT(said.size(), 210u);
  EXPECT_THAT(said, ::testing::StartsWith("a??[31m\"\\?xxx"));
  EXPECT_LT(events()[0]["needs"].get<std::string>().size(), 210u);
}

// A flood is summed; nothing of it goes uncounted, and the log says that it was one.
TEST_F(AuditWorld, AFloodIsSummedAndNothingGoesUncounted) {
  std::uint64_t sent = 0;
  for (int second = 0; second < 10; ++second) {
    for (int i = 0; i < 5'000; ++i, ++sent)
      audit->denied(request({}, "10.0." + std::to_string(i % 250) + "." + std::to_string(i % 7)),
                    i % 3 == 0 ? "unknown" : "no_key", {});
    pass(1s);
  }
  pass(2s);
  EXPECT_EQ(requests("auth.denied"), sent);
  EXPECT_LE(events().size(), 11 * (AuditGather::kDeniedMax + 2));
  bool said = false;
  for (const Json& e : events())
    if (e["action"] == "audit.summed")
      said |= e["text"].get<std::string>().find("more of auth.denied") != std::string::npos;
  EXPECT_TRUE(said);
  EXPECT_GT(audit->metrics().summed.value(), 0u);
  EXPECT_EQ(audit->metrics().lost.value(), 0u);
  EXPECT_EQ(breaks(), 0u);
}

TEST_F(AuditWorld, ManyKeysAndAddressesAreBoundedToo) {
  for (std::uint64_t i = 0; i < 30'000; ++i) audit->accepted(request(KeyId{i}));
  for (int i = 0; i < 500; ++i) audit->asked(request(kTill, "10.0.0.1", "name" + std::to_string(i)));
  pass(2s);
  EXPECT_EQ(requests("auth.accepted"), 30'000u);
  EXPECT_EQ(requests("change.asked"), 500u);
  EXPECT_LE(events().size(), 8 * AuditGather::kKeysMax + AuditGather::kAskedMax + 3);
}

// The disk fails for a while: nobody waits, and it is said how much is missing.
TEST_F(AuditWorld, WhatCouldNotBeWrittenIsCountedAndSaid) {
  audit->denied(request(kTill), "forbidden", "server:admin");
  pass(2s);
  ASSERT_EQ(events().size(), 1u);
  world.sim.files.set_capacity(1);
  for (int i = 0; i < 40; ++i) {  // until the segment that there is is full
    for (int k = 0; k < 30; ++k)
      audit->denied(request(kTill, "10.0.0." + std::to_string(k)), "forbidden", std::string(200, 'n'));
    pass(1s);
  }
  const std::uint64_t lost = audit->metrics().lost.value();
  EXPECT_GT(lost, 0u);
  EXPECT_GT(audit->metrics().failures.value(), 0u);
  world.sim.files.set_capacity(1ull << 40);
  audit->denied(request(kTill), "forbidden", "server:admin");
  pass(3s);
  EXPECT_EQ(audit->metrics().lost.value(), lost);
  EXPECT_EQ(requests("audit.lost"), lost);
  EXPECT_EQ(requests("auth.denied") + lost, 40u * 30 + 2);
  EXPECT_EQ(breaks(), 0u);
}

TEST_F(AuditWorld, TheTrailAndItsChainGoOnAfterStopsAndCrashes) {
  for (int life = 0; life < 6; ++life) {
    audit->denied(request(kTill, "10.0.0." + std::to_string(life)), "forbidden", "server:admin");
    audit->accepted(request(kTill));
    if (life % 2 == 0) {
      end();
      world.close();
    } else {
      audit->flush();
      audit->denied(request(kTill, "10.1.0.0"), "forbidden", "never flushed");
      world.sim.power_off();
      end();
      world.crash();
    }
    world.open();
    begin();
    ASSERT_NE(audit->log(), nullptr);
    EXPECT_EQ(audit->head().sequence, audit->log()->durable());
    EXPECT_EQ(breaks(), 0u);
  }
  EXPECT_GE(requests("auth.denied"), 6u);
  EXPECT_EQ(world.engine->cut().streams.back().name, "_audit");
}

TEST_F(AuditWorld, RetentionTakesTheOldestAndTheChainHolds) {
  end();
  options.keep_bytes = 200 << 10;
  begin();
  for (int i = 0; i < 400; ++i) {
    for (int k = 0; k < 20; ++k)
      audit->denied(request(kTill, "10.0.0." + std::to_string(k)), "forbidden", std::string(150, 'n'));
    pass(2s);
  }
  EXPECT_GT(audit->log()->start(), Sequence(1));
  EXPECT_LE(audit->log()->status().bytes, 600u << 10);
  EXPECT_EQ(breaks(), 0u);
  end();
  world.restart();
  begin();
  EXPECT_EQ(breaks(), 0u);
}

TEST_F(AuditWorld, AClockSetForwardDoesNotTakeTheTrailAway) {
  end();
  options.keep_bytes = 0;
  options.keep_age = 24h;
  begin();
  const auto fill = [&] {
    for (int i = 0; i < 60; ++i) {
      for (int k = 0; k < 20; ++k)
        audit->denied(request(kTill, "10.0.0." + std::to_string(k)), "forbidden", std::string(150, 'n'));
      pass(2s);
    }
  };
  fill();
  world.sim.clock.jump_wall(std::chrono::hours(48));
  fill();
  EXPECT_EQ(audit->log()->start(), Sequence(1));
  pass(50h);
  EXPECT_EQ(audit->log()->start(), Sequence(1));
  end();  // whoever starts again takes the clock as it is
  world.restart();
  begin();
  fill();
  pass(25h);
  EXPECT_GT(audit->log()->start(), Sequence(1));
}

// Who floods from outside, or from another tenant, does not hide what a key does.
TEST_F(AuditWorld, AFloodHidesNoOtherTenant) {
  const auto of_acme = [](std::string_view name) {
    return AuditRequest{kBoard, "acme", "DELETE", "stream_delete", name, "10.0.0.9"};
  };
  for (std::size_t i = 0; i < 2 * AuditGather::kDeniedMax; ++i)
    audit->denied(request({}, "10.0.0." + std::to_string(i)), "no_key", {});
  for (std::size_t i = 0; i < 2 * AuditGather::kAskedMax; ++i)
    audit->asked(request(kTill, "10.0.0.1", "n" + std::to_string(i)));
  for (int i = 0; i < 6; ++i) {
    const std::string name = "orders" + std::to_string(i);
    audit->denied(of_acme(name), "forbidden", "stream:orders:admin");
    audit->asked(of_acme(name));
  }
  audit->flush();
  std::size_t denied = 0, asked = 0, others = 0;
  for (const Json& e : events()) {
    const bool acme = e.value("tenant", "") == "acme";
    denied += acme && e["action"] == "auth.denied";
    asked += acme && e["action"] == "change.asked";
    others += !acme && e["action"] != "audit.summed";
  }
  EXPECT_EQ(denied, 6u);
  EXPECT_EQ(asked, 6u);
  EXPECT_EQ(others, AuditGather::kDeniedMax + AuditGather::kAskedMax);
  EXPECT_EQ(requests("auth.denied"), 2 * AuditGather::kDeniedMax + 6);
  EXPECT_EQ(requests("change.asked"), 2 * AuditGather::kAskedMax + 6);
}

// Of many tenants that flood at once each has its share, one that comes late as well; what gave way is counted.
TEST_F(AuditWorld, WhereManyTenantsFloodEachHasItsShare) {
  constexpr std::size_t kTenants = 40;
  const auto flood = [&](const std::string& tenant, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
      const std::string name = "n" + std::to_string(i);
      const AuditRequest one{kTill, tenant, "DELETE", "stream_delete", name, "10.0.0.9"};
      audit->denied(one, "forbidden", "stream:" + name + ":admin");
      audit->asked(one);
    }
  };
  for (std::size_t t = 0; t < kTenants; ++t) flood("t" + std::to_string(t), 100);
  flood("late", 5);
  audit->flush();
  std::map<std::string, std::map<std::string, std::size_t>> own;
  std::map<std::string, std::size_t> counted;
  for (const Json& e : events()) {
    ++own[e["action"]][e["tenant"]];
    if (e["tenant"] == "t7") counted[e.value("of", e["action"].get<std::string>())] += e["count"].get<std::size_t>();
  }
  for (const char* action : {"auth.denied", "change.asked"}) {
    EXPECT_EQ(own[action]["late"], 5u);
    std::size_t all = 0;
    for (const auto& [tenant, n] : own[action]) {
      EXPECT_GE(n, tenant == "late" ? 5 : AuditGather::kNotesMax / (kTenants + 1)) << tenant;
      all += n;
    }
    EXPECT_LE(all, AuditGather::kNotesMax);
    EXPECT_EQ(own[action].size(), kTenants + 1);
    EXPECT_EQ(requests(action), kTenants * 100 + 5);
    EXPECT_EQ(counted[action], 100u) << "what was summed says whose it was";
  }
}

// A tenant that comes from more addresses than the hour has room for does not take that from the others.
TEST_F(AuditWorld, AKeyFromEverywhereHidesNoOtherTenant) {
  std::uint64_t sent = 0;
  for (int second = 0; second < 10; ++second) {
    for (int i = 0; i < 1'500; ++i, ++sent)
      audit->accepted(request(kTill, "10." + std::to_string(second) + "." + std::to_string(i)));
    pass(1s);
  }
  const AuditRequest board{kBoard, "acme", "POST", "ingest", "orders", "10.0.0.9"};
  const auto of_acme = [&] {
    std::vector<std::uint64_t> counts;
    for (const Json& e : events())
      if (e["action"] == "auth.accepted" && e["tenant"] == "acme") counts.push_back(e["count"]);
    return counts;
  };
  // In the middle of it: when the second is full, too.
  for (int i = 0; i < 1'500; ++i, ++sent) audit->accepted(request(kTill, "10.77." + std::to_string(i)));
  audit->accepted(board);
  pass(2s);
  EXPECT_THAT(of_acme(), ElementsAre(1u));
  for (int i = 0; i < 20; ++i) audit->accepted(board);
  pass(1h);
  EXPECT_THAT(of_acme(), ElementsAre(1u, 20u));
  // Nothing goes uncounted, and what is summed says whose it is.
  EXPECT_EQ(requests("auth.accepted"), sent + 21);
  std::size_t single = 0;
  for (const Json& e : events()) {
    single += e["action"] == "auth.accepted";
    if (e["action"] == "audit.summed") {
      EXPECT_EQ(e["tenant"], "default");
    }
  }
  EXPECT_LE(single, 4'096u + 3);
}

}  // namespace
}  // namespace tidemill
