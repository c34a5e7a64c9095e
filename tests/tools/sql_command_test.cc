// `tidemill sql`, from its command line to what it prints, against canned answers.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/tools/cli_runner.h"
#include "tools/cli/commands.h"

namespace tidemill::cli {
namespace {

using testing::HasSubstr;

struct SqlCommand : CannedServer {};

TEST_F(SqlCommand, PrintsATable) {
  replies_["POST /v1/sql"] = {
      .body = R"({"columns":["country",{"name":"n"}],"rows":[["France",12],[null,3]],"as_of":{},"truncated":true})"};
  EXPECT_EQ(run({"sql", "--format", "table", "--param", "17850", "--param", "x", "SELECT 1"}), kOk) << err_;
  EXPECT_EQ(out_,
            "country   n\n"
            "-------  --\n"
            "France   12\n"
            "NULL      3\n"
            "(2 rows, cut by the server's limit)\n");
  EXPECT_EQ(last().body, R"({"sql":"SELECT 1","params":[17850,"x"]})");
  replies_["POST /v1/sql"] = {.body = "a,b\r\n1,2\r\n"};
  EXPECT_EQ(run({"sql", "SELECT 1"}), kOk);
  EXPECT_EQ(out_, "a,b\r\n1,2\r\n") << "not a terminal: CSV";
  EXPECT_EQ(last().headers.at("accept"), "text/csv");
  EXPECT_EQ(err_, "");
  EXPECT_EQ(run({"sql", " ; "}), kWrongUse);
}

TEST_F(SqlCommand, TellsNullFromNothingAndSaysAsOfWhen) {
  replies_["POST /v1/sql"] = {
      .body =
          R"({"columns":["t","n"],"rows":[["",null],[null,-5]],"as_of":{"sequence":7,"time":"2026-01-02T03:04:05.000Z"}})"};
  EXPECT_EQ(run({"sql", "--format", "table", "SELECT 1"}), kOk) << err_;
  EXPECT_EQ(out_,
            "t        n\n"
            "----  ----\n"
            "      NULL\n"
            "NULL    -5\n"
            "(2 rows, as of 7 at 2026-01-02T03:04:05.000Z)\n");
}

TEST_F(SqlCommand, RunsTheStatementsOfItsInputUntilOneFails) {
  replies_["POST /v1/sql"] = {.body = "a\r\n1\r\n"};
  EXPECT_EQ(run_with_input("SELECT ';';\n-- and\nSELECT\n 2", {"sql", "-"}), kOk) << err_;
  EXPECT_EQ(out_, "a\r\n1\r\na\r\n1\r\n");
  ASSERT_EQ(requests_.size(), 2u);
  EXPECT_EQ(requests_[0].body, R"({"sql":"SELECT ';'"})");
  EXPECT_EQ(requests_[1].body, R"({"sql":"SELECT\n 2"})");
  EXPECT_EQ(run_with_input("SELECT 1; SELECT 2", {"sql", "--param", "1", "-"}), kWrongUse);
  EXPECT_THAT(err_, HasSubstr("--param is for one statement"));

  replies_["POST /v1/sql"] = {.status = 400, .body = R"({"title":"No.","detail":"line 1, column 3: x"})"};
  const std::size_t before = requests_.size();
  EXPECT_EQ(run_with_input("\nSELECT 1;\nSELECT 2;", {"sql", "-"}), kWrongUse);
  EXPECT_EQ(requests_.size(), before + 1);
  EXPECT_THAT(err_, HasSubstr("the statement at line 2: No. line 1, column 3: x"));
  EXPECT_EQ(run_with_input(" ;; -- nothing\n", {"sql", "-"}), kWrongUse);
  EXPECT_THAT(err_, HasSubstr("there is no statement"));
}

TEST_F(SqlCommand, SaysWhenAnAnswerBreaksOff) {
  replies_["POST /v1/sql"] = {.raw = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\na\r\n1\r\n",
                              .close = true};
  EXPECT_EQ(run({"sql", "SELECT 1"}), kNotReached);
  EXPECT_THAT(err_, HasSubstr("the answer is not whole"));
  EXPECT_EQ(out_, "a\r\n1");
}

TEST_F(SqlCommand, SaysWhatItDidWithAView) {
  replies_["POST /v1/sql"] = {
      .body =
          R"({"statement":"CREATE MATERIALIZED VIEW","view":"v","result":"created","columns":[],"warnings":["Odd."],"trial":{"records":2,"sample":[{"a":"x","n":2}]}})"};
  EXPECT_EQ(run({"sql", "--format", "table", "CREATE MATERIALIZED VIEW v AS ..."}), kOk);
  EXPECT_EQ(out_, "view v created\n\nthe last 2 records alone give:\na  n\n-  -\nx  2\n");
  EXPECT_EQ(err_, "warning: Odd.\n");
  EXPECT_EQ(run({"sql", "--format", "json", "CREATE MATERIALIZED VIEW v AS ..."}), kOk);
  EXPECT_THAT(out_, HasSubstr(R"({"statement":"CREATE)"));
  replies_["POST /v1/sql"] = {
      .body =
          R"_({"statement":"EXPLAIN","view":null,"exists":false,"stream":"s","columns":[{"name":"k","type":"any","key":true}],"key":[{"expression":"k"}],"aggregates":[{"expression":"count(*)","type":"integer"}],"row_statement":"SELECT \"k\" FROM batch","final_statement":null,"warnings":[]})_"};
  EXPECT_EQ(run({"sql", "--format", "table", "EXPLAIN SELECT k, count(*) FROM s GROUP BY k"}), kOk);
  EXPECT_EQ(out_,
            "stream     s\nkey        k\naggregate  count(*)  integer\nrow        SELECT \"k\" FROM batch\n\n"
            "column  type  key\n------  ----  ---\nk       any   yes\n");
}

}  // namespace
}  // namespace tidemill::cli
