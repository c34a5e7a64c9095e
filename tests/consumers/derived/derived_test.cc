#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "storage/log/segment_format.h"
#include "tests/consumers/derived/derived_world.h"
#include "tests/support/source_tree.h"

// CREATE STREAM ... AS SELECT: what becomes of records, and what is refused.

namespace tidemill {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Derived : public ::testing::Test {
 protected:
  Derived() {
    w.start();
    source = *w.create("orders");
  }
  void put(const std::string& key, const std::string& data) { ASSERT_TRUE(w.put(*source, key, data).ok()); }
  void create(const std::string& sql) { ASSERT_EQ(w.run(sql), ""); }
  std::vector<std::string> made(const std::string& name = "big") {
    w.settle();
    return w.records_of(name);
  }

  DerivedWorld w;
  std::shared_ptr<Stream> source;
};

TEST_F(Derived, FiltersAndReshapes) {
  create("CREATE STREAM big AS SELECT id, amount * 2 AS twice, upper(country) AS land FROM orders WHERE amount > 10");
  put("a", R"({"id":1,"amount":5,"country":"se"})");
  put("b", R"({"id":2,"amount":50,"country":"no"})");
  put("c", R"({"id":3,"amount":10.5})");
  EXPECT_THAT(made(), ElementsAre(R"(b {"id":2,"twice":100,"land":"NO"})", R"(c {"id":3,"twice":21,"land":null})"));
}

TEST_F(Derived, AFieldKeepsItsSpelling) {
  create("CREATE STREAM big AS SELECT a, b, c, d, e, f, nothing, data ->> '$.b' AS shown FROM orders");
  put("k", R"({"a":9007199254740993,"b":19.990,"c":true,"d":{"x":[1,2.50]},"e":"\u0041\"b","f":18446744073709551615})");
  EXPECT_THAT(made(), ElementsAre(R"(k {"a":9007199254740993,"b":19.990,"c":true,"d":{"x":[1,2.50]},"e":"\u0041\"b",)"
                                  R"("f":18446744073709551615,"nothing":null,"shown":19.99})"));
}

TEST_F(Derived, JsonStaysJson) {
  create("CREATE STREAM big AS SELECT data -> '$.d' AS d, json('[1]') AS one, \"d.x\" AS x FROM orders");
  put("k", R"({"d":{"x":[1,2]}})");
  EXPECT_THAT(made(), ElementsAre(R"(k {"d":{"x":[1,2]},"one":[1],"x":[1,2]})"));
}

TEST_F(Derived, AStarPassesRecordsOnAsTheyAre) {
  create("CREATE STREAM big AS SELECT * FROM orders WHERE n = 1");
  put("k", R"({"n":1.0,"x":[true]})");
  EXPECT_THAT(made(), ElementsAre(R"(k {"n":1.0,"x":[true]})"));
  const auto batch = w.engine->find(in_default("big"))->log().read(Sequence(1), {});
  EXPECT_EQ(batch->records[0].hash, hash_key("k"));
  EXPECT_EQ(batch->records[0].arrival, source->log().read(Sequence(1), {})->records[0].arrival);
}

TEST_F(Derived, OneColumnCalledDataIsTheRecord) {
  create("CREATE STREAM big AS SELECT json_set(data, '$.total', a * b) AS data FROM orders");
  put("k", R"({"a":2,"b":3})");
  put("k", R"({"a":2,"b":4,"z":null})");
  EXPECT_THAT(made(), ElementsAre(R"(k {"a":2,"b":3,"total":6})", R"(k {"a":2,"b":4,"z":null,"total":8})"));
}

TEST_F(Derived, AColumnCalledKeyIsTheKey) {
  create("CREATE STREAM big AS SELECT *, country AS _key FROM orders");
  put("a", R"({"country":"SE"})");
  put("b", R"({"country":17})");
  put("c", R"({"x":1})");
  EXPECT_THAT(made(), ElementsAre(R"(SE {"country":"SE"})", R"(17 {"country":17})"));
  const auto status = w.derived->status(*w.engine->find(in_default("big")));
  EXPECT_EQ(status->position.parked, 1u);
  ASSERT_EQ(status->latest_parked.size(), 1u);
  EXPECT_EQ(status->latest_parked[0].sequence, Sequence(3));
  EXPECT_THAT(status->latest_parked[0].reason, HasSubstr("_key is NULL"));
}

