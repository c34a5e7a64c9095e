// The examples of docs/views.md: records in a block of JSON, definitions in blocks of SQL, and behind each the rows
// that the page says it gives.
#include <gtest/gtest.h>

#include <fstream>

#include "tests/consumers/views/plain_table.h"
#include "tests/support/source_tree.h"

namespace tidemill::views {
namespace {

TEST(ViewsPage, ExamplesGiveTheRowsTheyShow) {
  std::ifstream page(source_tree() + "/docs/views.md");
  std::string line, language, block, definition;
  std::unique_ptr<Records> records;
  int examples = 0;
  while (std::getline(page, line) && line != "## By example") {
  }
  while (std::getline(page, line) && !line.starts_with("## ")) {
    if (!line.starts_with("```")) {
      if (!language.empty()) block += line + "\n";
      continue;
    }
    if (language.empty()) {
      language = line.substr(3);
      EXPECT_FALSE(language.empty()) << "a block without a language";
      block.clear();
      continue;
    }
    if (language == "json") {
      records = std::make_unique<Records>();
      for (std::size_t at = 0; at < block.size(); at = block.find('\n', at) + 1)
        records->add(block.substr(at, block.find('\n', at) - at));
    } else if (language == "sql") {
      definition = block;
    } else if (language == "text") {
      ASSERT_NE(records, nullptr);
      ASSERT_FALSE(definition.empty()) << block;
      auto spaced = [](std::string row) {
        for (std::size_t at = 0; (at = row.find('|', at)) != std::string::npos; at += 3) row.replace(at, 1, " | ");
        return row + "\n";
      };
      std::string names, rows;
      for (const Column& c : must_split(definition).output()) names += (names.empty() ? "" : "|") + c.name;
      for (const std::string& row : rows_however_cut(definition, *records)) rows += spaced(row);
      EXPECT_EQ(spaced(names) + rows, block) << definition;
      definition.clear();
      ++examples;
    }
    language.clear();
  }
  EXPECT_GE(examples, 6);
  EXPECT_TRUE(definition.empty()) << "an example without its rows: " << definition;
}

}  // namespace
}  // namespace tidemill::views
