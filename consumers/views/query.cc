#include "consumers/views/query.h"

#include <sqlite3.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "consumers/views/cell.h"
#include "consumers/views/query_explain.h"
#include "consumers/views/sqlite_cell.h"
#include "consumers/views/viewer.h"
#include "engine/json/writer.h"

namespace tidemill::views {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kIdleMax = 16;                // sessions kept
constexpr std::chrono::milliseconds kMoment{20};    // rows that were made are handed out after it
constexpr std::uint64_t kBatchBytes = 128u << 10;   // or when they are this many
constexpr std::uint64_t kKeptRowBytes = 16u << 10;  // the memory of longer ones is not used again

SqlError error(std::string code, std::string message) {
  return {std::move(code), std::move(message)};
}

// Into a value that had one before: text keeps its memory.
void take_value(sqlite3_stmt* statement, int column, bool json, Value& out) {
  const int type = sqlite3_column_type(statement, column);
  switch (type) {
    case SQLITE_INTEGER:
      out = std::int64_t{sqlite3_column_int64(statement, column)};
      return;
    case SQLITE_FLOAT:
      out = sqlite3_column_double(statement, column);
      return;
    case SQLITE_TEXT:
    case SQLITE_BLOB: {
      const auto* data = static_cast<const char*>(sqlite3_column_blob(statement, column));
      const std::string_view text(data == nullptr ? "" : data,
                                  static_cast<std::size_t>(sqlite3_column_bytes(statement, column)));
      if (!json && type == SQLITE_TEXT) {
        if (auto* there = std::get_if<std::string>(&out)) {
          there->assign(text);
        } else {
          out.emplace<std::string>(text);
        }
        return;
      }
      Json value;
      if (json) {
        value.text = text;
      } else {
        append_bytes_json(value.text, text);
      }
      out = std::move(value);
      return;
    }
    default:
      out = {};
  }
}

// Blanks instead of the first bytes, so that what SQLite says of places stays true.
void blank_out(std::string& sql, std::size_t bytes) {
  std::replace_if(
      sql.begin(), sql.begin() + static_cast<std::ptrdiff_t>(bytes), [](char c) { return c != '\n'; }, ' ');
}

std::uint64_t bytes_of(const Value& value) {
  std::uint64_t bytes = 16;
  if (const auto* text = std::get_if<std::string>(&value)) bytes += text->size();
  if (const auto* json = std::get_if<Json>(&value)) bytes += json->text.size();
  return bytes;
}

}  // namespace

QueryExecutor::QueryExecutor(const QuerySource& source) : source_(source) {}
QueryExecutor::~QueryExecutor() = default;

SqlResult<std::unique_ptr<QuerySession>> QueryExecutor::take(std::string_view tenant) {
  auto tables = source_.tables(tenant);
  if (const auto* may_query = Viewer::here())
    std::erase_if(tables.views, [&](const auto& view) { return !(*may_query)(view->name()); });
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(idle_, [&](const auto& s) { return s->tenant() == tenant && s->version() != tables.version; });
    // One that has exactly these views: what a key may not query is no table of its connection.
    const auto fits = std::find_if(idle_.rbegin(), idle_.rend(),
                                   [&](const auto& s) { return s->tenant() == tenant && s->has(tables.views); });
    if (fits != idle_.rend()) {
      auto session = std::move(*fits);
      idle_.erase(std::next(fits).base());
      return session;
    }
  }
  return QuerySession::open(std::move(tables));
}

void QueryExecutor::give_back(std::unique_ptr<QuerySession> session) {
  rows_visited_last_ = session->scope.rows_visited;
  session->rest();
  const std::lock_guard lock(mutex_);
  if (idle_.size() == kIdleMax) idle_.erase(idle_.begin());  // of whoever has not asked for longest
  idle_.push_back(std::move(session));
}

// One statement on a session of its own.
class QueryExecutor::Running final : public QueryCursor {
 public:
  Running(QueryExecutor& executor, std::unique_ptr<QuerySession> session, std::unique_ptr<Snapshot> snapshot,
          std::string_view sql, const Row& params, const QueryLimits& limits)
      : executor_(executor),
        sql_(sql),
        params_(params),
        limits_(limits),
        left_(limits.time_max),
        snapshot_(std::move(snapshot)),
        session_(std::move(session)) {}
  ~Running() override {
    if (prepared_) session_->keep(std::move(prepared_));
    {
      const auto counted = session_->counted();
      plan_.reset();
    }
    executor_.give_back(std::move(session_));
  }