TEST_F(Derived, ARecordCanMakeSeveral) {
  create(
      "CREATE STREAM big AS SELECT id, _sequence AS n, element.key AS line, element.value ->> '$.sku' AS sku FROM "
      "orders, "
      "json_each(lines) AS element WHERE element.value ->> '$.sku' <> 'none'");
  put("k", R"({"id":"A","lines":[{"sku":"x"},{"sku":"none"},{"sku":"y"}]})");
  put("k", R"({"id":"B","lines":[]})");
  EXPECT_THAT(made(),
              ElementsAre(R"(k {"id":"A","n":1,"line":0,"sku":"x"})", R"(k {"id":"A","n":1,"line":2,"sku":"y"})"));
}

TEST_F(Derived, WhatCannotBeWorkedOutIsParkedAndTheRestGoesOn) {
  create("CREATE STREAM big AS SELECT number(n) AS n FROM orders, json_each(xs)");
  put("k", R"({"n":"1","xs":[1]})");
  put("k", R"({"n":"three","xs":[1,2]})");
  put("k", R"({"n":"2","xs":[1]})");
  EXPECT_THAT(made(), ElementsAre(R"(k {"n":1})", R"(k {"n":2})"));
  EXPECT_EQ(w.position_of("big").parked, 1u);
  w.stop();
  w.start();
  EXPECT_EQ(w.position_of("big").parked, 1u) << "the count is kept with the position";
}

TEST_F(Derived, WhatIsNoRecordIsParked) {
  create("CREATE STREAM big AS SELECT x AS data FROM orders");
  put("k", R"({"x":[1]})");
  put("k", R"({"x":{"y":1}})");
  put("k", R"({"x":"{\"y\": 1,  \"y\":2}"})");
  EXPECT_THAT(made(), ElementsAre(R"(k {"y":1})"));
  EXPECT_EQ(w.position_of("big").parked, 2u);
}

TEST_F(Derived, BeginsWhereItIsTold) {
  put("a", R"({"n":1})");
  put("b", R"({"n":2})");
  put("c", R"({"n":3})");
  create("CREATE STREAM first WITH (shards = 2) AS SELECT n FROM orders");
  create("CREATE STREAM second WITH (from = 2) AS SELECT n FROM orders");
  create("CREATE STREAM third WITH (from = 'latest', shards = 7) AS SELECT n FROM orders");
  put("d", R"({"n":4})");
  EXPECT_EQ(made("first").size(), 4u);
  EXPECT_THAT(made("second"), ElementsAre(R"(b {"n":2})", R"(c {"n":3})", R"(d {"n":4})"));
  EXPECT_THAT(made("third"), ElementsAre(R"(d {"n":4})"));
  EXPECT_EQ(w.engine->find(in_default("third"))->definition().shards.size(), 7u);
  EXPECT_THAT(w.run("CREATE STREAM x WITH (from = 6) AS SELECT n FROM orders"), HasSubstr("the next record is 5"));
}

// One is made as records come, a few at a time; the other of all of them at once.
TEST_F(Derived, IsTheSameHoweverItsSourceWasCut) {
  const std::string sql = " AS SELECT n, element.value AS x FROM orders, json_each(xs) AS element WHERE n % 7 <> 3";
  create("CREATE STREAM live" + sql);
  for (int n = 0; n < 300; ++n) {
    put("k" + std::to_string(n % 5),
        "{\"n\":" + std::to_string(n) + ",\"xs\":[1,2,\"" + std::string(n % 90, 'x') + "\"]}");
    if (w.sim.random.one_in(4)) w.sim.executor.run_for(std::chrono::milliseconds(w.sim.random.below(9)));
  }
  create("CREATE STREAM late" + sql);
  const auto live = made("live");
  EXPECT_EQ(live.size(), 300u * 3 - 43 * 3);
  EXPECT_EQ(made("late"), live);
}

TEST_F(Derived, ChainsGoThroughARestart) {
  create("CREATE STREAM big AS SELECT n FROM orders WHERE n > 1");
  create("CREATE STREAM bigger AS SELECT n + 1 AS m FROM big WHERE n > 2");
  for (int n = 1; n <= 3; ++n) put("k", "{\"n\":" + std::to_string(n) + "}");
  EXPECT_THAT(made("bigger"), ElementsAre(R"(k {"m":4})"));
  w.stop();
  w.start();
  source = w.engine->find(in_default("orders"));
  put("k", R"({"n":9})");
  EXPECT_THAT(made("bigger"), ElementsAre(R"(k {"m":4})", R"(k {"m":10})"));
  EXPECT_EQ(made("big").size(), 3u);
  EXPECT_EQ(w.engine->groups().find(in_default("orders:derived:big"))->lag_records, 0u);
}

