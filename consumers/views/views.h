#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/position.h"
#include "storage/base/result.h"
#include "storage/base/time.h"
#include "storage/seam/env.h"

namespace tidemill {

class Engine;
class Stream;

namespace views {

// JSON text that an answer shows as JSON and SQL sees as text (a collected list).
struct Json {
  std::string text;
  bool operator==(const Json&) const = default;
};
using Value = std::variant<std::monostate, std::int64_t, double, std::string, Json>;
using Row = std::vector<Value>;

struct Column {
  std::string name;
  std::string type;  // integer, real, text, json, any
  bool key = false;  // part of the group key
};

// What an answer was true of. `time` is when the last record up to it was appended that could be read.
struct AsOf {
  Position position;
  WallTime time{};
  std::string token;
};

struct ViewInfo {
  std::string name;
  std::string stream;
  std::string source;  // as it was given: the text, or builtin:NAME
  std::string sql;     // the definition as given
  std::vector<Column> columns;
  std::size_t key_columns = 0;  // how many of the GROUP BY terms make the key, in order
  Position applied;             // readers see everything up to here
  Position persisted;           // a crash now would fall back to here
  Sequence since{1};            // it counts records from here on; above 1: retention had removed those before
  std::uint64_t rows = 0;
  std::uint64_t parked = 0;  // records in quarantine
  bool ready = true;         // has again applied what it had shown before the last stop
};

// A view whose definition is kept and that could not be opened at the start: it has no rows until it is dropped and
// created again, or the cause is gone and the server started again.
struct FailedView {
  std::string name;
  std::string cause;  // a sentence
};

// How the store of all views is.
struct StoreStatus {
  std::uint64_t memtable_bytes = 0;   // written, and not yet in a file
  std::uint64_t live_data_bytes = 0;  // estimated: what the files would be if nothing in them were superseded
  std::uint64_t file_bytes = 0;       // of all files, also of those that only a reader holds
  std::uint64_t pending_compaction_bytes = 0;
  std::uint64_t block_cache_bytes = 0;  // memtables are counted in it
  std::uint64_t block_cache_capacity_bytes = 0;
  std::uint64_t running_compactions = 0;
  std::uint64_t running_flushes = 0;
  std::uint64_t background_errors = 0;  // of flushes and compactions, since the start
  std::uint64_t snapshots = 0;          // that readers hold
  bool write_stopped = false;           // until flushes or compaction have caught up
  bool write_delayed = false;
};

struct RangeOptions {
  std::optional<std::string> prefix;  // of the first key column, text
  std::optional<Row> from;            // inclusive, a whole key or its first columns
  std::optional<Row> to;              // exclusive
  std::string cursor;                 // of an earlier answer; empty: from the beginning
  std::uint32_t limit = 100;
};
struct RangeResult {
  std::vector<Row> rows;
  std::string cursor;  // empty: no more
  AsOf as_of;
};

struct QueryLimits {
  std::uint64_t rows_max = 100'000;
  std::uint64_t bytes_max = 64u << 20;
  std::chrono::milliseconds time_max{5'000};
};
// Receives a result as it is made, on the thread that called query(). Returning false stops it.
class QuerySink {
 public:
  virtual ~QuerySink() = default;
  virtual bool columns(const std::vector<Column>& columns, const AsOf& as_of) = 0;
  virtual bool row(const Row& row) = 0;
};
struct QueryEnd {
  std::uint64_t rows = 0;
  bool truncated = false;  // a limit cut it
};

// An error that carries the sentence for the user: what is wrong, where, and what to write instead.
struct SqlError {
  std::string code;  // stable, from docs/errors.md
  std::string message;
};
template <class T>
using SqlResult = std::variant<T, SqlError>;

// All views of one server. Any thread; calls that say so block on RocksDB or SQLite and belong on a worker.
class Views {
 public:
  struct Options {
    std::string directory;                   // DATA/views
    std::uint64_t memory_bytes = 96u << 20;  // caches, memtables, resident rows together
  };
  static Result<std::unique_ptr<Views>> open(Env& env, Engine& engine, const Options& options);
  virtual ~Views() = default;

  // Definitions. Blocking; durable (system stream) when they return. `sql` is the SELECT, a whole CREATE MATERIALIZED
  // VIEW, or builtin:NAME.
  virtual SqlResult<ViewInfo> create(std::string_view name, std::string_view sql) = 0;
  virtual Result<bool> drop(std::string_view name) = 0;  // false: no such view
  virtual std::vector<ViewInfo> list() const = 0;
  virtual std::vector<FailedView> failed() const = 0;  // these are not in list()
  virtual std::optional<ViewInfo> find(std::string_view name) const = 0;
  virtual std::vector<std::string> reading(std::string_view stream) const = 0;  // names of the views over it

  // For retention, on env.background: lets records of the stream before `target` go, all or some, by calling `drop`
  // with where the log may begin. Not before a base has what the views have counted of them; one is made where it is
  // needed, meanwhile nothing goes. Else why not, a sentence for the operator.
  virtual std::string release(const Stream& stream, Sequence target, const std::function<void(Sequence)>& drop) = 0;

  // Reading rows: blocking (RocksDB, microseconds when cached). nullopt: no such view / no such row.
  struct GetResult {
    std::optional<Row> row;
    AsOf as_of;
  };
  virtual Result<std::optional<AsOf>> as_of(std::string_view view) = 0;
  virtual Result<std::optional<GetResult>> get(std::string_view view, const Row& key) = 0;
  virtual Result<std::optional<RangeResult>> range(std::string_view view, const RangeOptions& options) = 0;

  // Read-only SQL over all views, one consistent snapshot. Blocking; a few at a time, others wait their turn.
  virtual SqlResult<QueryEnd> query(std::string_view sql, const Row& params, const QueryLimits& limits,
                                    QuerySink& sink) = 0;

  // Calls `then` once the view shows `position` (perhaps at once, on this thread, else on the view's), or never: the
  // caller has its own timer, and drops the handle to take the request back.
  virtual std::shared_ptr<void> when_applied(std::string_view view, Position position, std::function<void()> then) = 0;
  // Every view has again applied what it had last shown (DESIGN: a row once shown is never shown older).
  virtual bool ready() const = 0;

  // Makes the view anew from the log beside the live one, at the live checkpoint, and compares bytes. Blocking, long.
  struct Difference {
    std::string key;
    std::string live;
    std::string rebuilt;
  };
  virtual Result<std::vector<Difference>> rebuild_and_compare(std::string_view view) = 0;

  virtual StoreStatus store() const = 0;

  virtual Result<void> close() = 0;  // flushes all
};

}  // namespace views
}  // namespace tidemill
