#include <cstdio>
#include <cstring>
#include <string>

#include "tools/cli/commands.h"
#include "tools/cli/sample/generator.h"

namespace tidemill::cli {

int sample(const SampleOptions& options) {
  SampleGenerator generator(options.seed);
  std::string out(SampleGenerator::header());
  bool written = true;
  for (std::uint64_t i = 0; i < options.rows && written; ++i) {
    generator.append_row(out);
    if (out.size() < (64u << 10)) continue;
    written = std::fwrite(out.data(), 1, out.size(), stdout) == out.size();
    out.clear();
  }
  written = written && std::fwrite(out.data(), 1, out.size(), stdout) == out.size() && std::fflush(stdout) == 0;
  if (written) return kOk;
  std::fprintf(stderr, "tidemill sample: standard output cannot be written: %s\n", std::strerror(errno));
  return kWrongUse;
}

}  // namespace tidemill::cli
