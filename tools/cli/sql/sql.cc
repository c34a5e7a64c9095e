#include <unistd.h>

#include <iostream>

#include "tools/cli/output.h"
#include "tools/cli/remote.h"
#include "tools/cli/sql/session.h"
#include "tools/cli/sql/shell.h"
#include "tools/cli/sql/statements.h"

namespace tidemill::cli {
namespace {

// One after the other, as they come; the first that fails is the last.
int run_all(SqlSession& session, const std::vector<std::string>& params, std::istream& in) {
  StatementReader reader;
  std::size_t count = 0;
  std::string line;
  const auto run = [&](const TypedStatement& statement) {
    if (++count > 1 && !params.empty())
      return wrong_use("sql",
                       "--param is for one statement, and there is another at line " + std::to_string(statement.line));
    return session.run(statement.text, params, statement.line);
  };
  while (std::getline(in, line)) {
    reader.add(line + "\n");
    while (const auto statement = reader.take())
      if (const int code = run(*statement); code != kOk) return code;
  }
  if (const auto statement = reader.rest())
    if (const int code = run(*statement); code != kOk) return code;
  if (count == 0) return wrong_use("sql", "there is no statement; write one, or give it on standard input");
  return kOk;
}

}  // namespace

int sql(const SqlOptions& options) {
  std::string error;
  const auto server = resolve(options.remote, error);
  if (!server) return wrong_use("sql", error);
  const bool terminal = ::isatty(STDOUT_FILENO) != 0;
  if (options.statement.empty() && terminal && ::isatty(STDIN_FILENO) != 0) {
    if (!options.params.empty()) return wrong_use("sql", "--param needs a statement on the command line");
    return sql_shell(*server, options);
  }
  SqlSession::Options how;
  how.format = options.format != "auto" ? options.format : terminal ? "table" : "csv";
  how.after = options.after;
  how.at = options.at;
  how.caret = ::isatty(STDERR_FILENO) != 0;
  SqlSession session(*server, std::move(how));
  if (options.statement.empty() || options.statement == "-") return run_all(session, options.params, std::cin);
  if (options.statement.find_first_not_of(" \t\r\n;") == std::string::npos)
    return wrong_use("sql", "there is no statement; write one, or give it on standard input");
  return session.run(options.statement, options.params);
}

}  // namespace tidemill::cli
