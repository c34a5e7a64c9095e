// Rows that go with time: whatever the batch cuts and kills, readers see what an independent fold of the records gives,
// and once everything that is due was removed, the same bytes are stored.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "consumers/views/key.h"
#include "consumers/views/sqlite.h"
#include "consumers/views/upkeep.h"
#include "consumers/views/view.h"
#include "storage/seam/random.h"
#include "tests/support/sim_env.h"

namespace tidemill::views {
namespace {

constexpr std::int64_t kMinute = 60'000;
constexpr std::int64_t kBegin = 1'700'000'000'000 / (60 * kMinute) * (60 * kMinute);

struct Event {
  std::int64_t time = 0;    // when it arrived
  std::int64_t window = 0;  // the ten minutes of when it happened
  std::string key;
  int value = 0;
  std::string json;
};

// Arrivals mostly go on, sometimes back, sometimes far ahead; what happened did so a little, or much, earlier.
std::vector<Event> events(std::uint64_t seed, std::size_t n) {
  std::mt19937_64 random(seed);
  std::vector<Event> out;
  std::int64_t time = kBegin;
  for (std::size_t i = 0; i < n; ++i) {
    const auto dice = random() % 100;
    time += dice < 2 ? 300 * kMinute : dice < 10 ? 20 * kMinute : static_cast<std::int64_t>(random() % kMinute);
    Event e;
    e.time = dice % 11 == 0 ? time - static_cast<std::int64_t>(random() % (90 * kMinute)) : time;
    const std::int64_t at = time - static_cast<std::int64_t>(random() % ((dice % 5 == 0 ? 150 : 10) * kMinute));
    e.window = at / (10 * kMinute) * (10 * kMinute);
    e.key = "k" + std::to_string(random() % 17);
    e.value = static_cast<int>(random() % 12);
    e.json = R"({"k":")" + e.key + R"(","v":)" + std::to_string(e.value) + R"(,"at":)" + std::to_string(at) + "}";
    out.push_back(std::move(e));
  }
  return out;
}

// The view once more, said plainly.
class Plain {
 public:
  explicit Plain(bool windows) : windows_(windows) {}
  void add(const Event& e) {
    now_ = std::max(now_, e.time);
    const std::int64_t deadline = windows_ ? e.window + 10 * kMinute + 60 * kMinute : now_ + 60 * kMinute;
    if (deadline <= now_) {
      ++late;
      return;
    }
    const std::string key = windows_ ? std::to_string(e.window / 1000) + "|" + e.key : e.key;
    auto [at, fresh] = rows_.try_emplace(key);
    if (!fresh && at->second.deadline <= now_) {
      at->second = Row();
      fresh = true;
    }
    begun += fresh;
    at->second.deadline = deadline;
    ++at->second.count;
    at->second.values.insert(e.value);
    at->second.list.push_back(e.value);
  }
  std::vector<std::string> rows() const {
    std::vector<std::string> out;
    for (const auto& [key, row] : rows_)
      if (row.deadline > now_)
        out.push_back(key + "|" + std::to_string(row.count) + "|" + std::to_string(row.values.size()) + "|[" +
                      listed(row.list, row.list.size()) + "]|[" + listed(row.list, 3) + "]");
    std::sort(out.begin(), out.end());
    return out;
  }
  std::uint64_t begun = 0, late = 0;

