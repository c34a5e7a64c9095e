// How many records per CPU second the two built-in views take, together: parse, row stage, fold, merge, RocksDB.
//
// FILE: retail records, one JSON object a line (bench/run makes it). Workloads: file order, and shuffled. The log is
// not part of it: records lie in memory. Floors beside it: the same batches only parsed, and by_hand.cc. CPU seconds
// are the whole process', RocksDB's flushes included.
#include "consumers/views/upkeep.h"

#include <algorithm>
#include <cstdio>

#include "bench/views_bench/bench.h"
#include "consumers/views/sqlite.h"

namespace bench {

int upkeep(const Arguments& arguments) {
  const std::size_t batch = std::max<std::uint64_t>(arguments.number("--batch", 10'000), 1);
  const std::size_t repeat = arguments.number("--repeat", 1);
  const auto lines = lines_of(arguments.word(0), arguments);

  Place place;
  configure_sqlite();
  FieldSet fields;
  auto database = must(Database::open(place.env, place.directory, 64 << 20));
  std::vector<std::unique_ptr<Upkeep>> views;
  for (const char* name : {"customers", "invoices"}) {
    const auto definition = must(split(*builtin_sql(name)));
    views.push_back(
        must(Upkeep::open(place.env, definition, *database, must(database->family(name)), fields, 16 << 20)));
  }
  ParsedBatch parsed(fields, [](HashKey, Sequence) { return ShardId(0); });

  std::vector<Record> records;
  std::uint64_t sequence = 0;
  const auto cut = [&](std::size_t first) {
    records.clear();
    for (std::size_t i = first; i < std::min(first + batch, lines.size()); ++i) {
      Record r;
      r.sequence = Sequence(++sequence);
      r.data = lines[i];
      records.push_back(r);
    }
    parsed.parse(records);
  };
  const double floor_begin = cpu_seconds();
  for (std::size_t i = 0; i < lines.size(); i += batch) cut(i);
  const double parse_cpu = cpu_seconds() - floor_begin;

  sequence = 0;
  const double begin = cpu_seconds();
  const double wall = wall_seconds();
  for (std::size_t n = 0; n < repeat; ++n) {
    for (std::size_t i = 0; i < lines.size(); i += batch) {
      cut(i);
      for (auto& view : views) must(view->apply(parsed, Position::through(Sequence(sequence))));
    }
  }
  for (auto& view : views) must(database->flush(*view->family(), true));
  const double cpu = cpu_seconds() - begin;
  const double seconds = wall_seconds() - wall;
  const auto done = static_cast<double>(lines.size() * repeat);
  std::printf(
      "{\"records\":%.0f,\"batch\":%zu,\"shuffled\":%s,\"records_per_cpu_second\":%.0f,\"records_per_second\":%.0f,"
      "\"parse_only_per_cpu_second\":%.0f,\"customers\":%llu,\"invoices\":%llu}\n",
      done, batch, arguments.has("--shuffle") ? "true" : "false", done / cpu, done / seconds,
      static_cast<double>(lines.size()) / parse_cpu, static_cast<unsigned long long>(views[0]->checkpoint().rows),
      static_cast<unsigned long long>(views[1]->checkpoint().rows));
  views.clear();
  must(database->close());
  return 0;
}

}  // namespace bench
