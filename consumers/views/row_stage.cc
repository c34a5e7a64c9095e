#include "consumers/views/row_stage.h"

#include <sqlite3.h>

#include <algorithm>
#include <memory_resource>

#include "consumers/views/row_statement.h"
#include "consumers/views/sqlite_cell.h"
#include "storage/base/check.h"

namespace tidemill::views {

namespace {

constexpr const char* kBlob = "an expression gave a BLOB, which views do not keep: write hex(x) or CAST(x AS TEXT)";

// The rows of one record, until it is known that all of them will do.
class RecordRows {
 public:
  void begin(std::uint32_t record) {
    record_ = record;
    cells_.clear();
    rows_ = 0;
    blob_ = false;
    texts_.release();
  }
  bool are_of(std::uint32_t record) const { return record_ == record; }
  void drop() { begin(kNone); }
  void add(std::span<const Cell> cells, bool blob) {
    blob_ = blob_ || blob;
    ++rows_;
    for (const Cell& cell : cells) cells_.push_back(cell.is_text() ? kept(cell) : cell);
  }
  // Hands the rows to the sink, all or none.
  void flush(const ParsedBatch& batch, std::size_t groups, RowSink& sink) {
    if (record_ == kNone) return;
    const std::size_t width = rows_ == 0 ? 0 : cells_.size() / rows_;
    auto row = [&](std::uint32_t i) { return std::span<const Cell>(cells_).subspan(i * width, width); };
    bool good = !blob_;
    if (blob_) sink.failed(record_, kBlob);
    for (std::uint32_t i = 0; i < rows_ && good; ++i)
      good = sink.takes(record_, row(i).first(groups), row(i).subspan(groups));
    const std::uint64_t sequence = batch.record(record_).sequence.value();
    for (std::uint32_t i = 0; i < rows_ && good; ++i)
      sink.row(record_, Order{sequence, i}, row(i).first(groups), row(i).subspan(groups));
    drop();
  }