 private:
  struct Row {
    std::int64_t deadline = 0;
    std::uint64_t count = 0;
    std::set<int> values;
    std::vector<int> list;
  };
  static std::string listed(const std::vector<int>& list, std::size_t last) {
    std::string out;
    for (std::size_t i = list.size() - std::min(last, list.size()); i < list.size(); ++i)
      out += (out.empty() ? "" : ",") + std::to_string(list[i]);
    return out;
  }
  const bool windows_;
  std::int64_t now_ = 0;
  std::map<std::string, Row> rows_;
};

std::string sql_of(bool windows) {
  if (windows)
    return "CREATE MATERIALIZED VIEW v WITH (window = begins, size = '10 minutes', retention = '1 hour') AS "
           "SELECT at / 600000 * 600 AS begins, k, count(*) AS n, count(DISTINCT v) AS vs, collect(v) AS list, "
           "collect(v, 3) AS newest FROM s GROUP BY begins, k";
  return "CREATE MATERIALIZED VIEW v WITH (ttl = '1 hour') AS "
         "SELECT k, count(*) AS n, count(DISTINCT v) AS vs, collect(v) AS list, collect(v, 3) AS newest FROM s GROUP "
         "BY k";
}

class ExpiringView {
 public:
  explicit ExpiringView(const std::string& sql, std::uint64_t seed = 1) : sim(seed) {
    configure_sqlite();
    auto split_up = split(sql);
    const auto* error = std::get_if<SqlError>(&split_up);
    EXPECT_EQ(error, nullptr) << error->message;
    definition = std::get<Definition>(split_up);
    open();
  }
  ~ExpiringView() { close(); }
  void open() {
    auto opened = Database::open(sim.env, "/data/views", 24 << 20);
    ASSERT_TRUE(opened) << opened.error().message();
    database = std::move(*opened);
    family = *database->family("v1");
    FieldSet fields;
    auto kept = Upkeep::open(sim.env, definition, *database, family, fields, 8 << 10);  // a cache of a few rows
    ASSERT_TRUE(std::holds_alternative<std::unique_ptr<Upkeep>>(kept));
    upkeep = std::move(std::get<0>(kept));
    parsed = std::make_unique<ParsedBatch>(fields, [](HashKey, Sequence) { return ShardId(0); });
    view = std::make_unique<View>(1, in_default("v"), "", definition, family);
  }
  void close() {
    upkeep.reset();
    view.reset();
    family.reset();
    database.reset();
  }
  std::size_t done() const { return upkeep->checkpoint().position.sequence().value(); }
  void apply(const std::vector<Event>& events, std::size_t n) {
    const std::size_t from = done();
    std::vector<Record> records(std::min(n, events.size() - from));
    for (std::size_t i = 0; i < records.size(); ++i) {
      records[i].sequence = Sequence(from + i + 1);
      records[i].data = events[from + i].json;
      records[i].arrival = WallTime(std::chrono::milliseconds(events[from + i].time));
    }
    parsed->parse(records);
    ASSERT_TRUE(upkeep->apply(*parsed, Position::through(Sequence(from + records.size()))));
  }
  void tidy() {
    while (upkeep->untidy()) ASSERT_TRUE(upkeep->tidy());
  }
  std::vector<std::string> rows() const {
    const auto snapshot = database->snapshot();
    RangeOptions all;
    all.limit = 100'000;
    const auto got = view->range(*snapshot, all);
    EXPECT_TRUE(got) << got.error().message();
    std::vector<std::string> out;
    for (const Row& row : got->rows) {
      std::string text;
      for (const Value& v : row) {
        if (!text.empty()) text += '|';
        if (const auto* i = std::get_if<std::int64_t>(&v)) text += std::to_string(*i);
        if (const auto* s = std::get_if<std::string>(&v)) text += *s;
        if (const auto* j = std::get_if<Json>(&v)) text += j->text;
      }
      out.push_back(text);
      const Row key(row.begin(), row.begin() + static_cast<std::ptrdiff_t>(definition.groups.size()));
      EXPECT_TRUE(*view->get(*snapshot, key)) << text;
    }
    std::sort(out.begin(), out.end());
    return out;
  }
  std::map<std::string, std::string> bytes() const {
    std::map<std::string, std::string> out;
    const auto snapshot = database->snapshot();
    const auto cursor = snapshot->cursor(*family, "", "");
    for (; cursor->valid(); cursor->next()) out.emplace(cursor->key(), cursor->value());
    return out;
  }

