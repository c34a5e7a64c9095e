#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/position.h"
#include "storage/base/ids.h"
#include "storage/base/result.h"
#include "storage/base/time.h"
#include "storage/log/record.h"
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

// A definition that is built from the log while another one is served, or before it has caught up for the first time.
struct Building {
  std::string source;  // empty: of the view that is served itself, which is new
  std::vector<Column> columns;
  Sequence from{1};  // it counts records from here on
  Sequence at{0};    // and has those up to here
  Sequence of{0};    // of which there are so many
  std::uint64_t rows = 0;
  std::uint64_t parked = 0;
};

// How many decisions have been made about records in its quarantine.
struct DecisionCounts {
  std::uint64_t skipped = 0;
  std::uint64_t redriven = 0;
  std::uint64_t edited = 0;
};

// Of a view whose rows go with time, WITH (ttl = ...) or WITH (window = ...).
struct ViewExpiry {
  std::string rule;           // in words
  WallTime stream_time{};     // the latest _time that was read; 1970 before the first record
  std::uint64_t expired = 0;  // rows that have gone, and whose bytes have
  std::uint64_t late = 0;     // records that came when their window's row had gone, and were dropped
};

struct ViewInfo {
  std::string tenant;
  std::string name;
  std::string stream;
  std::string source;  // as it was given: the text, or builtin:NAME
  std::string sql;     // the definition as given
  std::vector<Column> columns;
  std::size_t key_columns = 0;       // how many of the GROUP BY terms make the key, in order
  std::vector<std::string> lookups;  // views that it looks up; where there are any, a rebuild may give other rows
  Position applied;                  // readers see everything up to here
  Position persisted;                // a crash now would fall back to here
  Sequence since{1};                 // it counts records from here on; above 1: retention had removed those before
  std::uint64_t rows = 0;
  std::uint64_t parked = 0;  // records in quarantine
  DecisionCounts decided;
  std::optional<Sequence> lineage;     // records from here on are in its rows' lineage; nullopt: it keeps none
  std::uint64_t audited = 0;           // rows that were made again from the log, as a sample, since the start
  std::uint64_t audit_mismatches = 0;  // of them: not what the log gives
  WallTime audited_at{};               // 0: not since the start
  bool ready = true;                   // has again applied what it had shown before the last stop
  std::optional<Building> building;
  std::optional<ViewExpiry> expiry;  // nullopt: rows stay
};

