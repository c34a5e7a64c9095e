// Samples of views that are made again from the log in the background.
#include <gmock/gmock.h>

#include "consumers/views/audit.h"
#include "consumers/views/database.h"
#include "consumers/views/store_keys.h"
#include "tests/consumers/views_store/bases_world.h"
#include "tests/support/capture_logger.h"

namespace tidemill::views {
namespace {

using testing::Each;
using testing::StartsWith;

constexpr auto kEvery = std::chrono::hours(24);

struct Said {  // outlives the world
  CaptureLogger said;
};
struct AuditWorld : Said, BasesWorld {
  AuditWorld() : BasesWorld(1, said) {
    audit = kEvery;
    reopen();
    create_view();
  }
  void records(int count, int keys) {
    for (int i = 1; i <= count; ++i)
      put(stream(), "p", R"({"k":"k)" + std::to_string(i % keys) + R"(","n":)" + std::to_string(i) + "}");
    (void)rows();
  }
  void a_while(int intervals = 3) { sim.executor.run_for(intervals * kEvery); }
  ViewInfo view(const std::string& name = "v") { return *views->find(name); }
  std::vector<std::string> families() {
    const auto database = std::move(*Database::open(sim.env, "/data/views", 8 << 20));
    auto out = database->names();
    EXPECT_TRUE(database->close());
    return out;
  }
  // Does something to the family while nobody has it open.
  void harm(const std::function<void(const Snapshot&, const Family&, WriteSet&)>& what) {
    close_all();
    {
      const auto database = std::move(*Database::open(sim.env, "/data/views", 8 << 20));
      const auto family = *database->family(database->names()[0]);
      WriteSet set;
      what(*database->snapshot(), *family, set);
      ASSERT_TRUE(database->write(*family, set));
      ASSERT_TRUE(database->close());
    }
    open_all();
  }
};

TEST(Audit, WhatIsRightIsFoundRightAgainAndAgain) {
  AuditWorld w;
  w.records(40, 7);
  w.put(w.stream(), "p", R"({"k":"k1","n":"bad"})");
  w.put(w.stream(), "p", R"({"k":"k2","n":"bad"})");
  (void)w.rows();
  DecisionRequest edit{.what = DecisionRequest::What::edit, .sequence = Sequence(41), .data = R"({"k":"k3","n":5})"};
  ASSERT_TRUE(std::holds_alternative<DecisionResult>(w.views->decide("v", edit)));
  EXPECT_EQ(w.view().audited, 0u);
  w.a_while();
  EXPECT_GE(w.view().audited, 2u * 7);
  EXPECT_EQ(w.view().audited % 7, 0u);
  EXPECT_EQ(w.view().audit_mismatches, 0u);
  EXPECT_GT(w.view().audited_at, WallTime());
  w.close_all();
  EXPECT_THAT(w.families(), Each(StartsWith("v")));
  w.open_all();
}

// What has gone may be stored on one side only: that is no difference, and what is there is still looked at.
TEST(Audit, RowsThatHaveGoneAreNoDifference) {
  AuditWorld w;
  const auto made = w.views->run(
      "CREATE MATERIALIZED VIEW e WITH (ttl = '90 minutes') AS SELECT k, count(*) AS n, count(DISTINCT n) AS m "
      "FROM s GROUP BY k");
  ASSERT_TRUE(made && std::holds_alternative<StatementResult>(*made));
  w.fill(60);  // over fifteen hours; each key comes again after 105 minutes
  w.sim.executor.run_until_idle();
  ASSERT_GT(w.view("e").expiry->expired, 0u);
  w.a_while(4);
  EXPECT_GT(w.view("e").audited, 0u);
  EXPECT_EQ(w.view("e").audit_mismatches, 0u);
}

TEST(Audit, EachKindOfDifferenceIsFound) {
  const auto row_of = [](const Snapshot& s, const Family& f, char space) {
    const auto cursor = s.cursor(f, std::string(1, space), std::string(1, static_cast<char>(space + 1)));
    return std::pair<std::string, std::string>(cursor->key(), cursor->value());
  };
  using Harm = std::function<void(const Snapshot&, const Family&, WriteSet&)>;
  const std::pair<const char*, Harm> harms[] = {
      {"another value",
       [&](const Snapshot& s, const Family& f, WriteSet& set) {
         auto [key, value] = row_of(s, f, kRowSpace);
         value[3] = static_cast<char>(value[3] + 1);
         set.put(key, value);
       }},
      {"a row is missing",
       [&](const Snapshot& s, const Family& f, WriteSet& set) { set.remove(row_of(s, f, kRowSpace).first); }},
      {"a row too many",
       [&](const Snapshot& s, const Family& f, WriteSet& set) {
         auto [key, value] = row_of(s, f, kRowSpace);
         key[2] = 'a';
         set.put(key, value);
       }},
      {"a member is missing",
       [&](const Snapshot& s, const Family& f, WriteSet& set) { set.remove(row_of(s, f, kMemberSpace).first); }},
      {"a member too many",
       [&](const Snapshot& s, const Family& f, WriteSet& set) { set.put(row_of(s, f, kMemberSpace).first + "x", ""); }},
  };
  for (const auto& [what, harm] : harms) {
    AuditWorld w;
    w.records(40, 7);
    w.harm(harm);
    w.a_while(2);
    EXPECT_GT(w.view().audit_mismatches, 0u) << what;
    EXPECT_GT(w.said.count("a row of a view is not what the log gives"), 0u) << what;
  }
}

TEST(Audit, OfManyRowsASampleAnotherOneEachTime) {
  AuditWorld w;
  w.records(3'500, 3'500);
  w.harm([](const Snapshot& s, const Family& f, WriteSet& set) {  // all of them
    const auto cursor = s.cursor(f, std::string(1, kRowSpace), std::string(1, kRowSpace + 1));
    for (; cursor->valid(); cursor->next()) {
      std::string value(cursor->value());
      value[3] = static_cast<char>(value[3] + 1);
      set.put(cursor->key(), value);
    }
  });
  w.a_while(2);
  const ViewInfo once = w.view();
  EXPECT_GT(once.audited, 1'000u);
  EXPECT_LT(once.audited, 3'000u);
  EXPECT_EQ(once.audit_mismatches, once.audited);
}

TEST(Audit, ViewsInTheirTurnAndNoneThatIsGone) {
  AuditWorld w;
  w.create_view("w");
  w.records(40, 7);
  w.a_while(6);
  EXPECT_GT(w.view("v").audited, 0u);
  EXPECT_GT(w.view("w").audited, 0u);
  // Dropped while it is under way.
  for (int i = 0; i < 20; ++i) {
    w.sim.executor.run_for(kEvery / 16);
    if (i == 10) {
      ASSERT_TRUE(std::get<bool>(w.views->drop("v")));
    }
  }
  w.a_while();
  EXPECT_EQ(w.view("w").audit_mismatches, 0u);
  w.close_all();
  EXPECT_THAT(w.families(), testing::ElementsAre(testing::_));
  w.open_all();
}

TEST(Audit, AViewOfAShortenedLogIsNotSampled) {
  AuditWorld w;
  w.begin();
  w.fill(60);
  w.shorten();
  ASSERT_GT(w.log().start(), Sequence(1));
  const std::uint64_t before = w.view().audited;
  w.a_while();
  EXPECT_EQ(w.view().audited, before);
  EXPECT_EQ(w.said.count("could not be audited"), 0u);
}

}  // namespace
}  // namespace tidemill::views
