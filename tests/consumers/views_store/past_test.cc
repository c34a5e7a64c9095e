// Rows as they were: each is what a view has that was given the records up to there and no more, or it is refused.
#include <random>

#include "consumers/views/past.h"
#include "consumers/views/upkeep.h"
#include "storage/base/errors.h"
#include "tests/consumers/views_store/past_world.h"

namespace tidemill::views {
namespace {

TEST(Past, EachRowIsThatOfAViewOfTheRecordsUpToThere) {
  constexpr std::uint64_t kRecords = 180;
  PastWorld now, then;
  for (const auto& [name, sql] : kViews) {
    now.define(name, sql);
    then.define(name, sql);
  }
  for (std::uint64_t s = 1; s <= kRecords; ++s) now.add_event();
  // Late, and not in their order.
  for (std::uint64_t s = kRecords; s > 0; --s) now.decide(s);
  std::map<std::string, std::map<std::string, PastWorld::Shown>> last;
  for (const auto& [name, sql] : kViews) last[name] = now.all(name);

  std::mt19937_64 random(5);
  std::uint64_t compared = 0, told = 0;
  for (std::uint64_t s = 1; s <= kRecords; ++s) {
    then.add_event();
    then.decide(s);
    if (s == kRecords / 2) now.reopen();
    if (random() % 3 != 0 && s != kRecords) continue;
    for (const auto& [name, rows] : last) {
      now.caught_up(name);
      const auto expected = then.all(name);
      for (const auto& [key, shown] : rows) {
        const auto there = expected.find(key);
        ASSERT_EQ(now.at(name, shown.key, s), there == expected.end() ? "-" : there->second.text)
            << name << " " << key << " at " << s;
        EXPECT_EQ(now.last.as_of.position.sequence(), Sequence(s));
        EXPECT_EQ(now.last.as_of.time, then.records[s - 1]->record.arrival);
        EXPECT_FALSE(now.last.as_of.token.empty());
        ++compared;
        if (there != expected.end() && there->second.text != shown.text) ++told;
      }
    }
  }
  EXPECT_GT(compared, 1'000u);
  EXPECT_GT(told, 500u) << "rows that were others than they are";
}

TEST(Past, ATimeIsTheLastRecordThatHadArrivedByThen) {
  PastWorld w;
  w.create_view();
  std::vector<WallTime> arrived;
  for (int i = 1; i <= 5; ++i) {
    arrived.push_back(w.sim.clock.wall());
    w.add(R"({"k":"a","n":)" + std::to_string(i) + "}");
  }
  w.caught_up("v");
  const Row a{Value("a")};
  const auto by = [&](WallTime time) { return w.at("v", a, {.at = time}); };
  EXPECT_EQ(by(arrived[2]), "a|3|6|3");
  EXPECT_EQ(w.last.as_of.position.sequence(), Sequence(3));
  EXPECT_EQ(w.last.as_of.time, arrived[2]);
  EXPECT_EQ(by(arrived[2] - std::chrono::milliseconds(1)), "a|2|3|2");
  EXPECT_EQ(by(arrived[2] + std::chrono::milliseconds(1)), "a|3|6|3");
  EXPECT_EQ(by(arrived[0]), "a|1|1|1");
  EXPECT_EQ(by(arrived[0] - std::chrono::milliseconds(1)), "-");
  EXPECT_EQ(w.last.as_of.position.sequence(), Sequence(0));
  EXPECT_EQ(by(w.sim.clock.wall()), "a|5|15|5");
  EXPECT_EQ(by(w.sim.clock.wall() + std::chrono::milliseconds(1)), "at_ahead");
  EXPECT_EQ(w.last.as_of.position.sequence(), Sequence(5)) << "where it is refused, how far the view is";
}

TEST(Past, WhatIsNotThereYetOrNotAtAll) {
  PastWorld w;
  w.create_view();
  for (int i = 1; i <= 4; ++i) w.add(R"({"k":")" + std::string(i == 3 ? "b" : "a") + R"(","n":1})");
  w.caught_up("v");
  const Row a{Value("a")}, b{Value("b")};
  EXPECT_EQ(w.at("v", a, 4), "a|3|3|1");
  EXPECT_EQ(w.at("v", a, 5), "at_ahead");
  EXPECT_NE(w.last.refused->message.find("sequence 4"), std::string::npos) << w.last.refused->message;
  EXPECT_EQ(w.at("v", b, 2), "-");
  EXPECT_EQ(w.at("v", b, 3), "b|1|1|1");
  EXPECT_EQ(w.at("v", b, 0), "-");
  EXPECT_EQ(w.at("v", {Value("c")}, 4), "-");
  EXPECT_FALSE(w.views->get_at("v", {}, {.at = Sequence(1)})) << "no key";
  EXPECT_FALSE(*w.views->get_at("nosuch", a, {.at = Sequence(1)}));
  // Nobody waits any more; and there is no time left.
  EXPECT_EQ(w.at("v", a, {.at = Sequence(1), .cancelled = [] { return true; }}), "cancelled");
  EXPECT_EQ(w.at("v", a, {.at = Sequence(1), .time_max = std::chrono::milliseconds(0)}), "sql_timeout");
}

TEST(Past, ViewsThatCannotTellSaySo) {
  PastWorld w;
  w.create_view();
  w.define("looks", "SELECT s.k AS k, count(*) AS n FROM s JOIN v ON v.k = s.k GROUP BY s.k");
  w.define("goes", "CREATE MATERIALIZED VIEW goes WITH (ttl = '1 day') AS SELECT k, count(*) AS n FROM s GROUP BY k");
  w.define("plain",
           "CREATE MATERIALIZED VIEW plain WITH (lineage = false) AS SELECT k, count(*) AS n FROM s GROUP BY k");
  for (int i = 0; i < 3; ++i) w.add(R"({"k":"a","n":1})");
  const Row a{Value("a")};
  for (const auto& [view, code] : std::map<std::string, std::string>{
           {"looks", "not_supported"}, {"goes", "not_supported"}, {"plain", "no_lineage"}, {"v", "a|1|1|1"}}) {
    w.caught_up(view);
    EXPECT_EQ(w.at(view, a, 1), code) << view;
    if (code == "not_supported") {
      EXPECT_FALSE(w.last.refused->message.empty());
    }
  }
}

TEST(Past, AViewThatBeganLaterTellsFromThere) {
  PastWorld w;
  for (int i = 0; i < 30; ++i) w.add(R"({"k":"a","n":1})");
  w.define("late", "CREATE MATERIALIZED VIEW late WITH (from = 11) AS SELECT k, sum(n) AS n FROM s GROUP BY k");
  w.caught_up("late");
  const Row a{Value("a")};
  EXPECT_EQ(w.at("late", a, 9), "history_gone");
  EXPECT_EQ(w.last.refused->first, Sequence(11));
  EXPECT_EQ(w.at("late", a, 10), "-");
  EXPECT_EQ(w.at("late", a, 11), "a|1");
  EXPECT_EQ(w.at("late", a, 29), "a|19");
}

TEST(Past, WhatRetentionTookIsNotMadeUp) {
  PastWorld w;
  w.shorten_a_view();
  ASSERT_EQ(w.rows(), BasesWorld::expected(1, 60));
  const std::uint64_t start = w.log().start().value();
  ASSERT_GT(start, 20u);
  for (int i = 0; i < 3; ++i) w.add(R"({"k":"new","n":1})");
  w.caught_up("v");
  // Of k1 the records 1, 8 ... 57.
  const Row k1{Value("k1")};
  EXPECT_EQ(w.at("v", k1, 56), "history_gone");
  EXPECT_EQ(w.last.refused->first, Sequence(57));
  EXPECT_NE(w.last.refused->message.find("begins at sequence " + std::to_string(start)), std::string::npos)
      << w.last.refused->message;
  EXPECT_EQ(w.at("v", k1, 57), "k1|9|261|9");
  EXPECT_EQ(w.at("v", k1, 60), "k1|9|261|9");
  // What all is there of.
  const Row fresh{Value("new")};
  EXPECT_EQ(w.at("v", fresh, 62), "new|2|2|1");
  EXPECT_EQ(w.at("v", fresh, 60), "-");
  EXPECT_EQ(w.at("v", fresh, 5), "-");
  EXPECT_EQ(w.last.as_of.time, WallTime{}) << "the log does not know";
  // How far the log was at a time of before is not known, so not what a row was, either.
  const PastOptions long_ago{.at = w.records.front()->record.arrival};
  EXPECT_EQ(w.at("v", k1, long_ago), "history_gone");
  EXPECT_EQ(w.last.refused->first, Sequence(start));
  EXPECT_EQ(w.at("v", k1, {.at = w.records[58]->record.arrival}), "k1|9|261|9");
  EXPECT_EQ(w.last.as_of.position.sequence(), Sequence(59));
}

TEST(Past, ARowOfTooManyRecordsIsRefused) {
  PastWorld w;
  w.define("v", "SELECT k, count(*) AS n FROM s GROUP BY k");
  std::vector<std::unique_ptr<OneRecord>> many;
  for (int i = 1; i <= 10'020; ++i) {
    many.push_back(std::make_unique<OneRecord>("p", i == 7 ? R"({"k":"b"})" : R"({"k":"a"})", w.sim.clock.wall()));
    w.stream().log().append(&many.back()->append);
  }
  w.sim.executor.run_until([&] { return many.back()->answered; });
  w.caught_up("v");
  const Row a{Value("a")};
  EXPECT_EQ(w.at("v", a, 10'001), "a|10000");
  EXPECT_EQ(w.at("v", a, 10'002), "history_too_long");
  EXPECT_EQ(w.at("v", a, 10'019), "history_too_long");
  EXPECT_EQ(w.at("v", a, 10'020), "a|10019") << "as it is now costs nothing";
}

TEST(Past, ARowOfTooManyBytesIsRefused) {
  PastWorld w;
  w.define("v", "SELECT k, count(*) AS n FROM s GROUP BY k");
  const std::string large = R"({"k":"a","x":")" + std::string(1'000'000, 'x') + "\"}";
  for (int i = 0; i < 70; ++i) w.add(large);
  w.caught_up("v");
  EXPECT_EQ(w.at("v", {Value("a")}, 67), "a|67");
  EXPECT_EQ(w.at("v", {Value("a")}, 69), "history_too_long");
}

// A version without lineage had kept the view.
TEST(Past, WhatAnOlderVersionCountedIsNotMadeUp) {
  PastWorld w;
  for (int i = 1; i <= 30; ++i) w.add(R"({"k":")" + std::string(i > 20 ? "b" : "a") + R"(","n":1})");
  Definition definition = std::get<Definition>(split("SELECT k, sum(n) AS n FROM s GROUP BY k", {}));
  const auto database = std::move(*Database::open(w.sim.env, "/data/older", 24 << 20));
  const auto family = *database->family("v1");
  for (const std::uint64_t until : {10, 30}) {
    definition.lineage = until == 30;
    FieldSet fields;
    const auto upkeep = std::get<0>(Upkeep::open(w.sim.env, definition, *database, family, fields, 1 << 20));
    ParsedBatch parsed(fields, [](HashKey, Sequence) { return ShardId(0); });
    const auto batch = w.log().read(Sequence(1), {.records_max = static_cast<std::uint32_t>(until)});
    ASSERT_TRUE(batch);
    parsed.parse(batch->records);
    ASSERT_TRUE(upkeep->apply(parsed, Position::through(Sequence(until))));
  }
  const View view(1, in_default("v"), "", definition, family);
  const auto at = [&](const char* key, std::uint64_t sequence) {
    const auto told = row_at(view, *database->snapshot(), w.stream(), nullptr, {Value(key)}, Sequence(sequence),
                             w.sim.clock, {w.sim.clock.monotonic() + std::chrono::seconds(5), {}});
    EXPECT_TRUE(told);
    if (const auto* refused = std::get_if<PastRefusal>(&*told))
      return refused->code + " " + std::to_string(refused->first->value());
    const auto& row = std::get<std::optional<Row>>(*told);
    return row ? ViewsWorld::text(*row) : "-";
  };
  EXPECT_EQ(at("a", 5), "history_gone 20");
  EXPECT_EQ(at("a", 15), "history_gone 20");
  EXPECT_EQ(at("a", 20), "a|20");
  EXPECT_EQ(at("b", 20), "-");
  EXPECT_EQ(at("b", 25), "b|5");
}

TEST(Past, DamageGivesNoRowRatherThanAWrongOne) {
  PastWorld w;
  w.create_view();
  w.fill(40);
  ASSERT_EQ(w.rows(), BasesWorld::expected(1, 40));
  const auto directory = "/data/streams/" + std::to_string(w.stream().definition().id.value());
  w.close_all();
  std::vector<std::string> segments;
  const auto entries = w.sim.files.list(directory);
  ASSERT_TRUE(entries);
  for (const auto& e : *entries)
    if (e.name.ends_with(".seg")) segments.push_back(e.name);
  std::sort(segments.begin(), segments.end());
  ASSERT_GT(segments.size(), 4u);
  ASSERT_TRUE(w.sim.files.flip_bit(directory + "/" + segments[2], 12'000, 3));
  w.open_all();
  w.caught_up("v");
  int told = 0, refused = 0;
  for (std::uint64_t s = 1; s <= 40; ++s) {
    for (const auto& expected : BasesWorld::expected(1, s)) {
      const std::string got = w.at("v", {Value(expected.substr(0, 2))}, s);
      got == expected ? ++told : ++refused;
      if (got != expected) {
        EXPECT_EQ(got, "error: " + make_error_code(StorageErrc::damaged).message());
      }
    }
  }
  EXPECT_GT(told, 50);
  EXPECT_GT(refused, 0);
}

}  // namespace
}  // namespace tidemill::views
