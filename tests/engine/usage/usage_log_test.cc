// What keys used is noted in a stream of each tenant: it survives what appends survive, is found by time, and nobody
// else touches it.
#include "engine/usage/usage_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/keys/keys.h"
#include "engine/usage/usage_record.h"
#include "storage/log/pond.h"
#include "tests/engine/engine_world.h"
#include "tests/support/capture_logger.h"

namespace tidemill {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::string_view kExample =
    R"({"key":"0000000000g25","hour":"2026-01-02T03:00:00Z","requests":3,"records":40,"bytes":1234,"refused":1})";

QualifiedName usage_of(const std::string& tenant) {
  return {tenant, std::string(kUsageStream)};
}

class UsageWorld : public EngineWorld {
 public:
  explicit UsageWorld(std::uint64_t seed = 1, Logger& logger = null_logger()) : EngineWorld(seed, logger) {}
  void start() {
    open();
    usage = *UsageLog::open(sim.env, *engine);
  }
  WallTime hour() { return std::chrono::floor<std::chrono::hours>(sim.clock.wall()); }
  UsageDelta delta(std::uint64_t key, std::uint64_t requests = 1, const std::string& tenant = "default") {
    return {tenant, KeyId{key}, hour(), {requests, requests * 10, requests * 100, 0}};
  }
  // Requests by tenant and key; and what read() said.
  std::map<std::pair<std::string, std::uint64_t>, std::uint64_t> requests(WallTime since = {}) {
    std::map<std::pair<std::string, std::uint64_t>, std::uint64_t> sums;
    pieces = 0;
    said = usage->read(since, of, [&](const UsageDelta& d) {
      ++pieces;
      sums[{d.tenant, d.key.value}] += d.counts.requests;
    });
    return sums;
  }
  Log& log(const std::string& tenant = "default") { return engine->find(usage_of(tenant))->log(); }

  std::unique_ptr<UsageLog> usage;
  std::string of;  // whose is read; empty: all
  std::size_t pieces = 0;
  Result<void> said;
};

TEST(UsageRecord, IsWhatThePageShows) {
  UsageDelta delta{"acme", KeyId{0x4045}, *parse_rfc3339("2026-01-02T03:00:00Z"), {3, 40, 1234, 1}};
  std::string text;
  encode_usage(text, delta);
  EXPECT_EQ(text, kExample);
  const auto read = UsageReader().read(text);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->key, delta.key);
  EXPECT_EQ(read->hour, delta.hour);
  EXPECT_EQ(read->counts.requests, 3u);
  EXPECT_EQ(read->counts.records, 40u);
  EXPECT_EQ(read->counts.bytes, 1234u);
  EXPECT_EQ(read->counts.refused, 1u);
}

TEST(UsageRecord, AnHourIsCutToItsBeginning) {
  std::string text;
  encode_usage(text, {"", KeyId{1}, *parse_rfc3339("2026-01-02T03:59:59.999Z"), {}});
  EXPECT_THAT(text, HasSubstr("\"2026-01-02T03:00:00Z\""));
}

TEST(UsageRecord, WhatIsMissingOrWrongIsNotRead) {
  UsageReader reader;
  ASSERT_TRUE(reader.read(kExample));
  const auto with = [](std::string_view what, std::string_view instead) {
    std::string text(kExample);
    return text.replace(text.find(what), what.size(), instead);
  };
  for (const auto& text :
       {std::string(), std::string("{}"), std::string("[]"), std::string("{\"key\""), with("0000000000g25", "nobody"),
        with("03:00:00Z", "03:00:01Z"), with("2026-01-02T03:00:00Z", "now"), with("\"requests\":3,", ""),
        with("\"records\":40", "\"records\":-40"), with("\"bytes\":1234", "\"bytes\":\"1234\""),
        with(",\"refused\":1", "")})
    EXPECT_FALSE(reader.read(text)) << text;
  EXPECT_TRUE(reader.read(with("{\"key\"", "{\"new\":[1],\"key\""))) << "a later version may add";
}

TEST(UsageLog, TheFirstUsageMakesTheTenantsStream) {
  UsageWorld w;
  w.start();
  EXPECT_TRUE(w.requests().empty());
  EXPECT_TRUE(w.engine->list().empty());
  ASSERT_TRUE(w.usage->append({w.delta(1, 2, "acme")}));
  ASSERT_EQ(w.engine->list().size(), 1u);
  const auto stream = w.engine->find(usage_of("acme"));
  ASSERT_TRUE(stream);
  EXPECT_FALSE(stream->definition().archive.enabled);
  EXPECT_EQ(stream->definition().retention.age, kUsageAge);
  EXPECT_FALSE(stream->definition().retention.size_bytes) << "a size would lose a month's quota";
  EXPECT_EQ(stream->definition().shards.size(), 1u);
  const auto batch = stream->log().read(Sequence(1), {});
  ASSERT_EQ(batch->records.size(), 1u);
  EXPECT_EQ(batch->records[0].key, to_text(KeyId{1})) << "the partition key";
}