TEST_F(Derived, WhatPassesNothingKeepsItsPlace) {
  create("CREATE STREAM big AS SELECT n FROM orders WHERE n > 100");
  for (int n = 0; n < 20; ++n) put("k", R"({"n":1})");
  EXPECT_THAT(made(), IsEmpty());
  EXPECT_EQ(w.engine->groups().find(in_default("orders:derived:big"))->applied, Position::through(Sequence(20)));
  w.engine->groups().note_position(in_default("orders:derived:big"));
  w.settle();
  EXPECT_EQ(w.engine->groups().find(in_default("orders:derived:big"))->persisted, Position::through(Sequence(20)));
  put("k", R"({"n":1})");
  w.settle();
  w.stop();  // closing notes it, too
  w.start();
  EXPECT_EQ(w.engine->find(in_default("big"))->log().source()->through, Sequence(21));
}

TEST_F(Derived, ADropStopsIt) {
  create("CREATE STREAM big AS SELECT n FROM orders");
  create("CREATE STREAM IF NOT EXISTS big AS SELECT m FROM orders");
  EXPECT_EQ(w.change.did, derived::StreamChange::Did::exists);
  create("CREATE STREAM bigger AS SELECT n FROM big");
  EXPECT_THAT(w.run("DROP STREAM big"), HasSubstr("Streams derived from big: bigger. Drop them first."));
  EXPECT_EQ(w.engine->remove(in_default("big")).error(), EngineErrc::stream_in_use);
  EXPECT_THAT(w.run("DROP STREAM orders"), HasSubstr("DELETE /v1/streams/orders"));
  ASSERT_EQ(w.run("DROP STREAM bigger"), "");
  ASSERT_EQ(w.run("DROP STREAM big;"), "");
  EXPECT_FALSE(w.engine->find(in_default("big")));
  EXPECT_FALSE(w.engine->groups().find(in_default("orders:derived:big")));
  EXPECT_THAT(w.run("DROP STREAM big"), HasSubstr("no stream big"));
  ASSERT_EQ(w.run("DROP STREAM IF EXISTS big"), "");
  EXPECT_EQ(w.change.did, derived::StreamChange::Did::absent);
  create("CREATE STREAM big AS SELECT n FROM orders");
  put("k", R"({"n":1})");
  EXPECT_EQ(made().size(), 1u);
}

TEST_F(Derived, RefusesWhatItCannotDo) {
  create("CREATE STREAM a AS SELECT * FROM orders");
  create("CREATE STREAM b AS SELECT * FROM a");
  const auto refused = [&](const std::string& sql, const std::string& why) {
    EXPECT_THAT(w.run("CREATE STREAM " + sql), HasSubstr(why)) << sql;
  };
  refused("a AS SELECT * FROM b", "That is a circle: b is made of a");
  refused("orders AS SELECT * FROM b", "That is a circle: b is made of orders");
  refused("x AS SELECT * FROM x", "That is a circle: x would be made of itself");
  refused("a AS SELECT * FROM orders", "There is a stream a already");
  refused("x AS SELECT * FROM nothing", "There is no stream nothing");
  refused("x AS SELECT * FROM _system", "There is no stream _system");
  refused("x AS SELECT count(*) AS n FROM orders", "write CREATE MATERIALIZED VIEW");
  refused("x AS SELECT n FROM orders WHERE count(*) > 1", "An aggregate cannot");
  refused("x AS SELECT n FROM orders GROUP BY n", "GROUP BY makes a row of many records");
  refused("x AS SELECT DISTINCT n FROM orders", "DISTINCT would have to remember");
  refused("x AS SELECT n FROM orders ORDER BY n", "keeps the order of its source");
  refused("x AS SELECT n FROM orders LIMIT 5", "A stream has no end");
  refused("x AS SELECT n FROM orders JOIN b ON 1", "Joins are not supported");
  refused("x AS SELECT n FROM orders, b", "A derived stream has one source");
  refused("x AS SELECT n FROM orders UNION SELECT n FROM b", "is one SELECT");
  refused("x AS SELECT n FROM (SELECT 1)", "Sub-selects cannot");
  refused("x AS SELECT n + 1 FROM orders", "Name this column with AS");
  refused("x AS SELECT n, m AS n FROM orders", "Two columns are called n");
  refused("x AS SELECT *, n FROM orders", "json_set(data, '$.n', ...) AS data");
  refused("x AS SELECT _key FROM orders", "need fields beside _key");
  refused("x AS SELECT n, _time FROM orders", "write _time AS source_time");
  refused("x AS SELECT n, data FROM orders", "data alone is the whole record");
  refused("x AS SELECT random() AS n FROM orders", "gives something else each time");
  refused("x AS SELECT nope(n) AS n FROM orders", "There is no function nope");
  refused("x PARTITION BY n AS SELECT n FROM orders", "AS _key");
  refused("_x AS SELECT n FROM orders", "not beginning with _");
  refused("x WITH (shards = 0) AS SELECT n FROM orders", "from 1 to 10000");
  refused("x WITH (key = 'n') AS SELECT n FROM orders", "The options are from and shards");
  refused("x", "PUT /v1/streams/{stream} creates a stream");
  EXPECT_THAT(w.run("CREATE OR REPLACE STREAM x AS SELECT n FROM orders"), HasSubstr("not a statement"));
  EXPECT_THAT(w.run("ALTER STREAM a AS SELECT n FROM orders"), HasSubstr("keeps its definition"));
  EXPECT_THAT(w.run("DROP STREAM a, b"), HasSubstr("one stream at a time"));
  EXPECT_THAT(w.run("DROP STREAM b CASCADE"), HasSubstr("drop what reads the stream first"));
}

