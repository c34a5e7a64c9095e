// What a server says reaches the terminal as text and as nothing else.
#include "tools/cli/printable.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tools/cli/output.h"
#include "tools/cli/remote.h"

namespace tidemill::cli {
namespace {

TEST(Printable, ControlCharactersBecomeBlanks) {
  EXPECT_EQ(printable("a\x1b[2Jb\x07"
                      "c\x7f\r\n\td"),
            "a [2Jb c    d");
  EXPECT_EQ(printable("a\xC2\x9B"
                      "31mb"),
            "a 31mb")
      << "U+009B begins a control sequence as ESC [ does";
  EXPECT_EQ(printable("a\xE2\x80\xAE"
                      "b\xE2\x81\xA6"
                      "c\xE2\x80\x8F"
                      "d\xE2\x80\xA8"
                      "e\xD8\x9C"
                      "f"),
            "a b c d e f");
  EXPECT_EQ(printable("a\x9B"
                      "b\xC0\x9B"
                      "c\xE0\x82\x9B"
                      "d\xED\xA0\x80"
                      "e\xE2\x80"),
            "a b  c   d   e  ")
      << "what is no UTF-8";
  const std::string good = "Zoë — 東京 \xF0\x9F\x8C\x8A \xC2\xA0";
  EXPECT_EQ(printable(good), good);
  EXPECT_EQ(printable_lines("a\nb\x1b"), "a\nb ");
}

TEST(Printable, ProblemsAndTables) {
  HttpResponse problem;
  problem.status = 400;
  problem.body = R"({"title":"No\u001b]0;owned\u0007","detail":"\u009b31m\u202egnirts"})";
  EXPECT_EQ(problem_text(problem), "No ]0;owned   31m gnirts (HTTP 400)");
  problem.body = "\x1b]52;c;aGk=\x07";
  EXPECT_EQ(problem_text(problem), "HTTP 400:  ]52;c;aGk= ");
  EXPECT_EQ(format_table({"n"},
                         {{{"a\xC2\x9B"
                            "b\xE2\x80\xAE"
                            "c",
                            false}}},
                         80),
            "n\n-----\na b c\n");
}

// In a folder of its own, with an environment of its own.
struct DotEnvServer : ::testing::Test {
  DotEnvServer() {
    std::string pattern = (std::filesystem::temp_directory_path() / "dotenv-XXXXXX").string();
    folder = ::mkdtemp(pattern.data());
    std::filesystem::current_path(folder);
    for (const char* name : {"API_URL", "API_KEY", "TIDEMILL_KEY"}) ::unsetenv(name);
  }
  ~DotEnvServer() override {
    for (const char* name : {"API_URL", "API_KEY", "TIDEMILL_KEY"}) ::unsetenv(name);
    std::filesystem::current_path(before);
    std::filesystem::remove_all(folder);
  }
  void write(const char* name, const std::string& text) { std::ofstream(folder / name) << text; }
  std::string key(const Remote& remote) {
    error.clear();
    const auto server = resolve(remote, error);
    return server ? server->key : "refused";
  }
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::path folder;
  std::string error;
};

TEST_F(DotEnvServer, AKeyOfTheEnvironmentDoesNotGoWhereAFileSays) {
  write(".env", "API_URL=http://elsewhere:1\n");
  EXPECT_EQ(key({}), "") << error;
  for (const char* name : {"TIDEMILL_KEY", "API_KEY"}) {
    ::setenv(name, "tm_secret", 1);
    EXPECT_EQ(key({}), "refused");
    EXPECT_NE(error.find(name), std::string::npos) << error;
    EXPECT_NE(error.find("http://elsewhere:1"), std::string::npos) << error;
    EXPECT_EQ(error.find("tm_secret"), std::string::npos);
    Remote said;
    said.url = "http://here:1";
    EXPECT_EQ(key(said), "tm_secret");
    ::setenv("API_URL", "http://here:1", 1);
    EXPECT_EQ(key({}), "tm_secret") << "the environment's URL goes before the file's";
    ::unsetenv("API_URL");
    Remote file;
    file.key_file = (folder / "key").string();
    write("key", "tm_of_file\n");
    EXPECT_EQ(key(file), "tm_of_file");
    ::unsetenv(name);
  }
  write(".env", "API_URL=http://elsewhere:1\nAPI_KEY=tm_theirs\n");
  EXPECT_EQ(key({}), "tm_theirs");
  write(".env", "API_KEY=tm_theirs\n");
  EXPECT_EQ(key({}), "tm_theirs");
  ::setenv("API_KEY", "tm_mine", 1);
  EXPECT_EQ(key({}), "tm_mine") << "to where it would go without the file";
}

}  // namespace
}  // namespace tidemill::cli