TEST(UsageLog, WhatWasNotedIsReadBackOverStarts) {
  UsageWorld w;
  w.start();
  ASSERT_TRUE(w.usage->append({w.delta(1, 2), w.delta(2, 3), w.delta(1, 5, "acme")}));
  ASSERT_TRUE(w.usage->append({w.delta(1, 4), w.delta(7, 6, "acme")}));
  ASSERT_TRUE(w.usage->append({}));
  const decltype(w.requests()) wanted{{{"default", 1}, 6}, {{"default", 2}, 3}, {{"acme", 1}, 5}, {{"acme", 7}, 6}};
  EXPECT_EQ(w.requests(), wanted);
  w.of = "acme";
  EXPECT_EQ(w.requests(), (decltype(wanted){{{"acme", 1}, 5}, {{"acme", 7}, 6}}));
  w.of.clear();
  EXPECT_EQ(w.usage->noted().at("default").requests, 9u);
  EXPECT_EQ(w.usage->noted().at("acme").bytes, 1100u);
  for (const bool killed : {false, true}) {
    w.usage.reset();
    killed ? w.kill() : w.close();
    w.start();
    EXPECT_EQ(w.requests(), wanted);
    EXPECT_TRUE(w.said);
    EXPECT_TRUE(w.usage->noted().empty());
  }
}

