#include "tools/cli/config/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/support/source_tree.h"
#include "tools/cli/config/keys.h"

namespace tidemill::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

struct Parsed {
  Config config;
  ConfigErrors errors;
};
Parsed parse(std::string_view toml, const ConfigSources& rest = {}) {
  Parsed p;
  p.config = parse_config(toml, "t.toml", rest, p.errors);
  return p;
}

TEST(Config, TheBuiltInOneDoesTheMainJob) {
  const Config c = default_config();
  EXPECT_EQ(c.listen, "127.0.0.1:7077");
  EXPECT_EQ(c.data, "./data");
  EXPECT_EQ(c.memory, 256u << 20);
  EXPECT_EQ(c.body, 16u << 20);
  EXPECT_EQ(c.record, 1u << 20);
  EXPECT_EQ(c.connections, 10'000u);
  ASSERT_EQ(c.streams.size(), 1u);
  EXPECT_EQ(c.streams[0].name, "retail");
  EXPECT_EQ(c.streams[0].shards, 4u);
  EXPECT_EQ(c.streams[0].partition_key, "InvoiceNo");
  EXPECT_EQ(c.streams[0].archive_size, 5u << 20);
  EXPECT_EQ(c.streams[0].archive_age, std::chrono::seconds(60));
  EXPECT_EQ(c.streams[0].fields.at("Quantity"), FieldType::integer);
  EXPECT_EQ(c.streams[0].fields.at("UnitPrice"), FieldType::number);
  ASSERT_EQ(c.views.size(), 2u);
  EXPECT_EQ(c.find_view("customers")->sql, "builtin:customers");
}

TEST(Config, TheShapeOfTheManual) {
  const Parsed p = parse(R"(
[server]
listen = "127.0.0.1:7078"
data = "./elsewhere"
[limits]
memory = "512MiB"
body = 1048576
[streams.orders]
shards = 2
partition_key = "id"
archive = { size = "1MiB", age = "5m" }
fields = { n = "number", "odd name" = "text" }
[views.v]
sql = """SELECT id, count(*) FROM orders GROUP BY id"""
)");
  EXPECT_THAT(p.errors, ElementsAre());
  EXPECT_EQ(p.config.listen, "127.0.0.1:7078");
  EXPECT_EQ(p.config.memory, 512u << 20);
  EXPECT_EQ(p.config.body, 1u << 20);
  EXPECT_EQ(p.config.record, 1u << 20) << "what is not there keeps its default";
  ASSERT_EQ(p.config.streams.size(), 1u) << "a file that names streams names all of them";
  EXPECT_EQ(p.config.streams[0].archive_age, std::chrono::minutes(5));
  EXPECT_TRUE(p.config.streams[0].archive_enabled);
  EXPECT_EQ(p.config.streams[0].fields.size(), 2u);
  ASSERT_EQ(p.config.views.size(), 1u);
}

TEST(Config, AFileWithoutStreamsAndViewsKeepsTheBuiltInOnes) {
  EXPECT_EQ(parse("[server]\nlisten = \"127.0.0.1:1\"\n").config.streams.size(), 1u);
  EXPECT_EQ(parse("[streams]\n").config.streams.size(), 0u);
  EXPECT_EQ(parse("[streams]\n").config.views.size(), 0u);
}

struct Mistake {
  const char* toml;
  const char* error;
};
class ConfigMistakes : public testing::TestWithParam<Mistake> {};

TEST_P(ConfigMistakes, AreNamedWithTheirLine) {
  const Parsed p = parse(GetParam().toml);
  ASSERT_EQ(p.errors.size(), 1u) << testing::PrintToString(p.errors);
  EXPECT_EQ(p.errors[0], GetParam().error);
}

INSTANTIATE_TEST_SUITE_P(
    All, ConfigMistakes,
    testing::Values(
        Mistake{"[server]\nlistn = \"127.0.0.1:1\"\n",
                "t.toml:2: unknown key 'server.listn'; did you mean 'server.listen'?"},
        Mistake{"\n\n[sever]\nlisten = \"127.0.0.1:1\"\n", "t.toml:3: unknown section 'sever'; did you mean 'server'?"},
        Mistake{"memory = \"1GiB\"\n", "t.toml:1: unknown key 'memory'; did you mean 'limits.memory'?"},
        Mistake{"[limits]\nmemory = \"lots\"\n",
                "t.toml:2: 'limits.memory' must be a size such as \"256MiB\" (B, KiB, MiB, GiB, TiB, KB, MB, GB)"},
        Mistake{"[limits]\nmemory = \"1MiB\"\n", "t.toml:2: 'limits.memory' must be at least 64MiB"},
        Mistake{"[limits]\nconnections = \"many\"\n",
                "t.toml:2: 'limits.connections' must be a whole number, without quotes"},
        Mistake{"[limits]\nconnections = 0\n", "t.toml:2: 'limits.connections' must be between 1 and 1000000"},
        Mistake{"[limits]\nconnections = -1\n", "t.toml:2: 'limits.connections' must be a whole number, not negative"},
        Mistake{"[limits]\nsql_time = 5\n", "t.toml:2: 'limits.sql_time' must be a duration such as \"60s\""},
        Mistake{"[limits]\nbody = \"64MiB\"\n", "t.toml:2: 'limits.body' must be between 4KiB and 16MiB"},
        Mistake{"[limits]\nbody = \"512KiB\"\n", "limits.record (1MiB) must not be larger than limits.body (512KiB)"},
        Mistake{"[log]\nlevel = \"loud\"\n", "t.toml:2: 'log.level' must be one of debug|info|warning|error"},
        Mistake{"[server]\nlisten = \"7077\"\n",
                "t.toml:2: 'server.listen' must be ADDRESS:PORT with a port from 0 to 65535, such as 127.0.0.1:7077"},
        Mistake{"[server]\nlisten = \"example.com:80\"\n",
                "t.toml:2: 'server.listen' must be a numeric address (or localhost) and a port, such as 127.0.0.1:7077 "
                "or [::1]:7077"},
        Mistake{"[streams.a]\nshard = 3\n",
                "t.toml:2: unknown key 'streams.a.shard'; did you mean 'streams.a.shards'?"},
        Mistake{"[streams.a]\nshards = 0\n", "t.toml:2: 'streams.a.shards' must be between 1 and 10000"},
        Mistake{"[streams.a]\narchive = { sise = \"5MiB\" }\n",
                "t.toml:2: unknown key 'streams.a.archive.sise'; did you mean 'streams.a.archive.size'?"},
        Mistake{"[streams.a.archive]\nage = \"5 parsecs\"\n",
                "t.toml:2: 'streams.a.archive.age' must be a duration such as \"60s\" (ms, s, m, h, d)"},
        Mistake{"[streams.a]\narchive = 5\n", "t.toml:2: 'streams.a.archive' must be a table"},
        Mistake{"[streams.a]\nfields = { n = \"float\" }\n",
                "t.toml:2: the type of field 'n' must be one of text|integer|number"},
        Mistake{"[streams._a]\n",
                "t.toml:1: stream name '_a' must be 1 to 128 of A-Z a-z 0-9 _ . - and not begin with _"},
        Mistake{"[streams]\na = 1\n", "t.toml:2: 'streams.a' must be a table: write [streams.NAME]"},
        Mistake{"[views.v]\n",
                "t.toml:1: view 'v' has no sql; write sql = \"SELECT ...\" or sql = \"builtin:customers\""},
        Mistake{"[views.v]\nsql = 1\n", "t.toml:2: 'views.v.sql' must be text in quotes"}));

TEST(Config, ABrokenFileNamesTheLine) {
  EXPECT_THAT(parse("[server]\nlisten = \n").errors, ElementsAre(StartsWith("t.toml:2: ")));
  EXPECT_THAT(parse("[server]\ndata = \"a\"\ndata = \"b\"\n").errors, ElementsAre(StartsWith("t.toml:3: ")));
}

TEST(Config, MistakesComeInTheOrderOfTheFile) {
  EXPECT_THAT(parse("[server]\nx = 1\n[limits]\ny = 1\n[log]\nz = 1\na = 1\n").errors,
              ElementsAre(StartsWith("t.toml:2: "), StartsWith("t.toml:4: "), StartsWith("t.toml:6: "),
                          StartsWith("t.toml:7: ")));
}

TEST(Config, DefinitionsOfViewsAreCheckedWithoutAServer) {
  EXPECT_THAT(
      parse("[views.a]\nsql = \"SELECT a FROM s\"\n[views.b]\nsql = \"builtin:nope\"\n[views.c]\nsql = "
            "\"SELECT a, count(*) AS n FROM s GROUP BY a\"\n[views.d]\nsql = \"builtin:invoices\"\n")
          .errors,
      ElementsAre(StartsWith("t.toml:2: view 'a': line 1, column 16: GROUP BY is missing"),
                  StartsWith("t.toml:4: view 'b': there is no built-in view of that name; there are customers")));
}

TEST(Config, AMissingFileIsNamed) {
  ConfigErrors errors;
  load_config({.file = "/nowhere/t.toml"}, errors);
  EXPECT_THAT(errors, ElementsAre("/nowhere/t.toml: cannot be read: No such file or directory; name another file, or "
                                  "none for the built-in configuration"));
  errors.clear();
  load_config({.file = "/tmp"}, errors);
  EXPECT_THAT(errors, ElementsAre(StartsWith("/tmp: cannot be read: Is a directory")));
}

TEST(Config, EnvironmentOverridesTheFileAndFlagsOverrideBoth) {
  ConfigSources rest;
  rest.environment = {
      {"TIDEMILL_LIMITS_MEMORY", "128MiB"}, {"TIDEMILL_SERVER_DATA", "/env"}, {"TIDEMILL_TEST_DATA", "not ours"}};
  rest.flags = {{"server.data", "/flag"}};
  const Parsed p = parse("[limits]\nmemory = \"512MiB\"\n[server]\ndata = \"/file\"\n", rest);
  EXPECT_THAT(p.errors, ElementsAre());
  EXPECT_EQ(p.config.memory, 128u << 20);
  EXPECT_EQ(p.config.data, "/flag");

  rest.environment = {{"TIDEMILL_LIMITS_MEMROY", "1"}, {"TIDEMILL_LOG_LEVEL", "x"}};
  rest.flags = {{"server.listen", "nonsense"}};
  EXPECT_THAT(parse("", rest).errors,
              ElementsAre("environment: unknown variable TIDEMILL_LIMITS_MEMROY; did you mean TIDEMILL_LIMITS_MEMORY?",
                          "environment: TIDEMILL_LOG_LEVEL (x) must be one of debug|info|warning|error",
                          StartsWith("--listen nonsense: must be ADDRESS:PORT")));
}

TEST(Config, WhatIsPrintedReadsBackTheSame) {
  Config c = default_config();
  c.listen = "[::1]:80";
  c.drain = std::chrono::milliseconds(1'500);
  c.memory = 100'000'001;
  c.data = "a \"quoted\" \\ path";
  c.streams[0].fields["odd \"name\""] = FieldType::text;
  c.streams[0].archive_enabled = false;
  c.views.push_back({"v", "SELECT a,\n  count(*)\nFROM retail GROUP BY a"});
  const Parsed p = parse(print_config(c));
  EXPECT_THAT(p.errors, ElementsAre());
  EXPECT_EQ(print_config(p.config), print_config(c));
  EXPECT_EQ(p.config.find_view("v")->sql, c.find_view("v")->sql);

  c.streams.clear();
  c.views.clear();
  EXPECT_EQ(print_config(parse(print_config(c)).config), print_config(c));
}

TEST(Config, EveryDefaultIsInItsRange) {
  for (const auto& key : config_keys()) {
    Config c;
    EXPECT_EQ(set_from_text(key, key.default_value, c), std::nullopt) << key.name;
    EXPECT_FALSE(key.comment.empty()) << key.name;
  }
}

TEST(Config, ChangesAreSortedByWhatTheyNeed) {
  Config a = default_config();
  Config b = a;
  b.log_level = "debug";
  b.data = "x";
  const ConfigChange change = compare(a, b);
  EXPECT_THAT(change.live, ElementsAre("log.level"));
  EXPECT_THAT(change.restart, ElementsAre("server.data"));
  // What SIGHUP cannot take over stays as it runs, so that the next one names it again.
  const Config running = take_live(a, b);
  EXPECT_EQ(running.log_level, "debug");
  EXPECT_THAT(compare(running, b).restart, ElementsAre("server.data"));
}

TEST(ConfigValues, SizesAndDurations) {
  EXPECT_EQ(parse_size("256MiB"), 256u << 20);
  EXPECT_EQ(parse_size("1.5 KiB"), 1536u);
  EXPECT_EQ(parse_size("5MB"), 5'000'000u);
  EXPECT_EQ(parse_size("17"), 17u);
  for (const char* bad : {"", "MiB", "-1MiB", "1XB", "0.3B", "1e30GiB", "1MiB "})
    EXPECT_EQ(parse_size(bad), std::nullopt) << bad;
  EXPECT_EQ(parse_duration("60s"), std::chrono::seconds(60));
  EXPECT_EQ(parse_duration("1.5s"), std::chrono::milliseconds(1500));
  EXPECT_EQ(parse_duration("2d"), std::chrono::hours(48));
  for (const char* bad : {"", "60", "s", "-1s", "1w", "0.0001s"}) EXPECT_EQ(parse_duration(bad), std::nullopt) << bad;
  EXPECT_EQ(format_size(16u << 20), "16MiB");
  EXPECT_EQ(format_size(1'000'000), "1000000B");
  EXPECT_EQ(format_duration(std::chrono::seconds(60)), "60s");
  EXPECT_EQ(format_duration(std::chrono::milliseconds(1500)), "1500ms");
  EXPECT_EQ(format_duration(std::chrono::hours(48)), "2d");
}

TEST(ConfigValues, Addresses) {
  std::string error;
  EXPECT_TRUE(parse_address("127.0.0.1:0", error)->loopback);
  EXPECT_TRUE(parse_address("localhost:80", error)->loopback);
  EXPECT_TRUE(parse_address("[::1]:80", error)->loopback);
  EXPECT_EQ(parse_address("[::1]:80", error)->host, "::1");
  EXPECT_FALSE(parse_address("0.0.0.0:80", error)->loopback);
  EXPECT_FALSE(parse_address("[::]:80", error)->loopback);
  for (const char* bad : {"", "80", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000", "::1:80", "host:80", "127.0.0.1:"})
    EXPECT_FALSE(parse_address(bad, error)) << bad;
}

TEST(Config, RetentionIsOffOrALimit) {
  const auto said = [](const std::string& text) {
    std::string all;
    for (const auto& error : parse("[streams.s]\nretention = " + text + "\n").errors) all += error;
    return all;
  };
  EXPECT_EQ(said("{ age = \"1h\", size = \"64MiB\", wait_for_groups = true }"), "");
  EXPECT_EQ(said("{ age = \"off\" }"), "");
  EXPECT_THAT(said("{ age = \"an hour\" }"), HasSubstr("2: 'streams.s.retention.age' must be a duration such as"));
  EXPECT_THAT(said("{ age = \"an hour\" }"), HasSubstr("or \"off\""));
  EXPECT_THAT(said("{ age = \"500ms\" }"), HasSubstr("'streams.s.retention.age' must be between 1s and 36500d"));
  EXPECT_THAT(said("{ age = \"40000d\" }"), HasSubstr("'streams.s.retention.age' must be between 1s and 36500d"));
  EXPECT_THAT(said("{ size = \"1KiB\" }"), HasSubstr("'streams.s.retention.size' must be at least 64KiB"));
  EXPECT_THAT(said("{ wait_for_groups = \"yes\" }"), HasSubstr("must be true or false, without quotes"));
  EXPECT_THAT(said("{ ages = \"1h\" }"), HasSubstr("did you mean 'streams.s.retention.age'?"));
  EXPECT_THAT(said("\"1h\""), HasSubstr("'streams.s.retention' must be a table"));
}

TEST(Config, ThePageIsMadeFromTheTable) {
  std::ifstream in(std::filesystem::path(source_tree()) / "docs/configuration.md");
  std::ostringstream page;
  page << in.rdbuf();
  EXPECT_EQ(page.str(), config_markdown()) << "write it anew: tidemill config markdown > docs/configuration.md";
}

}  // namespace
}  // namespace tidemill::cli
