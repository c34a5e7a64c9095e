// Views whose records are looked up in other views: of another stream, of the same, built, changed, dropped, after a
// crash.
#include <gmock/gmock.h>

#include "tests/consumers/views_store/bases_world.h"

namespace tidemill::views {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using Rows = std::vector<std::string>;
using Did = ViewChange::Did;

// Customers come in a stream of their own, orders in `s`.
class LookupWorld : public BasesWorld {
 public:
  explicit LookupWorld(std::uint64_t seed = 1) : BasesWorld(seed) { EXPECT_TRUE(create("customers", 2)); }

  // What became of a statement; the error's code where it was refused.
  std::string say(const std::string& sql) {
    auto done = views->run(sql);
    if (!done) return "a question";
    if (const auto* error = std::get_if<SqlError>(&*done)) {
      sentence = error->message;
      return error->code;
    }
    if (auto* e = std::get_if<Explanation>(&std::get<StatementResult>(*done))) {
      explained = std::move(*e);
      return "explained";
    }
    last = std::get<ViewChange>(std::get<StatementResult>(*done));
    static const char* const kNames[] = {"created", "exists", "unchanged", "building", "dropped", "absent"};
    return kNames[static_cast<int>(last.did)];
  }
  void customer(const std::string& id, const std::string& country) {
    ASSERT_TRUE(
        put(*engine->find(in_default("customers")), "p", R"({"id":")" + id + R"(","country":")" + country + "\"}")
            .ok());
  }
  void order(const std::string& customer, int amount, const std::string& sku = "tea") {
    ASSERT_TRUE(
        put(stream(), "p",
            R"({"customer":")" + customer + R"(","amount":)" + std::to_string(amount) + R"(,"sku":")" + sku + "\"}")
            .ok());
  }
  // Several records in one append, and so in one batch.
  void together(const std::vector<std::string>& data) {
    struct Sink final : AppendSink {
      bool answered = false;
      void appended(Append*) noexcept override { answered = true; }
    } sink;
    std::vector<NewRecord> all(data.size());
    for (std::size_t i = 0; i < data.size(); ++i) {
      all[i].key = "p";
      all[i].hash = hash_key("p");
      all[i].data = data[i];
      all[i].arrival = sim.clock.wall();
    }
    Append append;
    append.records = all;
    append.sink = &sink;
    log().append(&append);
    sim.executor.run_until([&] { return sink.answered; });
    ASSERT_FALSE(append.error);
  }
  void customers_seen() { rows("customers", "customers"); }
  std::size_t differences(const std::string& view = "v") {
    const auto found = views->rebuild_and_compare(view);
    EXPECT_TRUE(found) << found.error().message();
    return found ? found->size() : 0;
  }

  ViewChange last;
  Explanation explained;
  std::string sentence;
};

const std::string kCustomers =
    "CREATE MATERIALIZED VIEW customers AS SELECT id, last(country) AS country, count(*) AS n FROM customers GROUP BY "
    "id";
const std::string kByCountry =
    "SELECT c.country AS country, sum(o.amount) AS total, count(*) AS n FROM s o LEFT JOIN customers c ON c.id = "
    "o.customer GROUP BY c.country";
const std::string kCreate = "CREATE MATERIALIZED VIEW v AS " + kByCountry;

void fill_customers(LookupWorld& w) {
  w.customer("ann", "NL");
  w.customer("bob", "BE");
  w.customer("cid", "NL");
}

TEST(Lookups, InAViewOfAnotherStream) {
  LookupWorld w;
  ASSERT_EQ(w.say(kCustomers), "created");
  fill_customers(w);
  w.customers_seen();
  ASSERT_EQ(w.say(kCreate), "created") << w.sentence;
  w.order("ann", 1);
  w.order("bob", 10);
  w.order("cid", 100);
  w.order("nobody", 1000);
  EXPECT_THAT(w.rows(), ElementsAre("NULL|1000|1", "BE|10|1", "NL|101|2"));
  EXPECT_EQ(w.differences(), 0u);
  EXPECT_THAT(w.views->find("v")->lookups, ElementsAre("customers"));
  // A record that finds nothing gives no row here.
  ASSERT_EQ(w.say("CREATE MATERIALIZED VIEW u AS SELECT c.country AS country, count(*) AS n FROM s o JOIN customers c "
                  "ON c.id = o.customer WHERE c.country <> 'BE' GROUP BY 1"),
            "created");
  EXPECT_THAT(w.rows("u"), ElementsAre("NL|2"));
}

