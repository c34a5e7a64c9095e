// The log, the printed tables and the completion scripts.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "storage/seam/clock.h"
#include "tools/cli/cli.h"
#include "tools/cli/commands.h"
#include "tools/cli/completion.h"
#include "tools/cli/log/program_logger.h"
#include "tools/cli/log/repeats.h"
#include "tools/cli/output.h"
#include "tools/cli/rows.h"

namespace tidemill::cli {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;
using testing::MatchesRegex;

struct HandClock final : Clock {
  MonotonicTime now{};
  WallTime wall() override { return {}; }
  MonotonicTime monotonic() override { return now; }
};

TEST(Repeats, AreCountedInsteadOfWritten) {
  Repeats repeats(seconds(10));
  const MonotonicTime t{};
  EXPECT_TRUE(repeats.see("a", t).write);
  EXPECT_TRUE(repeats.see("b", t).write);
  for (int i = 1; i <= 5; ++i) EXPECT_FALSE(repeats.see("a", t + seconds(i)).write);
  const auto again = repeats.see("a", t + seconds(10));
  EXPECT_TRUE(again.write);
  EXPECT_EQ(again.left_out, 5u);
  EXPECT_FALSE(repeats.see("a", t + seconds(11)).write);
  EXPECT_TRUE(repeats.flush(t + seconds(9)).empty()) << "written since";
  const auto left = repeats.flush(t + seconds(10));
  ASSERT_EQ(left.size(), 1u);
  EXPECT_EQ(left[0].line, "a");
  EXPECT_EQ(left[0].count, 1u);
  EXPECT_TRUE(repeats.see("a", t + seconds(12)).write);
}

TEST(Log, JsonLines) {
  HandClock clock;
  std::ostringstream out;
  {
    ProgramLogger logger(clock, ProgramLogger::Format::json, LogLevel::info, &out);
    logger.debug("not this");
    logger.warning("a \"message\"\n", {{"path", "C:\\x"}, {"n", "1"}});
    for (int i = 0; i < 3; ++i) logger.error("again");
    logger.set_level(LogLevel::error);
    logger.warning("nor this");
  }
  std::istringstream lines(out.str());
  std::string line;
  std::vector<nlohmann::json> all;
  while (std::getline(lines, line)) all.push_back(nlohmann::json::parse(line));
  ASSERT_EQ(all.size(), 3u) << out.str();
  EXPECT_THAT(all[0]["time"].get<std::string>(), MatchesRegex("[0-9]+-[0-9]+-[0-9]+T[0-9:]+\\.[0-9]+Z"));
  EXPECT_EQ(all[0]["level"], "warning");
  EXPECT_EQ(all[0]["message"], "a \"message\"\n");
  EXPECT_EQ(all[0]["path"], "C:\\x");
  EXPECT_EQ(all[1]["message"], "again");
  EXPECT_FALSE(all[1].contains("repeated"));
  EXPECT_EQ(all[2]["message"], "again");
  EXPECT_EQ(all[2]["repeated"], 2);
}

TEST(Log, TextForPeople) {
  HandClock clock;
  std::ostringstream out;
  ProgramLogger logger(clock, ProgramLogger::Format::text, LogLevel::debug, &out);
  logger.info("two\nlines {}", {{"plain", "x"}, {"quoted", "a b"}, {"empty", ""}});
  EXPECT_THAT(out.str(), HasSubstr("info    two lines {} plain=x quoted=\"a b\" empty=\"\"\n"));
}

TEST(Table, ColumnsAreAlignedNumbersAtTheRight) {
  EXPECT_EQ(format_table({"name", "n"}, {{{"Café", false}, {"5", true}}, {{"x", false}, {"-10.5", true}}, {{}, {}}}, 0),
            "name      n\n"
            "----  -----\n"
            "Café      5\n"
            "x     -10.5\n"
            "\n");
}

TEST(Table, LongCellsAreCutToTheTerminal) {
  const std::string table = format_table({"a", "b"}, {{{std::string(100, 'x'), false}, {"1", true}}}, 40);
  EXPECT_THAT(table, HasSubstr("x…  1\n"));
  std::istringstream lines(table);
  std::string line;
  while (std::getline(lines, line)) EXPECT_LE(display_width(line), 40u);
}

TEST(Table, ControlCharactersDoNotReachTheTerminal) {
  EXPECT_EQ(format_table({"a"}, {{{"x\x1b[2Jy\nz", false}}}, 0), "a\n--------\nx [2Jy z\n");
}

TEST(Table, Objects) {
  const auto rows = nlohmann::ordered_json::parse(R"([{"b":1,"a":"x"},{"a":null,"c":[1]}])");
  EXPECT_EQ(table_of_objects(rows), "b  a  c\n-  -  ---\n1  x\n      [1]\n");
  EXPECT_EQ(members_of_object(nlohmann::ordered_json::parse(R"({"id":"1","list":[{"x":1}]})")),
            "id    1\nlist  \n  x\n  -\n  1\n");
}

TEST(Completion, KnowsCommandsAndOptions) {
  const std::vector<CommandWords> commands{
      {"load", "Send [a] file: it's", {{"--stream", "Where to", true}, {"--again", "Once more", false}}, {}, true},
      {"config", "Check", {}, {{"check", "Say", {}, {}, true}, {"diff", "Show", {}, {}, true}}, false}};
  const std::string bash = bash_completion(commands);
  EXPECT_THAT(bash, HasSubstr("compgen -W 'load config --help --version'"));
  EXPECT_THAT(bash, HasSubstr("load) words='--stream --again' files=yes"));
  EXPECT_THAT(bash, HasSubstr("check) words='' files=yes"));
  const std::string zsh = zsh_completion(commands);
  EXPECT_THAT(zsh, HasSubstr("'load:Send \\[a\\] file\\: it'\\''s'"));
  EXPECT_THAT(zsh, HasSubstr("'--stream[Where to]:value:_files'"));
}

int run_program(std::vector<std::string> words, std::string& out, std::string& err) {
  std::vector<char*> argv;
  words.insert(words.begin(), "tidemill");
  for (std::string& w : words) argv.push_back(w.data());
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  const int code = run(static_cast<int>(argv.size()), argv.data());
  out = testing::internal::GetCapturedStdout();
  err = testing::internal::GetCapturedStderr();
  return code;
}

TEST(Program, HelpVersionAndWrongUse) {
  std::string out, err;
  EXPECT_EQ(run_program({"--help"}, out, err), kOk);
  EXPECT_THAT(out, HasSubstr("load"));
  EXPECT_EQ(run_program({"--version"}, out, err), kOk);
  EXPECT_THAT(out, HasSubstr("commit"));
  EXPECT_EQ(run_program({"version"}, out, err), kOk);
  EXPECT_THAT(out, HasSubstr("log segments 1"));
  EXPECT_EQ(run_program({}, out, err), kWrongUse);
  EXPECT_EQ(run_program({"nonsense"}, out, err), kWrongUse);
  EXPECT_EQ(run_program({"load", "--no-such-option"}, out, err), kWrongUse);
  EXPECT_EQ(run_program({"load", "--connections", "9", "x"}, out, err), kWrongUse);
}

TEST(Program, EveryCommandHasHelpWithExamples) {
  std::string out, err;
  ASSERT_EQ(run_program({"completion", "bash"}, out, err), kOk);
  const std::string list = out.substr(out.find("compgen -W '") + 12);
  std::istringstream names(list.substr(0, list.find(" --help")));
  std::string name;
  int count = 0;
  while (names >> name) {
    ++count;
    std::string help;
    EXPECT_EQ(run_program({name, "--help"}, help, err), kOk) << name;
    if (name != "config") {  // its own commands have them
      EXPECT_THAT(help, HasSubstr("Examples:")) << name;
    }
  }
  EXPECT_GE(count, 9);
}

TEST(Program, ConfigCheckNamesFileAndLine) {
  std::string out, err;
  const std::string path = testing::TempDir() + "tidemill_config_check.toml";
  {
    std::FILE* f = std::fopen(path.c_str(), "w");
    std::fputs("[server]\nlisten = \"127.0.0.1:1\"\nport = 1\n[limits]\nbody = \"1TiB\"\n", f);
    std::fclose(f);
  }
  EXPECT_EQ(run_program({"config", "check", path}, out, err), kWrongUse);
  EXPECT_THAT(err, HasSubstr(path + ":3: unknown key 'server.port'"));
  EXPECT_THAT(err, HasSubstr(path + ":5: 'limits.body' must be between"));
  EXPECT_THAT(err, HasSubstr("2 mistakes"));
  std::remove(path.c_str());
  EXPECT_EQ(run_program({"config", "check"}, out, err), kOk);
}

}  // namespace
}  // namespace tidemill::cli