TEST(UsageLog, ManyDeltasAreFewCommits) {
  UsageWorld w;
  w.start();
  std::vector<UsageDelta> many;
  for (std::uint64_t i = 0; i < 10'000; ++i) many.push_back(w.delta(i));
  ASSERT_TRUE(w.usage->append(many));
  EXPECT_EQ(w.log().metrics().commits.value(), 3u);
  EXPECT_EQ(w.requests().size(), 10'000u);
}

// A hundred days of hours; the last day is read without a look at the rest.
TEST(UsageLog, ReadLooksForTheTime) {
  UsageWorld w;
  w.start();
  for (int hour = 0; hour < 2'400; ++hour) {
    ASSERT_TRUE(w.usage->append({w.delta(1), w.delta(2)}));
    w.sim.clock.advance(1h);
  }
  w.usage.reset();
  w.close();
  w.start();
  const std::uint64_t before = w.log().metrics().lanes_decoded.value();
  const auto last = w.requests(w.hour() - 24h);
  EXPECT_EQ(w.pieces, 48u);
  EXPECT_EQ(last.at({"default", 1}), 24u);
  EXPECT_LT(w.log().metrics().lanes_decoded.value() - before, 60u);
  EXPECT_EQ(w.requests(w.hour()).size(), 0u);
  EXPECT_EQ(w.requests().at({"default", 2}), 2'400u);
}

// A count of three o'clock that reaches the disk when the clock says half past two again.
TEST(UsageLog, AClockThatIsSetBackLosesNoCount) {
  UsageWorld w;
  w.start();
  const UsageDelta counted = w.delta(1);
  w.sim.clock.jump_wall(-30min);
  ASSERT_TRUE(w.usage->append({counted}));
  EXPECT_EQ(w.requests(counted.hour).size(), 1u);
}

TEST(UsageLog, WaitsWhileMemoryForAppendsIsTaken) {
  UsageWorld w;
  w.options.log.pond = std::make_shared<Pond>(Pond::Options{.in_flight_bytes_max = 64 << 10});
  w.start();
  ASSERT_TRUE(w.usage->append({w.delta(1)}));
  const auto other = w.create("other");
  ASSERT_TRUE(w.options.log.pond->in_flight.take(0, 64 << 10, w.sim.clock.monotonic()));
  w.sim.executor.post_after(1s, [&] { w.options.log.pond->in_flight.give_back(64 << 10, w.sim.clock.monotonic()); });
  ASSERT_TRUE(w.usage->append({w.delta(1)}));
  EXPECT_EQ(w.requests().at({"default", 1}), 2u);
}

TEST(UsageLog, OneTenantsFailureIsNotTheOthers) {
  CaptureLogger logger;
  UsageWorld w(1, logger);
  w.start();
  ASSERT_TRUE(w.usage->append({w.delta(1), w.delta(1, 1, "acme")}));
  const std::string id = std::to_string(w.engine->find(usage_of("acme"))->definition().id.value());
  w.sim.files.fail({.op = DiskOp::sync_data, .path_contains = "streams/" + id + "/"});
  EXPECT_TRUE(w.usage->append({w.delta(1), w.delta(1, 1, "acme")}).error() == StorageErrc::flush_failed);
  EXPECT_EQ(w.requests().at({"default", 1}), 2u);
  EXPECT_EQ(logger.count("error: usage is not noted"), 1u);
  EXPECT_EQ(w.usage->noted().at("acme").requests, 1u);
  ASSERT_TRUE(w.usage->append({w.delta(1, 1, "acme")}));
  EXPECT_EQ(logger.count("info: usage is noted again tenant=acme"), 1u);
}

TEST(UsageLog, DamageIsSaidAndTheRestHandedOut) {
  CaptureLogger logger;
  UsageWorld w(1, logger);
  w.start();
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(w.usage->append({w.delta(1), w.delta(1, 1, "acme")}));
  const std::string directory = w.engine->directory().stream(w.engine->find(usage_of("acme"))->definition().id);
  w.usage.reset();
  w.close();
  std::string segment;
  for (const auto& entry : *w.sim.files.list(directory))
    if (entry.name.ends_with(".seg") && (segment.empty() || entry.name < segment)) segment = entry.name;
  ASSERT_FALSE(segment.empty());
  ASSERT_TRUE(w.sim.files.flip_bit(directory + "/" + segment, 4096 * 5 + 100, 2));
  w.start();
  const auto sums = w.requests();
  EXPECT_TRUE(w.said.error() == StorageErrc::damaged);
  EXPECT_EQ(sums.at({"default", 1}), 100u);
  EXPECT_EQ(sums.at({"acme", 1}), 99u);
  EXPECT_EQ(logger.count("noted usage cannot be read"), 1u);
  for (const auto& line : logger.lines())
    if (line.find("noted usage cannot be read") != std::string::npos) {
      EXPECT_THAT(line, HasSubstr("stream=acme/_usage"));
    }
}

TEST(UsageLog, ARecordOfAnotherKindIsDamage) {
  UsageWorld w;
  w.start();
  ASSERT_TRUE(w.usage->append({w.delta(1)}));
  ASSERT_TRUE(w.put(*w.engine->find(usage_of("default")), "k", R"({"key":"k"})").ok());
  EXPECT_EQ(w.requests().size(), 1u);
  EXPECT_TRUE(w.said.error() == StorageErrc::damaged);
}

// Nobody but the server has such a stream, whatever it is called; one that is there is opened again, for it may be a
// later version's.
TEST(ReservedStreams, AreNobodyElses) {
  UsageWorld w;
  w.start();
  ASSERT_TRUE(w.usage->append({w.delta(1)}));
  EXPECT_TRUE(w.create("_usage").error() == EngineErrc::invalid_name);
  EXPECT_TRUE(w.create("_mine").error() == EngineErrc::invalid_name);
  StreamDefinition plain;
  plain.name = "plain";
  EXPECT_TRUE(w.engine->create_reserved(plain, 1).error() == EngineErrc::invalid_name);
  const QualifiedName ours = usage_of("default");
  StreamDefinition changed = w.engine->find(ours)->definition();
  changed.retention.age = 1h;
  EXPECT_TRUE(w.engine->change(changed).error() == EngineErrc::reserved_stream);
  EXPECT_TRUE(w.engine->remove(ours).error() == EngineErrc::reserved_stream);
  EXPECT_TRUE(w.engine->split(ours, ShardId(0)).error() == EngineErrc::reserved_stream);
  EXPECT_TRUE(w.engine->merge(ours, ShardId(0), ShardId(1)).error() == EngineErrc::reserved_stream);
  StreamDefinition later;
  later.name = "_later";
  ASSERT_TRUE(w.engine->create_reserved(later, 1));
  EXPECT_TRUE(w.engine->create_reserved(later, 1).error() == EngineErrc::stream_exists);
  w.usage.reset();
  w.close();
  w.start();
  EXPECT_THAT(w.names(), ElementsAre("_later", "_usage"));
  EXPECT_EQ(w.engine->find(ours)->definition().retention.age, kUsageAge);
  EXPECT_EQ(w.requests().size(), 1u);
}

// The power goes at every step of a first and a second noting in two tenants; kills likewise.
class UsageCrash : public ::testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Ends, UsageCrash, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "Kill" : "PowerCut"; });

TEST_P(UsageCrash, NothingDurableIsLostNorCountedTwice) {
  std::uint64_t cut = 1;
  for (bool done = false; !done; ++cut) {
    UsageWorld w(cut);
    w.open();
    w.usage = *UsageLog::open(w.sim.env, *w.engine);
    const std::uint64_t at = w.sim.files.steps() + cut;
    GetParam() ? w.sim.files.kill_at_step(at) : w.sim.files.cut_at_step(at);
    std::uint64_t sure = 0;
    std::uint64_t given = 0;
    for (done = true; done && given < 3;) {
      done = bool(w.usage->append({w.delta(1), w.delta(2, 1, "acme")}));
      ++given;
      if (done) sure = given;
    }
    w.usage.reset();
    GetParam() ? w.kill() : w.crash();
    SCOPED_TRACE("at step " + std::to_string(cut));
    w.start();
    if (HasFatalFailure()) return;
    auto sums = w.requests();
    ASSERT_TRUE(w.said);
    for (const auto& key : {std::pair<std::string, std::uint64_t>("default", 1), {"acme", 2}}) {
      EXPECT_GE(sums[key], sure);
      EXPECT_LE(sums[key], given);
    }
    ASSERT_TRUE(w.usage->append({w.delta(1)}));
    if (HasFailure()) return;
    ASSERT_LT(cut, 5'000u);
  }
  EXPECT_GT(cut, 10u);
}

}  // namespace
}  // namespace tidemill
