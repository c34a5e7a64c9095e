// Which records made a row: however batches are cut, whatever comes late, beside a fold that keeps lists.
#include "consumers/views/lineage.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "consumers/views/key.h"
#include "consumers/views/view.h"
#include "storage/base/errors.h"
#include "storage/base/text.h"
#include "tests/consumers/views_store/store_world.h"

namespace tidemill::views {
namespace {

using Lists = std::map<std::string, std::vector<std::uint64_t>>;  // by group key

// Some keys come all the time, some hardly ever; json_each gives several rows of a record, none of a few; WHERE leaves
// some out; some cannot be counted.
struct Event {
  std::vector<int> keys;  // of its elements
  bool out = false, bad = false;

  static Event of(std::uint64_t sequence) {
    std::mt19937_64 random(sequence * 7919);
    Event e;
    e.out = random() % 11 == 0;
    e.bad = random() % 13 == 0;
    for (auto n = random() % 4; n > 0; --n) e.keys.push_back(static_cast<int>(random() % 3 == 0 ? random() % 40 : 0));
    return e;
  }
  std::string text(bool mended = false) const {
    std::string keys_text;
    for (const int k : keys) keys_text += (keys_text.empty() ? "" : ",") + std::to_string(k);
    return "{\"keys\":[" + keys_text + "],\"out\":" + (out ? "1" : "0") +
           ",\"n\":" + (bad && !mended ? "\"many\"" : "1") + "}";
  }
};
constexpr const char* kSql =
    "SELECT e.value AS k, count(*) AS c, sum(n) AS s FROM t, json_each(keys) AS e WHERE out = 0 GROUP BY e.value";

class LineageStore {
 public:
  explicit LineageStore(std::uint64_t seed = 1, const std::string& sql = kSql) : sim(seed) {
    configure_sqlite();
    definition = std::get<Definition>(split(sql, {}));
    open();
  }
  ~LineageStore() { close(); }
  void close() {
    upkeep.reset();
    family.reset();
    database.reset();
  }
  void open() {
    close();
    database = std::move(*Database::open(sim.env, "/data/views", 24 << 20));
    family = *database->family("v1");
    FieldSet fields;
    const auto shard = [](HashKey, Sequence) { return ShardId(0); };
    upkeep = std::get<0>(Upkeep::open(sim.env, definition, *database, family, fields, 4 << 10, {decisions, shard}));
    parsed = std::make_unique<ParsedBatch>(fields, shard);
    ASSERT_TRUE(upkeep->settle());
  }
  void apply(const std::vector<std::string>& texts) {
    std::vector<Record> records(texts.size());
    for (std::size_t i = 0; i < texts.size(); ++i) {
      records[i].sequence = Sequence(++at);
      records[i].data = texts[i];
      records[i].arrival = WallTime(std::chrono::minutes(at));
    }
    parsed->parse(records);
    ASSERT_TRUE(upkeep->apply(*parsed, Position::through(Sequence(at))));
  }
  void apply_events(std::uint64_t count) {
    std::vector<std::string> texts;
    for (std::uint64_t s = at + 1; s <= at + count; ++s) texts.push_back(Event::of(s).text());
    apply(texts);
  }
  // All pages of each row, forwards and backwards.
  Lists lists(std::uint32_t page) const {
    Lists out;
    const StateLayout layout(definition);
    const auto snapshot = database->snapshot();
    for (const auto rows = snapshot->cursor(*family, std::string(1, kRowSpace), std::string(1, kRowSpace + 1));
         rows->valid(); rows->next()) {
      const std::string key(rows->key().substr(1));
      const auto row = layout.decode(rows->value());
      EXPECT_TRUE(row);
      const auto all = [&](LineageFrom from) {
        std::vector<std::uint64_t> list;
        from.limit = page;
        for (bool more = true; more;) {
          const auto got = read_lineage(*snapshot, *family, key, *row, from);
          EXPECT_TRUE(got);
          EXPECT_LE(got->sequences.size(), page);
          list.insert(list.end(), got->sequences.begin(), got->sequences.end());
          more = got->next.has_value();
          if (more) from.sequence = *got->next;
        }
        return list;
      };
      auto forwards = all({});
      auto backwards = all({.sequence = UINT64_MAX, .backwards = true});
      std::reverse(backwards.begin(), backwards.end());
      EXPECT_EQ(forwards, backwards);
      out[key] = std::move(forwards);
    }
    return out;
  }
  StoreWorld::Bytes bytes() const {
    StoreWorld::Bytes out;
    const auto snapshot = database->snapshot();
    for (const auto c = snapshot->cursor(*family, "", ""); c->valid(); c->next()) out.emplace(c->key(), c->value());
    return out;
  }