 private:
  static constexpr std::uint32_t kNone = ~0u;
  Cell kept(Cell cell) {
    std::string_view text = cell.text();
    auto* to = static_cast<char*>(texts_.allocate(text.size() + 1, 1));
    std::copy(text.begin(), text.end(), to);
    return Cell::text({to, text.size()}, cell.type());
  }
  std::uint32_t record_ = kNone;
  std::uint32_t rows_ = 0;
  bool blob_ = false;
  std::vector<Cell> cells_;
  std::pmr::monotonic_buffer_resource texts_;
};

// Those columns are taken from the batch: SQLite need not hand them through.
std::string without_plain_columns(const Definition& definition) {
  std::string sql = definition.row_sql;
  for (auto p = definition.plain.rbegin(); p != definition.plain.rend(); ++p)
    sql.replace(p->begin, p->end - p->begin, "NULL");
  return sql;
}

}  // namespace

struct RowStage::Impl {
  QueryScope lookups;  // these outlive the connection
  BatchTable table;
  std::unique_ptr<Connection> connection;
  Statement statement;
  std::size_t groups = 0;
  std::vector<Cell> cells;
  std::vector<std::uint32_t> worked_out;  // the columns that SQL gives; of the others, the slots of their fields:
  std::vector<std::pair<std::uint32_t, std::uint32_t>> plain;
  bool several_rows = false;
  RecordRows rows;  // of the record at hand, where it may give several
};

RowStage::RowStage(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
RowStage::~RowStage() = default;

SqlResult<std::unique_ptr<RowStage>> RowStage::prepare(const Definition& definition, FieldSet& fields,
                                                       const LookedUp& lookups) {
  CHECK(lookups.size() == definition.lookups.size());
  auto impl = std::make_unique<Impl>();
  for (const std::string& field : definition.fields) impl->table.slots.push_back(fields.add(field));
  impl->table.columns = static_cast<std::uint32_t>(definition.fields.size());
  auto connection = Connection::open();
  if (auto* error = std::get_if<SqlError>(&connection)) return *error;
  impl->connection = std::move(std::get<0>(connection));
  impl->lookups.rows_visited_max = kLookupRowsMax;
  if (!lookups.empty()) impl->table.lookups = &impl->lookups;
  auto prepared = prepare_row_statement(*impl->connection, impl->table, without_plain_columns(definition), lookups);
  if (auto* error = std::get_if<PrepareError>(&prepared)) return SqlError{"invalid_view", error->message};
  impl->statement = std::move(std::get<Statement>(prepared));
  impl->groups = definition.groups.size();
  impl->several_rows = definition.several_rows;
  auto columns = static_cast<std::size_t>(sqlite3_column_count(impl->statement.get()));
  CHECK(columns >= impl->groups + definition.arguments);
  impl->cells.resize(impl->groups + definition.arguments);
  for (const PlainColumn& p : definition.plain) impl->plain.emplace_back(p.column, impl->table.slots[p.field]);
  for (std::uint32_t i = 0; i < impl->cells.size(); ++i) {
    const auto is_it = [&](const auto& p) { return p.first == i; };
    if (std::none_of(impl->plain.begin(), impl->plain.end(), is_it)) impl->worked_out.push_back(i);
  }
  return std::unique_ptr<RowStage>(new RowStage(std::move(impl)));
}

void RowStage::look_in(const Snapshot& snapshot) {
  impl_->lookups.snapshot = &snapshot;
}

Result<void> RowStage::run(const ParsedBatch& batch, RowSink& sink) {
  return run(batch, 0, batch.size(), sink);
}

Result<void> RowStage::run(const ParsedBatch& batch, std::uint32_t first, std::uint32_t count, RowSink& sink) {
  BatchTable& table = impl_->table;
  for (std::uint32_t slot : table.slots) CHECK(slot < batch.fields().size());
  CHECK(first + count <= batch.size());
  CHECK(table.lookups == nullptr || table.lookups->snapshot != nullptr);
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
      for (const auto& [i, slot] : impl_->plain) {
        const Cell& cell = batch.cell(table.current, slot);
        cells[i] = cell.type() == CellType::json ? Cell::text(cell.text()) : canonical(cell);
      }
      for (const std::uint32_t i : impl_->worked_out) {
        // One call a column; without mutexes an "unprotected" value is like any other.
        sqlite3_value* value = sqlite3_column_value(statement, static_cast<int>(i));
        cells[i] = canonical(cell_of(value));
        blob = blob || sqlite3_value_type(value) == SQLITE_BLOB;
      }
      if (impl_->several_rows) {
        if (!impl_->rows.are_of(table.current)) {
          impl_->rows.flush(batch, impl_->groups, sink);
          impl_->rows.begin(table.current);
        }
        impl_->rows.add(cells, blob);
      } else if (blob) {
        sink.failed(table.current, kBlob);
      } else {
        sink.row(table.current, Order{batch.record(table.current).sequence.value(), 0}, groups, arguments);
      }
    }
    if (rc != SQLITE_DONE && impl_->rows.are_of(table.current)) impl_->rows.drop();  // it fails as a whole
    impl_->rows.flush(batch, impl_->groups, sink);
    if (rc == SQLITE_DONE) {
      sqlite3_reset(statement);
      break;
    }
    std::string reason = impl_->connection->error();
    sqlite3_reset(statement);
    if (impl_->lookups.error) return std::exchange(impl_->lookups.error, {});
    if (rc == SQLITE_ABORT)
      reason = "more than " + std::to_string(kLookupRowsMax) + " rows of a view that is looked up were read for it";
    if ((rc & 0xff) == SQLITE_NOMEM || table.current >= table.end)
      return ErrorCode(ENOMEM, boost::system::generic_category());
    sink.failed(table.current, reason);
    table.first = table.current + 1;  // on with the next record
  }
  table.batch = nullptr;
  return {};
}

}  // namespace tidemill::views
