#include "tools/cli/sql/shell.h"
#include "storage/seam/clock.h"
#include "tools/cli/times.h"

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <filesystem>

#include "storage/base/build_info.h"
#include "tools/cli/output.h"
#include "tools/cli/sql/line_editor.h"
#include "tools/cli/sql/session.h"
#include "tools/cli/sql/statements.h"

namespace tidemill::cli {
namespace {

constexpr const char* kHelp =
    "Statements end with ; and may take several lines. The tabulator completes, the arrows find what was typed "
    "before,\n"
    "Ctrl-R searches in it, Ctrl-C throws the line away or cancels the statement, Ctrl-D ends.\n"
    "\n"
    "  \\d               the views\n"
    "  \\d VIEW          its columns and its definition\n"
    "  \\format FORMAT   table, csv, ndjson or json\n"
    "  \\at WHEN         the views as they were: a sequence, a time, or how long ago; now\n"
    "  \\timing          how long each statement takes: on or off\n"
    "  \\help            this\n"
    "  \\quit            ends\n"
    "\n"
    "EXPLAIN SELECT ... says how a statement reads its views. What may be asked: docs/sql.md.\n";

// What a signal's handler may touch. True: Ctrl-C was pressed.
std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free);

// While it lives Ctrl-C ends no program.
class CatchInterrupts {
 public:
  CatchInterrupts() {
    struct sigaction action {};
    action.sa_handler = [](int) { interrupted.store(true); };
    sigemptyset(&action.sa_mask);
    ::sigaction(SIGINT, &action, &before_);
  }
  ~CatchInterrupts() { ::sigaction(SIGINT, &before_, nullptr); }

 private:
  struct sigaction before_ {};
};

// $XDG_STATE_HOME/tidemill/sql_history, most often below ~/.local/state; empty: there is no home.
std::string history_file() {
  const char* state = std::getenv("XDG_STATE_HOME");
  const char* home = std::getenv("HOME");
  std::filesystem::path folder;
  if (state != nullptr && state[0] == '/') {
    folder = state;
  } else if (home != nullptr && *home != '\0') {
    folder = std::filesystem::path(home) / ".local/state";
  } else {
    return {};
  }
  folder /= "tidemill";
  std::error_code ignored;
  std::filesystem::create_directories(folder, ignored);
  return folder / "sql_history";
}

std::string_view trim(std::string_view s) {
  const std::size_t begin = s.find_first_not_of(" \t\r\n");
  if (begin == s.npos) return {};
  return s.substr(begin, s.find_last_not_of(" \t\r\n") - begin + 1);
}

bool changes_views(std::string_view statement) {
  for (const char* word : {"create", "drop", "alter"}) {
    const std::string_view w(word);
    bool same = statement.size() > w.size();
    for (std::size_t i = 0; same && i < w.size(); ++i) same = (statement[i] | 0x20) == w[i];
    if (same) return true;
  }
  return false;
}

class Shell {
 public:
  Shell(const Server& server, SqlSession::Options options)
      : session_(server, std::move(options)),
        editor_("tidemill", history_file(), interrupted,
                [this](std::string_view line) { return complete(views_, statement_, line); }) {}

  int run();

 private:
  bool look_up();
  void line(const std::string& text);
  bool command(std::string_view text);
  void remember(const std::string& text);
  std::string prompt() const;

  SqlSession session_;
  std::vector<ViewWords> views_;
  StatementReader reader_;
  std::string statement_;  // its lines so far
  LineEditor editor_;
  bool ended_ = false;
};

bool Shell::look_up() {
  auto views = session_.words();
  if (views) views_ = std::move(*views);
  return views.has_value();
}

std::string Shell::prompt() const {
  if (statement_.empty()) return "tidemill> ";
  const char within = reader_.within();
  return std::string("       ") + (within == '\0' ? '-' : within) + "> ";
}

// One entry for a statement, if one line can hold it.
void Shell::remember(const std::string& text) {
  std::string entry;
  for (const char c : text) entry += c == '\n' ? ' ' : c;
  const bool one_line = text.find('\n') == std::string::npos;
  if (one_line || (text.find("--") == std::string::npos && text.find('\'') == std::string::npos)) {
    return editor_.remember(entry);
  }
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    editor_.remember(text.substr(at, end - at));
    at = end + 1;
  }
}

