#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "tools/cli/limits/options.h"

namespace tidemill::cli {

// A number with k, M or G behind it (thousands); of bytes a size: 64MiB.
std::optional<std::uint64_t> parse_amount(std::string_view text, bool of_bytes);
// 100/s, or 100/s:500 with the burst behind it.
struct RateWords {
  std::uint64_t per_second = 0;
  std::optional<std::uint64_t> burst;
};
std::optional<RateWords> parse_rate(std::string_view text, bool of_bytes);

// Puts what the flags say into limits as the API has them; `none` takes one out. A sentence of what is wrong; empty:
// nothing.
std::string change_limits(const LimitsOptions& options, nlohmann::ordered_json& limits);

}  // namespace tidemill::cli
