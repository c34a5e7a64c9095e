// The log, the printed tables and the completion scripts.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "storage/seam/clock.h"
#include "tests/tools/cli_runner.h"
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

TEST(Log, AFloodOfOneMessageIsCounted) {
  HandClock clock;
  std::ostringstream out;
  const auto lines_with = [&](const std::string& text) {
    std::istringstream lines(out.str());
    std::string line;
    std::uint64_t n = 0;
    while (std::getline(lines, line)) n += line.find(text) != std::string::npos;
    return n;
  };
  {
    ProgramLogger logger(clock, ProgramLogger::Format::json, LogLevel::info, &out);
    const auto parked = [&](std::uint64_t n) {
      for (; n > 0; --n) logger.warning("a \"record\" was parked", {{"sequence", std::to_string(n)}});
    };
    parked(Floods::kLines + 500);
    logger.info("something else");
    EXPECT_EQ(lines_with("sequence"), Floods::kLines);
    EXPECT_EQ(lines_with("something else"), 1u);
    EXPECT_EQ(lines_with("more_like_this"), 0u);
    clock.now += seconds(10);
    logger.flush_repeats();
    EXPECT_EQ(lines_with(R"("level":"warning","message":"a \"record\" was parked","more_like_this":500})"), 1u);
    parked(1);
    EXPECT_EQ(lines_with("sequence"), Floods::kLines + 1);
    parked(Floods::kLines + 6);
    clock.now += seconds(10);
    parked(1);  // tells the count that is due, too
    EXPECT_EQ(lines_with("more_like_this\":7}"), 1u);
    parked(Floods::kLines + 8);
  }
  EXPECT_EQ(lines_with("more_like_this\":9}"), 1u);
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
  EXPECT_EQ(table_of_objects(nlohmann::ordered_json::array()), "");
}

struct Completion : CliRunner {};
struct Program : CliRunner {};

// What a shell with the script offers behind these words; the last one is under the cursor.
std::string completed_by_bash(const std::string& script, const std::vector<std::string>& words) {
  const std::string path = testing::TempDir() + "tidemill_completion.bash";
  {
    std::FILE* f = std::fopen(path.c_str(), "w");
    std::fputs(script.c_str(), f);
    std::fputs("COMP_WORDS=(", f);
    for (const std::string& w : words) std::fputs(("'" + w + "' ").c_str(), f);
    std::fputs(")\nCOMP_CWORD=$((${#COMP_WORDS[@]} - 1))\n_tidemill\nprintf '%s' \"${COMPREPLY[*]}\"\n", f);
    std::fclose(f);
  }
  std::FILE* shell = ::popen(("bash --norc '" + path + "'").c_str(), "r");
  char piece[4096];
  std::string out;
  for (std::size_t n; (n = std::fread(piece, 1, sizeof piece, shell)) > 0;) out.append(piece, n);
  EXPECT_EQ(::pclose(shell), 0);
  std::remove(path.c_str());
  return out;
}

TEST_F(Completion, BashOffersWhatFits) {
  ASSERT_EQ(run({"completion", "bash"}), kOk);
  const auto offered = [&](const std::vector<std::string>& words) { return completed_by_bash(out_, words); };
  EXPECT_EQ(offered({"tidemill", "ap"}), "apply");
  EXPECT_EQ(offered({"tidemill", "config", ""}), "check diff");
  EXPECT_EQ(offered({"tidemill", "load", "--en"}), "--encoding");
  EXPECT_EQ(offered({"tidemill", "load", "--encoding", "w"}), "windows-1252");
  EXPECT_EQ(offered({"tidemill", "load", "--encoding", "=", "w"}), "windows-1252");
  EXPECT_EQ(offered({"tidemill", "load", "--retry-for", ""}), "") << "nobody can guess it";
  EXPECT_EQ(offered({"tidemill", "completion", ""}), "bash zsh");
  EXPECT_EQ(offered({"tidemill", "view", "create", "--u"}), "--url");
  EXPECT_EQ(offered({"tidemill", "config", "check", "/etc/debian_versi"}), "/etc/debian_version");
  EXPECT_EQ(offered({"tidemill", "serve", "--data", "/et"}), "/etc") << "folders";
}

TEST_F(Completion, ZshScript) {
  ASSERT_EQ(run({"completion", "zsh"}), kOk);
  EXPECT_THAT(out_, HasSubstr("'load:Send a CSV file to a stream'"));
  EXPECT_THAT(out_, HasSubstr("'--encoding[auto, utf-8 or windows-1252]:value:(auto utf-8 windows-1252)'"));
  EXPECT_THAT(out_, HasSubstr("'1:argument:(bash zsh)'"));
}

