// campaigns NAME [--count N] [--seconds S] [--minutes M] [--first N] [--trial N [--log yes]]
// Looks for violations until so many states were tried or the time is over, on all cores, and prints one line.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <optional>
#include <thread>
#include <vector>

#include "tests/campaigns/campaign.h"
#include "tests/campaigns/print_logger.h"

namespace tidemill {
namespace {

bool print_log = false;

const std::vector<Campaign>& campaigns() {
  static const std::vector<Campaign> all{power_cut_campaign(),  bit_flip_campaign(), large_bit_flip_campaign(),
                                         truncation_campaign(), splice_campaign(),   call_fault_campaign(),
                                         simulation_campaign(), clock_campaign()};
  return all;
}

int usage() {
  std::fprintf(
      stderr,
      "usage: campaigns NAME [--count N] [--seconds S] [--minutes M] [--first TRIAL] [--trial N [--log yes]]\n");
  for (const Campaign& c : campaigns()) {
    std::fprintf(stderr, "  %-12s %s (%llu %s)\n", c.name, c.about, static_cast<unsigned long long>(c.count), c.unit);
  }
  return 2;
}

struct Wanted {
  std::uint64_t count = 0;
  std::uint64_t first = 1;
  std::optional<double> seconds;
  std::optional<std::uint64_t> only;
};

int run(const Campaign& campaign, const Wanted& wanted) {
  using Clock = std::chrono::steady_clock;
  const auto begin = Clock::now();
  const auto elapsed = [&] { return std::chrono::duration<double>(Clock::now() - begin).count(); };
  std::atomic<std::uint64_t> next{wanted.only.value_or(wanted.first)};
  std::atomic<std::uint64_t> counted{0}, trials{0};
  std::atomic<bool> over{false}, failed{false};
  const auto work = [&] {
    while (!over && !failed) {
      const std::uint64_t trial = next++;
      if (wanted.only && trial != *wanted.only) return;
      if (!wanted.only && !wanted.seconds && trial - wanted.first >= wanted.count) return;  // each counts one at least
      const std::string name = std::string(campaign.name) + ", trial " + std::to_string(trial);
      const ::testing::ScopedTrace trace(__FILE__, __LINE__, name);
      const std::uint64_t n = campaign.run(trial);
      if (n == 0) over = true;
      counted += n;
      ++trials;
      if (::testing::Test::HasFailure()) {
        failed = true;
        std::printf("%s failed; again: campaigns %s --trial %llu\n", name.c_str(), campaign.name,
                    static_cast<unsigned long long>(trial));
      }
      if (wanted.seconds ? elapsed() >= *wanted.seconds : counted >= wanted.count) over = true;
    }
  };
  {
    std::vector<std::jthread> threads;
    for (unsigned i = 0; i < std::max(1u, std::thread::hardware_concurrency()); ++i) threads.emplace_back(work);
  }
  if (!failed && !wanted.only && campaign.finish && !campaign.finish()) failed = true;
  std::printf("%s: %llu %s in %llu trials, %.0f s: %s\n", campaign.name,
              static_cast<unsigned long long>(counted.load()), campaign.unit,
              static_cast<unsigned long long>(trials.load()), elapsed(),
              failed ? "VIOLATIONS, see above" : "0 violations");
  std::printf("%d passed, %d failed, 0 skipped\n", failed ? 0 : 1, failed ? 1 : 0);
  return failed ? 1 : 0;
}

}  // namespace

Logger& campaign_logger() {
  static PrintLogger print;
  return print_log ? print : null_logger();
}

}  // namespace tidemill

int main(int argc, char** argv) {
  using namespace tidemill;
  ::testing::InitGoogleTest(&argc, argv);
  if (argc < 2) return usage();
  for (const Campaign& campaign : campaigns()) {
    if (std::strcmp(campaign.name, argv[1]) != 0) continue;
    Wanted wanted{.count = campaign.count, .seconds = {}, .only = {}};
    for (int i = 2; i < argc; i += 2) {
      if (i + 1 == argc) return usage();
      const std::string option = argv[i];
      if (option == "--count") {
        wanted.count = std::strtoull(argv[i + 1], nullptr, 10);
      } else if (option == "--seconds") {
        wanted.seconds = std::strtod(argv[i + 1], nullptr);
      } else if (option == "--minutes") {
        wanted.seconds = 60 * std::strtod(argv[i + 1], nullptr);
      } else if (option == "--first") {
        wanted.first = std::strtoull(argv[i + 1], nullptr, 10);
      } else if (option == "--log") {
        print_log = std::strcmp(argv[i + 1], "yes") == 0;
      } else if (option == "--trial") {
        wanted.only = std::strtoull(argv[i + 1], nullptr, 10);
      } else {
        return usage();
      }
    }
    return run(campaign, wanted);
  }
  return usage();
}
