#include <gmock/gmock.h>

#include "tests/api/api_world.h"
#include "tests/support/hold_executor.h"

namespace tidemill {
namespace {

constexpr std::string_view kLine =
    R"({"InvoiceNo":"A/1","CustomerID":"17850","Quantity":2,"UnitPrice":0.1,"Country":"UK","StockCode":"a"})";

struct ViewWorld : ApiWorld {
  ViewWorld() : ApiWorld({}, null_logger(), true) {}
  ClientAnswer sql(std::string_view text, std::string_view headers = {}) {
    return ask(request("POST", "/v1/sql", "{\"sql\":\"" + std::string(text) + "\"}", headers));
  }
};

TEST(ViewsApi, AckViewMeansThatTheRowIsThere) {
  ViewWorld world;
  const auto in = world.ask(ApiWorld::post(kLine, kJsonHeader, "?ack=view&wait=20000"));
  ASSERT_EQ(in.status, 200) << in.body;
  EXPECT_EQ(in.json()["ack"], "view");
  const auto row = world.get("/customers/17850");
  ASSERT_EQ(row.status, 200) << row.body;
  EXPECT_EQ(row.json()["row"]["units"], 2);
  EXPECT_EQ(row.json()["as_of"]["sequence"], 1);
  EXPECT_EQ(world.get("/v1/views/invoices/rows/A%2F1").json()["row"]["items"][0]["StockCode"], "a");
  EXPECT_EQ(world.get("/v1/views/invoices/rows?key=%5B%22A/1%22%5D").json()["row"]["invoice_no"], "A/1");
  EXPECT_EQ(world.get("/v1/views/customers/rows?prefix=178").json()["rows"].size(), 1u);
  EXPECT_EQ(world.get("/v1/views/customers/rows?from=2").json()["rows"].size(), 0u);
  const auto missing = world.get("/customers/1");
  EXPECT_EQ(missing.code(), "no_such_row");
  EXPECT_EQ(missing.json()["as_of"]["sequence"], 1);
  EXPECT_EQ(world.get("/customers/1,2").code(), "invalid_key");
  EXPECT_EQ(world.get("/v1/views/customers/rows?cursor=zz").code(), "invalid_cursor");
  EXPECT_EQ(world.get("/v1/views/nosuch/rows").code(), "view_not_found");
}

TEST(ViewsApi, AViewThatCannotBeOpenedKeepsNobodyFromReadyAndIsNamed) {
  ApiWorld world({}, null_logger(), true);
  EXPECT_EQ(world.get("/readyz").body, "ready\n");
  world.server->stop();
  EXPECT_TRUE(world.all_views->close());
  ASSERT_TRUE(world.engine->remove(in_default("retail")));
  world.views.reset();
  world.all_views.reset();
  world.all_views = std::move(
      *views::AllViews::open(world.real.env, *world.engine, {.directory = world.engine->directory().views()}));
  ApiOptions options;
  options.port = 0;
  options.threads = 1;
  world.server =
      std::move(*ApiServer::start(world.real.env, *world.engine, world.all_views.get(), world.workers, options));
  const auto ready = world.get("/readyz");
  EXPECT_EQ(ready.status, 200);
  EXPECT_EQ(ready.body,
            "ready\nnot served: view customers: The view's stream is gone.\n"
            "not served: view invoices: The view's stream is gone.\n");
}

TEST(ViewsApi, ACursorGoesOnInItsOwnViewOnly) {
  ViewWorld world;
  for (const char* customer : {"1", "2", "3"}) {
    const std::string line = std::string(kLine);
    const std::size_t at = line.find("17850");
    ASSERT_NE(at, std::string::npos);
    const auto in =
        world.ask(ApiWorld::post(std::string(line).replace(at, 5, customer), kJsonHeader, "?ack=view&wait=20000"));
    ASSERT_EQ(in.json()["ack"], "view") << in.body;
  }
  const auto first = world.get("/v1/views/customers/rows?limit=2");
  ASSERT_EQ(first.json()["rows"].size(), 2u) << first.body;
  const std::string cursor = first.json()["cursor"];
  const auto rest = world.get("/v1/views/customers/rows?cursor=" + cursor);
  ASSERT_EQ(rest.json()["rows"].size(), 1u) << rest.body;
  EXPECT_EQ(rest.json()["rows"][0]["customer_id"], "3");
  const auto other = world.get("/v1/views/invoices/rows?cursor=" + cursor);
  EXPECT_EQ(other.status, 400);
  EXPECT_EQ(other.code(), "invalid_cursor");
  for (const std::string& cut : {cursor.substr(0, 15), cursor.substr(0, 16), cursor + "0"}) {
    EXPECT_EQ(world.get("/v1/views/customers/rows?cursor=" + cut).code(), "invalid_cursor") << cut;
  }
}

TEST(ViewsApi, AnAckThatRunsOutOfTimeIsDurableAndNamesWhoIsBehind) {
  ViewWorld world;
  const auto in = world.ask(ApiWorld::post(kLine, kJsonHeader, "?ack=view&wait=0"));
  ASSERT_EQ(in.status, 200) << in.body;
  const auto said = in.json();
  EXPECT_TRUE(said["ack"] == "view" || said["behind"].is_array()) << in.body;
}

TEST(ViewsApi, ATokenWaitsForItsRecords) {
  ViewWorld world;
  for (int i = 1; i <= 20; ++i) {
    const std::string token = world.ask(ApiWorld::post(kLine)).json()["token"];
    const auto row = world.get("/customers/17850?wait=20000&after=" + token);
    ASSERT_EQ(row.status, 200) << row.body;
    EXPECT_GE(row.json()["row"]["units"], 2 * i);
  }
  EXPECT_EQ(world.get("/customers/17850?after=nonsense").code(), "invalid_token");
  EXPECT_EQ(world.get("/customers/17850?wait=x").code(), "invalid_parameter");
  const Token stranger{StreamId(999), Incarnation(1), Epoch(1), Position::through(Sequence(1))};
  EXPECT_EQ(world.get("/customers/17850?after=" + stranger.encode()).code(), "token_gone");
  // A position that is not there: another life of the log had it.
  auto token = *Token::decode(world.ask(ApiWorld::post("[]")).json()["token"].get<std::string>());
  token.incarnation = Incarnation(token.incarnation.value() + 1);
  EXPECT_EQ(world.get("/customers/17850?after=" + token.encode()).status, 410);
}

// A world whose groups can be held.
struct HeldWorld {
  ~HeldWorld() { hold.release(); }
  HoldExecutor hold;
  ApiWorld world{{}, null_logger(), true, {}, {.background = &hold}};
};

TEST(ViewsApi, ATokenThatIsNotVisibleInTimeIs504WithThePresentPosition) {
  HeldWorld w;
  ASSERT_EQ(w.world.ask(ApiWorld::post(kLine, kJsonHeader, "?ack=view&wait=60000")).json()["ack"], "view");
  w.hold.hold();
  const auto in = w.world.ask(ApiWorld::post(kLine));
  ASSERT_EQ(in.status, 200) << "durable without any view";
  const std::string after = "after=" + in.json()["token"].get<std::string>();
  const std::string sql = R"({"sql":"SELECT units FROM customers"})";
  for (const std::string wait : {"&wait=0", "&wait=20"}) {
    for (const auto& request : {ApiWorld::request("GET", "/customers/17850?" + after + wait),
                                ApiWorld::request("GET", "/v1/views/invoices/rows?" + after + wait),
                                ApiWorld::request("POST", "/v1/sql?" + after + wait, sql, kJsonHeader)}) {
      SCOPED_TRACE(request.substr(0, 60));
      const auto late = w.world.ask(request);
      EXPECT_EQ(late.status, 504) << late.body;
      EXPECT_EQ(late.code(), "not_yet_visible");
      EXPECT_EQ(late.json()["as_of"]["sequence"], 1);
      EXPECT_EQ(late.headers.at("content-type"), "application/problem+json");
    }
  }
  EXPECT_EQ(w.world.get("/customers/17850").json()["row"]["units"], 2) << "without `after`: what there is";
  const auto acknowledged = w.world.ask(ApiWorld::post(kLine, kJsonHeader, "?ack=view&wait=20"));
  EXPECT_EQ(acknowledged.status, 200);
  EXPECT_EQ(acknowledged.json()["ack"], "durable");
  EXPECT_EQ(acknowledged.json()["behind"].dump(), R"(["customers","invoices"])");
  // One that waits gets its answer when the record is there.
  RawClient waiting(w.world.server->port());
  waiting.send(ApiWorld::request("GET", "/customers/17850?wait=60000&" + after));
  w.hold.release();
  const auto row = waiting.answer();
  EXPECT_EQ(row.status, 200) << row.body;
  EXPECT_GE(row.json()["row"]["units"], 4);
}

TEST(ViewsApi, SqlInThreeShapes) {
  ViewWorld world;
  ASSERT_EQ(world.ask(ApiWorld::post(kLine, kJsonHeader, "?ack=view&wait=20000")).status, 200);
  const auto json = world.sql("SELECT customer_id, units FROM customers").json();
  EXPECT_EQ(json["columns"].dump(), R"(["customer_id","units"])");
  EXPECT_EQ(json["rows"].dump(), R"([["17850",2]])");
  EXPECT_EQ(json["as_of"]["sequence"], 1);
  const auto lines = world.sql("SELECT customer_id, units FROM customers", "Accept: application/x-ndjson\r\n");
  EXPECT_EQ(lines.body, "{\"customer_id\":\"17850\",\"units\":2}\n");
  EXPECT_EQ(nlohmann::json::parse(lines.headers.at("tidemill-as-of"))["sequence"], 1);
  const auto csv = world.sql("SELECT 'a,b' AS x, null AS y", "Accept: text/csv\r\n");
  EXPECT_EQ(csv.body, "x,y\r\n\"a,b\",\r\n");
  EXPECT_EQ(world.sql("SELECT 1", "Accept: image/png\r\n").code(), "not_acceptable");
  for (const char* bad : {"SELECT", "SELECT * FROM nosuch", "SELECT 1; SELECT 2"}) {
    EXPECT_EQ(world.sql(bad).code(), "invalid_sql") << bad;
  }
  for (const char* bad : {"DELETE FROM customers", "PRAGMA database_list", "ATTACH 'x' AS y"}) {
    EXPECT_EQ(world.sql(bad).code(), "not_read_only") << bad;
  }
  EXPECT_EQ(world.ask(ApiWorld::request("POST", "/v1/sql", "{}")).code(), "invalid_body");
}

TEST(ViewsApi, AStatementThatIsTooLongIsNotLookedInto) {
  ViewWorld world;
  for (const char* sql : {"SELECT 1", "CREATE STREAM s AS SELECT * FROM retail", "DROP STREAM IF EXISTS s",
                          "ALTER STREAM", "EXPLAIN SELECT * FROM retail", "DROP MATERIALIZED VIEW IF EXISTS v",
                          "CREATE MATERIALIZED VIEW v AS SELECT Country, count(*) FROM retail GROUP BY 1"}) {
    const auto answer = world.sql(sql + std::string(100'000, ';'));
    EXPECT_EQ(answer.code(), "invalid_sql") << sql;
    EXPECT_THAT(answer.body, testing::HasSubstr("The statement is longer than 100,000 bytes.")) << sql;
  }
}

// It is kept, and has less than a question.
TEST(ViewsApi, ADefinitionOfMoreThan64KiBIsRefused) {
  ViewWorld world;
  const std::string text = "SELECT Country || '" + std::string(65'536, 'x') + "' AS c FROM retail";
  for (const char* head : {"CREATE STREAM s AS ", "EXPLAIN CREATE STREAM s AS ", "CREATE MATERIALIZED VIEW v AS "}) {
    const auto answer = world.sql(head + text);
    EXPECT_EQ(answer.status, 400) << head << answer.body;
    EXPECT_THAT(answer.body, testing::HasSubstr("A definition has at most 64 KiB.")) << head;
  }
}

TEST(ViewsApi, ViewsAreMadeVerifiedAndDropped) {
  ViewWorld world;
  ASSERT_EQ(world.ask(ApiWorld::post(kLine, kJsonHeader, "?ack=view&wait=20000")).status, 200);
  const auto put = [&](std::string_view sql) {
    return world.ask(ApiWorld::request("PUT", "/v1/views/countries", sql, "Content-Type: application/sql\r\n"));
  };
  EXPECT_EQ(put("SELECT Country AS c, mode(Quantity) AS n FROM retail GROUP BY 1").code(), "not_supported");
  EXPECT_EQ(put("SELECT Country AS country, count(*) AS n FROM retail GROUP BY country").status, 201);
  EXPECT_EQ(put("SELECT Country AS country, count(*) AS n FROM retail GROUP BY country").status, 200);
  const auto changed = put("SELECT Country AS country, sum(Quantity) AS n FROM retail GROUP BY country");
  EXPECT_EQ(changed.status, 202) << changed.body;
  EXPECT_EQ(changed.json()["columns"][1]["type"], "integer") << "the old one is served";
  EXPECT_EQ(
      world.ask(ApiWorld::request("PUT", "/v1/views/bad", "SELECT 1", "Content-Type: application/sql\r\n")).code(),
      "invalid_view");
  const auto verified = world.ask(ApiWorld::request("POST", "/v1/views/customers/verify"));
  ASSERT_EQ(verified.status, 200) << verified.body;
  EXPECT_EQ(verified.json()["differences"].size(), 0u);
  const auto in_use = world.ask(ApiWorld::request("DELETE", "/v1/streams/retail"));
  EXPECT_EQ(in_use.status, 409);
  EXPECT_EQ(in_use.json()["views"].size(), 3u);
  EXPECT_EQ(world.ask(ApiWorld::request("DELETE", "/v1/views/countries")).status, 204);
  EXPECT_EQ(world.ask(ApiWorld::request("DELETE", "/v1/views/countries")).status, 404);
  EXPECT_EQ(world.get("/v1/views").json()["views"].size(), 2u);
  EXPECT_EQ(world.get("/readyz").status, 200);
}

TEST(ViewsApi, WhatAViewIsSaysHowFarItIs) {
  ViewWorld world;
  const std::string token = world.ask(ApiWorld::post(kLine)).json()["token"];
  for (const std::string path : {"/v1/views", "/v1/views/customers"}) {
    const auto answer = world.get(path + "?wait=20000&after=" + token).json();
    const auto& view = path == "/v1/views" ? answer["views"][0] : answer;
    EXPECT_EQ(view["as_of"]["sequence"], 1) << answer;
    EXPECT_TRUE(view["as_of"]["time"].is_string()) << answer;
    EXPECT_EQ(world.get(path + "?after=x").code(), "invalid_token");
    EXPECT_EQ(world.get(path + "?wait=x").code(), "invalid_parameter");
  }
  ASSERT_EQ(world.ask(ApiWorld::request("PUT", "/v1/streams/other", "{}", kJsonHeader)).status, 201);
  const std::string strange =
      world.ask(ApiWorld::request("POST", "/v1/streams/other/records", "[]", kJsonHeader)).json()["token"];
  EXPECT_EQ(world.get("/v1/views/customers?after=" + strange).code(), "invalid_token");
}

TEST(ViewsApi, APutThatChangesNothingIsWelcome) {
  ViewWorld world;
  const auto put = [&](std::string_view name, std::string_view body) {
    return world.ask(ApiWorld::request("PUT", "/v1/views/" + std::string(name), body, kJsonHeader));
  };
  EXPECT_EQ(put("customers", R"({"sql":"builtin:customers"})").status, 200);
  EXPECT_EQ(put("x", R"({"sql":"SELECT Country, count(*) AS n FROM retail GROUP BY Country","name":"y"})").code(),
            "invalid_body");
}

TEST(ViewsApi, SqlMakesChangesExplainsAndDropsViews) {
  ViewWorld world;
  ASSERT_EQ(world.ask(ApiWorld::post(kLine, kJsonHeader, "?ack=view&wait=20000")).status, 200);
  const auto made =
      world.sql("CREATE MATERIALIZED VIEW c AS SELECT Countri, count(*) AS n FROM retail GROUP BY Countri",
                "Accept: text/csv\r\n");
  ASSERT_EQ(made.status, 200) << made.body;
  EXPECT_EQ(made.headers.at("content-type"), "application/json");
  EXPECT_EQ(made.json()["statement"], "CREATE MATERIALIZED VIEW");
  EXPECT_EQ(made.json()["view"], "c");
  EXPECT_EQ(made.json()["result"], "created");
  EXPECT_EQ(made.json()["columns"][0]["name"], "Countri");
  EXPECT_EQ(made.json()["warnings"].dump(),
            R"(["The field Countri has no value in the last record: did you mean Country?"])");
  EXPECT_EQ(made.json()["trial"]["records"], 1);
  EXPECT_EQ(made.json()["trial"]["fields_without_value"].dump(), R"([{"field":"Countri","nearest":"Country"}])");
  EXPECT_EQ(made.json()["trial"]["sample"].dump(), R"([{"Countri":null,"n":1}])");
  EXPECT_TRUE(made.json()["trial"]["first_set_aside"].is_null());

  // Both doors refuse the same with the same words.
  const std::string wrong = "SELECT Country, Quantity AS n FROM retail GROUP BY Country";
  const auto by_put =
      world.ask(ApiWorld::request("PUT", "/v1/views/d", wrong, "Content-Type: application/sql\r\n")).json();
  const auto by_sql = world.sql("CREATE MATERIALIZED VIEW d AS " + wrong).json();
  EXPECT_EQ(by_put["code"], by_sql["code"]);
  EXPECT_EQ(by_put["status"], by_sql["status"]);
  const std::string sentence = by_sql["detail"];
  const std::string other = by_put["detail"];
  EXPECT_EQ(sentence.substr(sentence.find(": ")), other.substr(other.find(": ")));
  EXPECT_EQ(world.sql("CREATE MATERIALIZED VIEW c AS " + wrong).status, by_sql["status"]);
  const auto again = world.sql("CREATE MATERIALIZED VIEW c AS SELECT Country, count(*) AS n FROM retail GROUP BY 1");
  EXPECT_EQ(again.status, 409);
  EXPECT_EQ(again.code(), "view_exists");
  EXPECT_EQ(world.sql("DROP VIEW nosuch").code(), "view_not_found");
  EXPECT_EQ(world.sql("CREATE MATERIALIZED VIEW d AS SELECT a, count(*) AS n FROM nosuch GROUP BY a").code(),
            "stream_not_found");
  EXPECT_EQ(
      world.ask(ApiWorld::request("POST", "/v1/sql", R"({"sql":"DROP VIEW c","params":[1]})", kJsonHeader)).code(),
      "invalid_parameter");

  const auto explained = world.sql("EXPLAIN SELECT Country, sum(Quantity) AS n FROM retail GROUP BY Country").json();
  EXPECT_EQ(explained["statement"], "EXPLAIN");
  EXPECT_TRUE(explained["view"].is_null());
  EXPECT_EQ(explained["row_statement"], R"(SELECT "Country", ("Quantity") FROM batch)");
  EXPECT_TRUE(explained["final_statement"].is_null());
  EXPECT_EQ(explained["key"].dump(), R"([{"column":"Country","expression":"Country","type":"any"}])");
  EXPECT_EQ(explained["aggregates"][0]["expression"], "sum(Quantity)");
  EXPECT_EQ(explained["trial"]["sample"].dump(), R"([{"Country":"UK","n":2}])");

  const auto altered = world.sql("ALTER VIEW c AS SELECT Country, count(*) AS n FROM retail GROUP BY Country").json();
  EXPECT_EQ(altered["result"], "building");
  EXPECT_EQ(altered["columns"][0]["name"], "Countri");
  EXPECT_EQ(altered["building"]["columns"][0]["name"], "Country");
  EXPECT_EQ(altered["building"]["from"], 1);
  EXPECT_EQ(altered["building"]["of"], 1);
  EXPECT_EQ(altered["warnings"].size(), 0u);
  EXPECT_EQ(world.sql("DROP VIEW c").json().dump(),
            R"({"result":"dropped","statement":"DROP MATERIALIZED VIEW","view":"c","warnings":[]})");
  EXPECT_EQ(world.get("/v1/views/c").status, 404);
}

TEST(ViewsApi, RowsThatGoWithTimeAreSaidInTheStatusAndByExplain) {
  ViewWorld world;
  const std::string view =
      " MATERIALIZED VIEW days WITH (window = day, size = '1 day', retention = '1 week') AS "
      "SELECT date(timestamp(day)) AS day, count(*) AS n FROM retail GROUP BY 1";
  const auto explained = world.sql("EXPLAIN CREATE" + view).json();
  const std::string rule = explained["expiry"];
  EXPECT_NE(rule.find("A row goes 1 week of stream time after its window has ended: day says when"), rule.npos) << rule;
  ASSERT_EQ(world.sql("CREATE" + view).json()["result"], "created");
  EXPECT_TRUE(world.get("/v1/views/days").json()["expiry"]["stream_time"].is_null());
  ASSERT_EQ(world.ask(ApiWorld::post(R"({"InvoiceNo":"1","day":"2020-02-01"})", kJsonHeader, "?ack=view")).status, 200);
  const auto shown = world.get("/v1/views/days").json();
  EXPECT_EQ(shown["expiry"]["rule"], rule);
  EXPECT_EQ(shown["expiry"]["late"], 1);
  EXPECT_EQ(shown["expiry"]["expired"], 0);
  EXPECT_EQ(shown["expiry"]["stream_time"], shown["as_of"]["time"]);
  EXPECT_EQ(world.sql("SELECT count(*) AS n FROM days").json()["rows"].dump(), "[[0]]");
  EXPECT_FALSE(world.get("/v1/views/customers").json().contains("expiry"));
  const auto late = world.sql("EXPLAIN CREATE" + view).json();
  EXPECT_EQ(late["trial"]["late"], 1);
  EXPECT_EQ(late["warnings"][0], "The last record would be dropped as late: the window's retention was over.");
}

TEST(ViewsApi, KeysOfSeveralColumns) {
  ViewWorld world;
  const auto made = world.ask(ApiWorld::request(
      "PUT", "/v1/views/by", "SELECT CustomerID AS c, year AS y, count(*) AS n FROM retail GROUP BY c, y",
      "Content-Type: application/sql\r\n"));
  ASSERT_EQ(made.status, 201) << made.body;
  constexpr std::string_view kLines =
      R"([{"InvoiceNo":"1","CustomerID":"17850","year":2011},{"InvoiceNo":"2","CustomerID":17850,"year":2011},)"
      R"({"InvoiceNo":"3","CustomerID":9,"year":"2011"},{"InvoiceNo":"4","CustomerID":"a,b/c","year":2.5},)"
      R"({"InvoiceNo":"5","year":2011}])";
  ASSERT_EQ(world.ask(ApiWorld::post(kLines, kJsonHeader, "?ack=view&wait=20000")).json()["ack"], "view");
  const auto row = [&](const std::string& key) { return world.get("/v1/views/by/rows/" + key); };
  // A column that holds text and numbers: text goes first, and a JSON array says which.
  EXPECT_EQ(row("17850,2011").json()["row"].dump(), R"({"c":"17850","n":1,"y":2011})");
  EXPECT_EQ(row("a%2Cb%2Fc,2.5").json()["row"]["n"], 1);
  EXPECT_EQ(row("9,2011").json()["row"].dump(), R"({"c":9,"n":1,"y":"2011"})");
  EXPECT_EQ(row("17850").code(), "invalid_key");
  EXPECT_EQ(row("17850,2011,1").code(), "invalid_key");
  EXPECT_EQ(row("17850,nan").code(), "no_such_row");
  const auto key = [&](const std::string& json) { return world.get("/v1/views/by/rows?key=" + json); };
  EXPECT_EQ(key("[9,%222011%22]").json()["row"].dump(), R"({"c":9,"n":1,"y":"2011"})");
  EXPECT_EQ(key("[17850,2011]").json()["row"].dump(), R"({"c":17850,"n":1,"y":2011})");
  EXPECT_EQ(key("[null,2011]").json()["row"]["n"], 1);
  EXPECT_EQ(key("[%2217850%22,%222011%22]").code(), "no_such_row");
  EXPECT_EQ(key("[1]").code(), "invalid_key");
  EXPECT_EQ(key("[[1],2]").code(), "invalid_key");
  EXPECT_EQ(key("[1,2]&limit=5").code(), "invalid_parameter");
}

TEST(ViewsApi, SqlSaysWhatIsWrongOnce) {
  ViewWorld world;
  EXPECT_EQ(
      world.sql("DELETE FROM customers").json()["detail"],
      "Only SELECT is allowed here. Write one SELECT, or CREATE, ALTER or DROP MATERIALIZED VIEW. Records come in "
      "by POST.");
  EXPECT_EQ(world.sql("SELECT ?, ?").json()["detail"],
            "`params` needs a value for each parameter of the statement: it has 2, and 0 came.");
  EXPECT_EQ(world.sql("SELECT fts3_tokenizer('simple')").code(), "invalid_sql");
  EXPECT_EQ(world.sql("SELECT 1 AS a, 2 AS a", "Accept: application/x-ndjson\r\n").code(), "invalid_sql");
  EXPECT_EQ(world.sql("SELECT 1 AS a, 2 AS a", "Accept: text/csv\r\n").body, "a,a\r\n1,2\r\n");
  EXPECT_EQ(world.sql("SELECT 1e999 AS a, -1e999 AS b, null AS c, x'00' AS d", "Accept: text/csv\r\n").body,
            "a,b,c,d\r\nInfinity,-Infinity,,\"{\"\"_base64\"\":\"\"AA==\"\"}\"\r\n");
  EXPECT_EQ(world.sql("SELECT 1e999, 9007199254740993").json()["rows"].dump(), "[[null,9007199254740993]]");
  EXPECT_EQ(world.sql("SELECT x'00ff' AS b").json()["rows"].dump(), R"([[{"_base64":"AP8="}]])");
}

}  // namespace
}  // namespace tidemill
