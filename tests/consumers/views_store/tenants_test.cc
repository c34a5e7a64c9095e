// Tenants: a view is of the tenant whose stream it reads, and to others it is as if it were not there.
#include <gmock/gmock.h>

#include "consumers/views/definitions.h"
#include "consumers/views/verify.h"
#include "consumers/views/watch.h"
#include "tests/consumers/views_store/views_world.h"

namespace tidemill::views {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

constexpr const char* kSums = "SELECT id, sum(n) AS total FROM s GROUP BY id";

// Two tenants with a stream `s` each; `ours` is the default one.
class Tenants : public ::testing::Test {
 protected:
  void SetUp() override {
    w.open();
    for (const char* tenant : {"default", "acme"}) {
      StreamDefinition definition;
      definition.tenant = tenant;
      definition.name = "s";
      ASSERT_TRUE(w.engine->create(std::move(definition), 2));
    }
    theirs = w.all->of("acme");
  }
  void TearDown() override { theirs.reset(); }
  void reopen() {
    theirs.reset();
    w.reopen();
    theirs = w.all->of("acme");
  }
  Stream& stream(const char* tenant) { return *w.engine->find({tenant, "s"}); }
  Sequence put(const char* tenant, const std::string& data) { return w.put(stream(tenant), {data}); }
  void wait(Views& views, const std::string& view, Sequence shown) {
    const auto signal = w.real.background.make_signal();
    const auto handle = views.when_applied(view, Position::through(shown), [signal] { signal->set(); });
    signal->wait();
  }
  static std::string row(Views& views, const std::string& view, const Row& key) {
    const auto got = views.get(view, key);
    return got && *got && (*got)->row ? ViewsWorld::text(*(*got)->row) : "-";
  }
  // The rows of a query, or the sentence of its error.
  static std::string ask(Views& views, const std::string& sql) {
    auto asked = views.query(sql, {}, {});
    if (const auto* error = std::get_if<SqlError>(&asked)) return error->code + ": " + error->message;
    std::string out;
    const auto rows = std::get<0>(asked)->next(100);
    for (const Row& r : std::get<0>(rows)) out += ViewsWorld::text(r) + "\n";
    return out;
  }
  // What a statement was refused for, or nothing.
  static std::string run(Views& views, const std::string& sql) {
    auto done = views.run(sql);
    if (!done) return "a question";
    if (const auto* error = std::get_if<SqlError>(&*done)) return error->code + ": " + error->message;
    return {};
  }
  static bool made(const SqlResult<ViewInfo>& result) {
    if (const auto* error = std::get_if<SqlError>(&result)) ADD_FAILURE() << error->message;
    return result.index() == 0;
  }

