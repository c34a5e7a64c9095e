#include "engine/audit/chain.h"

#include <gmock/gmock.h>

#include <functional>

#include "engine/audit/chain_verifier.h"
#include "engine/system_stream.h"
#include "storage/log/verify_log.h"
#include "tests/engine/fake_log.h"
#include "tests/support/sim_env.h"

namespace tidemill {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A record that owns its bytes.
struct Event {
  std::string key, headers, data;
  WallTime arrival{};
  Record record(std::uint64_t sequence) const {
    return {Sequence(sequence), hash_key(key), false, ContentType::json, arrival, key, headers, data};
  }
};

// The examples of docs/formats/chain.md; another program computed the hashes.
TEST(Chain, GoldenHashes) {
  const WallTime at = *parse_rfc3339("2026-01-02T03:04:05.000Z");
  const Event first{"stream.creating", link_header({}), R"({"id":1})", at};
  const ChainHash one = chain_hash({}, first.record(1));
  EXPECT_EQ(to_hex(one), "0e3f66b1bc96aca0d660dae1fc7eca7811bb5b9d9408de219002acb677d4b977");
  const Event second{"stream.removed", link_header(one), R"({"id":1})", at + std::chrono::milliseconds(1)};
  EXPECT_EQ(to_hex(chain_hash(one, second.record(2))),
            "0e310349eeeb1018700f7a99e552525eef2e50534e3df2bdb5db7bba3eedecc3");
  const Event old{"stream.creating", "", R"({"id":1})", at};
  EXPECT_EQ(to_hex(chain_hash({}, old.record(1))), "7e840ce248c28caeab8c79fcacab57b4a1e89aafd5d4efec03927b9509647ed3");
}

TEST(Chain, LinkIsFoundAmongOtherHeaders) {
  const ChainHash hash = chain_hash({}, Event{"a", "", "{}", {}}.record(1));
  EXPECT_EQ(link_of(link_header(hash)), hash);
  EXPECT_EQ(link_of(std::string("\x09\x02xy", 4) + link_header(hash)), hash);
  EXPECT_EQ(link_of(""), std::nullopt);
  EXPECT_EQ(link_of("\x01"), std::nullopt);
  EXPECT_EQ(link_of(link_header(hash).substr(0, 20)), std::nullopt);
  EXPECT_EQ(link_of("key\x09\x7f..."), std::nullopt);
  EXPECT_EQ(chain_hash_from_hex(to_hex(hash)), hash);
  EXPECT_EQ(chain_hash_from_hex(to_hex(hash).substr(2)), std::nullopt);
  EXPECT_EQ(chain_hash_from_hex("zz"), std::nullopt);
}

// Every part of a record is in its hash.
TEST(Chain, EveryPartOfARecordCounts) {
  const Event event{"key", "headers", "data", WallTime(std::chrono::milliseconds(5))};
  const Record r = event.record(7);
  const ChainHash hash = chain_hash({}, r);
  const auto other = [&](const std::function<void(Record&)>& change) {
    Record changed = r;
    change(changed);
    return chain_hash({}, changed) != hash;
  };
  EXPECT_TRUE(other([](Record& c) { c.sequence = Sequence(8); }));
  EXPECT_TRUE(other([](Record& c) { c.arrival += std::chrono::milliseconds(1); }));
  EXPECT_TRUE(other([](Record& c) { c.content = ContentType::bytes; }));
  EXPECT_TRUE(other([](Record& c) { c.explicit_hash = true; }));
  EXPECT_TRUE(other([](Record& c) { c.hash.high ^= 1; }));
  EXPECT_TRUE(other([](Record& c) { c.hash.low ^= 1; }));
  EXPECT_TRUE(other([](Record& c) { c.key = "kex"; }));
  EXPECT_TRUE(other([](Record& c) { c.headers = "Headers"; }));
  EXPECT_TRUE(other([](Record& c) { c.data = "date"; }));
  // Where one part ends and the next begins.
  EXPECT_TRUE(other([](Record& c) { c.key = "keyh", c.headers = "eaders"; }));
  EXPECT_NE(chain_hash(hash, r), hash);
}

// The system stream's log on a simulated disk, and somebody who can write its files and knows how to make every
// checksum anew: they write the whole log a second time, with other records, as a log of its own.
struct ChainWorld : ::testing::Test {
  SimEnv sim;
  std::shared_ptr<Log> log;
  std::unique_ptr<SystemStream> system;
  std::vector<Finding> found;
  ChainVerifier::Verified verified;