  SimEnv sim;
  Definition definition;
  std::shared_ptr<Decisions> decisions = std::make_shared<Decisions>();
  std::unique_ptr<Database> database;
  std::shared_ptr<Family> family;
  std::unique_ptr<Upkeep> upkeep;
  std::unique_ptr<ParsedBatch> parsed;
  std::uint64_t at = 0;
};

std::string key_of(int n) {
  std::string key;
  encode_key(Cell::integer(n), key);
  return key;
}

// What was counted of the first records, with these of the bad ones mended; from this one on.
Lists fold(std::uint64_t records, const std::vector<std::uint64_t>& mended, std::uint64_t from = 1) {
  Lists out;
  for (std::uint64_t s = 1; s <= records; ++s) {
    const Event e = Event::of(s);
    if (e.out || (e.bad && std::find(mended.begin(), mended.end(), s) == mended.end())) continue;
    for (const int k : e.keys) {
      auto& list = out[key_of(k)];
      if (s >= from && (list.empty() || list.back() != s)) list.push_back(s);
    }
  }
  return out;
}

TEST(Lineage, IsWhatAPlainFoldKeepsHoweverBatchesAreCut) {
  constexpr std::uint64_t kRecords = 3'000;
  StoreWorld::Bytes bytes;
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    std::mt19937_64 random(seed);
    LineageStore store(seed);
    std::vector<std::uint64_t> bad, mended;
    const std::uint64_t most = seed == 1 ? kRecords : seed == 2 ? 1 : 400;
    while (store.at < kRecords) {
      const std::uint64_t before = store.at;
      store.apply_events(std::min(1 + random() % most, kRecords - store.at));
      for (std::uint64_t s = before + 1; s <= store.at; ++s)
        if (Event::of(s).bad) bad.push_back(s);
      // Half of them in the end; at once, later, several in one write, or by a start.
      while (random() % 2 == 0 && mended.size() < bad.size() / 2) {
        std::vector<Decided> some;
        for (auto n = 1 + random() % 4; n > 0 && mended.size() < bad.size() / 2; --n) {
          const std::uint64_t s = bad[2 * mended.size()];
          some.push_back({Sequence(s), {Decision::Kind::edit, Event::of(s).text(true)}});
          store.decisions->add(some.back().sequence, some.back().decision);
          mended.push_back(s);
        }
        if (random() % 4 == 0) {
          store.open();
        } else {
          ASSERT_TRUE(store.upkeep->settle(some));
        }
      }
      if (random() % (most == 1 ? 200 : 8) == 0) store.open();
    }
    std::vector<Decided> left;
    for (std::size_t i = 2 * mended.size(); i < bad.size(); i += 2) {
      left.push_back({Sequence(bad[i]), {Decision::Kind::edit, Event::of(bad[i]).text(true)}});
      store.decisions->add(left.back().sequence, left.back().decision);
      mended.push_back(bad[i]);
    }
    ASSERT_TRUE(store.upkeep->settle(left));
    const Lists expected = fold(kRecords, mended);
    ASSERT_GT(expected.at(key_of(0)).size(), 1'000u);
    EXPECT_EQ(store.lists(7), expected) << "seed " << seed;
    EXPECT_EQ(store.lists(100'000), expected) << "seed " << seed;
    if (seed == 1) bytes = store.bytes();
    EXPECT_EQ(store.bytes(), bytes) << "seed " << seed;
  }
}

TEST(Lineage, APageOfALargeRowReadsAPageOfIt) {
  constexpr std::uint64_t kRecords = 200'000;
  LineageStore store(1, "SELECT count(*) AS n FROM t");
  while (store.at < kRecords) store.apply(std::vector<std::string>(10'000, "{}"));
  ASSERT_TRUE(store.database->flush(*store.family, true));
  const auto snapshot = store.database->snapshot();
  const StateLayout layout(store.definition);
  const auto row = layout.decode(snapshot->get(*store.family, row_key(""))->value());
  ASSERT_TRUE(row);
  EXPECT_LT(row->recent().count, kPieceMax);
  store.sim.files.fail({.op = DiskOp::read, .path_contains = {}, .nth = 20, .times = 1});
  const auto page = read_lineage(*snapshot, *store.family, "", *row, {.sequence = 100'000, .limit = 100});
  ASSERT_TRUE(page);
  ASSERT_EQ(page->sequences.size(), 100u);
  EXPECT_EQ(page->sequences.front(), 100'000u);
  EXPECT_EQ(page->next, 100'100u);
  EXPECT_EQ(store.sim.files.faults_hit(), 0u) << "it reads more of the row than it shows";
  store.sim.files.clear_faults();
}

TEST(Lineage, IsThatOfThePage) {
  LineageStore store(1, "SELECT k, count(*) AS n FROM t GROUP BY k");
  std::vector<std::string> texts(200, R"({"k":2})");
  for (const int s : {3, 21, 30, 170}) texts[s - 1] = R"({"k":1})";
  store.apply(texts);
  const auto bytes = store.bytes();
  EXPECT_EQ(to_hex(key_of(1)), "20bff00000000000008000");
  EXPECT_EQ(to_hex(bytes.at(row_key(key_of(1)))), "0303a70104048c01");
  EXPECT_EQ(to_hex(bytes.at(lineage_key(key_of(1), 21))), "12");
  const std::string below = lineage_key(key_of(1), 0).substr(0, key_of(1).size() + 1);
  EXPECT_EQ(std::count_if(bytes.begin(), bytes.end(), [&](const auto& e) { return e.first.starts_with(below); }), 1);
}

TEST(Lineage, WhatIsNoneIsDamage) {
  LineageStore store(1, "SELECT k, count(*) AS n FROM t GROUP BY k");
  std::vector<std::string> texts(200, R"({"k":2})");
  for (const int s : {3, 21, 30, 170}) texts[s - 1] = R"({"k":1})";
  store.apply(texts);
  const StateLayout layout(store.definition);
  const std::string good = store.bytes().at(row_key(key_of(1)));
  const auto row = layout.decode(good);
  ASSERT_TRUE(row);
  EXPECT_EQ(row->recent().count, 2u);
  // Not beyond the first record of the row, not two of one sequence, not half a number.
  EXPECT_TRUE(layout.decode(good.substr(0, 6) + "\xA7\x01"));
  for (const std::string& bad :
       {std::string("\xA8\x01"), std::string("\0", 1), std::string("\x8C"), std::string("\x8C\x01\x1C")})
    EXPECT_FALSE(layout.decode(good.substr(0, 6) + bad)) << to_hex(bad);
  EXPECT_FALSE(layout.decode('\x04' + good.substr(1))) << "a deadline where rows stay";
  EXPECT_FALSE(layout.decode('\x01' + good.substr(1))) << "something is left over";
  // 21 behind 21 would be 0.
  for (const std::string& bad :
       {std::string("\x15"), std::string("\0", 1), std::string("\x80"), std::string("\x13\x02")}) {
    WriteSet set;
    set.put(lineage_key(key_of(1), 21), bad);
    ASSERT_TRUE(store.database->write(*store.family, set));
    const auto page = read_lineage(*store.database->snapshot(), *store.family, key_of(1), *row, {});
    ASSERT_FALSE(page) << to_hex(bad);
    EXPECT_EQ(page.error(), StorageErrc::damaged);
  }
}

// A producer that leaves out the records that end a piece makes no piece longer than it may be.
TEST(Lineage, NoPieceIsLongerThanItMayBe) {
  LineageStore store(1, "SELECT k, count(*) AS n, sum(n) AS s FROM t GROUP BY k");
  const auto text = [](std::uint64_t s, bool mended) {
    return std::string(R"({"k":")") + (ends_piece(s) ? "other" : "one") +
           "\",\"n\":" + (s % 1'500 == 7 && !mended ? "\"x\"" : "1") + "}";
  };
  std::vector<std::string> texts;
  for (std::uint64_t s = 1; s <= 5'000; ++s) texts.push_back(text(s, false));
  store.apply(texts);
  for (std::uint64_t s = 7; s <= 5'000; s += 1'500)
    store.decisions->add(Sequence(s), {Decision::Kind::edit, text(s, true)});
  LineageStore in_turn(1, "SELECT k, count(*) AS n, sum(n) AS s FROM t GROUP BY k");
  in_turn.decisions = store.decisions;
  in_turn.open();
  in_turn.apply(texts);
  ASSERT_TRUE(store.upkeep->settle());
  EXPECT_EQ(store.bytes(), in_turn.bytes());
  for (const auto& [key, value] : store.bytes()) {
    if (key[0] == kLineageSpace) {
      EXPECT_LE(value.size(), 2 * kPieceMax);
    }
  }
  EXPECT_LE(store.lists(1'000).size(), 2u);
}

// What a version without lineage has written goes on, and its lineage begins where it was.
TEST(Lineage, OfAViewFromBeforeBeginsWhereThatWas) {
  LineageStore store;
  store.definition.lineage = false;
  store.open();
  store.apply_events(500);
  for (const auto& [key, value] : store.bytes()) EXPECT_NE(key[0], kLineageSpace);
  EXPECT_EQ(store.bytes().at(std::string(kCheckpointKey))[0], 1);
  EXPECT_EQ(store.lists(100), fold(500, {}, 501));
  store.definition.lineage = true;
  store.open();
  EXPECT_EQ(store.upkeep->checkpoint().lineage, Sequence(501));
  store.apply_events(500);
  store.open();
  EXPECT_EQ(store.upkeep->checkpoint().lineage, Sequence(501));
  EXPECT_EQ(store.lists(100), fold(1'000, {}, 501));
  // One of before is counted late, and is not in it: nothing would be right about the others.
  std::uint64_t bad = 1;
  while (!Event::of(bad).bad || Event::of(bad).out || Event::of(bad).keys.empty()) ++bad;
  store.decisions->add(Sequence(bad), {Decision::Kind::edit, Event::of(bad).text(true)});
  ASSERT_TRUE(store.upkeep->settle());
  EXPECT_EQ(store.lists(100), fold(1'000, {bad}, 501));
}

// With the row goes all of it, and the row that comes after has its own.
TEST(Lineage, GoesWithTheRow) {
  LineageStore store(
      1, "CREATE MATERIALIZED VIEW v WITH (ttl = '100 minutes') AS SELECT k, count(*) AS n FROM t GROUP BY k");
  const std::string one = R"({"k":1})", two = R"({"k":2})";
  store.apply(std::vector<std::string>(60, one));
  store.apply(std::vector<std::string>(90, two));
  EXPECT_EQ(store.lists(100).at(key_of(1)).size(), 60u);
  store.apply(std::vector<std::string>(20, two));
  EXPECT_FALSE(store.lists(100).contains(key_of(1)));
  for (const auto& [key, value] : store.bytes())
    EXPECT_FALSE(key.starts_with(lineage_key(key_of(1), 0).substr(0, 5))) << "left";
  store.apply({one});
  EXPECT_EQ(store.lists(100).at(key_of(1)), std::vector<std::uint64_t>{171});
}

}  // namespace
}  // namespace tidemill::views