// What was counted stays counted; what comes later finds the row as it is then. A rebuild finds it as it is now.
TEST(Lookups, SeeTheRowAsItIsWhenTheRecordIsCounted) {
  LookupWorld w;
  ASSERT_EQ(w.say(kCustomers), "created");
  fill_customers(w);
  w.customers_seen();
  ASSERT_EQ(w.say(kCreate), "created");
  w.order("ann", 1);
  EXPECT_THAT(w.rows(), ElementsAre("NL|1|1"));
  w.customer("ann", "FR");
  w.customers_seen();
  w.order("ann", 2);
  EXPECT_THAT(w.rows(), ElementsAre("FR|2|1", "NL|1|1"));
  EXPECT_GT(w.differences(), 0u);
  EXPECT_EQ(w.differences("customers"), 0u);
}

// Its differences would be no faults.
TEST(Lookups, AViewWithThemIsNotAudited) {
  LookupWorld w;
  w.audit = std::chrono::hours(1);
  w.reopen();
  ASSERT_EQ(w.say(kCustomers), "created");
  fill_customers(w);
  w.customers_seen();
  ASSERT_EQ(w.say(kCreate), "created");
  w.order("ann", 1);
  w.rows();
  w.customer("ann", "FR");
  w.sim.executor.run_for(std::chrono::hours(10));
  EXPECT_GE(w.views->find("customers")->audited, 3u);
  EXPECT_EQ(w.views->find("v")->audited, 0u);
}

const std::string kOwn = "CREATE MATERIALIZED VIEW per_key AS SELECT k, count(*) AS n, last(x) AS x FROM s GROUP BY k";
const std::string kOfOwn =
    "CREATE MATERIALIZED VIEW v AS SELECT s.k AS k, count(*) AS n, max(p.n) AS seen_most, min(p.n) AS seen_least FROM "
    "s "
    "LEFT JOIN per_key p ON p.k = s.k GROUP BY s.k";

// In one stream: all records up to it and itself, and those that come with it in one batch.
TEST(Lookups, InAViewOfTheSameStreamARecordIsInAlready) {
  LookupWorld w;
  ASSERT_EQ(w.say(kOwn), "created");
  ASSERT_EQ(w.say(kOfOwn), "created");
  for (int i = 0; i < 3; ++i) {
    w.put(w.stream(), "p", R"({"k":"a"})");
    w.rows();
  }
  EXPECT_THAT(w.rows(), ElementsAre("a|3|3|1"));
  w.together({R"({"k":"b"})", R"({"k":"a"})", R"({"k":"b"})"});
  EXPECT_THAT(w.rows(), ElementsAre("a|4|4|1", "b|2|2|2"));
}

// Looked up by the first columns: rows that are stored, rows of this batch, and rows that it changes.
TEST(Lookups, ByAPrefixEachRowCounts) {
  LookupWorld w;
  ASSERT_EQ(w.say("CREATE MATERIALIZED VIEW prices AS SELECT sku, size, last(price) AS price FROM s WHERE price IS NOT "
                  "NULL GROUP BY sku, size"),
            "created");
  ASSERT_EQ(
      w.say("CREATE MATERIALIZED VIEW v AS SELECT p.size AS size, sum(o.amount * p.price) AS worth, count(*) AS n "
            "FROM s o JOIN prices p ON p.sku = o.sku WHERE o.amount > 0 GROUP BY 1"),
      "created");
  w.together({R"({"sku":"tea","size":"l","price":5})", R"({"sku":"tea","size":"s","price":1})"});
  w.rows();
  w.together({R"({"sku":"tea","amount":2})", R"({"sku":"tea","size":"m","price":3})",
              R"({"sku":"tea","size":"s","price":2})", R"({"sku":"cup","amount":2})"});
  EXPECT_THAT(w.rows(), ElementsAre("l|10|1", "m|6|1", "s|4|1"));
  EXPECT_EQ(w.views->find("v")->parked, 0u);
}

