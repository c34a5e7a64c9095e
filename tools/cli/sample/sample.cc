#include <string>

#include "tools/cli/commands.h"
#include "tools/cli/output.h"
#include "tools/cli/sample/generator.h"

namespace tidemill::cli {

int sample(const SampleOptions& options) {
  SampleGenerator generator(options.seed);
  std::string out(SampleGenerator::header());
  bool written = true;
  for (std::uint64_t i = 0; i < options.rows && written; ++i) {
    generator.append_row(out);
    if (out.size() < (64u << 10)) continue;
    written = print(out);
    out.clear();
  }
  if (written) print(out);
  return kOk;
}

}  // namespace tidemill::cli