  SimEnv sim;
  Definition definition;
  std::unique_ptr<Database> database;
  std::shared_ptr<Family> family;
  std::unique_ptr<Upkeep> upkeep;
  std::unique_ptr<ParsedBatch> parsed;
  std::unique_ptr<View> view;
};

// Each row has one entry in the index, each entry and each member a row.
void expect_whole(const ExpiringView& v) {
  std::set<std::string> rows, indexed;
  for (const auto& [key, value] : v.bytes()) {
    const std::string_view behind = std::string_view(key).substr(1);
    if (key[0] == kRowSpace) rows.emplace(behind);
    if (key[0] == kMemberSpace || key[0] == kLineageSpace) {
      EXPECT_TRUE(rows.contains(std::string(key_in_front(behind, v.definition.groups.size()))));
    }
    if (key[0] != kExpirySpace) continue;
    const auto entry = expiry_entry(key);
    ASSERT_TRUE(entry);
    EXPECT_TRUE(indexed.emplace(entry->group_key).second) << "two entries";
  }
  EXPECT_EQ(rows, indexed);
  EXPECT_EQ(rows.size(), v.upkeep->checkpoint().rows);
}

class RowsThatGo : public ::testing::TestWithParam<bool> {};

TEST_P(RowsThatGo, HoweverBatchesAreCutItIsWhatAPlainFoldGives) {
  const bool windows = GetParam();
  const auto all = events(windows ? 7 : 8, 1'500);
  std::vector<std::map<std::string, std::string>> ends;
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    std::mt19937_64 random(seed);
    ExpiringView v(sql_of(windows), seed);
    Plain plain(windows);
    std::size_t counted = 0;
    while (v.done() < all.size()) {
      v.apply(all, 1 + random() % (seed * seed * 10));
      for (; counted < v.done(); ++counted) plain.add(all[counted]);
      ASSERT_EQ(v.rows(), plain.rows()) << "seed " << seed << ", after " << counted;
      const Checkpoint& at = v.upkeep->checkpoint();
      ASSERT_EQ(at.rows + at.expiry->expired, plain.begun) << "seed " << seed << ", after " << counted;
      ASSERT_EQ(at.expiry->late, plain.late);
      ASSERT_NO_FATAL_FAILURE(expect_whole(v));
      if (random() % 8 == 0) {
        v.close();
        v.open();
      }
    }
    EXPECT_GT(plain.begun, 300u);
    EXPECT_EQ(plain.late > 50, windows);
    v.tidy();
    EXPECT_EQ(v.rows(), plain.rows());
    expect_whole(v);
    ends.push_back(v.bytes());
    EXPECT_EQ(ends.back(), ends.front()) << "seed " << seed;
  }
}

// One set of thousands goes with its row, whether the row begins anew or is removed.
TEST(RowExpiry, ThousandsOfMembersGoByARange) {
  ExpiringView v(sql_of(false));
  std::vector<Event> all;
  const auto add = [&](const std::string& key, int value, std::int64_t minute) {
    all.push_back(
        {kBegin + minute * kMinute, 0, key, value, R"({"k":")" + key + R"(","v":)" + std::to_string(value) + "}"});
  };
  for (int i = 0; i < 6'000; ++i) add(i % 2 == 0 ? "a" : "b", i, 0);
  add("a", 1, 60);
  v.apply(all, 6'000);
  ASSERT_GT(v.bytes().size(), 12'000u);
  v.apply(all, 1);
  EXPECT_EQ(v.rows(), std::vector<std::string>{"a|1|1|[1]|[1]"});
  add("c", 2, 100);
  v.apply(all, 1);
  v.tidy();
  EXPECT_EQ(v.rows(), (std::vector<std::string>{"a|1|1|[1]|[1]", "c|1|1|[2]|[2]"}));
  EXPECT_EQ(v.bytes().size(), 1u + 2 * 5u) << "the checkpoint; and of each row itself, three members and its entry";
  expect_whole(v);
  EXPECT_EQ(v.upkeep->checkpoint().expiry->expired, 2u);
}

INSTANTIATE_TEST_SUITE_P(Expiry, RowsThatGo, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "Windows" : "TimeToLive"; });

}  // namespace
}  // namespace tidemill::views
