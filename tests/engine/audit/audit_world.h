#pragma once

#include <gmock/gmock.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "engine/audit/audit_trail.h"
#include "engine/audit/chain_verifier.h"
#include "storage/log/verify_log.h"
#include "tests/engine/engine_world.h"

namespace tidemill {

// An engine on a simulated disk with an audit trail, and what stands in its log.
struct AuditWorld : ::testing::Test {
  static constexpr KeyId kTill{0x1234567812345678};
  static constexpr KeyId kBoard{0x8765432187654321};
  EngineWorld world;
  AuditTrail::Options options;
  std::unique_ptr<AuditTrail> audit;

  void SetUp() override {
    world.open();
    begin();
  }
  void TearDown() override { end(); }
  void begin() { audit = AuditTrail::open(world.sim.env, *world.engine, options); }
  void end() {
    if (audit) audit->close();
    audit.reset();
  }
  void pass(std::chrono::nanoseconds time) { world.sim.executor.run_for(time); }

  static AuditRequest request(std::optional<KeyId> key, std::string_view address = "10.0.0.1",
                              std::string_view name = "retail") {
    return {key, key ? "default" : "", "POST", "ingest", name, address};
  }
  std::vector<nlohmann::json> events() {
    std::vector<nlohmann::json> out;
    const auto log = audit->log();
    if (!log) return out;
    for (Sequence from = log->start(); from <= log->durable();) {
      const auto batch = log->read(from, {});
      EXPECT_TRUE(batch);
      if (!batch) return out;
      for (const Record& r : batch->records) {
        nlohmann::json json = nlohmann::json::parse(r.data, nullptr, false);
        EXPECT_TRUE(json.is_object()) << r.data;
        json["action"] = std::string(r.key);
        out.push_back(std::move(json));
      }
      from = batch->next;
    }
    return out;
  }
  std::uint64_t requests(const std::string& of) {
    std::uint64_t n = 0;
    for (const nlohmann::json& e : events())
      if (e["action"] == of || (e["action"] == "audit.summed" && e["of"] == of)) n += e["count"].get<std::uint64_t>();
    return n;
  }
  std::uint64_t breaks() {
    std::vector<Finding> found;
    const FindingSink sink = [&](const Finding& f) {
      if (f.grade == Finding::Grade::damage) found.push_back(f);
    };
    ChainVerifier chain({"_audit", false, {audit->head()}}, sink);
    VerifyLogOptions how;
    how.visitor = &chain;
    how.cut = audit->log()->cut();
    EXPECT_TRUE(verify_log(world.sim.files, "/data/streams/" + std::to_string(kAuditStream.value()), how, sink));
    const auto verified = chain.finish("");
    EXPECT_THAT(found, ::testing::IsEmpty()) << found[0].text;
    EXPECT_EQ(verified.head, audit->head());
    return verified.breaks;
  }
};

}  // namespace tidemill
