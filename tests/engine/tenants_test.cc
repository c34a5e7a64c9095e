// Tenants: the same name in two of them is two streams, and nothing that is asked of one reaches the other.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/definition.h"
#include "tests/engine/engine_world.h"

namespace tidemill {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

Result<std::shared_ptr<Stream>> create(EngineWorld& w, const QualifiedName& name, std::uint32_t shards = 2) {
  StreamDefinition definition;
  definition.tenant = name.tenant;
  definition.name = name.name;
  return w.engine->create(std::move(definition), shards);
}

// Reads and forgets.
class Reader final : public Consumer {
 public:
  Result<Position> open() override { return position_; }
  Result<void> process(const RecordBatch& batch) override {
    position_ = Position::through(Sequence(batch.next.value() - 1));
    return {};
  }
  Result<void> close() override { return {}; }
  Position applied() const override { return position_; }
  Position persisted() const override { return position_; }

 private:
  Position position_;
};

const QualifiedName kOurs = in_default("retail");
const QualifiedName kTheirs{"acme", "retail"};

TEST(Tenants, TheSameNameInTwoIsTwoStreams) {
  EngineWorld w;
  w.open();
  const auto ours = *create(w, kOurs);
  const auto theirs = *create(w, kTheirs);
  EXPECT_EQ(create(w, kTheirs).error(), EngineErrc::stream_exists);
  EXPECT_NE(ours->definition().id, theirs->definition().id);
  EXPECT_EQ(theirs->title(), "acme/retail");
  EXPECT_EQ(ours->title(), "retail");
  ASSERT_TRUE(w.put(*theirs, "k").ok());
  for (const bool killed : {false, true}) {
    killed ? w.kill() : w.close();
    w.open();
    EXPECT_EQ(w.engine->find(kOurs)->log().durable(), Sequence(0));
    EXPECT_EQ(w.engine->find(kTheirs)->log().durable(), Sequence(1));
    EXPECT_EQ(w.engine->find({"other", "retail"}), nullptr);
    EXPECT_EQ(w.engine->list().size(), 2u);
    EXPECT_EQ(w.engine->list("acme").size(), 1u);
    EXPECT_THAT(w.engine->list("acm"), IsEmpty());
  }
  ASSERT_TRUE(w.engine->remove(kTheirs));
  EXPECT_EQ(w.engine->find(kTheirs), nullptr);
  EXPECT_NE(w.engine->find(kOurs), nullptr);
}

TEST(Tenants, SettingsAndShardsChangeInOneOnly) {
  EngineWorld w;
  w.open();
  ASSERT_TRUE(create(w, kOurs) && create(w, kTheirs));
  StreamDefinition wanted = w.engine->find(kTheirs)->definition();
  wanted.partition_key = "id";
  ASSERT_TRUE(w.engine->change(wanted));
  ASSERT_TRUE(w.engine->split(kTheirs, ShardId(0)));
  ASSERT_TRUE(w.engine->merge(kTheirs, ShardId(2), ShardId(3)));
  EXPECT_EQ(w.engine->split({"nobody", "retail"}, ShardId(0)).error(), EngineErrc::no_such_stream);
  EXPECT_EQ(w.engine->remove({"nobody", "retail"}).error(), EngineErrc::no_such_stream);
  w.restart();
  EXPECT_EQ(w.engine->find(kOurs)->definition().partition_key, "");
  EXPECT_EQ(w.engine->find(kOurs)->definition().shards.size(), 2u);
  EXPECT_EQ(w.engine->find(kTheirs)->definition().partition_key, "id");
  EXPECT_EQ(w.engine->find(kTheirs)->definition().shards.size(), 5u);
}

TEST(Tenants, AStreamIsDerivedFromOneOfItsOwnTenant) {
  EngineWorld w;
  w.open();
  const auto ours = *create(w, kOurs);
  const auto theirs = *create(w, kTheirs);
  StreamDefinition derived;
  derived.tenant = "acme";
  derived.name = "large";
  derived.derived = StreamDefinition::Derived{ours->definition().id, Sequence(1), "CREATE STREAM large AS SELECT 1"};
  EXPECT_EQ(w.engine->create(derived, 1).error(), EngineErrc::no_such_stream);
  derived.derived->source = theirs->definition().id;
  ASSERT_TRUE(w.engine->create(derived, 1));
  w.restart();
  EXPECT_THAT(w.engine->derived_from(theirs->definition().id), ElementsAre("large"));
  EXPECT_THAT(w.engine->derived_from(ours->definition().id), IsEmpty());
  EXPECT_TRUE(w.engine->find({"acme", "large"})->definition().derived);
}

TEST(Tenants, GroupsAreTheirStreamsTenants) {
  EngineWorld w;
  w.open();
  const auto ours = *create(w, kOurs);
  const auto theirs = *create(w, kTheirs);
  Groups& groups = w.engine->groups();
  const auto reader = [] { return std::shared_ptr<Consumer>(std::make_shared<Reader>()); };
  ASSERT_TRUE(groups.add("retail:views", ours, reader()));
  ASSERT_TRUE(groups.add("retail:views", theirs, reader()));
  EXPECT_EQ(groups.add("retail:views", theirs, reader()).error(), EngineErrc::group_exists);
  ASSERT_TRUE(groups.add("retail:archive", theirs, reader()));
  const auto names = [&](std::string_view tenant) {
    std::vector<std::string> out;
    for (const GroupStatus& g : groups.list(tenant)) out.push_back(g.name);
    return out;
  };
  EXPECT_THAT(names("default"), ElementsAre("retail:views"));
  EXPECT_THAT(names("acme"), UnorderedElementsAre("retail:archive", "retail:views"));
  EXPECT_EQ(groups.list().size(), 3u);
  EXPECT_FALSE(groups.find(in_default("retail:archive")));
  ASSERT_TRUE(w.put(*theirs, "k").ok());
  w.sim.executor.run_for(std::chrono::seconds(1));
  EXPECT_EQ(groups.find({"acme", "retail:views"})->applied, Position::through(Sequence(1)));
  EXPECT_EQ(groups.find(in_default("retail:views"))->applied, Position());
  // A stream takes its own groups with it.
  ASSERT_TRUE(w.engine->remove(kOurs));
  EXPECT_THAT(names("default"), IsEmpty());
  EXPECT_EQ(names("acme").size(), 2u);
}

TEST(Tenants, ATokenIsOfOneOfTheStreamsOnly) {
  EngineWorld w;
  w.open();
  const auto ours = *create(w, kOurs);
  const auto theirs = *create(w, kTheirs);
  const OneRecord& one = w.put(*ours, "k");
  ASSERT_TRUE(w.put(*theirs, "k").ok());
  const Token token = w.engine->token(*ours, one.append.epoch, one.append.first);
  EXPECT_TRUE(w.engine->resolve(*ours, token));
  EXPECT_EQ(w.engine->resolve(*theirs, token).error(), EngineErrc::unknown_token);
}

TEST(Tenants, NamesThatAreNoneAreRefusedAndNoneLeadsOutOfTheArchive) {
  EngineWorld w;
  w.open();
  for (const std::string bad :
       {"", "..", ".", "a/b", "../default", "-a", "A", "a_b", "_tenants", "a.b", "a b", "\xC3\xBC"}) {
    EXPECT_FALSE(valid_tenant_name(bad)) << bad;
    EXPECT_EQ(create(w, {bad, "retail"}).error(), EngineErrc::invalid_name) << bad;
  }
  EXPECT_FALSE(valid_tenant_name(std::string(64, 'a')));
  EXPECT_FALSE(valid_tenant_name(std::string("a\0b", 3)));
  for (const char* good : {"a", "0", "acme", "12-retail", "a--b-"}) EXPECT_TRUE(valid_tenant_name(good)) << good;
  EXPECT_TRUE(valid_tenant_name(std::string(63, 'a')));
  // Each has a directory of its own, also beside what is moved aside, _ID-STREAM.
  const DataDirectory& directory = w.engine->directory();
  EXPECT_EQ(directory.archive(in_default("retail")), "/data/archive/retail");
  EXPECT_EQ(directory.archive({"12-retail", "retail"}), "/data/archive/_tenants/12-retail/retail");
}

TEST(Tenants, TextsNameThemOnlyWhereTheyAreNotTheDefaultOne) {
  EXPECT_EQ(text_of(kOurs), "retail");
  EXPECT_EQ(text_of(kTheirs), "acme/retail");
  EXPECT_EQ(qualified_from("acme/retail"), kTheirs);
  EXPECT_EQ(qualified_from("retail"), kOurs);
}

// A version that knows of no tenants stops at the event: it would show the stream to everybody.
TEST(Tenants, CreationIsAnEventOfItsOwn) {
  StreamDefinition d;
  d.id = StreamId(3);
  d.name = "retail";
  d.shards = make_shards(1);
  EXPECT_EQ(creation_event(d), "stream.created");
  d.tenant = "acme";
  EXPECT_EQ(creation_event(d), "stream.created_in_tenant");
  KnownStreams known;
  EXPECT_TRUE(known.fold(creation_event(d), encode_definition(d, Incarnation(1))));
  EXPECT_EQ(known.streams.at(StreamId(3)).definition.tenant, "acme");
  d.tenant = "../..";
  EXPECT_FALSE(known.fold("stream.created_in_tenant", encode_definition(d, Incarnation(1))));
}

TEST(Tenants, RetentionKeepsThemApart) {
  EngineWorld w;
  w.options.log.segment_bytes_first = w.options.log.segment_bytes_max = 32 << 10;
  w.open();
  const auto ours = *create(w, kOurs);
  const auto theirs = *create(w, kTheirs);
  StreamDefinition small = theirs->definition();
  small.retention.size_bytes = 1;
  ASSERT_TRUE(w.engine->change(small));
  w.engine->begin_retention(nullptr);
  const std::string data = "{\"x\":\"" + std::string(4'000, 'x') + "\"}";
  for (int i = 0; i < 40; ++i) ASSERT_TRUE(w.put(*ours, "k", data).ok() && w.put(*theirs, "k", data).ok());
  w.sim.executor.run_for(std::chrono::minutes(1));
  EXPECT_GT(w.engine->find(kTheirs)->log().start(), Sequence(1));
  EXPECT_EQ(w.engine->find(kOurs)->log().start(), Sequence(1));
  EXPECT_GT(w.engine->retention(*theirs).removed_records, 0u);
  EXPECT_EQ(w.engine->retention(*ours).removed_records, 0u);
}

}  // namespace
}  // namespace tidemill