  void open() {
    LogOptions options;
    options.segment_bytes_first = options.segment_bytes_max = 64 << 10;
    auto opened = Log::open(sim.env, "/log", options);
    ASSERT_TRUE(opened);
    log = *opened;
    system = std::make_unique<SystemStream>(sim.env, log);
    ASSERT_TRUE(system->fold("", [](const SystemStream::Event&) {}));
  }
  void ten() {
    open();
    for (int i = 1; i <= 10; ++i) ASSERT_TRUE(system->append("test.event", R"({"n":)" + std::to_string(i) + "}"));
  }
  std::vector<Event> events() {
    std::vector<Event> out;
    const auto batch = log->read(Sequence(1), {});
    EXPECT_TRUE(batch);
    for (const Record& r : batch->records)
      out.push_back({std::string(r.key), std::string(r.headers), std::string(r.data), r.arrival});
    return out;
  }
  void put(Log& into, const Event& event) {
    struct Sink final : AppendSink {
      void appended(Append*) noexcept override { signal->set(); }
      std::shared_ptr<Signal> signal;
    } sink;
    sink.signal = sim.executor.make_signal();
    NewRecord r;
    r.key = event.key;
    r.hash = hash_key(event.key);
    r.arrival = event.arrival;
    r.headers = event.headers;
    r.data = event.data;
    Append append;
    append.records = {&r, 1};
    append.sink = &sink;
    into.append(&append);
    sink.signal->wait();
    ASSERT_FALSE(append.error);
  }
  // The log as `forged` has it, every checksum right; and what verify says of it.
  void forge(const std::vector<Event>& forged, std::vector<ChainHead> heads = {}) {
    static int next = 0;
    const std::string directory = "/forged" + std::to_string(next++);
    auto opened = Log::open(sim.env, directory, {});
    ASSERT_TRUE(opened);
    for (const Event& e : forged) put(**opened, e);
    (*opened)->close([] {});
    sim.executor.run_for(std::chrono::seconds(1));
    look(directory, std::move(heads));
  }
  void look(const std::string& directory, std::vector<ChainHead> heads = {}) {
    found.clear();
    const FindingSink sink = [this](const Finding& f) { found.push_back(f); };
    ChainVerifier chain({"_system", true, std::move(heads)}, sink);
    VerifyLogOptions options;
    options.visitor = &chain;
    ASSERT_TRUE(verify_log(sim.files, directory, options, sink));
    verified = chain.finish(directory);
  }
  std::vector<std::string> said() const {
    std::vector<std::string> out;
    for (const Finding& f : found)
      out.push_back((f.grade == Finding::Grade::damage ? "damage " : "note ") + f.kind + ": " + f.text);
    return out;
  }
};

TEST_F(ChainWorld, NothingIsSaidOfALogAsItWasWritten) {
  ten();
  const auto head = system->head();
  ASSERT_TRUE(head);
  EXPECT_EQ(head->sequence, Sequence(10));
  forge(events(), {*head});
  EXPECT_THAT(said(), IsEmpty());
  EXPECT_EQ(verified.head, *head);
  EXPECT_EQ(verified.linked, 10u);
}

TEST_F(ChainWorld, AChangedEventIsNamedWithItsPlace) {
  ten();
  for (std::size_t i = 0; i < 9; ++i) {
    auto forged = events();
    forged[i].data[5] = '7' + (i == 6);
    forge(forged);
    ASSERT_THAT(said(), ElementsAre(HasSubstr("damage chain: Event " + std::to_string(i + 1) + " of _system")));
    EXPECT_THAT(found[0].file, HasSubstr(".seg"));
    EXPECT_EQ(found[0].offset, ByteOffset(8192 + 4096 * i));  // one commit each
    // The server sees it when it starts, and goes on.
  }
}

TEST_F(ChainWorld, AChangedTimeOrTypeIsNamed) {
  ten();
  auto forged = events();
  forged[3].arrival += std::chrono::milliseconds(1);
  forge(forged);
  EXPECT_THAT(said(), ElementsAre(HasSubstr("Event 4 of")));
  forged = events();
  forged[3].key = "test.evenT";
  forge(forged);
  EXPECT_THAT(said(), ElementsAre(HasSubstr("Event 4 of")));
}

TEST_F(ChainWorld, ARemovedEventIsNamedByTheOneBefore) {
  ten();
  auto forged = events();
  forged.erase(forged.begin() + 4);  // numbers are made anew, so no hole is left
  forge(forged);
  ASSERT_FALSE(found.empty());
  EXPECT_THAT(said()[0], HasSubstr("damage chain: Event 4 of _system is not the one that event 5 was written after"));
  forged = events();
  forged.erase(forged.begin());
  forge(forged);
  EXPECT_THAT(said()[0], HasSubstr("Event 1 of _system was not the first"));
}

TEST_F(ChainWorld, SwappedAndInsertedEventsAreNamed) {
  ten();
  auto forged = events();
  std::swap(forged[5], forged[6]);  // the sixth and the seventh
  forge(forged);
  ASSERT_FALSE(found.empty());
  EXPECT_THAT(said()[0], HasSubstr("Event 5 of _system is not the one that event 6 was written after"));
  forged = events();
  forged.insert(forged.begin() + 3, forged[3]);
  forge(forged);
  ASSERT_FALSE(found.empty());
  EXPECT_THAT(said()[0], HasSubstr("Event 4 of"));
}

// What no chain can show by itself, a head that was kept elsewhere does.
TEST_F(ChainWorld, ACutTailAndALogMadeAnewAreSeenByTheHeadOnly) {
  ten();
  const ChainHead head = *system->head();
  auto forged = events();
  forged.resize(7);
  forge(forged);
  EXPECT_THAT(said(), IsEmpty());
  forge(forged, {head});
  EXPECT_THAT(said(), ElementsAre(HasSubstr("head that was kept is of event 10")));

  forged = events();
  forged[4].data = R"({"n":55})";
  Chain chain;
  for (std::size_t i = 0; i < forged.size(); ++i) {
    forged[i].headers = link_header(chain.head().hash);
    chain.add(forged[i].record(i + 1));
  }
  forge(forged);
  EXPECT_THAT(said(), IsEmpty());
  forge(forged, {head});
  EXPECT_THAT(said(), ElementsAre(HasSubstr("Event 10 of _system is not the one of the head")));
}

// A directory of before: its events carry no hash, and the first that does has the one of all of them.
TEST_F(ChainWorld, EventsOfBeforeAreAnchoredByTheFirstThatIsChained) {
  auto opened = Log::open(sim.env, "/log", {});
  ASSERT_TRUE(opened);
  for (int i = 1; i <= 4; ++i) put(**opened, {"old.event", "", R"({"n":)" + std::to_string(i) + "}", sim.clock.wall()});
  log = *opened;
  system = std::make_unique<SystemStream>(sim.env, log);
  for (int i = 5; i <= 8; ++i) ASSERT_TRUE(system->append("new.event", "{}"));
  forge(events());
  EXPECT_THAT(said(), IsEmpty());
  EXPECT_EQ(verified.unlinked, 4u);
  EXPECT_EQ(verified.linked, 4u);
  for (std::size_t i = 0; i < 4; ++i) {
    auto forged = events();
    forged[i].data = R"({"n":9})";
    forge(forged);
    ASSERT_THAT(said(), ElementsAre(HasSubstr("damage chain: Event 4 of _system is not the one that event 5")));
  }
  // An older version writes between: noted, and chained all the same by the next.
  put(*log, {"old.event", "", "{}", sim.clock.wall()});
  system = std::make_unique<SystemStream>(sim.env, log);
  ASSERT_TRUE(system->append("new.event", "{}"));
  forge(events());
  EXPECT_THAT(said(), ElementsAre(HasSubstr("note unchained: Events of _system from 9 on")));
  auto forged = events();
  forged[8].data = R"({"x":1})";
  forge(forged);
  EXPECT_THAT(said()[0], HasSubstr("Event 9 of"));
}

// Behind records that cannot be read, those that carry no hash have one that nobody knows: the next that carries one is
// taken at its word, and so is a head that was kept of one of them.
TEST(Chain, WhatHasNoLinkIsNotJudgedBehindWhatIsLost) {
  std::vector<Event> events;
  std::vector<ChainHead> heads;
  Chain chain;
  for (std::uint64_t i = 1; i <= 6; ++i) {
    events.push_back({"old.event", i < 5 ? "" : link_header(chain.head().hash), "{}", {}});
    chain.add(events.back().record(i));
    heads.push_back(chain.head());
  }
  const auto judge = [&](bool changed) {
    std::vector<std::string> damage;
    const FindingSink sink = [&](const Finding& f) { damage.push_back(f.text); };
    ChainVerifier verifier({"_system", true, heads}, sink);
    const auto one = [&](std::uint64_t i) {
      const Record r = events[i - 1].record(i);
      verifier.records({&r, 1});
    };
    one(1);
    verifier.lost(Sequence(2), Sequence(2));
    one(3);
    one(4);
    if (changed) events[4].data = "[]";
    one(5);
    one(6);
    EXPECT_TRUE(verifier.finish("/log").known);
    return damage;
  };
  EXPECT_THAT(judge(false), IsEmpty());
  EXPECT_THAT(judge(true),
              ElementsAre(HasSubstr("Event 5 of _system is not the one of the head"), HasSubstr("1 more")));
  Chain unknown;
  unknown.lost(Sequence(2));
  unknown.add(events[2].record(3));
  EXPECT_FALSE(unknown.begun());
}

// Starts, kills and torn tails make no break.
TEST(ChainCrash, TheChainGoesOnAfterEveryCrash) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SimEnv sim(seed);
    std::uint64_t written = 0;
    for (int life = 0; life < 5; ++life) {
      {
        auto log = Log::open(sim.env, "/log", {});
        ASSERT_TRUE(log);
        SystemStream system(sim.env, *log);
        ASSERT_TRUE(system.fold("", [](const SystemStream::Event&) {}));
        ASSERT_EQ(system.chain_breaks(), 0u);
        for (int i = 0; i < 3; ++i) ASSERT_TRUE(system.append("a", "{}"));
        written = (*log)->durable().value();
        for (int i = 0; i < 3; ++i) system.append_async("b", "{}", {}, [](Result<Sequence>) {});
        sim.executor.run_for(std::chrono::microseconds(seed * 37 % 3'000));
        sim.power_off();
      }
      sim.crash();
    }
    auto log = Log::open(sim.env, "/log", {});
    ASSERT_TRUE(log);
    ASSERT_GE((*log)->durable().value(), written);
    SystemStream system(sim.env, *log);
    ASSERT_TRUE(system.fold("", [](const SystemStream::Event&) {}));
    EXPECT_EQ(system.chain_breaks(), 0u);
    EXPECT_EQ(system.head()->sequence, (*log)->durable());
    std::vector<Finding> found;
    const FindingSink sink = [&](const Finding& f) {
      if (f.grade == Finding::Grade::damage) found.push_back(f);
    };
    ChainVerifier chain({"_system", true, {*system.head()}}, sink);
    VerifyLogOptions options;
    options.visitor = &chain;
    options.cut = (*log)->cut();
    ASSERT_TRUE(verify_log(sim.files, "/log", options, sink));
    EXPECT_EQ(chain.finish("/log").breaks, 0u);
    EXPECT_TRUE(found.empty()) << found[0].text;
  }
}

TEST(ChainFailure, AFailedFlushLeavesNoBreak) {
  SimEnv sim;
  const auto log = std::make_shared<FakeLog>(sim.env);
  {
    SystemStream system(sim.env, log);
    ASSERT_TRUE(system.append("a", "{}"));
    log->fail_flushes(1, StorageErrc::flush_failed);
    EXPECT_FALSE(system.append("b", "{}"));
    ASSERT_TRUE(system.append("c", "{}"));
  }
  SystemStream again(sim.env, log);
  ASSERT_TRUE(again.fold("", [](const SystemStream::Event&) {}));
  EXPECT_EQ(again.chain_breaks(), 0u);
  EXPECT_EQ(again.head()->sequence, Sequence(2));
}

// The server says at its start what verify would, and serves on.
TEST_F(ChainWorld, AStartSaysThatTheStreamWasAltered) {
  ten();
  auto forged = events();
  forged[2].data = R"({"n":33})";
  auto opened = Log::open(sim.env, "/altered", {});
  ASSERT_TRUE(opened);
  for (const Event& e : forged) put(**opened, e);
  SystemStream altered(sim.env, *opened);
  std::size_t seen = 0;
  ASSERT_TRUE(altered.fold("", [&](const SystemStream::Event&) { ++seen; }));
  EXPECT_EQ(seen, 10u);
  EXPECT_EQ(altered.chain_breaks(), 1u);
  ASSERT_TRUE(altered.append("x", "{}"));
  EXPECT_EQ(altered.chain_breaks(), 1u);
}

}  // namespace
}  // namespace tidemill