TEST_F(Derived, SaysWhatItMakesOfTheLastRecords) {
  put("k", R"({"Amount":5})");
  create("EXPLAIN CREATE STREAM big AS SELECT amount FROM orders");
  EXPECT_EQ(w.change.did, derived::StreamChange::Did::explained);
  EXPECT_FALSE(w.engine->find(in_default("big")));
  ASSERT_EQ(w.change.warnings.size(), 1u);
  EXPECT_THAT(w.change.warnings[0],
              HasSubstr("The field amount has no value in the last record: did you mean Amount?"));
  EXPECT_THAT(w.change.trial->sample, ElementsAre(R"({"amount":null})"));
}

// The records of the lost commit are made again, behind the range that readers are told of.
TEST_F(Derived, WhatDamageTookFromTheEndIsMadeAgain) {
  create("CREATE STREAM big AS SELECT n FROM orders");
  put("k", R"({"n":1})");
  w.settle();
  put("k", R"({"n":2})");
  w.settle();
  w.stop();
  std::string last;
  for (const auto& entry : *w.sim.files.list("/data/streams/2"))
    if (entry.name.ends_with(".seg")) last = std::max(last, "/data/streams/2/" + entry.name);
  ASSERT_FALSE(last.empty());
  const std::string content = *w.sim.files.content(last);
  std::size_t commit = std::string::npos;  // the last one
  for (std::size_t at = kSegmentHeaderBytes; at + kBlockBytes <= content.size(); at += kBlockBytes)
    if (content.compare(at + 8, 4, "TCM1") == 0) commit = at;
  ASSERT_NE(commit, std::string::npos);
  ASSERT_TRUE(w.sim.files.flip_bit(last, commit + 40, 1));
  w.start();
  w.settle();
  const auto log = w.engine->find(in_default("big"))->shared_log();
  const auto batch = log->read(Sequence(1), {});
  ASSERT_TRUE(batch);
  std::vector<std::string> data;
  for (const Record& r : batch->records) data.emplace_back(r.data);
  EXPECT_THAT(data, ElementsAre(R"({"n":1})", R"({"n":2})"));
  ASSERT_EQ(batch->lost.size(), 1u);
  EXPECT_EQ(batch->lost[0].first, Sequence(2));
  EXPECT_EQ(log->durable(), Sequence(3));
}

// Where the header of the newest segment is gone, nobody knows what was made: better none than twice.
TEST_F(Derived, WithoutItsPositionItStops) {
  create("CREATE STREAM big AS SELECT n FROM orders");
  put("k", R"({"n":1})");
  w.settle();
  w.stop();
  w.start();
  w.stop();  // several segments
  std::string last;
  for (const auto& entry : *w.sim.files.list("/data/streams/2"))
    if (entry.name.ends_with(".seg")) last = std::max(last, "/data/streams/2/" + entry.name);
  for (const std::size_t at : {std::size_t{20}, kBlockBytes + 20}) ASSERT_TRUE(w.sim.files.flip_bit(last, at, 1));
  w.start();
  source = w.engine->find(in_default("orders"));
  put("k", R"({"n":2})");
  w.settle();
  const auto group = w.engine->groups().find(in_default("orders:derived:big"));
  ASSERT_TRUE(group);
  EXPECT_FALSE(group->open);
  EXPECT_THAT(group->last_error, HasSubstr("damaged"));
  const std::string sql = w.engine->find(in_default("big"))->definition().derived->sql;
  ASSERT_EQ(w.run("CREATE STREAM anew" + sql.substr(sql.find(" AS "))), "");
  ASSERT_EQ(w.run("DROP STREAM big"), "");
  EXPECT_EQ(made("anew").size(), 2u);
}

