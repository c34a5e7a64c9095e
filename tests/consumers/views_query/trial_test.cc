#include "consumers/views/trial.h"

#include <gtest/gtest.h>

#include "consumers/views/definition.h"
#include "storage/base/errors.h"
#include "tests/consumers/views_store/views_world.h"

namespace tidemill::views {
namespace {

// A definition is tried out for whoever may read the stream: it ends when its time is over, also where each of the
// records takes long in one function, or in straight code.
TEST(Trial, EndsWhenItsTimeIsOver) {
  ViewsWorld world;
  world.open();
  Stream& stream = world.stream();
  std::vector<std::string> records(100, R"({"InvoiceNo":"1","Country":"Chile"})");
  world.put(stream, records);
  const auto definition = [](const std::string& sql) { return std::get<0>(split(sql)); };
  const std::string a = "printf('%.*c', 200000, 'a')";
  for (const std::string& slow :
       {"instr(" + a + ", 'b')", "length(" + a + " || 'b')", "replace(" + a + ", 'a', 'b')", a + " LIKE '%_aab'"}) {
    const Definition d = definition("SELECT Country, max(" + slow + ") AS n FROM retail GROUP BY 1");
    int looks = 0;
    const auto ended = try_out(d, stream, [&] { return ++looks < 6; });
    ASSERT_FALSE(ended) << slow;
    EXPECT_EQ(ended.error(), boost::system::errc::timed_out) << slow;
    EXPECT_EQ(looks, 6) << "the first no ends it: " << slow;
    const auto whole = try_out(d, stream, [] { return true; });
    ASSERT_TRUE(whole) << slow << ": " << whole.error().message();
    EXPECT_EQ(whole->records, 100u);
    EXPECT_EQ(whole->counted, 100u);
    EXPECT_EQ(whole->set_aside, 0u) << whole->set_aside_reason;
  }
}

// Nothing of SQL goes on by itself in a definition.
TEST(Trial, NoDefinitionRecurs) {
  for (const char* sql :
       {"WITH RECURSIVE c(x) AS (VALUES(1) UNION ALL SELECT x + 1 FROM c) SELECT x, count(*) FROM c GROUP BY 1",
        "SELECT Country, max((WITH RECURSIVE c(x) AS (VALUES(1) UNION ALL SELECT x + 1 FROM c) SELECT "
        "count(*) FROM c)) AS n FROM retail GROUP BY 1",
        "SELECT Country, max((SELECT 1)) AS n FROM retail GROUP BY 1",
        "SELECT Country, count(*) AS n FROM (WITH RECURSIVE c(x) AS (VALUES(1) UNION ALL SELECT x FROM c) "
        "SELECT * FROM c) GROUP BY 1"})
    EXPECT_TRUE(std::holds_alternative<SqlError>(split(sql))) << sql;
}

}  // namespace
}  // namespace tidemill::views
