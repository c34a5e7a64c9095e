// The example of docs/formats/view-state.md, so that page and code cannot part.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "tests/consumers/views/memory_view.h"
#include "tests/support/source_tree.h"

namespace tidemill::views {
namespace {

std::string hex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (char c : bytes) {
    out += kDigits[static_cast<unsigned char>(c) >> 4];
    out += kDigits[static_cast<unsigned char>(c) & 15];
  }
  return out;
}

TEST(ViewStateFormat, TheExampleOfThePage) {
  Records r;
  r.add(R"({"k":"A1","v":0.5,"s":"x"})")
      .add(R"({"k":"B","v":7,"s":"y"})")
      .add(R"({"k":"A1","v":2,"s":null})")
      .add(R"({"k":"A1","v":-3.25,"s":"x"})");
  MemoryView view(
      "SELECT k, count(*), count(DISTINCT v) AS d, sum(v), avg(s) FILTER (WHERE s > 1 AND s < 0), min(v), max(s), "
      "first(s), last(v), "
      "collect(s), arg_max(s, v), stddev(v), variance(v), median(v), approx_count_distinct(s), map(s, v) FROM t WHERE "
      "v <> 7 GROUP BY k");
  view.apply(r.all());
  ASSERT_EQ(view.size(), 1u);
  std::string got;
  view.each([&](const std::string& key, const RowState& row) {
    std::string value;
    row.encode(value);
    got += "row key    " + hex(key) + "\nrow value  " + hex(value) + "\n";
  });
  view.each_member([&](std::uint32_t aggregate, const std::string& key, const std::string& value) {
    got +=
        "member     " + std::to_string(aggregate) + "  " + hex(key) + "  " + (value.empty() ? "-" : hex(value)) + "\n";
  });

  std::ifstream page(source_tree() + "/docs/formats/view-state.md");
  std::stringstream text;
  text << page.rdbuf();
  std::string want = text.str();
  auto start = want.find("row key    ");
  ASSERT_NE(start, std::string::npos) << "no example in the page; it is\n" << got;
  want = want.substr(start, want.find("```", start) - start);
  EXPECT_EQ(got, want);
}

}  // namespace
}  // namespace tidemill::views