// A view whose definition is kept and that could not be opened at the start: it has no rows until it is dropped and
// created again, or the cause is gone and the server started again.
struct FailedView {
  std::string tenant;
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

// Which records made a row. From which on, and how many.
struct WhyOptions {
  Sequence from{0};        // it and what is later, in order
  bool backwards = false;  // it and what is earlier, the last first
  std::uint32_t limit = 100;
};
struct WhyRecord {
  Sequence sequence;
  WallTime time{};
  ShardId shard{0};
  std::string key;
  std::string data;  // as it lies in the log
  ContentType content = ContentType::json;
  std::string missing;                // a sentence: why there is nothing of these; empty: they are there
  std::optional<std::string> edited;  // what a decision lets it count as
};
struct WhyResult {
  Row row;
  Sequence first{0}, last{0};       // of its records
  std::uint64_t count = 0;          // how many it has
  std::optional<Sequence> lineage;  // records from here on are known; nullopt: the view keeps none
  std::vector<WhyRecord> records;
  std::optional<Sequence> next;  // where to read on; none: that was all
};

// A row as it was when the log had got to a record, or to the last one that had arrived by a time.
struct PastOptions {
  std::variant<Sequence, WallTime> at;
  std::chrono::milliseconds time_max{5'000};  // for all of the work
  std::function<bool()> cancelled;            // asked now and then while it works, on its thread; true ends it
};
// Why a row cannot be told as it was.
struct PastRefusal {
  std::string code;               // stable, from docs/errors.md; but "sql_timeout" and "cancelled"
  std::string message;            // a sentence; empty: the code says it all
  std::optional<Sequence> first;  // from here on it can be told
};

// A record that a view could not count (docs/views.md): what it was, and why.
struct QuarantinedRecord {
  Sequence sequence;
  WallTime time{};
  std::string key;
  std::string data;
  std::string reason;  // a sentence
};
struct QuarantineResult {
  std::vector<QuarantinedRecord> records;  // in order of sequence
  std::optional<Sequence> next;            // where to read on; none: that was all
  std::uint64_t count = 0;                 // in the view's whole quarantine
  AsOf as_of;
};

// What is to become of records in quarantine.
struct DecisionRequest {
  enum class What { skip, redrive, edit };
  What what = What::skip;
  std::optional<Sequence> sequence;   // of this one, else:
  std::optional<std::string> reason;  // of all whose reason begins so; nullopt: of all
  Sequence from{1};                   // from here on,
  std::uint32_t limit = 1'000;        // so many at most
  std::string data;                   // edit, of one only: the JSON object that it counts as
  bool dry_run = false;
};
struct DecisionResult {
  std::vector<Sequence> decided;                       // leave quarantine (a dry run: would)
  std::vector<std::pair<Sequence, std::string>> kept;  // still cannot be counted, and why
  std::optional<Sequence> next;                        // more may be meant: where to go on
  struct Change {
    std::optional<Row> before, after;
  };
  std::vector<Change> changes;  // of a dry run: the rows that would change, at most 100
  std::uint64_t change_count = 0;
  bool applied = true;      // false: they are kept, and take effect when the store takes writes again
  std::uint64_t count = 0;  // left in quarantine
  AsOf as_of;
};

// Rows and bytes cut a result. Time is that of the work, not of whoever takes the rows: `time_max` for all of them cuts
// it too (an error where there was no row yet); where the result is `whole`, it is for each row by itself, and going
// over it is an error.
struct QueryLimits {
  std::uint64_t rows_max = 100'000;
  std::uint64_t bytes_max = 64u << 20;
  std::chrono::milliseconds time_max{5'000};
  bool whole = false;
  std::function<bool()> cancelled;  // asked now and then while it works, on its thread; true ends it ("cancelled")
};

// An error that carries the sentence for the user: what is wrong, where, and what to write instead.
struct SqlError {
  std::string code;  // stable, from docs/errors.md
  std::string message;
};
template <class T>
using SqlResult = std::variant<T, SqlError>;

// The views as they were at one moment, kept for SQL.
struct KeptPoint {
  struct View {
    std::string name, stream;
    Sequence sequence;  // of the last record that it had counted
  };
  std::uint64_t number = 0;  // from 1, never used again
  WallTime made{};           // what had been counted by then is in it
  std::vector<View> views;   // those that still have the definition that they had then
  std::uint64_t bytes = 0;   // of its files; other points, and the views of now, may have the same ones
};
struct HistoryStatus {
  std::chrono::milliseconds every{0};  // 0: no points are kept
  std::uint64_t keep = 0;
  std::vector<KeptPoint> points;  // the oldest first
  std::uint64_t bytes = 0;        // of files that are there for points only, as of the last look, a minute ago at most
  std::uint64_t failures = 0;     // points that could not be made, since the start
  std::string failed;             // why the last one was none, a sentence; empty: it went well
};

// A statement under way, whose rows are made as they are asked for. All of them are of one snapshot, which it holds
// until it goes: that keeps old versions of rows in the store. One thread at a time, not always the same. Must not
// outlive the Views. This is all that a front door needs of SQL.
class QueryCursor {
 public:
  virtual ~QueryCursor() = default;
  virtual const std::vector<Column>& columns() const = 0;
  virtual const AsOf& as_of() const = 0;
  // The next rows: at least one, at most `rows_max`, as many as a moment's work gives; good until the next call. Empty:
  // that was all. Blocks on the store.
  virtual SqlResult<std::span<const Row>> next(std::size_t rows_max) = 0;
  virtual bool truncated() const = 0;                         // a limit cut it
  virtual const KeptPoint* point() const { return nullptr; }  // that it reads; none: the views as they are
};

// What a definition gives over the last records of its stream, at most 1,000.
struct Trial {
  std::uint64_t records = 0;  // that were looked at
  Sequence first{0};
  Sequence last{0};
  std::uint64_t counted = 0;  // passed WHERE
  std::uint64_t late = 0;     // of those, dropped because their window's row has gone
  struct Field {
    std::string field;
    std::string nearest;  // what those records have instead, perhaps; empty: nothing like it
  };
  std::vector<Field> without_value;       // used by the definition, and in none of them
  std::vector<std::string> null_columns;  // NULL in every row
  std::uint64_t set_aside = 0;
  Sequence set_aside_first{0};
  std::string set_aside_reason;  // of the first
  std::vector<Row> sample;       // rows of these records alone, the first few by key
};

// What became of a definition, or of a view.
struct ViewChange {
  enum class Did {
    created,
    exists,     // IF NOT EXISTS, and it does
    unchanged,  // it has this definition
    building,   // this definition will take the place of the one that is served
    dropped,
    absent,  // IF EXISTS, and it does not
  };
  Did did = Did::unchanged;
  std::string statement;  // CREATE MATERIALIZED VIEW, ALTER MATERIALIZED VIEW, DROP MATERIALIZED VIEW
  std::string name;
  std::optional<ViewInfo> view;
  std::vector<std::string> warnings;  // sentences for who asked for it
  std::optional<Trial> trial;         // of a definition that is new
};

// How a definition is kept up, without making a view of it.
struct Explanation {
  std::string name;  // empty: of a bare SELECT
  std::string stream;
  bool exists = false;  // a view of that name
  std::vector<Column> columns;
  struct Group {
    std::string text;
    std::string column;  // the output column that shows it; the text where none does
    std::string type;
  };
  std::vector<Group> groups;  // none: one row over all records
  struct AggregateText {
    std::string text;
    std::string type;
  };
  std::vector<AggregateText> aggregates;
  std::vector<std::string> fields;  // of the records
  std::string row_statement;        // for each record: group terms, arguments and filters of the aggregates
  std::string final_statement;      // when a row is read; empty: groups and aggregates are shown as they stand
  std::string expiry;               // in words; empty: rows stay
  struct LookupText {
    std::string view;
    std::string alias;
    bool optional = false;  // a record that finds nothing counts all the same
    std::string text;       // how it is read, in words
  };
  std::vector<LookupText> lookups;  // some: a rebuild may give other rows
  std::vector<std::string> warnings;
  Trial trial;
};
using StatementResult = std::variant<ViewChange, Explanation>;

class Watch;  // watch.h

// The views of one tenant, over its streams: a door that has this in hand can neither see nor name another's. Any
// thread; calls that say so block on RocksDB or SQLite and belong on a worker. Must not outlive AllViews.
class Views {
 public:
  virtual ~Views() = default;

