// Decisions about records in quarantine, made through the catalog: durable, kept by restarts, rebuilds, other
// definitions and bases.
#include <gmock/gmock.h>

#include "consumers/views/verify.h"
#include "consumers/views/view_events.h"
#include "storage/seam/file_system.h"
#include "tests/consumers/views_store/bases_world.h"

namespace tidemill::views {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using What = DecisionRequest::What;

class DecideWorld : public BasesWorld {
 public:
  using BasesWorld::BasesWorld;
  void bad(const std::string& k, const std::string& n = "many") {
    put(stream(), "p", R"({"k":")" + k + R"(","n":")" + n + "\"}");
  }
  void good(const std::string& k, int n) {
    put(stream(), "p", R"({"k":")" + k + R"(","n":)" + std::to_string(n) + "}");
  }
  // The sequences that were decided; else the error's code.
  std::vector<std::uint64_t> decide(const DecisionRequest& request, const std::string& view = "v") {
    error.clear();
    auto made = views->decide(view, request);
    if (const auto* e = std::get_if<SqlError>(&made)) {
      error = e->code + ": " + e->message;
      return {};
    }
    result = std::get<DecisionResult>(std::move(made));
    std::vector<std::uint64_t> out;
    for (const Sequence s : result.decided) out.push_back(s.value());
    return out;
  }
  std::vector<std::uint64_t> skip(std::uint64_t s) { return decide({.what = What::skip, .sequence = Sequence(s)}); }
  std::vector<std::uint64_t> edit(std::uint64_t s, const std::string& data, bool dry = false) {
    return decide({.what = What::edit, .sequence = Sequence(s), .data = data, .dry_run = dry});
  }
  std::vector<std::uint64_t> set_aside(const std::string& view = "v") {
    std::vector<std::uint64_t> out;
    const auto got = views->quarantine(view, Sequence(1), 1'000);
    EXPECT_TRUE(got && *got);
    for (const auto& r : (*got)->records) out.push_back(r.sequence.value());
    EXPECT_EQ((*got)->count, out.size());
    EXPECT_EQ(views->find(view)->parked, out.size());
    return out;
  }
  void expect_same_after_rebuild(const std::string& view = "v") {
    const auto differences = views->rebuild_and_compare(view);
    ASSERT_TRUE(differences) << differences.error().message();
    for (const auto& d : *differences) ADD_FAILURE() << d.key << ": " << d.live << " != " << d.rebuilt;
  }

  DecisionResult result;
  std::string error;
};

TEST(Decide, EditSkipAndTryAgain) {
  DecideWorld w;
  w.create_view();
  w.good("a", 1);
  w.bad("a");
  w.bad("b");
  w.bad("c");
  EXPECT_THAT(w.rows(), ElementsAre("a|1|1|1"));
  EXPECT_THAT(w.set_aside(), ElementsAre(2, 3, 4));

  // What it would be, and nothing is.
  EXPECT_THAT(w.edit(2, R"({"k":"a","n":5})", true), ElementsAre(2));
  ASSERT_EQ(w.result.changes.size(), 1u);
  EXPECT_EQ(ViewsWorld::text(*w.result.changes[0].before), "a|1|1|1");
  EXPECT_EQ(ViewsWorld::text(*w.result.changes[0].after), "a|2|6|2");
  EXPECT_EQ(w.result.count, 3u);
  EXPECT_THAT(w.edit(3, R"({"k":"new","n":5})", true), ElementsAre(3));
  ASSERT_EQ(w.result.changes.size(), 1u);
  EXPECT_FALSE(w.result.changes[0].before);
  EXPECT_THAT(w.rows(), ElementsAre("a|1|1|1"));
  EXPECT_THAT(w.set_aside(), ElementsAre(2, 3, 4));

  EXPECT_THAT(w.edit(2, R"({"k":"a","n":5})"), ElementsAre(2));
  EXPECT_TRUE(w.result.applied);
  EXPECT_EQ(w.result.count, 2u);
  EXPECT_EQ(w.result.as_of.position.sequence(), Sequence(4));
  EXPECT_THAT(w.rows(), ElementsAre("a|2|6|2"));
  EXPECT_THAT(w.skip(3), ElementsAre(3));
  EXPECT_THAT(w.set_aside(), ElementsAre(4));

  // What does not help is not decided.
  const Sequence before = w.engine->system().log().durable();
  EXPECT_THAT(w.decide({.what = What::redrive, .sequence = Sequence(4)}), IsEmpty());
  EXPECT_THAT(w.error, HasSubstr("still_refused: The view cannot count it: sum(n): "));
  EXPECT_THAT(w.edit(4, R"({"k":"a","n":"five"})"), IsEmpty());
  EXPECT_THAT(w.error, HasSubstr("still_refused"));
  EXPECT_THAT(w.skip(2), IsEmpty());
  EXPECT_THAT(w.error, HasSubstr("not_in_quarantine"));
  EXPECT_THAT(w.decide({.what = What::skip, .sequence = Sequence(4)}, "w"), IsEmpty());
  EXPECT_THAT(w.error, HasSubstr("no_such_view"));
  EXPECT_EQ(w.engine->system().log().durable(), before);

  w.expect_same_after_rebuild();
  const DecisionCounts counts = w.views->find("v")->decided;
  EXPECT_EQ(counts.skipped, 1u);
  EXPECT_EQ(counts.edited, 1u);
  EXPECT_EQ(counts.redriven, 0u);
  for (const bool cut : {false, true}) {
    if (cut) {
      w.power_cut({.writes = CrashPolicy::Keep::none});
      w.open_all();
    } else {
      w.reopen();
    }
    EXPECT_THAT(w.rows(), ElementsAre("a|2|6|2"));
    EXPECT_THAT(w.set_aside(), ElementsAre(4));
    EXPECT_EQ(w.views->find("v")->decided.edited, 1u);
    w.expect_same_after_rebuild();
  }
  // And from nothing but the log.
  w.close_all();
  ASSERT_TRUE(remove_tree(w.sim.files, "/data/views"));
  w.open_all();
  EXPECT_THAT(w.rows(), ElementsAre("a|2|6|2"));
  EXPECT_THAT(w.set_aside(), ElementsAre(4));
}

TEST(Decide, ManyByTheirReason) {
  DecideWorld w;
  w.create_view();
  for (int i = 0; i < 5; ++i) w.bad("a");
  w.put(w.stream(), "p", R"({"k":"b","n":[1]})");
  (void)w.rows();
  ASSERT_EQ(w.set_aside().size(), 6u);
  const auto got = w.views->quarantine("v", Sequence(1), 1);
  const std::string text = (*got)->records[0].reason;
  EXPECT_THAT(w.decide({.what = What::redrive}), IsEmpty());
  EXPECT_EQ(w.result.kept.size(), 6u);
  EXPECT_EQ(w.error, "");
  EXPECT_THAT(w.decide({.what = What::skip, .reason = "another", .dry_run = true}), IsEmpty());
  EXPECT_THAT(w.decide({.what = What::skip, .reason = text, .limit = 2}), ElementsAre(1, 2));
  EXPECT_EQ(w.result.next, Sequence(3));
  EXPECT_THAT(w.decide({.what = What::skip, .reason = text, .from = Sequence(4), .dry_run = true}),
              testing::Contains(5));
  w.decide({.what = What::skip});
  EXPECT_EQ(w.result.next, std::nullopt);
  EXPECT_THAT(w.set_aside(), IsEmpty());
  w.expect_same_after_rebuild();
}

TEST(Decide, AnotherDefinitionKeepsThemAndANewViewDoesNot) {
  DecideWorld w;
  w.create_view();
  w.good("a", 1);
  w.bad("a");
  w.bad("a");
  w.bad("a");
  (void)w.rows();
  EXPECT_THAT(w.edit(2, R"({"k":"a","n":5})"), ElementsAre(2));
  EXPECT_THAT(w.skip(3), ElementsAre(3));

  w.builds.hold();
  ASSERT_TRUE(
      w.views->run("ALTER VIEW v AS SELECT k, count(*) AS n, sum(n) AS total, max(n) AS most FROM s GROUP BY k"));
  EXPECT_THAT(w.skip(4), IsEmpty());
  EXPECT_THAT(w.error, HasSubstr("view_changing"));
  w.builds.release();
  w.sim.executor.run_until([&] { return !w.views->find("v")->building; });
  EXPECT_THAT(w.rows(), ElementsAre("a|2|6|5"));
  EXPECT_THAT(w.set_aside(), ElementsAre(4));
  w.expect_same_after_rebuild();

  // One under which the edit cannot be counted: the record is as it came.
  ASSERT_TRUE(
      w.views->run("ALTER VIEW v AS SELECT k, count(*) AS n, max(upper(n)) AS most, sum(number(CASE WHEN n = 5 "
                   "THEN 'x' END)) AS x FROM s GROUP BY k"));
  w.sim.executor.run_until([&] { return !w.views->find("v")->building; });
  EXPECT_THAT(w.rows(), ElementsAre("a|3|MANY|NULL"));
  EXPECT_THAT(w.set_aside(), IsEmpty());
  w.expect_same_after_rebuild();

  ASSERT_TRUE(std::get<bool>(w.views->drop("v")));
  w.create_view();
  EXPECT_THAT(w.rows(), ElementsAre("a|1|1|1"));
  EXPECT_THAT(w.set_aside(), ElementsAre(2, 3, 4));
  EXPECT_EQ(w.views->find("v")->decided.skipped, 0u);
}

// The log has no more of the record; the base has it in quarantine.
TEST(Decide, ABaseThatHasTheRecordInQuarantine) {
  DecideWorld w;
  w.create_view();
  w.begin();
  w.bad("k1");
  w.bad("k2");
  w.fill(60);
  w.shorten();
  ASSERT_GT(w.log().start(), Sequence(2));
  EXPECT_THAT(w.edit(1, R"({"k":"k1","n":1000})"), ElementsAre(1));
  EXPECT_THAT(w.skip(2), ElementsAre(2));
  const auto rows = w.rows();
  EXPECT_THAT(w.set_aside(), IsEmpty());
  w.expect_same_after_rebuild();
  w.close_all();
  ASSERT_TRUE(remove_tree(w.sim.files, "/data/views"));
  w.open_all();
  EXPECT_EQ(w.rows(), rows);
  EXPECT_THAT(w.set_aside(), IsEmpty());
  w.expect_same_after_rebuild();
}

// The power goes at each step of a decision: it is there, whole, or is not; and a rebuild agrees.
TEST(Decide, APowerCutLeavesAllOfItOrNothing) {
  int there = 0;
  int not_there = 0;
  int answered = 0;
  for (std::uint64_t step = 1; step <= 14; ++step) {
    DecideWorld w(step);
    w.create_view();
    w.good("a", 1);
    w.bad("a");
    w.bad("b");
    (void)w.rows();
    w.reopen();  // on disk, with its quarantine
    (void)w.rows();
    w.sim.files.cut_at_step(w.sim.files.steps() + step);
    const bool ok = !w.edit(2, R"({"k":"a","n":5})").empty() && w.result.applied;
    w.power_cut({.writes = step % 2 == 0 ? CrashPolicy::Keep::none : CrashPolicy::Keep::any});
    // From beside, as it lies there: a decision that has not yet taken effect is no damage.
    w.open();
    SimEnv scratch(step);
    std::vector<std::string> damage;
    VerifyViewsOptions options;
    options.directory = "/data/views";
    options.scratch = "/scratch";
    options.memory_bytes = 8 << 20;
    options.stream = [&](StreamId id) { return w.engine->find(id); };
    const auto verified = verify_views(w.sim.env, scratch.env, w.engine->system(), options, [&](const Finding& f) {
      if (f.grade == Finding::Grade::damage) damage.push_back(f.text);
    });
    ASSERT_TRUE(verified) << verified.error().message();
    EXPECT_EQ(verified->size(), 1u);
    EXPECT_THAT(damage, IsEmpty()) << step;
    w.close();
    w.open_all();
    const auto rows = w.rows();
    const auto set_aside = w.set_aside();
    if (set_aside == std::vector<std::uint64_t>{3}) {
      EXPECT_THAT(rows, ElementsAre("a|2|6|2")) << step;
      ++there;
    } else {
      EXPECT_THAT(rows, ElementsAre("a|1|1|1")) << step;
      EXPECT_THAT(set_aside, ElementsAre(2, 3)) << step;
      EXPECT_FALSE(ok) << step;
      ++not_there;
    }
    answered += ok ? 1 : 0;
    w.expect_same_after_rebuild();
  }
  EXPECT_GT(there, 0);
  EXPECT_GT(not_there, 0);
  EXPECT_GT(answered, 0);
}

TEST(Decide, GoldenEvent) {
  const ViewDecided edit{in_default("spending"), {Decision::Kind::edit, R"({"user":"u","amount":3})"}, {Sequence(3)}};
  EXPECT_EQ(encode_decided(edit),
            R"({"name":"spending","decision":"edit","sequences":[3],"data":"{\"user\":\"u\",\"amount\":3}"})");
  const ViewDecided skip{in_default("spending"), {Decision::Kind::skip, ""}, {Sequence(4), Sequence(17)}};
  EXPECT_EQ(encode_decided(skip), R"({"name":"spending","decision":"skip","sequences":[4,17]})");
  for (const ViewDecided& event : {edit, skip}) {
    const auto read = decode_decided(encode_decided(event));
    ASSERT_TRUE(read);
    EXPECT_EQ(encode_decided(*read), encode_decided(event));
  }
  EXPECT_FALSE(decode_decided(R"({"name":"spending","decision":"frame","sequences":[4]})"));
}

}  // namespace
}  // namespace tidemill::views
