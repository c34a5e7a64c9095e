#include "consumers/views/final_stage.h"

#include <sqlite3.h>

#include "consumers/views/row_statement.h"
#include "consumers/views/sqlite_cell.h"
#include "storage/base/check.h"

namespace tidemill::views {
namespace {

Value read(sqlite3_stmt* statement, int column, const std::string& type) {
  switch (sqlite3_column_type(statement, column)) {
    case SQLITE_INTEGER:
      return Value(sqlite3_column_int64(statement, column));
    case SQLITE_FLOAT:
      return to_value(canonical(Cell::real(sqlite3_column_double(statement, column))));
    case SQLITE_TEXT: {
      auto* data = static_cast<const char*>(sqlite3_column_blob(statement, column));
      std::string text(data == nullptr ? "" : data, static_cast<std::size_t>(sqlite3_column_bytes(statement, column)));
      if (type == "json") return Json{std::move(text)};
      return text;
    }
    default:
      return {};
  }
}

}  // namespace

struct FinalStage::Impl {
  Definition definition;
  std::unique_ptr<Connection> connection;
  Statement statement;
  std::vector<bool> needed;   // stored columns, for the row at hand
  std::vector<Value> stored;  // likewise
};

FinalStage::FinalStage(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
FinalStage::~FinalStage() = default;

SqlResult<std::unique_ptr<FinalStage>> FinalStage::prepare(const Definition& definition) {
  auto impl = std::make_unique<Impl>();
  impl->definition = definition;
  if (!definition.final_sql.empty()) {
    auto connection = Connection::open();
    if (auto* error = std::get_if<SqlError>(&connection)) return *error;
    impl->connection = std::move(std::get<0>(connection));
    auto prepared = prepare_final_statement(*impl->connection, definition.final_sql);
    if (auto* error = std::get_if<PrepareError>(&prepared)) return SqlError{"invalid_view", error->message};
    impl->statement = std::move(std::get<Statement>(prepared));
  }
  return std::unique_ptr<FinalStage>(new FinalStage(std::move(impl)));
}

Result<void> FinalStage::run(const Row& group_key, const RowState& state, const MemberSource& members,
                             std::span<const bool> wanted, Row& out) {
  const Definition& d = impl_->definition;
  CHECK(group_key.size() == d.groups.size());
  auto is_wanted = [&](std::size_t i) { return wanted.empty() || wanted[i]; };
  using Source = OutputColumn::Source;

  // Which stored columns this needs, each worked out once.
  std::size_t groups = d.groups.size();
  impl_->needed.assign(groups + d.aggregates.size(), false);
  bool expressions = false;
  for (std::size_t i = 0; i < d.columns.size(); ++i) {
    const OutputColumn& column = d.columns[i];
    if (!is_wanted(i)) continue;
    if (column.source == Source::aggregate) impl_->needed[groups + column.index] = true;
    if (column.source != Source::expression) continue;
    expressions = true;
    for (std::uint32_t stored : column.needs) impl_->needed[stored] = true;
  }
  impl_->stored.assign(impl_->needed.size(), Value());
  for (std::size_t i = 0; i < impl_->needed.size(); ++i) {
    if (!impl_->needed[i]) continue;
    if (i < groups) {
      impl_->stored[i] = group_key[i];
      continue;
    }
    auto index = static_cast<std::uint32_t>(i - groups);
    // The layout gives the aggregates of this definition, in its order.
    ASSIGN_OR_RETURN(impl_->stored[i], state.value(index, members));
  }

  out.assign(d.columns.size(), Value());
  bool stepped = false;
  if (expressions) {
    for (std::size_t i = 0; i < impl_->stored.size(); ++i) {
      if (impl_->needed[i]) bind_cell(impl_->statement.get(), static_cast<int>(i + 1), to_cell(impl_->stored[i]));
    }
    stepped = sqlite3_step(impl_->statement.get()) == SQLITE_ROW;
  }
  for (std::size_t i = 0; i < d.columns.size(); ++i) {
    const OutputColumn& column = d.columns[i];
    if (!is_wanted(i)) continue;
    if (column.source == Source::group) {
      out[i] = group_key[column.index];
    } else if (column.source == Source::aggregate) {
      out[i] = impl_->stored[groups + column.index];
    } else if (stepped) {
      out[i] = read(impl_->statement.get(), static_cast<int>(column.index), column.type);
    }
  }
  if (expressions) {
    sqlite3_reset(impl_->statement.get());
    sqlite3_clear_bindings(impl_->statement.get());
  }
  return {};
}

}  // namespace tidemill::views
