#include "consumers/views/sqlite_cell.h"

#include <sqlite3.h>

namespace tidemill::views {

Cell cell_of(sqlite3_value* v) {
  switch (sqlite3_value_type(v)) {
    case SQLITE_INTEGER:
      return Cell::integer(sqlite3_value_int64(v));
    case SQLITE_FLOAT:
      return Cell::real(sqlite3_value_double(v));
    case SQLITE_NULL:
      return {};
    default: {
      const void* data = sqlite3_value_blob(v);
      return Cell::text({static_cast<const char*>(data), static_cast<std::size_t>(sqlite3_value_bytes(v))});
    }
  }
}

void bind_cell(sqlite3_stmt* statement, int index, const Cell& cell) {
  switch (cell.type()) {
    case CellType::null:
      sqlite3_bind_null(statement, index);
      break;
    case CellType::integer:
      sqlite3_bind_int64(statement, index, cell.integer());
      break;
    case CellType::real:
      sqlite3_bind_double(statement, index, cell.real());
      break;
    case CellType::text:
    case CellType::json:
      sqlite3_bind_text64(statement, index, cell.text().data(), cell.text().size(), SQLITE_STATIC, SQLITE_UTF8);
      break;
  }
}

void result_cell(sqlite3_context* context, const Cell& cell, TextIs text) {
  switch (cell.type()) {
    case CellType::null:
      sqlite3_result_null(context);
      break;
    case CellType::integer:
      sqlite3_result_int64(context, cell.integer());
      break;
    case CellType::real:
      sqlite3_result_double(context, cell.real());
      break;
    case CellType::text:
    case CellType::json:
      sqlite3_result_text64(context, cell.text().data(), cell.text().size(),
                            text == TextIs::kept ? SQLITE_STATIC : SQLITE_TRANSIENT, SQLITE_UTF8);
      if (cell.type() == CellType::json) sqlite3_result_subtype(context, kJsonSubtype);
      break;
  }
}

}  // namespace tidemill::views
