// What the workloads of views_bench share. Each is a process of its own, so that its memory and its processor time are
// its own; each prints one JSON object.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "consumers/views/database.h"
#include "consumers/views/views.h"
#include "storage/base/logger.h"
#include "storage/seam/clock.h"
#include "storage/seam/posix_file_system.h"
#include "storage/seam/random.h"
#include "storage/seam/thread_executor.h"

namespace bench {

using namespace tidemill;
using namespace tidemill::views;

double cpu_seconds();   // of the whole process, RocksDB's threads included
double wall_seconds();  // since some moment
double peak_mib();      // resident

[[noreturn]] void stop(const std::string& why);

template <class T>
T must(SqlResult<T> result) {
  if (auto* error = std::get_if<SqlError>(&result)) stop(error->message);
  return std::move(std::get<0>(result));
}
template <class T>
T must(Result<T> result) {
  if (!result) stop(result.error().message());
  return std::move(*result);
}
inline void must(const Result<void>& result) {
  if (!result) stop(result.error().message());
}

// NAME VALUE pairs and words without a dash.
struct Arguments {
  Arguments(int argc, char** argv);
  std::uint64_t number(std::string_view name, std::uint64_t otherwise) const;
  bool has(std::string_view name) const;
  std::string word(std::size_t index) const;  // empty: there is none

 private:
  std::vector<std::string> all_;
};

// A directory that goes with it, and what views need of the machine.
struct Place {
  Place();
  ~Place();
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

  std::string directory;
  PosixFileSystem files;
  ThreadExecutor background{"background", 1};
  Env env{files, system_clock(), system_random(), background, background, null_logger()};
};

std::vector<std::string> lines_of(const std::string& file, const Arguments& arguments);  // --shuffle SEED

// Zipf over 1 to n, exponent 1: rank r comes about 1/r as often as the first. By rejection-inversion (Hörmann and
// Derflinger 1996), so it needs no table.
class Zipf {
 public:
  Zipf(std::uint64_t n, std::uint64_t seed);
  std::uint64_t next();

 private:
  double uniform();
  std::uint64_t n_, state_;
  double low_, high_;
};

// Of the workloads with keys of their own: k and fifteen digits, and a record of it, of about 100 bytes.
std::string numbered_key(std::uint64_t n);
std::string record_of(const std::string& key, std::uint64_t x);
inline constexpr const char* kRecordText = "the quick brown fox jumps over the lazy dog and back";
// What is kept of them.
inline constexpr const char* kRecordView =
    "CREATE MATERIALIZED VIEW v AS SELECT id, count(*) AS n, sum(x) AS total, last(text) AS text FROM s GROUP BY id";

int upkeep(const Arguments& arguments);
int by_hand(const Arguments& arguments);
int zipf(const Arguments& arguments);
int zipf_bare(const Arguments& arguments);
int queries(const Arguments& arguments);

}  // namespace bench
