// What views cost, each beside the floor that the issue of it names. See the files beside this one.
#include "bench/views_bench/bench.h"

#include <malloc.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

namespace bench {

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double wall_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double peak_mib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

void stop(const std::string& why) {
  std::fprintf(stderr, "views_bench: %s\n", why.c_str());
  std::exit(2);
}

Arguments::Arguments(int argc, char** argv) : all_(argv, argv + argc) {}

std::uint64_t Arguments::number(std::string_view name, std::uint64_t otherwise) const {
  const auto found = std::find(all_.begin(), all_.end(), name);
  if (found == all_.end()) return otherwise;
  if (found + 1 == all_.end()) stop("a number must follow " + std::string(name));
  return std::strtoull((found + 1)->c_str(), nullptr, 10);
}

bool Arguments::has(std::string_view name) const {
  return std::find(all_.begin(), all_.end(), name) != all_.end();
}

std::string Arguments::word(std::size_t index) const {
  for (std::size_t i = 0; i < all_.size(); ++i) {
    if (all_[i].starts_with("--")) {
      ++i;
    } else if (index-- == 0) {
      return all_[i];
    }
  }
  return "";
}

Place::Place()
    : directory((std::filesystem::temp_directory_path() / ("views_bench-" + std::to_string(system_random().next())))
                    .string()) {
  std::filesystem::create_directory(directory);
}

Place::~Place() {
  std::error_code ignored;
  std::filesystem::remove_all(directory, ignored);
}

std::vector<std::string> lines_of(const std::string& file, const Arguments& arguments) {
  std::ifstream in(file, std::ios::binary);
  if (!in) stop("cannot read " + file);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) {
    if (!line.empty()) lines.push_back(std::move(line));
  }
  if (arguments.has("--shuffle")) {
    std::shuffle(lines.begin(), lines.end(), std::mt19937_64(arguments.number("--shuffle", 1)));
  }
  return lines;
}

Zipf::Zipf(std::uint64_t n, std::uint64_t seed)
    : n_(n), state_(seed), low_(std::log(1.5) - 1), high_(std::log(static_cast<double>(n) + 0.5)) {}

double Zipf::uniform() {  // splitmix64
  std::uint64_t z = (state_ += 0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

std::uint64_t Zipf::next() {
  for (;;) {
    const double u = high_ + uniform() * (low_ - high_);
    const double x = std::exp(u);
    const auto k = std::clamp<std::uint64_t>(static_cast<std::uint64_t>(x + 0.5), 1, n_);
    const auto rank = static_cast<double>(k);
    if (u >= std::log(rank + 0.5) - 1 / rank) return k;
  }
}

std::string numbered_key(std::uint64_t n) {
  char text[24];
  std::snprintf(text, sizeof text, "k%015llu", static_cast<unsigned long long>(n));
  return text;
}

std::string record_of(const std::string& key, std::uint64_t x) {
  return "{\"id\":\"" + key + "\",\"x\":" + std::to_string(x) + ",\"text\":\"" + kRecordText + "\"}";
}

}  // namespace bench

int main(int argc, char** argv) {
  using Workload = int (*)(const bench::Arguments&);
  const std::pair<std::string_view, Workload> workloads[] = {{"upkeep", bench::upkeep},
                                                             {"by-hand", bench::by_hand},
                                                             {"zipf", bench::zipf},
                                                             {"zipf-bare", bench::zipf_bare},
                                                             {"queries", bench::queries}};
  // As the server has it (tools/cli/serve/serve.cc).
  ::mallopt(M_ARENA_MAX, std::max(2, int(std::thread::hardware_concurrency())));
  ::mallopt(M_MMAP_THRESHOLD, 1 << 20);
  if (argc > 1) {
    for (const auto& [name, run] : workloads) {
      if (name == argv[1]) return run(bench::Arguments(argc - 2, argv + 2));
    }
  }
  std::fprintf(stderr,
               "usage: views_bench upkeep|by-hand FILE.ndjson [--shuffle SEED] [--batch N] [--repeat N]\n"
               "       views_bench zipf|zipf-bare [--keys N] [--records N]\n"
               "       views_bench queries [--keys N] [--reads N]\n");
  return 2;
}