  std::optional<SqlError> prepare(const QuerySource& source);
  const std::vector<Column>& columns() const override { return prepared_ ? prepared_->columns : plan_columns_; }
  const AsOf& as_of() const override { return as_of_; }
  SqlResult<std::span<const Row>> next(std::size_t rows_max) override;
  bool truncated() const override { return truncated_; }

 private:
  SqlError failure(int rc) const;
  static SqlError row_too_long(std::uint64_t most) {
    return error("invalid_sql", "One row is longer than " + std::to_string(most) +
                                    " bytes, as long as a row may be here. Ask for fewer or shorter columns.");
  }
  std::optional<SqlError> explain_plan(std::size_t from);
  bool cut() {
    truncated_ = ended_ = true;
    return true;
  }

  QueryExecutor& executor_;
  std::string sql_;
  const Row params_;  // the statement points into it
  const QueryLimits limits_;
  Clock::duration left_;  // of the time
  const std::unique_ptr<Snapshot> snapshot_;
  std::unique_ptr<QuerySession> session_;
  std::unique_ptr<PreparedQuery> prepared_;  // none: an explanation
  Statement plan_;                           // what SQLite says of one that is to be explained
  std::vector<Column> plan_columns_;
  AsOf as_of_;
  std::vector<Row> rows_;  // their memory is used again
  std::uint64_t count_ = 0;
  std::uint64_t bytes_ = 0;
  bool long_row_ = false;  // among rows_
  bool ended_ = false;
  bool truncated_ = false;
};

SqlResult<std::unique_ptr<QueryCursor>> QueryExecutor::query(std::string_view tenant, std::string_view sql,
                                                             const Row& params, const QueryLimits& limits) {
  auto taken = take(tenant);
  if (auto* failed = std::get_if<SqlError>(&taken)) return *failed;
  auto running =
      std::make_unique<Running>(*this, std::move(std::get<0>(taken)), source_.snapshot(), sql, params, limits);
  if (auto failed = running->prepare(source_)) return *failed;
  return std::unique_ptr<QueryCursor>(std::move(running));
}

SqlResult<std::vector<std::string>> QueryExecutor::views_of(std::string_view tenant, std::string_view sql) {
  auto taken = take(tenant);
  if (auto* failed = std::get_if<SqlError>(&taken)) return *failed;
  auto& session = std::get<0>(taken);
  std::string text(sql);
  if (const auto explained = explained_from(text)) blank_out(text, *explained);
  const auto snapshot = source_.snapshot();
  const QueryLimits limits;
  session->begin(*snapshot, limits.time_max, limits);
  auto prepared = session->prepare(text, false);
  SqlResult<std::vector<std::string>> views;
  if (auto* failed = std::get_if<SqlError>(&prepared)) {
    views = *failed;
  } else {
    views = std::get<0>(prepared)->views;
    session->keep(std::move(std::get<0>(prepared)));
  }
  give_back(std::move(session));
  return views;
}

std::optional<SqlError> QueryExecutor::Running::prepare(const QuerySource& source) {
  QuerySession& session = *session_;
  const auto explained = explained_from(sql_);
  if (explained) blank_out(sql_, *explained);
  session.begin(*snapshot_, left_, limits_);
  auto prepared = session.prepare(sql_, explained.has_value());
  if (auto* failed = std::get_if<SqlError>(&prepared)) return *failed;
  prepared_ = std::move(std::get<0>(prepared));

  const int wanted = sqlite3_bind_parameter_count(prepared_->statement.get());
  const bool as_it_is = explained && params_.empty();  // a plan needs no values
  if (wanted != static_cast<int>(params_.size()) && !as_it_is) {
    return error("invalid_parameters", "`params` needs a value for each parameter of the statement: it has " +
                                           std::to_string(wanted) + ", and " + std::to_string(params_.size()) +
                                           " came.");
  }
  const auto counted = session.counted();
  for (int i = 0; i < wanted && !as_it_is; ++i)
    bind_cell(prepared_->statement.get(), i + 1, to_cell(params_[static_cast<std::size_t>(i)]));

  const auto as_of = source.as_of(*snapshot_, session.tenant(), prepared_->views);
  if (!as_of) return error("view_damaged", "A view's store cannot be read: " + as_of.error().message() + ".");
  as_of_ = *as_of;
  if (explained) return explain_plan(*explained);
  return std::nullopt;
}

