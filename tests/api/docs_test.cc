#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <set>

#include "api/errors/catalogue.h"
#include "api/metrics/metrics.h"
#include "api/routes.h"
#include "engine/audit/actions.h"
#include "engine/rejection.h"
#include "tests/support/real_env.h"
#include "tests/support/source_tree.h"

namespace tidemill {
namespace {

std::string page(const std::string& name) {
  std::ifstream in(source_tree() + "/docs/" + name);
  return {std::istreambuf_iterator<char>(in), {}};
}

// The lines of a page that are rows of the table with `columns` columns whose first is given.
std::set<std::string> rows(const std::string& text, const std::string& heading) {
  std::set<std::string> found;
  std::size_t at = text.find(heading);
  EXPECT_NE(at, std::string::npos) << heading;
  at = text.find('\n', text.find('\n', at) + 1) + 1;  // the heading and the line below it
  while (text.compare(at, 1, "|") == 0) {
    const std::size_t end = text.find('\n', at);
    found.insert(text.substr(at, end - at));
    at = end + 1;
  }
  return found;
}

void same(const std::set<std::string>& source, const std::set<std::string>& written, const char* where) {
  for (const auto& line : source) EXPECT_TRUE(written.count(line)) << where << " lacks:\n" << line;
  for (const auto& line : written)
    EXPECT_TRUE(source.count(line)) << where << " has what the source has not:\n" << line;
}

std::string cell(std::string_view text) {
  return text.empty() ? std::string(" ") : " " + std::string(text) + " ";
}

// What a key must allow, with the path's first parameter where it names the stream or view.
std::string need_cell(const Route& route) {
  const std::size_t begin = route.path.find('{');
  const std::string param =
      begin == std::string_view::npos ? "" : std::string(route.path.substr(begin, route.path.find('}') + 1 - begin));
  const std::string text = route.needs.text(param);
  return route.needs.needs_key() && route.needs.is_one_scope() ? "`" + text + "`" : text;
}

TEST(Docs, RoutesAreThoseOfTheTable) {
  RealEnv real;
  const auto engine = std::move(*Engine::open(real.env, {.data = real.directory.path(), .log = {}}));
  ApiContext context(real.env, *engine, nullptr, real.background);
  Records records(context);
  Streams streams(context, records);
  ViewRoutes views(context);
  KeyRoutes keys(context, nullptr);
  AuditRoutes audit(context, nullptr);
  LimitRoutes limits(context, nullptr);
  std::unique_ptr<Ingest> ingest;
  const Router router(
      make_routes({context, ingest, records, streams, views, keys, audit, limits, [] { return std::string(); }}));
  std::set<std::string> source;
  std::set<std::string_view> labels;
  for (const Route& r : router.routes()) {
    source.insert("| " + std::string(r.method) + " | `" + std::string(r.path) + "` |" + cell(r.takes) + "|" +
                  cell(r.gives) + "|" + cell(r.query) + "| " + need_cell(r) + " |");
    EXPECT_TRUE(labels.insert(r.label).second) << "two routes count as " << r.label;
  }
  same(source, rows(page("http-api.md"), "| method | path |"), "docs/http-api.md");
  EXPECT_TRUE(engine->close());
}

// An action that is not in the list could not be asked for.
TEST(Docs, AuditActionsAreTheEventsOfBothLogs) {
  std::set<std::string> source, written;
  for (const std::string_view action : audit_actions()) EXPECT_TRUE(source.emplace(action).second) << action;
  for (const auto& [name, heading] :
       {std::pair("formats/audit.md", "| action |"), std::pair("formats/system-stream.md", "| type |")}) {
    for (const std::string& row : rows(page(name), heading)) {
      const std::size_t begin = row.find('`') + 1;
      written.insert(row.substr(begin, row.find('`', begin) - begin));
    }
  }
  EXPECT_EQ(written.erase("key.used"), 1u) << "which is not listed";
  same(source, written, "the tables of events in docs/formats");
}

TEST(Docs, ErrorsAreThoseOfTheCatalogue) {
  std::set<std::string> source;
  std::set<std::string_view> codes;
  for (const ErrorEntry& e : error_catalogue()) {
    source.insert("| `" + std::string(e.code) + "` | " + std::to_string(e.status) + " | " + std::string(e.title) +
                  " | " + std::string(e.remedy) + " |");
    EXPECT_TRUE(codes.insert(e.code).second) << e.code;
  }
  same(source, rows(page("errors.md"), "| code | status |"), "docs/errors.md");
  source.clear();
  for (int code = 1; code < 64; ++code) {
    const auto name = rejection_name(static_cast<Rejection>(code));
    if (name != "unknown") {
      source.insert("| `" + std::string(name) + "` | " + std::string(rejection_message(static_cast<Rejection>(code))) +
                    " |");
    }
  }
  same(source, rows(page("errors.md"), "| code of a record |"), "docs/errors.md");
}

TEST(Docs, MetricsAreThoseOfTheSource) {
  std::set<std::string> source;
  for (const MetricDescription& m : metric_table()) {
    EXPECT_TRUE(m.name.starts_with("tidemill_")) << m.name;
    EXPECT_EQ(m.type == "counter", m.name.ends_with("_total")) << m.name;
    source.insert("| `" + std::string(m.name) + "` | " + std::string(m.type) + " |" + cell(m.labels) + "| " +
                  std::string(m.help) + " |");
  }
  same(source, rows(page("metrics.md"), "| name | type |"), "docs/metrics.md");
}

}  // namespace
}  // namespace tidemill
