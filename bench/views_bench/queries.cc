// Reading beside RocksDB itself, over one view: a row by key in SQL, prepared, beside a get; count(*) and sum(x) over
// all rows beside an iterator. One thread; everything in the cache that has room there.
#include "consumers/views/query.h"

#include <algorithm>
#include <cstdio>

#include "bench/views_bench/bench.h"
#include "consumers/views/key.h"
#include "consumers/views/sqlite.h"
#include "consumers/views/upkeep.h"

namespace bench {
namespace {

class Source final : public QuerySource {
 public:
  Source(Database& database, std::shared_ptr<const View> view) : database_(database), view_(std::move(view)) {}
  Tables tables(std::string_view tenant) const override { return {std::string(tenant), 1, {view_}}; }
  std::unique_ptr<Snapshot> snapshot() const override { return database_.snapshot(); }
  Result<AsOf> as_of(const Snapshot& snapshot, std::string_view, const std::vector<std::string>&) const override {
    ASSIGN_OR_RETURN(const Checkpoint checkpoint, view_->checkpoint(snapshot));
    return AsOf{checkpoint.position, checkpoint.time, ""};
  }

 private:
  Database& database_;
  const std::shared_ptr<const View> view_;
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace

int queries(const Arguments& arguments) {
  const std::uint64_t keys = arguments.number("--keys", 1'000'000);
  const std::uint64_t reads = arguments.number("--reads", 50'000);
  Place place;
  configure_sqlite();
  FieldSet fields;
  auto database = must(Database::open(place.env, place.directory, 256 << 20));
  const auto definition = must(split(kRecordView));
  auto family = must(database->family("v"));
  auto upkeep = must(Upkeep::open(place.env, definition, *database, family, fields, 1 << 20));
  ParsedBatch parsed(fields, [](HashKey, Sequence) { return ShardId(0); });
  std::vector<std::string> texts(10'000);
  std::vector<Record> records;
  for (std::uint64_t n = 0; n < keys;) {
    records.clear();
    for (std::size_t i = 0; i < texts.size() && n < keys; ++i) {
      texts[i] = record_of(numbered_key(n), n % 1000);
      Record r;
      r.sequence = Sequence(++n);
      r.data = texts[i];
      records.push_back(r);
    }
    parsed.parse(records);
    must(upkeep->apply(parsed, Position::through(Sequence(n))));
  }
  must(database->flush(*family, true));
  const auto view = std::make_shared<View>(1, in_default("v"), "", definition, family);
  Source source(*database, view);
  QueryExecutor executor(source);

  std::uint64_t state = 1;
  const auto random_key = [&] {
    return numbered_key((state = state * 6'364'136'223'846'793'005 + 1'442'695'040'888'963'407) / 3 % keys);
  };
  const auto point_sql = [&] {
    auto cursor = must(executor.query(kDefaultTenant, "SELECT n, total FROM v WHERE id = ?", {random_key()}, {}));
    if (must(cursor->next(10)).size() != 1) stop("SQL finds no row");
  };
  const auto point_get = [&] {
    const std::string id = random_key();
    std::string group;
    encode_key(Cell::text(id), group);
    const std::string key = row_key(group);
    const std::string_view wanted = key;
    std::vector<std::optional<std::string>> found;
    must(database->get(*family, {&wanted, 1}, found));
    if (!found[0]) stop("the store has no row " + id);
  };
  const auto point_row = [&] {
    const auto snapshot = database->snapshot();
    if (!must(view->get(*snapshot, {random_key()}))) stop("a row is missing");
  };
  const auto scan_sql = [&] {
    auto cursor = must(executor.query(kDefaultTenant, "SELECT count(*), sum(total) FROM v", {},
                                      {.time_max = std::chrono::minutes(5)}));
    const auto rows = must(cursor->next(10));
    if (rows.size() != 1 || rows[0][0] != Value(static_cast<std::int64_t>(keys))) stop("rows are missing");
  };
  const auto scan_bare = [&] {
    const auto snapshot = database->snapshot();
    const auto cursor = snapshot->cursor(*family, row_key(""), "");
    std::uint64_t seen = 0, bytes = 0;
    for (cursor->seek(row_key("")); cursor->valid(); cursor->next()) {
      ++seen;
      bytes += cursor->value().size();
    }
    if (seen < keys || bytes == 0) stop("rows are missing");
  };
  const auto each = [&](const auto& read, std::uint64_t times) {
    const double begin = wall_seconds();
    for (std::uint64_t i = 0; i < times; ++i) read();
    return (wall_seconds() - begin) / static_cast<double>(times) * 1e6;
  };
  std::vector<double> sql, get, row, scan, bare;
  each(scan_bare, 1);
  for (int round = 0; round < 5; ++round) {
    get.push_back(each(point_get, reads));
    row.push_back(each(point_row, reads));
    sql.push_back(each(point_sql, reads));
    bare.push_back(each(scan_bare, 1));
    scan.push_back(each(scan_sql, 1));
  }
  std::printf(
      "{\"keys\":%llu,\"get_us\":%.2f,\"row_us\":%.2f,\"sql_us\":%.2f,\"iterator_rows_per_second\":%.0f,"
      "\"scan_rows_per_second\":%.0f}\n",
      static_cast<unsigned long long>(keys), median(get), median(row), median(sql),
      static_cast<double>(keys) * 1e6 / median(bare), static_cast<double>(keys) * 1e6 / median(scan));
  upkeep.reset();
  must(database->close());
  return 0;
}

}  // namespace bench