TEST_F(Program, HelpVersionAndWrongUse) {
  EXPECT_EQ(run({"--help"}), kOk);
  EXPECT_THAT(out_, HasSubstr("load"));
  EXPECT_EQ(run({"--version"}), kOk);
  EXPECT_THAT(out_, HasSubstr("commit"));
  EXPECT_EQ(run({"version"}), kOk);
  EXPECT_THAT(out_, HasSubstr("log segments 1"));
  EXPECT_EQ(run({}), kWrongUse);
  EXPECT_THAT(err_, HasSubstr("Subcommands:"));
}

TEST_F(Program, WrongUseIsNamedWithItsRemedy) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases{
      {{"lod", "x.csv"}, "tidemill: there is no command 'lod'; did you mean 'load'?\n"},
      {{"frobnicate"}, "tidemill: there is no command 'frobnicate'; see `tidemill --help`\n"},
      {{"config"}, "tidemill config: which of check, diff?\n"},
      {{"config", "chek"}, "tidemill config: there is no command 'chek'; did you mean 'check'?\n"},
      {{"load", "--strem", "a", "x"}, "tidemill load: there is no flag --strem; did you mean '--stream'?\n"},
      {{"serve", "--port", "1"}, "tidemill serve: there is no flag --port; see `tidemill serve --help`\n"},
      {{"load", "--stream"}, "tidemill load: --stream needs a value\n"},
      {{"keys", "list", "--key", "x"},
       "tidemill keys list: there is no flag --key: what is on a command line is seen by others of this machine; "
       "--key-file names a file that holds the key, or TIDEMILL_KEY has it\n"},
      {{"load", "a", "b"}, "tidemill load: 'b' is one argument too many; see `tidemill load --help`\n"},
      {{"--url", "x", "view", "drop", "v"},
       "tidemill view drop: --url belongs behind the command: tidemill view drop --url ...\n"},
      {{"load", "--connections", "9", "x"}, "tidemill load: --connections: must be 1, 2, 3 or 4, not '9'\n"},
      {{"sample", "--rows", "-1"}, "tidemill sample: --rows: must be a whole number, not '-1'\n"},
      {{"sql", "--format", "x", "y"},
       "tidemill sql: --format: must be one of auto, table, csv, ndjson, json, not 'x'\n"},
      {{"serve", "--log-level", "loud"}, "tidemill serve: --log-level loud: must be one of debug|info|warning|error\n"},
      {{"serve", "--data", "", "--listen", "x"},
       "tidemill serve: --data '': must not be empty\n"
       "tidemill serve: --listen x: must be ADDRESS:PORT with a port from 0 to 65535, such as 127.0.0.1:7077\n"},
  };
  for (const auto& [words, sentence] : cases) {
    EXPECT_EQ(run(words), kWrongUse) << sentence;
    EXPECT_EQ(err_, sentence);
  }
}

TEST_F(Program, OfAFlagThatComesTwiceTheLastHolds) {
  EXPECT_EQ(run({"sample", "--rows", "5", "--rows", "0"}), kOk) << err_;
  EXPECT_EQ(std::count(out_.begin(), out_.end(), '\n'), 1) << "the header";
}

TEST_F(Program, EveryCommandHasHelpWithExamples) {
  ASSERT_EQ(run({"completion", "bash"}), kOk);
  const std::string list = out_.substr(out_.find("'') words='") + 11);
  std::istringstream names(list.substr(0, list.find('\'')));
  std::string name;
  int count = 0;
  while (names >> name) {
    ++count;
    EXPECT_EQ(run({name, "--help"}), kOk) << name;
    if (name != "config" && name != "keys" && name != "limits") {  // their own commands have them
      EXPECT_THAT(out_, HasSubstr("Examples:")) << name;
    }
  }
  EXPECT_GE(count, 9);
}

TEST_F(Program, ConfigCheckNamesFileAndLine) {
  const std::string path = testing::TempDir() + "tidemill_config_check.toml";
  {
    std::FILE* f = std::fopen(path.c_str(), "w");
    std::fputs("[server]\nlisten = \"127.0.0.1:1\"\nport = 1\n[limits]\nbody = \"1TiB\"\n", f);
    std::fclose(f);
  }
  EXPECT_EQ(run({"config", "check", path}), kWrongUse);
  EXPECT_THAT(err_, HasSubstr(path + ":3: unknown key 'server.port'"));
  EXPECT_THAT(err_, HasSubstr(path + ":5: 'limits.body' must be between"));
  EXPECT_THAT(err_, HasSubstr("2 mistakes"));
  std::remove(path.c_str());
  EXPECT_EQ(run({"config", "check"}), kOk);
}

}  // namespace
}  // namespace tidemill::cli