  // Definitions. Blocking; durable (system stream) when they return. `sql` is the SELECT, a whole CREATE MATERIALIZED
  // VIEW, or builtin:NAME.
  virtual SqlResult<ViewInfo> create(std::string_view name, std::string_view sql) = 0;
  virtual SqlResult<bool> drop(std::string_view name) = 0;  // false: no such view
  // The same as the statement says it, or, where `sql` does not say what becomes of a view that is there: with another
  // definition, this one takes its place.
  virtual SqlResult<ViewChange> define(std::string_view name, std::string_view sql) = 0;
  // CREATE, ALTER and DROP of views, and EXPLAIN of definitions. nullopt: it is none of these, but a question.
  virtual std::optional<SqlResult<StatementResult>> run(std::string_view sql) = 0;
  // Whether run() would change what views there are. Does not block.
  static bool is_change(std::string_view sql);
  virtual std::vector<ViewInfo> list() const = 0;
  virtual std::vector<FailedView> failed() const = 0;  // these are not in list()
  virtual std::optional<ViewInfo> find(std::string_view name) const = 0;
  virtual std::vector<std::string> reading(std::string_view stream) const = 0;  // names of the views over it

  // Reading rows: blocking (RocksDB, microseconds when cached). nullopt: no such view / no such row.
  struct GetResult {
    std::optional<Row> row;
    AsOf as_of;
  };
  virtual Result<std::optional<AsOf>> as_of(std::string_view view) = 0;
  virtual Result<std::optional<GetResult>> get(std::string_view view, const Row& key) = 0;
  // The same where it takes a moment: nothing is read from disk, nor much from memory. Else EAGAIN.
  virtual Result<std::optional<GetResult>> get_in_memory(std::string_view view, const Row& key) = 0;
  virtual Result<std::optional<RangeResult>> range(std::string_view view, const RangeOptions& options) = 0;

  // A row as it was: made again of its records up to then, exactly, or not at all. Blocks on the log. nullopt: no such
  // view.
  struct PastResult {
    std::optional<Row> row;  // nullopt: there was none
    AsOf as_of;              // what was asked for; where it is refused, how far the view is
    std::optional<PastRefusal> refused;
  };
  virtual Result<std::optional<PastResult>> get_at(std::string_view view, const Row& key,
                                                   const PastOptions& options) = 0;

