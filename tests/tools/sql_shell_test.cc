// What the SQL shell is made of, but for the terminal: tests/e2e/test_sql_shell.py has that.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tools/cli/output.h"
#include "tools/cli/sql/completer.h"
#include "tools/cli/sql/statements.h"

namespace tidemill::cli {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;

std::vector<std::string> cut(const std::string& text, std::size_t piece = 1'000) {
  StatementReader reader;
  std::vector<std::string> out;
  for (std::size_t at = 0; at < text.size(); at += piece) {
    reader.add(std::string_view(text).substr(at, piece));
    while (const auto s = reader.take()) out.push_back(s->text);
  }
  if (const auto s = reader.rest()) out.push_back("rest: " + s->text);
  return out;
}

TEST(StatementReader, CutsAtSemicolonsThatStandBetweenStatements) {
  EXPECT_THAT(cut("SELECT 1;SELECT\n 2 ;\n"), ElementsAre("SELECT 1", "SELECT\n 2"));
  EXPECT_THAT(cut("SELECT ';', \";\", `;`, [;] ;"), ElementsAre("SELECT ';', \";\", `;`, [;]"));
  EXPECT_THAT(cut("SELECT 'it''s;' ;x"), ElementsAre("SELECT 'it''s;'", "rest: x"));
  EXPECT_THAT(cut("SELECT 1 -- one; two\n, 2 /* ; ' */ - 3;"), ElementsAre("SELECT 1 -- one; two\n, 2 /* ; ' */ - 3"));
  EXPECT_THAT(cut("SELECT '-- no comment;' ;"), ElementsAre("SELECT '-- no comment;'"));
  EXPECT_THAT(cut("SELECT 2/1; SELECT 2*-1;"), ElementsAre("SELECT 2/1", "SELECT 2*-1"));
}

TEST(StatementReader, WhatIsOnlyBlanksAndCommentsIsNoStatement) {
  EXPECT_THAT(cut(" ;;\n; -- nothing ;\n /* ; */ ;"), IsEmpty());
  EXPECT_THAT(cut("-- at the end"), IsEmpty());
  EXPECT_THAT(cut("-- first\nSELECT 1 -- and\n"), ElementsAre("rest: SELECT 1 -- and"));
}

TEST(StatementReader, ItDoesNotMatterInWhatPiecesItComes) {
  const std::string text = "SELECT 'a--b;' /* ;' */ -- ;\n; /**/ SELECT 3-1/1;--\nVALUES('''')";
  const auto whole = cut(text);
  EXPECT_THAT(whole, ElementsAre("SELECT 'a--b;' /* ;' */ -- ;", "SELECT 3-1/1", "rest: VALUES('''')"));
  for (std::size_t piece = 1; piece < 9; ++piece) EXPECT_EQ(cut(text, piece), whole) << piece;
}

TEST(StatementReader, KnowsWhereAStatementBeginsAndWhatIsOpen) {
  StatementReader reader;
  reader.add("SELECT 1;\n\n-- two\n  SELECT\n'x");
  EXPECT_EQ(reader.take()->line, 1u);
  EXPECT_EQ(reader.take(), std::nullopt);
  EXPECT_EQ(reader.within(), '\'');
  EXPECT_TRUE(reader.begun());
  reader.add("y' ;\nSELECT 3;");
  const auto second = reader.take();
  EXPECT_EQ(second->text, "SELECT\n'xy'");
  EXPECT_EQ(second->line, 4u);
  EXPECT_EQ(reader.take()->line, 6u);
  EXPECT_FALSE(reader.begun());
  reader.add(" /* x");
  EXPECT_EQ(reader.take(), std::nullopt);
  EXPECT_EQ(reader.within(), '*');
  EXPECT_FALSE(reader.begun());
  reader.clear();
  EXPECT_EQ(reader.within(), '\0');
}

const std::vector<ViewWords> kViews{{"customers", {"customer_id", "country", "revenue"}},
                                    {"invoices", {"invoice_no", "country", "unit price"}}};

std::vector<std::string> candidates(std::string_view line, std::string_view earlier = {}) {
  return complete(kViews, earlier, line).candidates;
}

TEST(Completer, ViewsBehindFromAndJoin) {
  EXPECT_THAT(candidates("SELECT 1 FROM "), ElementsAre("customers", "invoices"));
  EXPECT_THAT(candidates("SELECT 1 FROM i"), ElementsAre("invoices"));
  EXPECT_THAT(candidates("INV", "SELECT 1 FROM customers\nLEFT JOIN\n"), ElementsAre("invoices"));
  EXPECT_EQ(complete(kViews, "", "SELECT 1 FROM inv").begin, 14u);
}

TEST(Completer, ColumnsOfTheViewOrOfItsAlias) {
  EXPECT_THAT(candidates("SELECT customers."), ElementsAre("country", "customer_id", "revenue"));
  EXPECT_THAT(candidates("WHERE i.in", "SELECT 1 FROM invoices AS i\n"), ElementsAre("invoice_no"));
  EXPECT_THAT(candidates("WHERE c.r", "SELECT 1 FROM customers c, invoices\n"), ElementsAre("revenue"));
  EXPECT_THAT(candidates("SELECT nobody."), IsEmpty());
}

TEST(Completer, ColumnsOfTheViewsThatTheStatementNames) {
  EXPECT_THAT(candidates("SELECT c"), AllOf(Contains("country"), Contains("customers"), Contains("count("),
                                            Contains("case"), Contains("customer_id")));
  EXPECT_THAT(candidates("SELECT * FROM invoices WHERE c"), AllOf(Contains("country"), Not(Contains("customer_id"))));
  EXPECT_THAT(candidates("SELECT u"), Contains("\"unit price\""));
  EXPECT_THAT(candidates("SELECT \"un"), ElementsAre("\"unit price\""));
}

TEST(Completer, WordsInTheCaseThatWasTyped) {
  EXPECT_THAT(candidates("SEL"), ElementsAre("SELECT"));
  EXPECT_THAT(candidates("sel"), ElementsAre("select"));
  EXPECT_THAT(candidates(""), IsEmpty());
  EXPECT_THAT(candidates("SELECT 'sel"), IsEmpty()) << "in a text";
  EXPECT_THAT(candidates("SELECT 1 -- sel"), IsEmpty()) << "in a comment";
}

TEST(Completer, Commands) {
  EXPECT_THAT(candidates("\\t"), ElementsAre("\\timing"));
  EXPECT_THAT(candidates("\\d cu"), ElementsAre("customers"));
  EXPECT_THAT(candidates("\\format n"), ElementsAre("ndjson"));
}

TEST(Tables, WideLettersTakeTwoColumns) {
  EXPECT_EQ(display_width("日本"), 4u);
  EXPECT_EQ(display_width("Österreich"), 10u);
  EXPECT_EQ(display_width("e\xCC\x81"), 1u);  // an accent of its own
  EXPECT_EQ(display_width("🙂"), 2u);
  EXPECT_EQ(display_width("\xFF\xC3"), 2u);  // no UTF-8: something for each
  EXPECT_EQ(format_table({"c", "n"}, {{{"日本", false}, {"1", true}}, {{"x", false}, {"22", true}}}, 0),
            "c      n\n----  --\n日本   1\nx     22\n");
  const std::string cut =
      format_table({"c"}, {{{std::string(60, 'x') + "日本", false}}, {{"日本日本日本日本日本日本", false}}}, 15);
  EXPECT_THAT(cut, testing::HasSubstr("日本日本日本日…\n"));
}

}  // namespace
}  // namespace tidemill::cli
