#include "engine/csv/reader.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tidemill::csv {
namespace {

using Rows = std::vector<std::vector<std::string>>;

struct Read {
  Rows rows;
  std::vector<std::uint64_t> lines;
  std::vector<std::pair<std::uint64_t, Problem>> bad;  // line of the problem
};

// All of `text`, handed over `piece` bytes at a time.
Read read_all(std::string_view text, Dialect dialect = {}, std::size_t piece = std::string::npos) {
  Reader reader(dialect);
  Read out;
  std::string held;
  Row row;
  while (true) {
    std::string_view input = held;
    const bool last = text.empty();
    const Outcome outcome = reader.next(input, last, row);
    if (outcome == Outcome::row) {
      out.rows.emplace_back(row.fields.begin(), row.fields.end());
      out.lines.push_back(row.line);
    } else if (outcome == Outcome::bad_row) {
      out.bad.emplace_back(row.problem_line, row.problem);
    } else if (outcome == Outcome::end) {
      return out;
    } else {
      EXPECT_FALSE(last) << "need_more at the end of the input";
      if (last) return out;
    }
    held.erase(0, held.size() - input.size());
    if (outcome == Outcome::need_more) {
      held += text.substr(0, piece);
      text.remove_prefix(std::min(piece, text.size()));
    }
  }
}

TEST(CsvReader, FieldsRowsAndLineEnds) {
  const Rows expected{{"a", "b"}, {"1", ""}, {"", "x y "}};
  EXPECT_EQ(read_all("a,b\n1,\n,x y \n").rows, expected);
  EXPECT_EQ(read_all("a,b\r\n1,\r\n,x y ").rows, expected) << "CR LF, last line without an end";
  EXPECT_EQ(read_all("\xEF\xBB\xBF"
                     "a,b\n1,\n,x y ")
                .rows,
            expected)
      << "byte-order mark";
  EXPECT_EQ(read_all("a,b\n\n\r\n1,\n,x y \n\n").rows, expected) << "empty lines";
}

TEST(CsvReader, QuotedFieldsMayHoldAnything) {
  const Rows expected{{"he said \"no\", twice", "two\nlines\r\n", ""}, {"c"}};
  EXPECT_EQ(read_all("\"he said \"\"no\"\", twice\",\"two\nlines\r\n\",\"\"\r\nc").rows, expected);
}

TEST(CsvReader, AQuoteInsideAnUnquotedFieldStandsForItself) {
  EXPECT_EQ(read_all("12\" ruler,x\n").rows, (Rows{{"12\" ruler", "x"}}));
}

TEST(CsvReader, ALoneCarriageReturnIsPartOfTheField) {
  EXPECT_EQ(read_all("a\rb,c\r\n").rows, (Rows{{"a\rb", "c"}}));
}

TEST(CsvReader, LinesAreCountedThroughQuotedLineEnds) {
  const Read r = read_all("a\n\"1\n2\n3\"\nb\n\nc");
  EXPECT_EQ(r.lines, (std::vector<std::uint64_t>{1, 2, 5, 7}));
}

TEST(CsvReader, PiecesOfAnySizeGiveTheSameRows) {
  const std::string text =
      "\xEF\xBB\xBF"
      "id,text,n\r\n1,\"a \"\"quoted\"\" one\",2\r\n\r\n2,\"over\r\ntwo lines\",\"\"\r\n3,\"x\"y,1\n4,\"open\n5,6,7\n";
  const Read whole = read_all(text);
  EXPECT_EQ(whole.rows.size(), 4u);
  EXPECT_EQ(whole.bad.size(), 2u);
  for (std::size_t piece = 1; piece < 20; ++piece) {
    const Read cut = read_all(text, {}, piece);
    EXPECT_EQ(cut.rows, whole.rows) << piece;
    EXPECT_EQ(cut.lines, whole.lines) << piece;
    EXPECT_EQ(cut.bad, whole.bad) << piece;
  }
}

TEST(CsvReader, OtherDelimiters) {
  Dialect semicolon;
  semicolon.delimiter = ';';
  EXPECT_EQ(read_all("a;b,c\n\"1;2\";3\n", semicolon).rows, (Rows{{"a", "b,c"}, {"1;2", "3"}}));
  Dialect tab;
  tab.delimiter = '\t';
  EXPECT_EQ(read_all("a\t\"b\tc\"\n", tab).rows, (Rows{{"a", "b\tc"}}));
}

TEST(CsvReader, AnUnclosedQuoteCostsOneLine) {
  const Read r = read_all("a,b\n1,\"open\n2,x\n3,y\n");
  EXPECT_EQ(r.rows, (Rows{{"a", "b"}, {"2", "x"}, {"3", "y"}}));
  ASSERT_EQ(r.bad.size(), 1u);
  EXPECT_EQ(r.bad[0], std::make_pair(std::uint64_t{2}, Problem::unclosed_quote));
}

TEST(CsvReader, TheLineOfAnUnclosedQuoteIsWhereItOpens) {
  const Read r = read_all("\"one\ntwo\",\"open\nx\n");
  ASSERT_EQ(r.bad.size(), 2u) << "the rest of line 2 then holds a quote behind text";
  EXPECT_EQ(r.bad[0].first, 2u);
}

TEST(CsvReader, TextAfterAClosingQuoteIsRefused) {
  const Read r = read_all("\"a\"b,c\nd,e\n");
  EXPECT_EQ(r.rows, (Rows{{"d", "e"}}));
  ASSERT_EQ(r.bad.size(), 1u);
  EXPECT_EQ(r.bad[0], std::make_pair(std::uint64_t{1}, Problem::text_after_quote));
}

TEST(CsvReader, ARowThatIsTooLongIsLeftOutWhole) {
  Dialect small;
  small.row_bytes_max = 10;
  for (const std::size_t piece : {1, 7, 100}) {
    const Read r = read_all("1234567890123456789012345678\nok\nx,\"56789012345678\nfine\n", small, piece);
    EXPECT_EQ(r.rows, (Rows{{"ok"}, {"fine"}})) << piece;
    ASSERT_EQ(r.bad.size(), 2u) << piece;
    EXPECT_EQ(r.bad[0], std::make_pair(std::uint64_t{1}, Problem::row_too_long));
    EXPECT_EQ(r.bad[1], std::make_pair(std::uint64_t{3}, Problem::unclosed_quote));
  }
}

TEST(CsvReader, TooManyFieldsForAnyFile) {
  Dialect narrow;
  narrow.fields_max = 3;
  const Read r = read_all("a,b,c\na,b,c,d\n", narrow);
  EXPECT_EQ(r.rows.size(), 1u);
  ASSERT_EQ(r.bad.size(), 1u);
  EXPECT_EQ(r.bad[0].second, Problem::too_many_columns);
}

TEST(CsvReader, NothingAtAll) {
  for (const std::string_view text : {"", "\n", "\r\n\r\n", "\xEF\xBB\xBF", "\r"})
    EXPECT_TRUE(read_all(text).rows.empty());
}

TEST(CsvReader, ResumesInTheMiddle) {
  Reader reader({});
  reader.resume(42);
  std::string_view input = "x\n\"y";
  Row row;
  ASSERT_EQ(reader.next(input, true, row), Outcome::row);
  EXPECT_EQ(row.line, 42u);
  ASSERT_EQ(reader.next(input, true, row), Outcome::bad_row);
  EXPECT_EQ(row.problem_line, 43u);
}

}  // namespace
}  // namespace tidemill::csv