TEST_F(Derived, AFullDiskPausesIt) {
  create("CREATE STREAM big AS SELECT n FROM orders");
  put("k", R"({"n":1})");
  EXPECT_EQ(made().size(), 1u);
  DiskFault full{.op = DiskOp::write, .path_contains = "/streams/2/", .times = 3, .error = ENOSPC};
  w.sim.files.fail(full);
  for (int n = 2; n <= 5; ++n) put("k", "{\"n\":" + std::to_string(n) + "}");
  w.sim.executor.run_for(std::chrono::seconds(60));
  EXPECT_EQ(made(),
            (std::vector<std::string>{R"(k {"n":1})", R"(k {"n":2})", R"(k {"n":3})", R"(k {"n":4})", R"(k {"n":5})"}));
  EXPECT_GT(w.engine->groups().find(in_default("orders:derived:big"))->retries, 0u);
  EXPECT_EQ(w.engine->groups().find(in_default("orders:derived:big"))->last_error, "");
}

// It has written nothing, for nothing passes WHERE: it is asked to say where it is, and what it has looked through
// goes.
TEST_F(Derived, RetentionOfTheSourceFollowsIt) {
  create("CREATE STREAM big AS SELECT n FROM orders WHERE n < 0");
  StreamDefinition definition = source->definition();
  definition.retention.size_bytes = 1;
  definition.retention.wait_for_groups = true;
  ASSERT_TRUE(w.engine->change(definition));
  const std::string data = "{\"n\":1,\"x\":\"" + std::string(8'000, 'x') + "\"}";
  for (int n = 0; n < 60; ++n) put("k", data);
  w.settle();
  EXPECT_EQ(w.engine->groups().find(in_default("orders:derived:big"))->persisted, Position());
  w.engine->begin_retention(nullptr);
  w.sim.executor.run_for(std::chrono::minutes(1));
  EXPECT_GT(source->log().start(), Sequence(1));
  const auto group = w.engine->groups().find(in_default("orders:derived:big"));
  EXPECT_GE(next(group->persisted.sequence()), source->log().start());
  EXPECT_EQ(w.position_of("big").lost, 0u);
}

TEST_F(Derived, WhatRetentionTookIsCounted) {
  for (int n = 0; n < 60; ++n) put("k", "{\"n\":1,\"x\":\"" + std::string(8'000, 'x') + "\"}");
  create("CREATE STREAM big AS SELECT n FROM orders");
  w.power_cut({CrashPolicy::Keep::all, CrashPolicy::Keep::all});
  // Before it has read anything.
  ASSERT_EQ(w.try_open(), ErrorCode());
  auto orders = w.engine->find(in_default("orders"));
  RetentionLimits limits;
  limits.bytes_max = 1;
  ASSERT_TRUE(orders->log().drop_before(*orders->log().retention_start(limits)));
  const std::uint64_t gone = orders->log().start().value() - 1;
  ASSERT_GT(gone, 0u);
  w.derived = derived::DerivedStreams::open(w.sim.env, *w.engine, nullptr);
  EXPECT_EQ(made().size(), 60 - gone);
  EXPECT_EQ(w.position_of("big").lost, gone);
}

// The statements of docs/streams.md can be sent as they stand.
TEST_F(Derived, ThePagesStatementsAreTaken) {
  std::ifstream page(source_tree() + "/docs/streams.md");
  std::string line;
  std::string block;
  bool sql = false;
  int statements = 0;
  while (std::getline(page, line)) {
    if (sql && line == "```") {
      EXPECT_EQ(w.run(block), "") << block;
      EXPECT_EQ(w.change.did, derived::StreamChange::Did::created);
      ++statements;
      sql = false;
    } else if (sql) {
      block += line + "\n";
    } else if (line == "```sql") {
      sql = true;
      block.clear();
    }
  }
  EXPECT_GE(statements, 2);
  put("k", R"({"id":1,"amount":500,"country":"se","lines":[{"sku":"a","n":2},{"sku":"b","n":0}]})");
  EXPECT_THAT(made("large"), ElementsAre(R"(k {"id":1,"amount":500,"country":"SE"})"));
  EXPECT_THAT(made("lines"), ElementsAre(R"(se {"id":1,"sku":"a","n":2})"));
}

}  // namespace
}  // namespace tidemill