  ViewsWorld w;
  std::shared_ptr<Views> theirs;
};

TEST_F(Tenants, TheSameNameInTwoIsTwoViews) {
  ASSERT_TRUE(made(w.views->create("v", kSums)));
  EXPECT_THAT(theirs->list(), IsEmpty());
  ASSERT_TRUE(made(theirs->create("v", "SELECT id, count(*) AS n FROM s GROUP BY id")));
  for (const bool again : {false, true}) {
    if (again) reopen();
    const Sequence ours_at = put("default", R"({"id":"a","n":5})");
    const Sequence theirs_at = put("acme", R"({"id":"b","n":7})");
    wait(*w.views, "v", ours_at);
    wait(*theirs, "v", theirs_at);
    EXPECT_EQ(row(*w.views, "v", {std::string("a")}), again ? "a|10" : "a|5");
    EXPECT_EQ(row(*w.views, "v", {std::string("b")}), "-");
    EXPECT_EQ(row(*theirs, "v", {std::string("b")}), again ? "b|2" : "b|1");
    EXPECT_EQ(row(*theirs, "v", {std::string("a")}), "-");
    EXPECT_EQ(w.views->find("v")->tenant, "default");
    EXPECT_EQ(theirs->find("v")->tenant, "acme");
    EXPECT_EQ(theirs->find("v")->columns[1].name, "n");
    EXPECT_THAT(w.all->list(), SizeIs(2));
    EXPECT_TRUE(w.views->rebuild_and_compare("v")->empty());
    EXPECT_TRUE(theirs->rebuild_and_compare("v")->empty());
  }
  ASSERT_TRUE(std::get<bool>(theirs->drop("v")));
  EXPECT_FALSE(theirs->find("v"));
  EXPECT_EQ(row(*w.views, "v", {std::string("a")}), "a|10");
  EXPECT_FALSE(w.engine->groups().find({"acme", "s:views"}));
  EXPECT_TRUE(w.engine->groups().find({"default", "s:views"}));
}

TEST_F(Tenants, AChangedDefinitionIsOfOneOnly) {
  ASSERT_TRUE(made(w.views->create("v", kSums)) && made(theirs->create("v", kSums)));
  const Sequence at = put("acme", R"({"id":"b","n":7})");
  ASSERT_EQ(run(*theirs, "ALTER MATERIALIZED VIEW v AS SELECT id, max(n) AS most FROM s GROUP BY id"), "");
  while (theirs->find("v")->building) std::this_thread::yield();
  wait(*theirs, "v", at);
  EXPECT_EQ(theirs->find("v")->columns[1].name, "most");
  EXPECT_EQ(w.views->find("v")->columns[1].name, "total");
  reopen();
  EXPECT_EQ(theirs->find("v")->columns[1].name, "most");
  EXPECT_EQ(w.views->find("v")->columns[1].name, "total");
}

// Whatever is asked about another's view gets, word for word, what is said of one that nobody has.
TEST_F(Tenants, AnothersViewIsNotThereInAnyStatement) {
  ASSERT_TRUE(made(w.views->create("secret", kSums)));
  ASSERT_TRUE(made(theirs->create("mine", kSums)));
  const std::vector<std::string> statements = {
      "SELECT * FROM NAME",
      "EXPLAIN SELECT * FROM NAME",
      "EXPLAIN QUERY PLAN SELECT * FROM NAME",
      "SELECT * FROM mine JOIN NAME USING (id)",
      "SELECT (SELECT count(*) FROM NAME) FROM mine",
      "DROP MATERIALIZED VIEW NAME",
      "ALTER MATERIALIZED VIEW NAME AS SELECT id, count(*) AS n FROM s GROUP BY id",
      "CREATE MATERIALIZED VIEW other AS SELECT s.id, last(l.total) AS t FROM s LEFT JOIN NAME AS l ON l.id = s.id "
      "GROUP BY s.id",
      "EXPLAIN SELECT s.id, last(l.total) AS t FROM s LEFT JOIN NAME AS l ON l.id = s.id GROUP BY s.id",
      "CREATE MATERIALIZED VIEW other AS SELECT id, count(*) AS n FROM NAME GROUP BY id",
  };
  const auto of = [&](std::string statement, const std::string& name) {
    for (std::size_t at; (at = statement.find("NAME")) != std::string::npos;) statement.replace(at, 4, name);
    std::string said = run(*theirs, statement);
    if (said == "a question") said = ask(*theirs, statement);
    for (std::size_t at; (at = said.find(name)) != std::string::npos;) said.replace(at, name.size(), "NAME");
    return said;
  };
  for (const std::string& statement : statements) {
    const std::string said = of(statement, "secret");
    EXPECT_EQ(said, of(statement, "nosuch")) << statement;
    EXPECT_THAT(said, HasSubstr(": ")) << statement;  // it was refused
  }
  EXPECT_THAT(ask(*theirs, "SELECT name FROM sqlite_schema"), Not(HasSubstr("secret")));
  EXPECT_THAT(ask(*theirs, "SELECT name FROM sqlite_schema"), HasSubstr("mine"));
  EXPECT_THAT(ask(*w.views, "SELECT name FROM sqlite_schema"), Not(HasSubstr("mine")));
  EXPECT_EQ(run(*theirs, "CREATE MATERIALIZED VIEW secret AS " + std::string(kSums)), "") << "the name is free";
}

TEST_F(Tenants, NothingAskedOfAnothersViewByNameGetsAnAnswer) {
  ASSERT_TRUE(made(w.views->create("secret", kSums)));
  const Sequence at = put("default", R"({"id":"a","n":5})");
  wait(*w.views, "secret", at);
  const Row key{std::string("a")};
  EXPECT_FALSE(theirs->find("secret"));
  EXPECT_THAT(theirs->reading("s"), IsEmpty());
  EXPECT_FALSE(*theirs->as_of("secret"));
  EXPECT_FALSE(*theirs->get("secret", key));
  EXPECT_FALSE(*theirs->range("secret", {}));
  EXPECT_FALSE(*theirs->get_at("secret", key, {.at = at}));
  EXPECT_FALSE(*theirs->why("secret", key, {}));
  EXPECT_FALSE(*theirs->quarantine("secret", Sequence(0), 10));
  EXPECT_EQ(std::get<SqlError>(theirs->decide("secret", {})).code, "no_such_view");
  EXPECT_FALSE(theirs->when_applied("secret", Position(), [] {}));
  EXPECT_FALSE(theirs->watch("secret"));
  EXPECT_FALSE(theirs->rebuild_and_compare("secret"));
  EXPECT_FALSE(std::get<bool>(theirs->drop("secret")));
  EXPECT_TRUE(w.views->find("secret"));
}

TEST_F(Tenants, ALookupFindsTheViewOfItsOwnTenant) {
  for (Views* views : {w.views.get(), theirs.get()}) {
    ASSERT_TRUE(
        made(views->create("names", "SELECT id, last(name) AS name FROM s WHERE name IS NOT NULL GROUP BY id")));
    ASSERT_TRUE(made(views->create("counts",
                                   "SELECT l.name AS name, count(*) AS n FROM s o JOIN names l ON l.id = o.ref "
                                   "GROUP BY 1")));
  }
  for (const char* tenant : {"default", "acme"}) {
    put(tenant, std::string(R"({"id":"1","name":"of )") + tenant + "\"}");
    const Sequence at = put(tenant, R"({"ref":"1"})");
    wait(*w.all->of(tenant), "counts", at);
    EXPECT_EQ(row(*w.all->of(tenant), "counts", {std::string("of ") + tenant}), std::string("of ") + tenant + "|1");
  }
  // Only whose view looks it up keeps it from being dropped.
  ASSERT_TRUE(std::get<bool>(theirs->drop("counts")));
  EXPECT_TRUE(std::get<bool>(theirs->drop("names")));
  EXPECT_EQ(std::get<SqlError>(w.views->drop("names")).code, "view_in_use");
}

TEST_F(Tenants, DecisionsAreAboutTheRecordsOfOne) {
  ASSERT_TRUE(made(w.views->create("v", kSums)) && made(theirs->create("v", kSums)));
  wait(*w.views, "v", put("default", R"({"id":"a","n":"x"})"));
  wait(*theirs, "v", put("acme", R"({"id":"a","n":"x"})"));
  DecisionRequest skip;
  skip.sequence = Sequence(1);
  ASSERT_TRUE(std::holds_alternative<DecisionResult>(theirs->decide("v", skip)));
  for (const bool again : {false, true}) {
    if (again) reopen();
    EXPECT_EQ(theirs->find("v")->decided.skipped, 1u);
    EXPECT_EQ(theirs->find("v")->parked, 0u);
    EXPECT_EQ(w.views->find("v")->decided.skipped, 0u);
    EXPECT_EQ(w.views->find("v")->parked, 1u);
  }
}

TEST_F(Tenants, AViewThatCannotBeOpenedIsNamedToItsTenantOnly) {
  ASSERT_TRUE(made(theirs->create("v", kSums)));
  theirs.reset();
  w.views.reset();
  ASSERT_TRUE(w.engine->groups().close() && w.all->close());
  ASSERT_TRUE(w.engine->remove({"acme", "s"}));
  w.all.reset();
  ASSERT_TRUE(w.engine->close());
  w.engine.reset();
  w.open();
  theirs = w.all->of("acme");
  EXPECT_THAT(w.views->failed(), IsEmpty());
  ASSERT_THAT(theirs->failed(), SizeIs(1));
  ASSERT_THAT(w.all->failed(), SizeIs(1));
  EXPECT_EQ(w.all->failed()[0].tenant, "acme");
}

TEST_F(Tenants, VerifyLooksAtEachAndSaysWhose) {
  ASSERT_TRUE(made(w.views->create("v", kSums)) && made(theirs->create("v", kSums)));
  wait(*theirs, "v", put("acme", R"({"id":"a","n":1})"));
  theirs.reset();
  ASSERT_TRUE(w.engine->groups().close() && w.all->close());
  VerifyViewsOptions options;
  options.directory = w.engine->directory().views();
  options.scratch = w.real.directory.path() + "/scratch";
  options.stream = [&](StreamId id) { return w.engine->find(id); };
  std::vector<std::string> findings;
  const auto verified = verify_views(w.real.env, w.real.env, w.engine->system(), options,
                                     [&](const Finding& f) { findings.push_back(f.text); });
  ASSERT_TRUE(verified);
  EXPECT_THAT(findings, IsEmpty());
  ASSERT_THAT(*verified, SizeIs(2));
  EXPECT_EQ((*verified)[0].name, "acme/v");
  EXPECT_EQ((*verified)[1].name, "v");
}

// As docs/formats/system-stream.md has them: of the default tenant nothing is said, which is how older ones read.
TEST(TenantEvents, SayTheTenantWhereItIsNotTheDefaultOne) {
  EXPECT_EQ(encode_dropped(in_default("v")), R"({"name":"v"})");
  EXPECT_EQ(encode_dropped({"acme", "v"}), R"({"name":"v","tenant":"acme"})");
  EXPECT_EQ(decode_dropped(R"({"name":"v"})"), in_default("v"));
  EXPECT_EQ(decode_dropped(R"({"name":"v","tenant":"acme"})"), (QualifiedName{"acme", "v"}));
  EXPECT_FALSE(decode_dropped(R"({"name":"v","tenant":"../x"})"));
  const ViewCreated created{{"acme", "v"}, StreamId(2), "SELECT", "SELECT", Sequence(1), 0};
  EXPECT_EQ(encode_created(created), R"({"name":"v","tenant":"acme","stream":2,"source":"SELECT","sql":"SELECT"})");
  EXPECT_EQ(decode_created(encode_created(created))->name, created.name);
  const ViewDecided decided{{"acme", "v"}, {Decision::Kind::skip, {}}, {Sequence(4)}};
  EXPECT_EQ(decode_decided(encode_decided(decided))->name, decided.name);
}

}  // namespace
}  // namespace tidemill::views
