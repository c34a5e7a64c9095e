#include "tools/cli/sql/session.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "storage/seam/clock.h"
#include "tools/cli/output.h"
#include "tools/cli/rows.h"
#include "tools/cli/statement.h"
#include "tools/cli/times.h"

namespace tidemill::cli {
namespace {

using Json = nlohmann::ordered_json;

std::string rows_line(const Json& answer, std::size_t rows) {
  std::string out = "(" + std::to_string(rows) + (rows == 1 ? " row" : " rows");
  if (answer.value("truncated", false)) out += ", cut by the server's limit";
  if (const auto as_of = answer.find("as_of"); as_of != answer.end() && as_of->is_object() && as_of->contains("time")) {
    const Json& time = (*as_of)["time"];
    if (time.is_string())
      out += ", as of " + as_of->value("sequence", Json()).dump() + " at " + time.get<std::string>();
  }
  if (const auto point = answer.find("point"); point != answer.end() && point->is_object())
    out += ", point " + point->value("number", Json()).dump() + " of " + point->value("made", "");
  return out + ")\n";
}

// NULL is told from the text of nothing, and stands where its column's values do.
std::string as_table(const Json& answer) {
  std::vector<std::string> names;
  for (const auto& column : answer.value("columns", Json::array()))
    names.push_back(column.is_object() ? column.value("name", "") : cell_of(column).text);
  std::vector<bool> numbers(names.size(), true);
  std::vector<std::vector<Cell>> rows;
  for (const auto& row : answer.value("rows", Json::array())) {
    auto& cells = rows.emplace_back();
    for (const auto& value : row) {
      cells.push_back(value.is_null() ? Cell{"NULL", true} : cell_of(value));
      if (cells.size() <= numbers.size() && !cells.back().number) numbers[cells.size() - 1] = false;
    }
  }
  for (std::size_t r = 0; r < rows.size(); ++r) {
    for (std::size_t i = 0; i < rows[r].size() && i < numbers.size(); ++i) {
      if (!numbers[i] && answer["rows"][r][i].is_null()) rows[r][i].number = false;
    }
  }
  return format_table(names, rows, terminal_width()) + rows_line(answer, rows.size());
}

std::string_view line_of(std::string_view text, std::size_t number) {
  for (; number > 1 && text.find('\n') != text.npos; --number) text.remove_prefix(text.find('\n') + 1);
  return text.substr(0, text.find('\n'));
}

}  // namespace

SqlSession::SqlSession(Server server, Options options)
    : server_(std::move(server)),
      options_(std::move(options)),
      client_(server_.url, {.connect_timeout = std::chrono::milliseconds(5'000),
                            .answer_timeout = std::chrono::milliseconds(90'000),
                            .stop = options_.stop}) {
  options_.at = place_text(options_.at, system_clock().wall());  // one moment for all statements
}

int SqlSession::run(const std::string& statement, const std::vector<std::string>& params, std::size_t line) {
  const auto begun = std::chrono::steady_clock::now();
  Json question{{"sql", statement}};
  if (!options_.at.empty()) question["at"] = options_.at;
  for (const std::string& param : params) {
    const auto value = Json::parse(param, nullptr, false);
    const bool scalar = !value.is_discarded() && value.is_primitive();
    question["params"].push_back(scalar ? value : Json(param));
  }
  std::string body;
  try {
    body = question.dump();
  } catch (const Json::exception&) {
    return wrong_use("sql", "the statement or a parameter is not valid UTF-8");
  }
  const std::string& format = options_.format;
  const std::string path =
      options_.after.empty() ? "/v1/sql" : "/v1/sql?wait=60000&after=" + percent_encode(options_.after);
  HttpRequest request = server_.request("POST", path);
  request.headers.emplace_back("Content-Type", "application/json");
  request.headers.emplace_back("Accept", format == "csv"      ? "text/csv"
                                         : format == "ndjson" ? "application/x-ndjson"
                                                              : "application/json");
  request.body = body;
  HttpFailure failure;
  std::optional<HttpResponse> response;
  bool printed = false;
  if (format == "table") {
    response = client_.send(request, failure);
  } else {
    response = client_.stream(
        request,
        [&](std::string_view bytes) {
          printed = true;
          return print(bytes) && !reader_is_gone();
        },
        failure);
    flush();
  }
  if (!response) return say_failure(failure, printed);
  if (response->status / 100 != 2) return say_error(statement, *response, line);
  if (format == "table") {
    const auto json = Json::parse(response->body, nullptr, false);
    if (!json.is_object()) return wrong_use("sql", "the answer is not JSON");
    print(is_statement(response->body) ? statement_text(json)
          : json.contains("columns")   ? as_table(json)
                                       : members_of_object(json));
  }
  if (options_.timing) {
    const std::chrono::duration<double, std::milli> taken = std::chrono::steady_clock::now() - begun;
    char text[40];
    std::snprintf(text, sizeof text, "Time: %.1f ms\n", taken.count());
    print(text);
  }
  flush();
  return kOk;
}

int SqlSession::say_failure(const HttpFailure& failure, bool begun) {
  if (failure.kind == HttpFailure::Kind::stopped) {
    std::fprintf(stderr, "cancelled\n");
    return kInterrupted;
  }
  if (begun) {
    wrong_use("sql", failure.message +
                         "; the answer is not whole: the statement failed on the way, or took too long; "
                         "the server's log says why");
    return kNotReached;
  }
  wrong_use("sql", unanswered(failure));
  return kNotReached;
}

int SqlSession::say_error(const std::string& statement, const HttpResponse& response, std::size_t line) {
  const std::string text = problem_text(response);
  wrong_use("sql", (line > 1 ? "the statement at line " + std::to_string(line) + ": " : "") + text);
  std::size_t at_line = 0;
  std::size_t column = 0;
  const std::size_t at = text.find("line ");
  if (options_.caret && at != text.npos &&
      std::sscanf(text.c_str() + at, "line %zu, column %zu:", &at_line, &column) == 2 && at_line > 0 && column > 0) {
    const std::string_view shown = line_of(statement, at_line);
    std::string blanks;  // as wide as what stands before, tabulators kept
    std::size_t characters = 0;
    for (std::size_t i = 0; i < shown.size() && characters + 1 < column;) {
      std::size_t end = i + 1;
      while (end < shown.size() && (static_cast<unsigned char>(shown[end]) & 0xC0) == 0x80) ++end;
      blanks += shown[i] == '\t' ? "\t" : std::string(display_width(shown.substr(i, end - i)), ' ');
      ++characters;
      i = end;
    }
    std::fprintf(stderr, "%.*s\n%s^\n", static_cast<int>(shown.size()), shown.data(), blanks.c_str());
  }
  return kWrongUse;
}

std::optional<Json> SqlSession::get(const std::string& path, int& code) {
  HttpFailure failure;
  const auto response = client_.send(server_.request("GET", path), failure);
  code = kWrongUse;
  if (!response) {
    code = say_failure(failure, false);
    return std::nullopt;
  }
  if (response->status / 100 != 2) {
    wrong_use("sql", problem_text(*response));
    return std::nullopt;
  }
  Json json = Json::parse(response->body, nullptr, false);
  if (!json.is_object()) {
    wrong_use("sql", "the answer is not a JSON object");
    return std::nullopt;
  }
  code = kOk;
  return json;
}

std::optional<std::vector<ViewWords>> SqlSession::words() {
  int code = kOk;
  const auto answer = get("/v1/views", code);
  if (!answer) return std::nullopt;
  std::vector<ViewWords> views;
  for (const Json& v : answer->value("views", Json::array())) {
    ViewWords& words = views.emplace_back(ViewWords{v.value("name", ""), {}});
    for (const Json& column : v.value("columns", Json::array())) words.columns.push_back(column.value("name", ""));
  }
  return views;
}

int SqlSession::describe(const std::string& view) {
  int code = kOk;
  if (view.empty()) {
    const auto answer = get("/v1/views", code);
    if (!answer) return code;
    Json shown = Json::array();
    for (const Json& v : answer->value("views", Json::array())) {
      Json row;
      for (const char* name : {"name", "stream", "rows", "parked", "freshness_seconds"})
        if (v.contains(name)) row[name] = v[name];
      shown.push_back(row);
    }
    print(shown.empty() ? "There are no views.\n" : table_of_objects(shown));
    return flush() ? kOk : kWrongUse;
  }
  const auto answer = get("/v1/views/" + percent_encode(view), code);
  if (!answer) return code;
  std::vector<std::vector<Cell>> rows;
  for (const Json& c : answer->value("columns", Json::array()))
    rows.push_back(
        {{c.value("name", ""), false}, {c.value("type", ""), false}, {c.value("key", false) ? "key" : "", false}});
  print(format_table({"column", "type", "key"}, rows, terminal_width()));
  std::string said =
      "(of stream " + answer->value("stream", "") + ", " + answer->value("rows", Json(0)).dump() + " rows";
  if (const auto age = answer->find("freshness_seconds"); age != answer->end() && age->is_number()) {
    char text[40];
    std::snprintf(text, sizeof text, "%.1f s behind", age->get<double>());
    said += age->get<double>() == 0 ? ", shows all there is" : std::string(", ") + text;
  }
  print(said + ")\n\n" + answer->value("sql", "") + "\n");
  return flush() ? kOk : kWrongUse;
}

}  // namespace tidemill::cli