std::optional<SqlError> QueryExecutor::Running::explain_plan(std::size_t from) {
  prepared_.reset();  // made to be explained, not to be kept
  sqlite3_stmt* made = nullptr;
  const std::string plan = "EXPLAIN QUERY PLAN " + sql_.substr(from);
  const int rc = sqlite3_prepare_v2(session_->db(), plan.data(), static_cast<int>(plan.size()), &made, nullptr);
  plan_.reset(made);
  if (rc != SQLITE_OK) return session_->explain(rc, plan);
  const auto lines = explain_in_words(plan_.get(), sql_);
  if (!lines) return failure(SQLITE_ERROR);
  for (const std::string& line : *lines) rows_.push_back({line});
  plan_columns_ = {{"plan", "text", false}};
  plan_.reset();
  return std::nullopt;
}

SqlResult<std::span<const Row>> QueryExecutor::Running::next(std::size_t rows_max) {
  if (!prepared_) {  // a plan in words
    const std::size_t from = std::min<std::size_t>(count_, rows_.size());
    const std::size_t some = std::min(rows_max, rows_.size() - from);
    count_ += some;
    return std::span<const Row>(rows_).subspan(from, some);
  }
  const auto counted = session_->counted();
  sqlite3_stmt* const statement = prepared_->statement.get();
  const std::vector<bool>& json = prepared_->json;
  // Values may share their memory in SQLite, as where one is named a hundred times; here each has its own.
  const std::uint64_t row_max = std::min(limits_.bytes_max, sql_bounds().memory);
  if (std::exchange(long_row_, false)) rows_.clear();  // else each row could come to keep as much
  std::size_t made = 0;
  const auto begun = Clock::now();
  session_->work_until(begun + (limits_.whole ? limits_.time_max : left_), begun + kMoment);
  int rc = SQLITE_ROW;
  std::uint64_t bytes = 0;  // of these rows
  while (!ended_ && made < rows_max && bytes < kBatchBytes && !(made > 0 && session_->moment_over())) {
    rc = sqlite3_step(statement);
    // Also where SQLite, or a view's last expressions, could do without what was refused: the row may lack something.
    if (session_->account().refused() != SqlAccount::Refused::nothing) rc = SQLITE_INTERRUPT;
    if (rc != SQLITE_ROW) break;
    if (count_ == limits_.rows_max || bytes_ >= limits_.bytes_max) {
      cut();
      break;
    }
    if (rows_.size() == made) rows_.emplace_back();
    Row& row = rows_[made++];
    row.resize(json.size());
    std::uint64_t size = 0;
    for (std::size_t i = 0; i < json.size(); ++i) {
      take_value(statement, static_cast<int>(i), json[i], row[i]);
      size += bytes_of(row[i]);
      if (size > row_max) return row_too_long(row_max);
    }
    if (session_->account().refused() != SqlAccount::Refused::nothing) {  // as a value was taken
      --made;
      rc = SQLITE_INTERRUPT;
      break;
    }
    long_row_ = long_row_ || size > kKeptRowBytes;
    bytes += size;
    bytes_ += size;
    ++count_;
    if (limits_.whole) session_->row_made(limits_.time_max);
  }
  left_ -= Clock::now() - begun;
  const std::span<const Row> rows(rows_.data(), made);
  if (rc == SQLITE_ROW) return rows;
  ended_ = true;
  if (rc == SQLITE_DONE) return rows;
  if (session_->late() && !limits_.whole && count_ > 0 && !session_->was_cancelled()) {
    truncated_ = true;
    return rows;
  }
  return failure(rc);
}

SqlError QueryExecutor::Running::failure(int rc) const {
  if (session_->was_cancelled()) return error("cancelled", "The statement was cancelled.");
  if (session_->late()) {
    return error("sql_timeout",
                 "The statement gave no row within " + std::to_string(limits_.time_max.count()) + " ms.");
  }
  if (session_->scope.error) {
    return error("view_damaged", "A view's store cannot be read: " + session_->scope.error.message() + ".");
  }
  return session_->explain(rc, sql_);
}

}  // namespace tidemill::views
