#include "consumers/views/row_stage.h"

#include <sqlite3.h>

#include "consumers/views/row_statement.h"
#include "consumers/views/sqlite_cell.h"
#include "storage/base/check.h"

namespace tidemill::views {

struct RowStage::Impl {
  BatchTable table;  // outlives the connection
  std::unique_ptr<Connection> connection;
  Statement statement;
  std::size_t groups = 0;
  std::vector<Cell> cells;
};

RowStage::RowStage(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
RowStage::~RowStage() = default;

SqlResult<std::unique_ptr<RowStage>> RowStage::prepare(const Definition& definition, FieldSet& fields) {
  auto impl = std::make_unique<Impl>();
  for (const std::string& field : definition.fields) impl->table.slots.push_back(fields.add(field));
  impl->table.columns = static_cast<std::uint32_t>(definition.fields.size());
  auto connection = Connection::open();
  if (auto* error = std::get_if<SqlError>(&connection)) return *error;
  impl->connection = std::move(std::get<0>(connection));
  auto prepared = prepare_row_statement(*impl->connection, impl->table, definition.row_sql);
  if (auto* error = std::get_if<PrepareError>(&prepared)) return SqlError{"invalid_view", error->message};
  impl->statement = std::move(std::get<Statement>(prepared));
  impl->groups = definition.groups.size();
  auto columns = static_cast<std::size_t>(sqlite3_column_count(impl->statement.get()));
  CHECK(columns >= impl->groups + definition.arguments);
  impl->cells.resize(impl->groups + definition.arguments);
  return std::unique_ptr<RowStage>(new RowStage(std::move(impl)));
}

Result<void> RowStage::run(const ParsedBatch& batch, RowSink& sink) {
  return run(batch, 0, batch.size(), sink);
}

Result<void> RowStage::run(const ParsedBatch& batch, std::uint32_t first, std::uint32_t count, RowSink& sink) {
  BatchTable& table = impl_->table;
  for (std::uint32_t slot : table.slots) CHECK(slot < batch.fields().size());
  CHECK(first + count <= batch.size());
  table.batch = &batch;
  table.first = first;
  table.end = first + count;
  sqlite3_stmt* statement = impl_->statement.get();
  std::vector<Cell>& cells = impl_->cells;
  std::span<const Cell> groups(cells.data(), impl_->groups);
  std::span<const Cell> arguments = std::span<const Cell>(cells).subspan(impl_->groups);

  while (table.first < table.end) {
    int rc = SQLITE_ROW;
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
      bool blob = false;
      for (std::size_t i = 0; i < cells.size(); ++i) {
        // One call a column; without mutexes an "unprotected" value is like any other.
        sqlite3_value* value = sqlite3_column_value(statement, static_cast<int>(i));
        cells[i] = canonical(cell_of(value));
        blob = blob || sqlite3_value_type(value) == SQLITE_BLOB;
      }
      std::uint64_t sequence = batch.record(table.current).sequence.value();
      if (blob) {
        sink.failed(table.current,
                    "an expression gave a BLOB, which views do not keep: write hex(x) or CAST(x AS TEXT)");
      } else {
        sink.row(table.current, Order{sequence, 0}, groups, arguments);
      }
    }
    if (rc == SQLITE_DONE) {
      sqlite3_reset(statement);
      break;
    }
    std::string reason = impl_->connection->error();
    sqlite3_reset(statement);
    if ((rc & 0xff) == SQLITE_NOMEM || table.current >= table.end)
      return ErrorCode(ENOMEM, boost::system::generic_category());
    sink.failed(table.current, reason);
    table.first = table.current + 1;  // on with the next record
  }
  table.batch = nullptr;
  return {};
}

}  // namespace tidemill::views
