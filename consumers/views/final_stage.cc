#include "consumers/views/final_stage.h"

#include <sqlite3.h>

#include <algorithm>

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
  std::vector<Value> stored;  // group terms and aggregates that expressions use, of the row at hand
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

FinalStage::Selection FinalStage::select(const StateLayout& layout, std::span<const bool> wanted) const {
  const Definition& d = impl_->definition;
  const auto groups = static_cast<std::uint32_t>(d.groups.size());
  using Source = OutputColumn::Source;
  Selection selection;
  const auto needs = [&](std::uint32_t stored) {
    if (stored < groups) {
      selection.groups = true;
    } else {
      selection.aggregates_end = std::max(selection.aggregates_end, layout.end_for(stored - groups));
    }
  };
  for (std::uint32_t i = 0; i < d.columns.size(); ++i) {
    const OutputColumn& column = d.columns[i];
    if (!wanted.empty() && !wanted[i]) continue;
    selection.columns.push_back(i);
    if (column.source == Source::group) needs(column.index);
    if (column.source == Source::aggregate) needs(groups + column.index);
    if (column.source != Source::expression) continue;
    selection.expressions = true;
    for (const std::uint32_t stored : column.needs) {
      needs(stored);
      selection.stored.push_back(stored);
    }
  }
  std::sort(selection.stored.begin(), selection.stored.end());
  selection.stored.erase(std::unique(selection.stored.begin(), selection.stored.end()), selection.stored.end());
  return selection;
}

Result<void> FinalStage::run(const Row& group_key, const RowState& state, const MemberSource& members,
                             const Selection& selection, Row& out) {
  const Definition& d = impl_->definition;
  const auto groups = static_cast<std::uint32_t>(d.groups.size());
  CHECK(!selection.groups || group_key.size() == groups);
  using Source = OutputColumn::Source;

  // What expressions use is worked out once for all of them.
  impl_->stored.resize(groups + d.aggregates.size());
  bool stepped = false;
  if (selection.expressions) {
    for (const std::uint32_t i : selection.stored) {
      if (i < groups) {
        impl_->stored[i] = group_key[i];
      } else {
        // The layout gives the aggregates of this definition, in its order.
        ASSIGN_OR_RETURN(impl_->stored[i], state.value(i - groups, members));
      }
      bind_cell(impl_->statement.get(), static_cast<int>(i + 1), to_cell(impl_->stored[i]));
    }
    stepped = sqlite3_step(impl_->statement.get()) == SQLITE_ROW;
  }
  out.resize(d.columns.size());
  for (const std::uint32_t i : selection.columns) {
    const OutputColumn& column = d.columns[i];
    if (column.source == Source::group) {
      out[i] = group_key[column.index];
    } else if (column.source == Source::aggregate) {
      const auto stored = static_cast<std::uint32_t>(groups + column.index);
      if (std::binary_search(selection.stored.begin(), selection.stored.end(), stored)) {
        out[i] = impl_->stored[stored];
      } else {
        ASSIGN_OR_RETURN(out[i], state.value(column.index, members));
      }
    } else {
      out[i] = stepped ? read(impl_->statement.get(), static_cast<int>(column.index), column.type) : Value();
    }
  }
  if (selection.expressions) {
    sqlite3_reset(impl_->statement.get());
    sqlite3_clear_bindings(impl_->statement.get());
  }
  return {};
}

}  // namespace tidemill::views