TEST(Lookups, ARecordThatReadsTooManyRowsIsSetAside) {
  LookupWorld w;
  ASSERT_EQ(
      w.say("CREATE MATERIALIZED VIEW many AS SELECT a, b, count(*) AS n FROM s WHERE b IS NOT NULL GROUP BY a, b"),
      "created");
  ASSERT_EQ(
      w.say("CREATE MATERIALIZED VIEW v AS SELECT o.id AS id, count(*) AS n FROM s o JOIN many m ON m.a = o.a WHERE "
            "o.id IS NOT NULL GROUP BY 1"),
      "created");
  std::vector<std::string> data;
  for (int b = 0; b <= 10'000; ++b)
    data.push_back("{\"a\":" + std::to_string(b == 0 ? 2 : 1) + ",\"b\":" + std::to_string(b) + "}");
  for (std::size_t i = 0; i < data.size(); i += 500)
    w.together({data.begin() + static_cast<std::ptrdiff_t>(i),
                data.begin() + static_cast<std::ptrdiff_t>(std::min(i + 500, data.size()))});
  w.together({R"({"id":"x","a":1})", R"({"id":"y","a":2})"});
  EXPECT_THAT(w.rows(), ElementsAre("x|10000", "y|1"));  // as many as there may be
  w.together({R"({"id":"z","a":2})", R"({"a":1,"b":-1})", R"({"id":"x","a":1})", R"({"id":"y","a":2})"});
  EXPECT_THAT(w.rows(), ElementsAre("x|10000", "y|2", "z|1"));
  const auto aside = w.views->quarantine("v", Sequence(1), 10);
  ASSERT_THAT((*aside)->records, SizeIs(1));
  EXPECT_THAT((*aside)->records[0].reason, HasSubstr("more than 10000 rows of a view that is looked up"));
  EXPECT_THAT((*aside)->records[0].data, HasSubstr("\"x\""));
}

// `u` looks up `v`, which looks up customers.
TEST(Lookups, InAViewThatLooksUpAnother) {
  LookupWorld w;
  ASSERT_EQ(w.say(kCustomers), "created");
  fill_customers(w);
  w.customers_seen();
  ASSERT_EQ(w.say(kCreate), "created");
  ASSERT_EQ(
      w.say("CREATE MATERIALIZED VIEW u AS SELECT o.sku AS sku, max(v.total) AS most, count(*) AS n FROM s o JOIN "
            "customers c ON c.id = o.customer JOIN v ON v.country = c.country GROUP BY o.sku"),
      "created")
      << w.sentence;
  w.order("ann", 1);
  w.order("cid", 10, "cup");
  w.order("bob", 100);
  EXPECT_THAT(w.rows("u"), ElementsAre("cup|11|1", "tea|100|2"));
  w.reopen();
  w.order("ann", 1000);
  EXPECT_THAT(w.rows("u"), ElementsAre("cup|11|1", "tea|1011|3"));
}

TEST(Lookups, WhatIsLookedUpStaysAsItIs) {
  LookupWorld w;
  ASSERT_EQ(w.say(kCustomers), "created");
  ASSERT_EQ(w.say(kCreate), "created");
  ASSERT_EQ(w.say("CREATE MATERIALIZED VIEW u AS SELECT c.n AS n, count(*) AS m FROM s JOIN customers c ON c.id = "
                  "customer GROUP BY 1"),
            "created");
  EXPECT_EQ(w.say("DROP VIEW customers"), "view_in_use");
  EXPECT_EQ(
      w.sentence,
      "The view customers is looked up by u and v, and cannot be dropped meanwhile. Drop u and v first, or change "
      "the definition so that it looks up another view.");
  EXPECT_EQ(w.say("DROP VIEW IF EXISTS customers"), "view_in_use");
  const auto dropped = w.views->drop("customers");
  ASSERT_TRUE(std::holds_alternative<SqlError>(dropped));
  EXPECT_EQ(std::get<SqlError>(dropped).code, "view_in_use");
  EXPECT_EQ(w.say("ALTER VIEW customers AS SELECT id, count(*) AS n FROM customers GROUP BY id"), "view_in_use");
  EXPECT_THAT(w.sentence, HasSubstr("Create the new definition under another name"));
  EXPECT_EQ(w.say("CREATE OR REPLACE " + kCustomers.substr(7)), "unchanged");
  EXPECT_EQ(w.say("DROP VIEW u"), "dropped");
  EXPECT_EQ(w.say("DROP VIEW customers"), "view_in_use");
  // As the sentence says.
  ASSERT_EQ(w.say("CREATE MATERIALIZED VIEW people AS SELECT id, last(country) AS country FROM customers GROUP BY id"),
            "created");
  std::string other = kByCountry;
  other.replace(other.find("JOIN customers"), 14, "JOIN people");
  ASSERT_EQ(w.say("ALTER VIEW v AS " + other), "building") << w.sentence;
  EXPECT_EQ(w.say("DROP VIEW customers"), "view_in_use");  // it is served until the other is there
  EXPECT_EQ(w.say("DROP VIEW people"), "view_in_use");
  w.sim.executor.run_until([&] { return !w.views->find("v")->building; });
  EXPECT_EQ(w.say("DROP VIEW customers"), "dropped") << w.sentence;
  EXPECT_EQ(w.say("DROP VIEW people"), "view_in_use");
  w.reopen();
  EXPECT_EQ(w.say("DROP VIEW people"), "view_in_use");
  EXPECT_EQ(w.say("DROP VIEW v"), "dropped");
  EXPECT_EQ(w.say("DROP VIEW people"), "dropped");
}

TEST(Lookups, NotRoundInACircle) {
  LookupWorld w;
  ASSERT_EQ(w.say("CREATE MATERIALIZED VIEW a AS SELECT k, count(*) AS n FROM s GROUP BY k"), "created");
  ASSERT_EQ(w.say("CREATE MATERIALIZED VIEW b AS SELECT s.k AS k, max(a.n) AS n FROM s JOIN a ON a.k = s.k GROUP BY 1"),
            "created");
  ASSERT_EQ(w.say("CREATE MATERIALIZED VIEW c AS SELECT s.k AS k, max(b.n) AS n FROM s JOIN b ON b.k = s.k GROUP BY 1"),
            "created");
  EXPECT_EQ(w.say("ALTER VIEW a AS SELECT s.k AS k, max(c.n) AS n FROM s JOIN c ON c.k = s.k GROUP BY 1"),
            "invalid_view");
  EXPECT_EQ(w.sentence,
            "The view c looks up a itself, directly or through others: views cannot look each other up. Join them when "
            "reading.");
  EXPECT_EQ(w.say("ALTER VIEW a AS SELECT s.k AS k, max(a.n) AS n FROM s JOIN a ON a.k = s.k GROUP BY 1"),
            "invalid_view");
  EXPECT_THAT(w.sentence, HasSubstr("A view cannot look up itself"));
  // The name may stand beside the text, as with PUT.
  const auto named = w.views->define("a", "SELECT s.k AS k, max(a.n) AS n FROM s JOIN a ON a.k = s.k GROUP BY 1");
  ASSERT_TRUE(std::holds_alternative<SqlError>(named));
  EXPECT_THAT(std::get<SqlError>(named).message, HasSubstr("A view cannot look up itself"));
}

// It begins when the other has caught up: what is counted early would find nothing.
TEST(Lookups, WaitForAViewThatIsStillBuilt) {
  LookupWorld w;
  w.create_view("first");  // so that the others have one to catch up with
  // More than one slice of building, so that both would be built side by side.
  for (int i = 0; i < 26; ++i) w.together(std::vector<std::string>(500, R"({"k":"a"})"));
  w.rows("first");
  w.builds.hold();
  ASSERT_EQ(w.say(kOwn), "created");
  ASSERT_EQ(w.say(kOfOwn), "created");
  EXPECT_THAT(w.last.warnings, Contains(HasSubstr("per_key is still being built, and this one begins when")));
  w.sim.executor.run_for(std::chrono::minutes(1));
  EXPECT_EQ(w.views->find("v")->applied.sequence(), Sequence(0));
  w.builds.release();
  EXPECT_THAT(w.rows(), ElementsAre("a|13000|13000|13000"));
}

TEST(Lookups, NotInAViewThatIsBeingChanged) {
  LookupWorld w;
  ASSERT_EQ(w.say(kOwn), "created");
  w.put(w.stream(), "p", R"({"k":"a"})");
  w.rows("per_key");
  w.builds.hold();
  ASSERT_EQ(w.say("ALTER VIEW per_key AS SELECT k, sum(x) AS x FROM s GROUP BY k"), "building");
  EXPECT_EQ(w.say(kOfOwn), "view_changing");
  EXPECT_THAT(w.sentence, HasSubstr("look it up when that is served"));
  w.builds.release();
}

TEST(Lookups, AChangedViewMayBeginAndCeaseToLookUp) {
  LookupWorld w;
  ASSERT_EQ(w.say(kCustomers), "created");
  fill_customers(w);
  w.customers_seen();
  ASSERT_EQ(w.say("CREATE MATERIALIZED VIEW v AS SELECT customer, count(*) AS n FROM s GROUP BY customer"), "created");
  w.order("ann", 1);
  w.order("bob", 2);
  ASSERT_EQ(w.say("ALTER VIEW v AS " + kByCountry), "building") << w.sentence;
  w.sim.executor.run_until([&] { return !w.views->find("v")->building; });
  EXPECT_THAT(w.rows(), ElementsAre("BE|2|1", "NL|1|1"));
  w.order("cid", 4);
  EXPECT_THAT(w.rows(), ElementsAre("BE|2|1", "NL|5|2"));
  ASSERT_EQ(w.say("ALTER VIEW v AS SELECT customer, count(*) AS n FROM s GROUP BY customer"), "building");
  w.sim.executor.run_until([&] { return !w.views->find("v")->building; });
  EXPECT_THAT(w.rows(), ElementsAre("ann|1", "bob|1", "cid|1"));
  EXPECT_EQ(w.say("DROP VIEW customers"), "dropped");
}

// Rows that have gone are not found, also where the batch at hand removes them.
TEST(Lookups, FindNoRowThatHasGone) {
  LookupWorld w;
  ASSERT_EQ(
      w.say("CREATE MATERIALIZED VIEW seen WITH (ttl = '1 hour') AS SELECT k, count(*) AS n, collect(x) AS xs FROM "
            "s WHERE x IS NOT NULL GROUP BY k"),
      "created");
  ASSERT_EQ(w.say("CREATE MATERIALIZED VIEW v AS SELECT s.id AS id, last(seen.n) AS n, last(seen.xs) AS xs FROM s LEFT "
                  "JOIN seen ON seen.k = s.k WHERE s.id IS NOT NULL GROUP BY 1"),
            "created");
  std::vector<std::string> many;
  for (int i = 0; i < 100; ++i) many.push_back(R"({"k":"a","x":)" + std::to_string(i) + "}");
  w.together(many);
  w.together({R"({"id":1,"k":"a"})"});
  EXPECT_THAT(w.rows(), ElementsAre(HasSubstr("1|100|[0,1,2,")));
  w.sim.executor.run_for(std::chrono::hours(2));
  w.together({R"({"id":2,"k":"a"})"});
  EXPECT_THAT(w.rows(), ElementsAre(HasSubstr("1|100|"), "2|NULL|NULL"));
  // It begins anew in the batch that removes what it was.
  w.together(many);
  w.rows();
  w.sim.executor.run_for(std::chrono::hours(2));
  w.together({R"({"k":"a","x":7})", R"({"id":3,"k":"a"})"});
  EXPECT_THAT(w.rows(), ElementsAre(HasSubstr("1|100|"), "2|NULL|NULL", "3|1|[7]"));
}

// A record that is counted later finds the rows of then.
TEST(Lookups, OfARecordThatWasSetAside) {
  LookupWorld w;
  ASSERT_EQ(w.say(kCustomers), "created");
  w.customer("ann", "NL");
  w.customers_seen();
  ASSERT_EQ(w.say(kCreate), "created");
  w.put(w.stream(), "p", R"({"customer":"ann","amount":"much"})");
  EXPECT_THAT(w.rows(), IsEmpty());
  EXPECT_EQ(w.views->find("v")->parked, 1u);
  w.customer("ann", "FR");
  w.customers_seen();
  DecisionRequest edit{.what = DecisionRequest::What::edit,
                       .sequence = Sequence(1),
                       .data = R"({"customer":"ann","amount":7})",
                       .dry_run = true};
  auto made = w.views->decide("v", edit);
  ASSERT_TRUE(std::holds_alternative<DecisionResult>(made)) << std::get<SqlError>(made).message;
  EXPECT_EQ(std::get<DecisionResult>(made).change_count, 1u);
  EXPECT_THAT(w.rows(), IsEmpty());
  edit.dry_run = false;
  ASSERT_TRUE(std::holds_alternative<DecisionResult>(w.views->decide("v", edit)));
  EXPECT_THAT(w.rows(), ElementsAre("FR|7|1"));
  EXPECT_EQ(w.differences(), 0u);
}

TEST(Lookups, AreExplained) {
  LookupWorld w;
  ASSERT_EQ(w.say(kCustomers), "created");
  w.customer("ann", "NL");
  w.customers_seen();
  w.order("ann", 5);
  ASSERT_EQ(w.say("EXPLAIN " + kByCountry), "explained") << w.sentence;
  ASSERT_THAT(w.explained.lookups, SizeIs(1));
  EXPECT_EQ(w.explained.lookups[0].view, "customers");
  EXPECT_EQ(w.explained.lookups[0].alias, "c");
  EXPECT_TRUE(w.explained.lookups[0].optional);
  EXPECT_EQ(w.explained.lookups[0].text, "one row of customers by its whole key (id)");
  EXPECT_THAT(w.explained.warnings, IsEmpty());
  ASSERT_THAT(w.explained.trial.sample, SizeIs(1));
  EXPECT_EQ(ViewsWorld::text(w.explained.trial.sample[0]), "NL|5|1");
}

// Nothing of the one that is looked up: the other waits for it to be mended.
TEST(Lookups, OfAViewThatCannotBeOpened) {
  LookupWorld w;
  ASSERT_EQ(w.say(kCustomers), "created");
  ASSERT_EQ(w.say(kCreate), "created");
  w.customer("ann", "NL");
  w.customers_seen();
  w.order("ann", 5);
  EXPECT_THAT(w.rows(), ElementsAre("NL|5|1"));
  ASSERT_TRUE(w.engine->remove(in_default("customers")));
  w.reopen();
  const auto failed = w.views->failed();
  ASSERT_THAT(failed, SizeIs(2));
  EXPECT_EQ(failed[1].name, "v");
  EXPECT_THAT(failed[1].cause, HasSubstr("customers"));
}

// After a power cut each view falls back by itself; they go on from there, and no record is counted twice or left out.
TEST(Lookups, AfterAPowerCut) {
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    LookupWorld w(seed);
    ASSERT_EQ(w.say(kCustomers), "created");
    fill_customers(w);
    w.customers_seen();
    ASSERT_EQ(w.say(kOwn), "created");
    ASSERT_EQ(w.say(kOfOwn), "created");
    ASSERT_EQ(w.say("CREATE MATERIALIZED VIEW total AS SELECT c.country AS country, sum(amount) AS s FROM s JOIN "
                    "customers c ON c.id = customer GROUP BY 1"),
              "created");
    std::uint64_t n = 0;
    for (int life = 0; life < 3; ++life) {
      for (int i = 0; i < 7; ++i) {
        w.put(w.stream(), "p", R"({"k":"a","customer":"ann","amount":)" + std::to_string(++n) + "}");
        if (i == 3 && life == 1) w.rows("per_key");
      }
      if (life % 2 == 0) w.rows();
      w.power_cut({});
      w.open_all();
      EXPECT_THAT(w.rows("total"), ElementsAre("NL|" + std::to_string(n * (n + 1) / 2))) << seed;
      const Rows own = w.rows();
      ASSERT_THAT(own, SizeIs(1));
      // Each record has found itself at least, and at most what there was.
      EXPECT_THAT(own[0], HasSubstr("a|" + std::to_string(n) + "|" + std::to_string(n) + "|"));
    }
  }
}

}  // namespace
}  // namespace tidemill::views
