#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <random>

#include "consumers/views/database.h"
#include "consumers/views/store_keys.h"
#include "storage/base/errors.h"
#include "tests/consumers/views_store/views_world.h"

namespace tidemill::views {
namespace {

std::string line(const std::string& invoice, const std::string& stock, int quantity, const std::string& price,
                 const std::string& customer, const std::string& date = "12/1/2010 8:26") {
  return R"({"InvoiceNo":")" + invoice + R"(","StockCode":")" + stock + R"(","Description":"a thing","Quantity":)" +
         std::to_string(quantity) + R"(,"InvoiceDate":")" + date + R"(","UnitPrice":)" + price + R"(,"CustomerID":)" +
         (customer.empty() ? "null" : "\"" + customer + "\"") + R"(,"Country":"United Kingdom"})";
}

class CatalogTest : public ::testing::Test {
 protected:
  void SetUp() override {
    world.open();
    world.stream();
  }
  void create(const std::string& name, const std::string& sql) {
    const auto made = world.views->create(name, sql);
    const auto* error = std::get_if<SqlError>(&made);
    ASSERT_EQ(error, nullptr) << error->message;
  }
  std::string refusal(const std::string& name, const std::string& sql) {
    const auto made = world.views->create(name, sql);
    const auto* error = std::get_if<SqlError>(&made);
    return error ? error->code : "";
  }
  void expect_same_after_rebuild(const std::string& view) {
    const auto differences = world.views->rebuild_and_compare(view);
    ASSERT_TRUE(differences) << differences.error().message();
    for (const auto& d : *differences) ADD_FAILURE() << d.key << ": " << d.live << " != " << d.rebuilt;
  }
  ViewsWorld world;
};

TEST_F(CatalogTest, BuiltinViewsFollowTheStream) {
  create("customers", "builtin:customers");
  create("invoices", "builtin:invoices");
  world.put(world.stream(), {line("1", "A", 2, "1.5", "17850"), line("1", "B", 1, "0.5", "17850")});
  const Sequence last =
      world.put(world.stream(), {line("2", "A", 1, "10", ""), line("C3", "A", -2, "1.5", "17850", "1/2/2011 9:00")});
  world.wait("customers", last);
  world.wait("invoices", last);
  EXPECT_EQ(world.row("customers", {std::string("17850")}),
            "17850|United Kingdom|2|1|3|1|0.500000|2010-12-01T08:26:00|2011-01-02T09:00:00");
  EXPECT_EQ(
      world.row("invoices", {std::string("2")}),
      R"(2|NULL|United Kingdom|2010-12-01T08:26:00|1|1|10|0|[{"StockCode":"A","Description":"a thing","Quantity":1,"UnitPrice":10}])");
  EXPECT_EQ(world.row("invoices", {std::string("nobody")}), "-");
  EXPECT_EQ(world.views->find("invoices")->rows, 3u);
  EXPECT_EQ(world.views->find("customers")->rows, 1u);
  expect_same_after_rebuild("customers");
  expect_same_after_rebuild("invoices");
}

TEST_F(CatalogTest, ViewsAndTheirRowsAreThereAfterARestart) {
  create("customers", "builtin:customers");
  const Sequence last = world.put(world.stream(), {line("1", "A", 2, "1.5", "17850")});
  world.wait("customers", last);
  const std::string before = world.row("customers", {std::string("17850")});
  world.reopen();
  ASSERT_TRUE(world.views->find("customers"));
  EXPECT_EQ(world.views->find("customers")->source, "builtin:customers");
  world.wait("customers", last);
  EXPECT_TRUE(world.views->ready());
  EXPECT_EQ(world.row("customers", {std::string("17850")}), before);
  const Sequence more = world.put(world.stream(), {line("1", "A", 2, "1.5", "17850"), line("2", "A", 1, "1", "17850")});
  world.wait("customers", more);
  EXPECT_EQ(world.row("customers", {std::string("17850")}),
            "17850|United Kingdom|2|0|3|5|7|2010-12-01T08:26:00|2010-12-01T08:26:00");
  expect_same_after_rebuild("customers");
}

// At the moment when one of them shows a batch, whichever it is, the others do.
TEST_F(CatalogTest, ASnapshotFindsAllViewsOfAStreamAtTheSameRecord) {
  for (const char* name : {"a", "b", "c"})
    create(name, "SELECT InvoiceNo, count(*) AS n, last(_sequence) AS at FROM retail GROUP BY InvoiceNo");
  const Sequence first = world.put(world.stream(), {line("1", "A", 1, "1", "c")});
  for (const char* name : {"a", "b", "c"}) world.wait(name, first);
  std::mutex mutex;
  std::condition_variable looked;
  std::vector<std::string> seen;
  const auto look = [&] {
    auto asked = world.views->query("SELECT (SELECT max(at) FROM a), (SELECT max(at) FROM b), (SELECT max(at) FROM c)",
                                    {}, QueryLimits());
    QueryCursor& cursor = *std::get<0>(asked);
    const auto rows = cursor.next(1);
    const std::lock_guard lock(mutex);
    seen.push_back(std::to_string(cursor.as_of().position.sequence().value()) + ": " +
                   ViewsWorld::text(std::get<0>(rows)[0]));
    looked.notify_one();
  };
  const Position next = Position::through(Sequence(first.value() + 1));
  std::vector<std::shared_ptr<void>> handles;
  for (const char* name : {"a", "b", "c"}) handles.push_back(world.views->when_applied(name, next, look));
  const Sequence last = world.put(world.stream(), {line("2", "A", 1, "1", "c"), line("1", "A", 1, "1", "c")});
  for (const char* name : {"a", "b", "c"}) world.wait(name, last);
  std::unique_lock lock(mutex);
  looked.wait(lock, [&] { return seen.size() == 3; });  // the last may still be looking, on the group's thread
  EXPECT_EQ(seen, std::vector<std::string>(3, "3: 3|3|3"));
}

TEST_F(CatalogTest, ANewViewReadsTheLogFromItsBeginning) {
  create("invoices", "builtin:invoices");
  Sequence last;
  for (int i = 0; i < 40; ++i) {
    std::vector<std::string> lines;
    for (int k = 0; k < 600; ++k) lines.push_back(line(std::to_string(k % 50), "A", 1, "1", "7"));
    last = world.put(world.stream(), lines);
  }
  create("totals",
         "SELECT ident(InvoiceNo) AS invoice, count(*) AS lines, sum(Quantity) AS units FROM retail GROUP BY 1");
  world.wait("totals", last);
  EXPECT_EQ(world.row("totals", {std::string("7")}), "7|480|480");
  // From then on with the others.
  last = world.put(world.stream(), {line("7", "A", 5, "1", "7")});
  world.wait("totals", last);
  world.wait("invoices", last);
  EXPECT_EQ(world.row("totals", {std::string("7")}), "7|481|485");
  expect_same_after_rebuild("totals");
  expect_same_after_rebuild("invoices");
}

TEST_F(CatalogTest, ABadRecordIsParkedAloneAndNamed) {
  create("sums", "SELECT InvoiceNo, sum(Quantity) AS units FROM retail GROUP BY InvoiceNo");
  const Sequence last =
      world.put(world.stream(), {R"({"InvoiceNo":"1","Quantity":1})", R"({"InvoiceNo":"1","Quantity":"many"})",
                                 R"({"InvoiceNo":"1","Quantity":2})"});
  world.wait("sums", last);
  EXPECT_EQ(world.row("sums", {std::string("1")}), "1|3");
  EXPECT_EQ(world.views->find("sums")->parked, 1u);
  world.reopen();
  world.wait("sums", last);
  EXPECT_EQ(world.views->find("sums")->parked, 1u);
  expect_same_after_rebuild("sums");
}

TEST_F(CatalogTest, RangesByPrefixBoundsAndCursor) {
  create("sums", "SELECT InvoiceNo, count(*) AS n FROM retail GROUP BY InvoiceNo");
  std::vector<std::string> lines;
  for (const char* invoice : {"a1", "a2", "a3", "b1", "b2", "c"}) lines.push_back(line(invoice, "A", 1, "1", ""));
  world.wait("sums", world.put(world.stream(), lines));
  using Rows = std::vector<std::string>;
  EXPECT_EQ(world.rows("sums", {.prefix = "a"}), (Rows{"a1|1", "a2|1", "a3|1"}));
  EXPECT_EQ(world.rows("sums", {.from = Row{std::string("a3")}, .to = Row{std::string("b2")}}), (Rows{"a3|1", "b1|1"}));
  RangeOptions page{.limit = 4};
  auto first = world.views->range("sums", page);
  ASSERT_TRUE(first && *first);
  EXPECT_EQ((*first)->rows.size(), 4u);
  page.cursor = (*first)->cursor;
  ASSERT_FALSE(page.cursor.empty());
  auto second = world.views->range("sums", page);
  ASSERT_TRUE(second && *second);
  ASSERT_EQ((*second)->rows.size(), 2u);
  EXPECT_EQ(ViewsWorld::text((*second)->rows[0]), "b2|1");
  EXPECT_TRUE((*second)->cursor.empty());
  EXPECT_EQ(world.views->range("sums", {.cursor = "xyz"}).error(), make_error_code(StorageErrc::invalid_argument));
}

TEST_F(CatalogTest, DropForgetsTheViewAndCreationMayFollow) {
  create("v", "SELECT InvoiceNo, count(*) AS n FROM retail GROUP BY InvoiceNo");
  EXPECT_EQ(refusal("v", "SELECT InvoiceNo, count(*) AS n FROM retail GROUP BY InvoiceNo"), "view_exists");
  EXPECT_EQ(world.views->reading("retail"), std::vector<std::string>{"v"});
  const auto dropped = world.views->drop("v");
  EXPECT_TRUE(std::get<bool>(dropped));
  EXPECT_FALSE(std::get<bool>(world.views->drop("v")));
  EXPECT_FALSE(world.views->find("v"));
  world.reopen();
  EXPECT_FALSE(world.views->find("v"));
  create("v", "SELECT StockCode, count(*) AS n FROM retail GROUP BY StockCode");
  world.wait("v", world.put(world.stream(), {line("1", "A", 1, "1", "")}));
  EXPECT_EQ(world.row("v", {std::string("A")}), "A|1");
}

TEST_F(CatalogTest, RefusesWhatCannotBe) {
  EXPECT_EQ(refusal("v", "builtin:nosuch"), "invalid_view");
  EXPECT_EQ(refusal("v", "SELECT a, count(*) FROM nosuch GROUP BY a"), "no_such_stream");
  EXPECT_EQ(refusal("1v", "SELECT a, count(*) FROM retail GROUP BY a"), "invalid_name");
  EXPECT_EQ(refusal("../v", "SELECT a, count(*) FROM retail GROUP BY a"), "invalid_name");
}

// Whatever the batch cuts: many small appends, restarts in between, and the same records in one go.
TEST_F(CatalogTest, CutsAndRestartsDoNotChangeAByte) {
  create("customers", "builtin:customers");
  create("invoices", "builtin:invoices");
  std::mt19937 random(7);
  Sequence last;
  for (int round = 0; round < 4; ++round) {
    for (int i = 0; i < 30; ++i) {
      std::vector<std::string> lines;
      for (std::size_t k = 0; k < 1 + random() % 20; ++k) {
        lines.push_back(line((random() % 9 == 0 ? "C" : "") + std::to_string(random() % 40),
                             std::to_string(random() % 5), static_cast<int>(random() % 20) - 5,
                             std::to_string(random() % 1000 / 100.0),
                             random() % 4 == 0 ? "" : std::to_string(random() % 10)));
      }
      last = world.put(world.stream(), lines);
    }
    world.wait("customers", last);
    world.wait("invoices", last);
    expect_same_after_rebuild("customers");
    expect_same_after_rebuild("invoices");
    world.reopen();
  }
}

TEST_F(CatalogTest, AViewThatDoesNotFitItsLogIsMadeAgain) {
  create("customers", "builtin:customers");
  const Sequence last = world.put(world.stream(), {line("1", "A", 2, "1.5", "17850")});
  world.wait("customers", last);
  const std::string right = world.row("customers", {std::string("17850")});
  for (const std::string& checkpoint :
       {std::string("garbage"), encode_checkpoint({Position::through(Sequence(last.value() + 1)), {}, 1, 0})}) {
    world.close();
    {
      const auto database = std::move(*Database::open(world.real.env, world.options.data + "/views", 8 << 20));
      ASSERT_EQ(database->names().size(), 1u);
      const auto family = *database->family(database->names()[0]);
      WriteSet set;
      set.put(kCheckpointKey, checkpoint);
      set.put(row_key("no such row"), "garbage");
      ASSERT_TRUE(database->write(*family, set));
      ASSERT_TRUE(database->close());
    }
    world.open();
    ASSERT_EQ(world.views->list().size(), 1u);
    world.wait("customers", last);
    EXPECT_EQ(world.rows("customers"), std::vector<std::string>{right});
    expect_same_after_rebuild("customers");
  }
}

TEST_F(CatalogTest, AViewThatCannotBeOpenedIsNamedAndCanBeDropped) {
  create("customers", "builtin:customers");
  world.close();
  {
    const auto engine = std::move(*Engine::open(world.real.env, world.options));
    ASSERT_TRUE(engine->remove(in_default("retail")));  // the HTTP interface would not do it
    ASSERT_TRUE(engine->close());
  }
  world.open();
  EXPECT_TRUE(world.views->list().empty());
  ASSERT_EQ(world.views->failed().size(), 1u);
  EXPECT_EQ(world.views->failed()[0].name, "customers");
  EXPECT_EQ(world.views->failed()[0].cause, "The view's stream is gone.");
  world.stream();
  EXPECT_EQ(refusal("customers", "builtin:customers"), "view_exists");
  EXPECT_TRUE(std::get<bool>(world.views->drop("customers")));
  EXPECT_FALSE(std::get<bool>(world.views->drop("customers")));
  EXPECT_TRUE(world.views->failed().empty());
  create("customers", "builtin:customers");
  world.reopen();
  EXPECT_TRUE(world.views->failed().empty());
  EXPECT_EQ(world.views->list().size(), 1u);
}

// What is answered on the threads of the network never waits for the disk.
TEST(Catalog, ARowInMemoryIsReadWithoutTheDisk) {
  ViewsWorld w;
  w.open();
  w.stream();
  const std::string sql = "SELECT k, count(*) AS n, max(t) AS t FROM retail GROUP BY k";
  ASSERT_TRUE(std::holds_alternative<ViewInfo>(w.views->create("v", sql)));
  ASSERT_TRUE(std::holds_alternative<ViewInfo>(
      w.views->create("lists", "SELECT k, count(*) AS n, collect(t) AS ts FROM retail GROUP BY k")));
  Sequence last(0);
  for (int i = 0; i < 20; ++i) {
    std::vector<std::string> batch;
    for (int j = 0; j < 500; ++j)
      batch.push_back(R"({"k":"k)" + std::to_string(i * 500 + j) + R"(","t":")" + std::string(200, 'x') + "\"}");
    last = w.put(w.stream(), batch);
  }
  const auto compare = [&](const Row& key) {
    const auto memory = w.views->get_in_memory("v", key);
    const auto disk = w.views->get("v", key);
    ASSERT_TRUE(memory && *memory && disk && *disk) << memory.error().message();
    EXPECT_EQ((*memory)->row, (*disk)->row);
    EXPECT_EQ((*memory)->as_of.position, (*disk)->as_of.position);
  };
  const ErrorCode waits(EAGAIN, boost::system::generic_category());
  w.wait("v", last);
  w.wait("lists", last);
  compare({Value("k77")});
  compare({Value("nobody")});
  EXPECT_FALSE(*w.views->get_in_memory("none", {Value("k77")}));
  EXPECT_EQ(w.views->get_in_memory("v", {Value("k77"), Value("k78")}).error(), StorageErrc::invalid_argument);
  EXPECT_EQ(w.views->get_in_memory("lists", {Value("k77")}).error(), waits) << "its list is read piece by piece";

  w.wait("v", w.put(w.stream(), {R"({"k":"long","t":")" + std::string(70'000, 'x') + "\"}"}));
  EXPECT_EQ(w.views->get_in_memory("v", {Value("long")}).error(), waits) << "an answer that takes longer than a moment";
  EXPECT_TRUE((*w.views->get("v", {Value("long")}))->row);

  w.reopen();  // all of it is in files now, and nobody has read them yet
  int cold = 0;
  for (int i = 0; i < 10'000; i += 1'000) {
    const Row key{Value("k" + std::to_string(i))};
    const auto memory = w.views->get_in_memory("v", key);
    EXPECT_TRUE(memory || memory.error() == waits) << memory.error().message();
    cold += memory ? 0 : 1;
    EXPECT_TRUE((*w.views->get("v", key))->row);
    compare(key);
  }
  EXPECT_GT(cold, 3);
}

}  // namespace
}  // namespace tidemill::views
