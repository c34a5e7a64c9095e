// How many records per CPU second the two built-in views take, together: parse, row stage, fold, merge, RocksDB.
//
//   views_bench FILE.ndjson [--shuffle SEED] [--batch N] [--repeat N]
//
// FILE: retail records, one JSON object a line (bench/run makes it). Workloads: file order, and shuffled. The log is
// not part of it: records lie in memory. Floor beside it: the same batches only parsed. CPU seconds are the whole
// process', RocksDB's flushes included. Prints one JSON object.
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "consumers/views/database.h"
#include "consumers/views/sqlite.h"
#include "consumers/views/upkeep.h"
#include "storage/base/logger.h"
#include "storage/seam/clock.h"
#include "storage/seam/posix_file_system.h"
#include "storage/seam/random.h"
#include "storage/seam/thread_executor.h"

namespace {

using namespace tidemill;
using namespace tidemill::views;

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

[[noreturn]] void stop(const std::string& why) {
  std::fprintf(stderr, "views_bench: %s\n", why.c_str());
  std::exit(2);
}

template <class T>
T must(SqlResult<T> result) {
  if (auto* error = std::get_if<SqlError>(&result)) stop(error->message);
  return std::move(std::get<0>(result));
}

}  // namespace

int main(int argc, char** argv) {
  std::string file;
  std::size_t batch = 10'000;
  std::size_t repeat = 1;
  std::optional<unsigned> seed;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--shuffle" && i + 1 < argc) {
      seed = static_cast<unsigned>(std::strtoul(argv[++i], nullptr, 10));
    } else if (argument == "--batch" && i + 1 < argc) {
      batch = std::strtoul(argv[++i], nullptr, 10);
    } else if (argument == "--repeat" && i + 1 < argc) {
      repeat = std::strtoul(argv[++i], nullptr, 10);
    } else {
      file = argument;
    }
  }
  std::ifstream in(file, std::ios::binary);
  if (!in || batch == 0) stop("usage: views_bench FILE.ndjson [--shuffle SEED] [--batch N] [--repeat N]");
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) {
    if (!line.empty()) lines.push_back(std::move(line));
  }
  if (seed) std::shuffle(lines.begin(), lines.end(), std::mt19937(*seed));

  PosixFileSystem files;
  ThreadExecutor background{"background", 1};
  Env env{files, system_clock(), system_random(), background, background, null_logger()};
  configure_sqlite();
  const std::string directory =
      (std::filesystem::temp_directory_path() / ("views_bench-" + std::to_string(system_random().next()))).string();

  FieldSet fields;
  auto opened = Database::open(env, directory, 64 << 20);
  if (!opened) stop("cannot open a database in " + directory);
  std::vector<std::unique_ptr<Upkeep>> views;
  for (const char* name : {"customers", "invoices"}) {
    const auto definition = must(split(*builtin_sql(name)));
    auto family = (*opened)->family(name);
    if (!family) stop("cannot make a family");
    views.push_back(must(Upkeep::open(env, definition, **opened, *family, fields, 16 << 20)));
  }
  ParsedBatch parsed(fields, [](HashKey, Sequence) { return ShardId(0); });

  const double floor_begin = cpu_seconds();
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
  for (std::size_t i = 0; i < lines.size(); i += batch) cut(i);
  const double parse_cpu = cpu_seconds() - floor_begin;

  sequence = 0;
  const double begin = cpu_seconds();
  const auto wall = std::chrono::steady_clock::now();
  for (std::size_t n = 0; n < repeat; ++n) {
    for (std::size_t i = 0; i < lines.size(); i += batch) {
      cut(i);
      for (auto& view : views) {
        if (!view->apply(parsed, Position::through(Sequence(sequence)))) stop("a write failed");
      }
    }
  }
  for (auto& view : views) {
    if (!(*opened)->flush(*view->family(), true)) stop("a flush failed");
  }
  const double cpu = cpu_seconds() - begin;
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - wall).count();
  const double done = static_cast<double>(lines.size() * repeat);
  std::printf(
      "{\"records\":%.0f,\"batch\":%zu,\"shuffled\":%s,\"records_per_cpu_second\":%.0f,\"records_per_second\":%.0f,"
      "\"parse_only_per_cpu_second\":%.0f,\"customers\":%llu,\"invoices\":%llu}\n",
      done, batch, seed ? "true" : "false", done / cpu, done / seconds, static_cast<double>(lines.size()) / parse_cpu,
      static_cast<unsigned long long>(views[0]->checkpoint().rows),
      static_cast<unsigned long long>(views[1]->checkpoint().rows));
  views.clear();
  (void)(*opened)->close();
  opened->reset();
  std::filesystem::remove_all(directory);
  return 0;
}
