// A view of many keys under Zipf's law beside a bare RocksDB that does one get and one put for each record: rows of
// about 100 bytes, all keys there before the clock starts. Both have 112 MiB for blocks and memtables; the view has 48
// more for rows that are hot.
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>

#include <cstdio>

#include "bench/views_bench/bench.h"
#include "consumers/views/sqlite.h"
#include "consumers/views/upkeep.h"

namespace bench {
namespace {

constexpr std::uint64_t kMemory = 112u << 20;
constexpr std::size_t kBatch = 10'000;

// Keys that are near in rank are not near in the store.
std::string key_of(std::uint64_t rank, std::uint64_t keys) {
  return numbered_key(rank * 7'368'787 % keys);
}

void print(double records, double cpu, double wall, std::uint64_t keys, const std::string& more) {
  std::printf(
      "{\"keys\":%llu,\"records\":%.0f,\"records_per_second\":%.0f,\"records_per_cpu_second\":%.0f,"
      "\"peak_mib\":%.0f%s}\n",
      static_cast<unsigned long long>(keys), records, records / wall, records / cpu, peak_mib(), more.c_str());
}

}  // namespace

int zipf(const Arguments& arguments) {
  const std::uint64_t keys = arguments.number("--keys", 10'000'000);
  const std::uint64_t wanted = arguments.number("--records", 2'000'000);
  Place place;
  configure_sqlite();
  FieldSet fields;
  auto database = must(Database::open(place.env, place.directory, kMemory));
  const auto definition = must(split(kRecordView));
  auto view = must(Upkeep::open(place.env, definition, *database, must(database->family("v")), fields, 48 << 20));
  ParsedBatch parsed(fields, [](HashKey, Sequence) { return ShardId(0); });
  std::vector<std::string> texts(kBatch);
  std::vector<Record> records;
  std::uint64_t sequence = 0;
  const auto add = [&](auto&& key_number, std::uint64_t count) {
    for (std::uint64_t done = 0; done < count;) {
      records.clear();
      for (std::size_t i = 0; i < kBatch && done < count; ++i, ++done) {
        texts[i] = record_of(key_number(done), done % 1000);
        Record r;
        r.sequence = Sequence(++sequence);
        r.data = texts[i];
        records.push_back(r);
      }
      parsed.parse(records);
      must(view->apply(parsed, Position::through(Sequence(sequence))));
    }
  };
  add(numbered_key, keys);
  must(database->flush(*view->family(), true));
  Zipf ranks(keys, 1);
  const double cpu = cpu_seconds();
  const double wall = wall_seconds();
  add([&](std::uint64_t) { return key_of(ranks.next(), keys); }, wanted);
  const double cpu_taken = cpu_seconds() - cpu;
  const double wall_taken = wall_seconds() - wall;
  print(static_cast<double>(wanted), cpu_taken, wall_taken, keys,
        ",\"rows\":" + std::to_string(view->checkpoint().rows));
  view.reset();
  must(database->close());
  return 0;
}

int zipf_bare(const Arguments& arguments) {
  const std::uint64_t keys = arguments.number("--keys", 10'000'000);
  const std::uint64_t wanted = arguments.number("--records", 2'000'000);
  Place place;
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(kMemory, 2);  // as the views' (consumers/views/database.cc)
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  table.cache_index_and_filter_blocks = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  rocksdb::Options options;
  options.create_if_missing = true;
  options.compression = rocksdb::kLZ4Compression;
  options.write_buffer_manager = std::make_shared<rocksdb::WriteBufferManager>(kMemory / 2, table.block_cache);
  options.write_buffer_size = kMemory / 6;
  options.max_write_buffer_number = 3;
  options.target_file_size_base = 32 << 20;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  options.max_background_jobs = 2;
  options.max_open_files = 256;
  rocksdb::DB* opened = nullptr;
  if (!rocksdb::DB::Open(options, place.directory + "/bare", &opened).ok()) stop("cannot open a database");
  const std::unique_ptr<rocksdb::DB> db(opened);
  rocksdb::WriteOptions write;
  write.disableWAL = true;
  std::string value = std::string(16, '\0') + kRecordText + std::string(16, '\0');
  const auto put = [&](const std::string& key) {
    if (!db->Put(write, key, value).ok()) stop("a put failed");
  };
  for (std::uint64_t n = 0; n < keys; ++n) {
    put(numbered_key(n));
  }
  if (!db->Flush(rocksdb::FlushOptions()).ok()) stop("a flush failed");
  Zipf ranks(keys, 1);
  const double cpu = cpu_seconds();
  const double wall = wall_seconds();
  for (std::uint64_t i = 0; i < wanted; ++i) {
    const std::string key = key_of(ranks.next(), keys);
    if (!db->Get(rocksdb::ReadOptions(), key, &value).ok()) stop("a key is missing");
    ++value[0];
    put(key);
  }
  const double cpu_taken = cpu_seconds() - cpu;
  const double wall_taken = wall_seconds() - wall;
  print(static_cast<double>(wanted), cpu_taken, wall_taken, keys, "");
  return 0;
}

}  // namespace bench