bool Shell::command(std::string_view text) {
  const std::size_t blank = text.find_first_of(" \t");
  const std::string_view name = text.substr(0, blank);
  const std::string argument(blank == text.npos ? std::string_view() : trim(text.substr(blank)));
  if (name == "\\q" || name == "\\quit" || name == "quit" || name == "exit") {
    ended_ = true;
  } else if (name == "\\?" || name == "\\h" || name == "\\help" || name == "help") {
    print(kHelp);
  } else if (name == "\\d") {
    look_up();
    session_.describe(argument.ends_with(';') ? argument.substr(0, argument.size() - 1) : argument);
  } else if (name == "\\timing") {
    auto& timing = session_.options().timing;
    timing = argument.empty() ? !timing : argument == "on";
    print(timing ? "Timing is on.\n" : "Timing is off.\n");
  } else if (name == "\\at") {
    auto& at = session_.options().at;
    if (!argument.empty()) at = argument == "now" ? "" : place_text(argument, system_clock().wall());
    print(at.empty() ? "Statements read the views as they are now.\n"
                     : "Statements read the views as they were at " + at + ".\n");
  } else if (name == "\\format") {
    if (argument == "table" || argument == "csv" || argument == "ndjson" || argument == "json") {
      session_.options().format = argument;
    } else if (!argument.empty()) {
      std::fprintf(stderr, "There is no format %s: table, csv, ndjson or json.\n", argument.c_str());
    }
    print("The format is " + session_.options().format + ".\n");
  } else if (name.starts_with('\\')) {
    std::fprintf(stderr, "There is no command %.*s; \\help lists them.\n", static_cast<int>(name.size()), name.data());
  } else {
    return false;
  }
  return true;
}

void Shell::line(const std::string& text) {
  std::string_view word = trim(text);
  if (statement_.empty()) {
    if (word.empty()) return;
    std::string_view bare = word;
    if (bare.ends_with(';')) bare = trim(bare.substr(0, bare.size() - 1));
    const bool plain = bare == "quit" || bare == "exit" || bare == "help";
    if (word.starts_with('\\') || plain) {
      editor_.remember(text);
      command(plain ? bare : word);
      return;
    }
  }
  statement_ += text + "\n";
  reader_.add(text + "\n");
  bool changed = false;
  while (const auto statement = reader_.take()) {
    interrupted.store(false);
    if (session_.run(statement->text, {}) == kInterrupted) break;
    changed = changed || changes_views(statement->text);
  }
  if (interrupted.exchange(false)) reader_.clear();
  if (!reader_.begun() && reader_.within() == '\0') {
    remember(statement_.substr(0, statement_.size() - 1));
    statement_.clear();
    reader_.clear();
  }
  if (changed) look_up();
}

int Shell::run() {
  const CatchInterrupts caught;
  if (!look_up()) return kNotReached;
  print("tidemill " + std::string(version()) + ", " + session_.server().url.authority() + ", " +
        std::to_string(views_.size()) + (views_.size() == 1 ? " view" : " views") + ". \\help says what there is.\n");
  while (!ended_) {
    std::string text;
    switch (editor_.read(prompt(), text)) {
      case LineEditor::Read::line:
        line(text);
        break;
      case LineEditor::Read::interrupted:
        print("^C\n");
        reader_.clear();
        statement_.clear();
        break;
      case LineEditor::Read::end:
        print("\n");
        ended_ = true;
        break;
    }
    if (!flush()) return kOk;
  }
  return kOk;
}

}  // namespace

int sql_shell(const Server& server, const SqlOptions& options) {
  SqlSession::Options session;
  session.format = options.format == "auto" ? "table" : options.format;
  session.after = options.after;
  session.at = options.at;
  session.caret = true;
  session.stop = &interrupted;
  return Shell(server, std::move(session)).run();
}

}  // namespace tidemill::cli
