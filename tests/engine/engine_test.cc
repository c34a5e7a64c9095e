#include "engine/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/definition.h"
#include "tests/engine/engine_world.h"

namespace tidemill {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(Engine, MakesItsDirectoryAndFindsItAgain) {
  EngineWorld w;
  w.open();
  const std::string instance = w.engine->directory().instance();
  EXPECT_EQ(instance.size(), 32u);
  EXPECT_EQ(w.engine->directory().stream(StreamId(3)), "/data/streams/3");
  EXPECT_EQ(w.engine->directory().archive(in_default("retail")), "/data/archive/retail");
  EXPECT_THAT(w.names(), IsEmpty());
  w.restart();
  EXPECT_EQ(w.engine->directory().instance(), instance);
}

TEST(Engine, ASecondOneInTheSameDirectoryIsRefused) {
  EngineWorld w;
  w.open();
  EXPECT_EQ(Engine::open(w.sim.env, w.options).error(), StorageErrc::directory_in_use);
}

TEST(Engine, StreamsAreThereAfterARestartAndAKill) {
  EngineWorld w;
  w.open();
  StreamDefinition definition;
  definition.name = "retail";
  definition.partition_key = "Invoice\"No";
  definition.fields = {{"Quantity", FieldType::integer}, {"UnitPrice", FieldType::number}, {"x", FieldType::text}};
  definition.archive = {.enabled = false, .size_bytes = 77, .age = std::chrono::milliseconds(88)};
  const auto made = w.engine->create(definition, 7);
  ASSERT_TRUE(made);
  ASSERT_TRUE(w.create("b"));
  ASSERT_TRUE(w.put(**made, "k", R"({"n":1})").ok());
  const Incarnation life = (*made)->incarnation();
  for (const bool killed : {false, true}) {
    if (killed)
      w.kill();
    else
      w.close();
    w.open();
    EXPECT_THAT(w.names(), ElementsAre("b", "retail"));
    const auto found = w.engine->find(in_default("retail"));
    ASSERT_TRUE(found);
    const StreamDefinition& d = found->definition();
    EXPECT_EQ(d.partition_key, definition.partition_key);
    EXPECT_EQ(d.fields, definition.fields);
    EXPECT_EQ(d.archive.enabled, false);
    EXPECT_EQ(d.archive.size_bytes, 77u);
    EXPECT_EQ(d.archive.age.count(), 88);
    EXPECT_EQ(d.created, w.sim.clock.wall());
    EXPECT_EQ(d.shards.size(), 7u);
    EXPECT_EQ(d.tenant, "default");
    EXPECT_EQ(found->incarnation(), life);
    EXPECT_EQ(w.engine->find(d.id), found);
    EXPECT_EQ(found->log().durable(), Sequence(1));
  }
}

TEST(Engine, BadDefinitionsAreRefused) {
  EngineWorld w;
  w.open();
  for (const char* name : {"", "a/b", "_mine", ".."}) EXPECT_EQ(w.create(name).error(), EngineErrc::invalid_name);
  EXPECT_EQ(w.create("a", 0).error(), EngineErrc::invalid_definition);
  EXPECT_EQ(w.create("a", 10'001).error(), EngineErrc::invalid_definition);
  ASSERT_TRUE(w.create("a"));
  EXPECT_EQ(w.create("a").error(), EngineErrc::stream_exists);
  StreamDefinition holes;
  holes.name = "holes";
  holes.shards = make_shards(3);
  holes.shards.erase(holes.shards.begin() + 1);
  EXPECT_EQ(w.engine->create(holes, 0).error(), EngineErrc::invalid_definition);
}

TEST(Engine, RemovedStreamsAreGoneAndTheirNamesFree) {
  EngineWorld w;
  w.open();
  const auto first = *w.create("a");
  ASSERT_TRUE(w.put(*first, "k").ok());
  EXPECT_EQ(w.engine->remove(in_default("b")).error(), EngineErrc::no_such_stream);
  ASSERT_TRUE(w.engine->remove(in_default("a")));
  EXPECT_EQ(w.engine->find(in_default("a")), nullptr);
  EXPECT_FALSE(w.put(*first, "k").ok());  // who holds it still can read, but not write
  w.sim.executor.run_until_idle();
  EXPECT_FALSE(exists(w.sim.files, "/data/streams/1"));
  const auto second = *w.create("a");
  EXPECT_NE(second->definition().id, first->definition().id);
  EXPECT_NE(second->incarnation(), first->incarnation());
  EXPECT_EQ(second->log().durable(), Sequence(0));
  w.restart();
  EXPECT_EQ(w.engine->find(in_default("a"))->definition().id, second->definition().id);
}

TEST(Engine, FilesOfARemovedStreamGoAtTheNextStartIfNotBefore) {
  EngineWorld w;
  w.open();
  ASSERT_TRUE(w.create("a"));
  ASSERT_TRUE(w.engine->remove(in_default("a")));
  w.kill();  // before the background came to it
  EXPECT_TRUE(exists(w.sim.files, "/data/streams/1"));
  w.open();
  w.sim.executor.run_until_idle();
  EXPECT_FALSE(exists(w.sim.files, "/data/streams/1"));
}

TEST(Engine, ChangesLast) {
  EngineWorld w;
  w.open();
  const auto old = *w.create("a");
  std::vector<std::string> hooks;
  w.engine->on_change([&](const std::shared_ptr<Stream>& s) { hooks.push_back(s->definition().partition_key); });
  StreamDefinition wanted = old->definition();
  wanted.partition_key = "other";
  wanted.fields["n"] = FieldType::number;
  ASSERT_TRUE(w.engine->change(wanted));
  EXPECT_THAT(hooks, ElementsAre("other"));
  EXPECT_EQ(&w.engine->find(in_default("a"))->log(), &old->log());
  wanted.name = "nobody";
  EXPECT_EQ(w.engine->change(wanted).error(), EngineErrc::no_such_stream);
  w.restart();
  EXPECT_EQ(w.engine->find(in_default("a"))->definition().partition_key, "other");
  EXPECT_EQ(w.engine->find(in_default("a"))->definition().fields.at("n"), FieldType::number);
}

TEST(Engine, HooksSeeEveryStream) {
  EngineWorld w;
  w.open();
  ASSERT_TRUE(w.create("a"));
  std::vector<std::string> seen;
  w.engine->on_stream([&](const std::shared_ptr<Stream>& s) { seen.push_back("+" + s->name()); });
  w.engine->on_remove([&](const std::shared_ptr<Stream>& s) { seen.push_back("-" + s->name()); });
  ASSERT_TRUE(w.create("b"));
  ASSERT_TRUE(w.engine->remove(in_default("a")));
  EXPECT_THAT(seen, ElementsAre("+a", "+b", "-a"));
}

TEST(Engine, TokensHoldOverRestartsAndNoFurther) {
  EngineWorld w;
  w.open();
  const auto a = *w.create("a");
  const auto b = *w.create("b");
  OneRecord& one = w.put(*a, "k");
  ASSERT_TRUE(one.ok());
  const Token token = w.engine->token(*a, one.append.epoch, one.append.first);
  EXPECT_EQ(*w.engine->resolve(*a, token), Position::through(Sequence(1)));
  EXPECT_EQ(w.engine->resolve(*b, token).error(), EngineErrc::unknown_token);
  w.restart();
  const auto again = w.engine->find(in_default("a"));
  EXPECT_EQ(*w.engine->resolve(*again, *Token::decode(token.encode())), Position::through(Sequence(1)));
  // Sequence 2 belongs to the epoch after the start: a token of the first one for it was cut off.
  ASSERT_TRUE(w.put(*again, "k").ok());
  Token cut = token;
  cut.position = Position::through(Sequence(2));
  EXPECT_EQ(w.engine->resolve(*again, cut).error(), EngineErrc::unknown_token);
  Token later = token;
  later.epoch = Epoch(again->log().status().epoch.value() + 1);
  EXPECT_EQ(w.engine->resolve(*again, later).error(), EngineErrc::unknown_token);
  ASSERT_TRUE(w.engine->remove(in_default("a")));
  EXPECT_EQ(w.engine->resolve(**w.create("a"), token).error(), EngineErrc::unknown_token);
}

TEST(Engine, MissingRecordsAreNotTakenForAnEmptyStream) {
  EngineWorld w;
  w.open();
  ASSERT_TRUE(w.create("a"));
  w.close();
  ASSERT_TRUE(remove_tree(w.sim.files, "/data/streams/1"));
  EXPECT_EQ(w.try_open(), StorageErrc::damaged);
}

TEST(Engine, AnotherStreamsDirectoryIsNoticed) {
  EngineWorld w;
  w.open();
  ASSERT_TRUE(w.create("a"));
  ASSERT_TRUE(w.create("b"));
  w.close();
  ASSERT_TRUE(w.sim.files.rename("/data/streams/1", "/data/streams/x"));
  ASSERT_TRUE(w.sim.files.rename("/data/streams/2", "/data/streams/1"));
  ASSERT_TRUE(w.sim.files.rename("/data/streams/x", "/data/streams/2"));
  EXPECT_EQ(w.try_open(), StorageErrc::damaged);
}

TEST(Engine, EventsThatCannotBeReadStopTheStart) {
  EngineWorld w;
  w.open();
  ASSERT_TRUE(w.create("a"));
  ASSERT_TRUE(w.engine->system().append("stream.creating", R"({"id":2})"));
  ASSERT_TRUE(w.engine->system().append("stream.created", R"({"id":2,"name":"b"})"));
  w.close();
  EXPECT_EQ(w.try_open(), StorageErrc::damaged);
}

TEST(Engine, NothingChangesAfterClose) {
  EngineWorld w;
  w.open();
  const auto a = *w.create("a");
  ASSERT_TRUE(w.engine->close());
  ASSERT_TRUE(w.engine->close());
  EXPECT_EQ(w.create("b").error(), EngineErrc::draining);
  EXPECT_EQ(w.engine->remove(in_default("a")).error(), EngineErrc::draining);
  EXPECT_FALSE(w.put(*a, "k").ok());
}

TEST(Engine, FailedCreationLeavesNothing) {
  EngineWorld w;
  w.open();
  w.sim.files.fail({.op = DiskOp::create, .path_contains = "/data/streams/1/", .error = EIO});
  EXPECT_FALSE(w.create("a"));
  EXPECT_EQ(w.engine->find(in_default("a")), nullptr);
  w.sim.executor.run_until_idle();
  EXPECT_FALSE(exists(w.sim.files, "/data/streams/1"));
  ASSERT_TRUE(w.create("a"));
  w.restart();
  EXPECT_THAT(w.names(), ElementsAre("a"));
}

TEST(Engine, TenThousandShardsAreOneNumber) {
  EngineWorld w;
  w.open();
  ASSERT_TRUE(w.create("wide", 10'000));
  EXPECT_LT(w.engine->system().log().metrics().record_bytes.value(), 1000u);
  w.restart();
  EXPECT_EQ(w.engine->find(in_default("wide"))->definition().shards.size(), 10'000u);
}

TEST(Definition, UnequalShardsAreKeptOneByOne) {
  StreamDefinition d;
  d.id = StreamId(9);
  d.name = "a";
  d.shards = make_shards(2);
  d.shards[0].open = false;
  ShardDefinition left{ShardId(2), {d.shards[0].range.first, {0x3FFFFFFFFFFFFFFF, ~0ull}}, {ShardId(0)}, true};
  ShardDefinition right{ShardId(3), {{0x4000000000000000, 0}, d.shards[0].range.last}, {ShardId(0)}, true};
  d.shards.push_back(left);
  d.shards.push_back(right);
  ASSERT_TRUE(valid_shards(d.shards));
  const auto read = decode_definition(encode_definition(d, Incarnation(5)));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->incarnation, Incarnation(5));
  ASSERT_EQ(read->definition.shards.size(), 4u);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(read->definition.shards[i].range, d.shards[i].range);
    EXPECT_EQ(read->definition.shards[i].parents, d.shards[i].parents);
    EXPECT_EQ(read->definition.shards[i].open, d.shards[i].open);
  }
}

// The example of docs/formats/system-stream.md.
TEST(Definition, GoldenEvent) {
  StreamDefinition d;
  d.id = StreamId(1);
  d.name = "retail";
  d.partition_key = "InvoiceNo";
  d.fields = {{"Quantity", FieldType::integer}, {"UnitPrice", FieldType::number}};
  d.shards = make_shards(4);
  d.created = WallTime(std::chrono::milliseconds(1767323045000));
  EXPECT_EQ(encode_definition(d, Incarnation(0x0123456789ABCDEF)),
            R"({"id":1,"incarnation":"0123456789abcdef","name":"retail","tenant":"default",)"
            R"("created":"2026-01-02T03:04:05.000Z","partition_key":"InvoiceNo",)"
            R"("fields":{"Quantity":"integer","UnitPrice":"number"},)"
            R"("archive":{"enabled":true,"size_bytes":5242880,"age_ms":60000},"shards":4})");
}

// The example of docs/formats/system-stream.md.
TEST(Definition, GoldenDerived) {
  StreamDefinition d;
  d.id = StreamId(2);
  d.name = "large";
  d.shards = make_shards(4);
  d.created = WallTime(std::chrono::milliseconds(1767323045000));
  d.derived = StreamDefinition::Derived{StreamId(1), Sequence(4711), "CREATE STREAM large AS SELECT * FROM retail"};
  const std::string text = encode_definition(d, Incarnation(0x0123456789ABCDEF));
  EXPECT_EQ(text,
            R"({"id":2,"incarnation":"0123456789abcdef","name":"large","tenant":"default",)"
            R"("created":"2026-01-02T03:04:05.000Z","partition_key":"","fields":{},)"
            R"("archive":{"enabled":true,"size_bytes":5242880,"age_ms":60000},)"
            R"("derived":{"source":1,"from":4711,"sql":"CREATE STREAM large AS SELECT * FROM retail"},"shards":4})");
  KnownStreams known;
  EXPECT_TRUE(known.fold("stream.derived", text));
  EXPECT_EQ(known.streams.at(StreamId(2)).definition.derived->sql, d.derived->sql);
  d.derived->source = StreamId(2);  // a stream is made of an older one
  EXPECT_FALSE(known.fold("stream.derived", encode_definition(d, Incarnation(1))));
  d.derived.reset();
  EXPECT_FALSE(known.fold("stream.derived", encode_definition(d, Incarnation(1))));
}

TEST(Definition, NonsenseIsRefused) {
  for (const char* bad : {"", "{}", "[]", R"({"id":0})", R"({"id":1,"name":"a","incarnation":"x","shards":1})",
                          R"({"id":1,"name":"a","incarnation":"0123456789abcdef","shards":0})",
                          R"({"id":1,"name":"a/","incarnation":"0123456789abcdef","shards":1})"})
    EXPECT_FALSE(decode_definition(bad)) << bad;
  EXPECT_TRUE(decode_definition(R"({"id":1,"name":"a","incarnation":"0123456789abcdef","shards":1,"later":{}})"));
}

TEST(Definition, MangledTextsAreSurvived) {
  StreamDefinition d;
  d.id = StreamId(1);
  d.name = "retail";
  d.fields = {{"Quantity", FieldType::integer}};
  d.shards = make_shards(3);
  d.shards[2].parents = {ShardId(0)};  // so that they are written one by one
  const std::string good = encode_definition(d, Incarnation(5));
  SimRandom random(3);
  for (int round = 0; round < 20'000; ++round) {
    std::string text = good;
    for (std::uint64_t k = 1 + random.below(3); k > 0; --k) {
      const std::size_t at = random.below(text.size());
      if (random.one_in(2))
        text[at] = static_cast<char>(random.next());
      else
        text.erase(at, 1 + random.below(8));
      if (text.empty()) text = "{";
    }
    const auto read = decode_definition(text);
    EXPECT_TRUE(!read || read->definition.shards.empty() || valid_shards(read->definition.shards)) << text;
    const auto id = decode_id(text);
    EXPECT_TRUE(!id || id->value() != 0);
    Token::decode(text.substr(0, 44));
  }
}

}  // namespace
}  // namespace tidemill