  // The records that made a row, read from the log. Blocks on it. `why` is nullopt: no such row.
  struct WhyAnswer {
    std::optional<WhyResult> why;
    AsOf as_of;
  };
  virtual Result<std::optional<WhyAnswer>> why(std::string_view view, const Row& key, const WhyOptions& options) = 0;

  // What is set aside from this sequence on; fewer than `limit` where they are large.
  virtual Result<std::optional<QuarantineResult>> quarantine(std::string_view view, Sequence from,
                                                             std::uint32_t limit) = 0;

  // Durable (system stream) when it returns, seen by readers, and kept by rebuilds and later definitions; dry runs
  // change nothing. Blocking.
  virtual SqlResult<DecisionResult> decide(std::string_view view, const DecisionRequest& request) = 0;

  // Read-only SQL over all views, one consistent snapshot. Blocking. An error in the statement itself is found here.
  virtual SqlResult<std::unique_ptr<QueryCursor>> query(std::string_view sql, const Row& params,
                                                        const QueryLimits& limits) = 0;
  // The same over the newest kept point that had come no further, in records or in time, and has all views that the
  // statement names. Besides query()'s errors: at_ahead, history_gone, not_supported, throttled.
  using At = std::variant<Sequence, WallTime>;
  virtual SqlResult<std::unique_ptr<QueryCursor>> query_at(std::string_view sql, const Row& params,
                                                           const QueryLimits& limits, const At& at) = 0;
  virtual HistoryStatus history() const = 0;  // with this tenant's views only; does not block

  // Calls `then` once the view shows `position` (perhaps at once, on this thread, else on the view's), or never: the
  // caller has its own timer, and drops the handle to take the request back.
  virtual std::shared_ptr<void> when_applied(std::string_view view, Position position, std::function<void()> then) = 0;
  // Of a view as it changes. nullptr: there is none of that name. Not before it is ready. Does not block.
  virtual std::shared_ptr<Watch> watch(std::string_view view) = 0;

  // Every view of the tenant has again applied what it had last shown (DESIGN: a row once shown is never shown older).
  virtual bool ready() const = 0;

  // Makes the view anew from the log beside the live one, at the live checkpoint, and compares bytes. Blocking, long.
  struct Difference {
    std::string key;
    std::string live;
    std::string rebuilt;
  };
  virtual Result<std::vector<Difference>> rebuild_and_compare(std::string_view view) = 0;
};

// The views of all tenants: one store, one owner. Any thread.
class AllViews {
 public:
  struct Options {
    std::string directory;                   // DATA/views
    std::uint64_t memory_bytes = 96u << 20;  // caches, memtables, resident rows together
    // Where definitions are built that are new, or take the place of another: best a thread of its own, so that groups
    // keep theirs. nullptr: env.background.
    Executor* builds = nullptr;
    // How often a sample of one view, each in its turn, is made again from the log and compared; there, too. 0: never.
    std::chrono::milliseconds audit{0};
    // How often the views are kept as they are, for SQL about the past, and how many such points there are. 0: none.
    std::chrono::milliseconds history_every{0};
    std::uint64_t history_keep = 24;
  };
  static Result<std::unique_ptr<AllViews>> open(Env& env, Engine& engine, const Options& options);
  virtual ~AllViews() = default;

  // Those of one tenant, also where it has none yet. Does not block.
  virtual std::shared_ptr<Views> of(std::string_view tenant) = 0;

  // For who looks after the instance: by tenant and name.
  virtual std::vector<ViewInfo> list() const = 0;
  virtual std::vector<FailedView> failed() const = 0;  // these are not in list()
  virtual bool ready() const = 0;                      // of every tenant
  virtual HistoryStatus history() const = 0;           // does not block
  virtual StoreStatus store() const = 0;

  // For retention, on env.background: lets records of the stream before `target` go, all or some, by calling `drop`
  // with where the log may begin. Not before a base has what the views have counted of them; one is made where it is
  // needed, meanwhile nothing goes. Else why not, a sentence for the operator.
  virtual std::string release(const Stream& stream, Sequence target, const std::function<void(Sequence)>& drop) = 0;

  virtual Result<void> close() = 0;  // flushes all
};

}  // namespace views
}  // namespace tidemill
