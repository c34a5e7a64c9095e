#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "tools/cli/output.h"
#include "tools/cli/remote.h"
#include "tools/cli/rows.h"

namespace tidemill::cli {
namespace {

std::string as_table(const nlohmann::ordered_json& answer) {
  std::vector<std::string> names;
  for (const auto& column : answer.value("columns", nlohmann::ordered_json::array()))
    names.push_back(column.is_object() ? column.value("name", "") : cell_of(column).text);
  std::vector<std::vector<Cell>> rows;
  for (const auto& row : answer.value("rows", nlohmann::ordered_json::array())) {
    auto& cells = rows.emplace_back();
    for (const auto& value : row) cells.push_back(cell_of(value));
  }
  std::string out = format_table(names, rows, terminal_width());
  out += "(" + std::to_string(rows.size()) + (rows.size() == 1 ? " row" : " rows");
  if (answer.value("truncated", false)) out += ", cut by the server's limit";
  return out + ")\n";
}

}  // namespace

int sql(const SqlOptions& options) {
  std::string error;
  const auto server = resolve(options.remote, error);
  if (!server) return wrong_use("sql", error);
  std::string statement = options.statement;
  if (statement.empty() || statement == "-")
    statement.assign(std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>());
  if (statement.find_first_not_of(" \t\r\n;") == std::string::npos)
    return wrong_use("sql", "there is no statement; write one, or give it on standard input");

  nlohmann::ordered_json question{{"sql", statement}};
  for (const std::string& param : options.params) {
    const auto value = nlohmann::ordered_json::parse(param, nullptr, false);
    const bool scalar = !value.is_discarded() && value.is_primitive();
    question["params"].push_back(scalar ? value : nlohmann::ordered_json(param));
  }
  std::string body;
  try {
    body = question.dump();
  } catch (const nlohmann::json::exception&) {
    return wrong_use("sql", "the statement or a parameter is not valid UTF-8");
  }
  const std::string format = options.format != "auto" ? options.format : ::isatty(STDOUT_FILENO) ? "table" : "csv";
  HttpRequest request = server->request(
      "POST", options.after.empty() ? "/v1/sql" : "/v1/sql?wait=60000&after=" + percent_encode(options.after));
  request.headers.emplace_back("Content-Type", "application/json");
  request.headers.emplace_back("Accept", format == "csv"      ? "text/csv"
                                         : format == "ndjson" ? "application/x-ndjson"
                                                              : "application/json");
  request.body = body;
  const Answer answer = call(*server, "sql", request);
  if (answer.exit_code != kOk) return answer.exit_code;
  if (format != "table") {
    print(answer.response.body);
    if (format == "json" && !answer.response.body.ends_with('\n')) print("\n");
    if (answer.response.header("tidemill-truncated") == "true")
      std::fprintf(stderr, "tidemill sql: the server's limit cut the answer; ask for less at a time (docs/sql.md)\n");
    return kOk;
  }
  const auto json = nlohmann::ordered_json::parse(answer.response.body, nullptr, false);
  if (!json.is_object()) return wrong_use("sql", "the answer is not JSON");
  print(as_table(json));
  return kOk;
}

}  // namespace tidemill::cli
