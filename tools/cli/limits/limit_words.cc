#include "tools/cli/limits/limit_words.h"

#include <charconv>
#include <nlohmann/json.hpp>

#include "tools/cli/config/config.h"

namespace tidemill::cli {
namespace {

using Json = nlohmann::ordered_json;

// Of a size whose unit is half said, the two that it may be.
std::string half_said(std::string_view text, bool of_bytes) {
  if (!of_bytes) return {};
  std::string amount(text.substr(0, text.find('/')));
  if (const std::size_t burst = text.find(':'); parse_size(amount) && burst != std::string_view::npos)
    amount = text.substr(burst + 1);
  if (amount.empty() || std::string_view("kKMGT").find(amount.back()) == std::string_view::npos) return {};
  std::string binary = amount + "iB";
  if (binary[amount.size() - 1] == 'k') binary[amount.size() - 1] = 'K';
  if (!parse_size(amount + "B") && !parse_size(binary)) return {};
  const std::string decimal = parse_size(amount + "B") ? amount + "B (of 1000) or " : "";
  return "; say " + decimal + binary + (decimal.empty() ? "" : " (of 1024)");
}

std::string set_amount(const char* flag, const std::optional<std::string>& text, bool of_bytes, Json& into,
                       const char* name) {
  if (!text) return {};
  if (*text == "none") {
    into.erase(name);
    return {};
  }
  const auto amount = parse_amount(*text, of_bytes);
  if (!amount)
    return std::string(flag) + " takes " + (of_bytes ? "a size, such as 10GiB" : "a number, such as 5000, 20k or 2M") +
           ", or none; not '" + *text + "'" + half_said(*text, of_bytes);
  into[name] = *amount;
  return {};
}

std::string set_rate(const char* flag, const std::optional<std::string>& text, bool of_bytes, Json& into) {
  if (!text) return {};
  into.erase("per_second");
  into.erase("burst");
  if (*text == "none") return {};
  const auto rate = parse_rate(*text, of_bytes);
  if (!rate)
    return std::string(flag) + " takes how many a second, such as " +
           (of_bytes ? "1MiB/s, or 1MiB/s:8MiB" : "100/s, or 100/s:500") +
           " with as many at once after a pause, or none; not '" + *text + "'" + half_said(*text, of_bytes);
  into["per_second"] = rate->per_second;
  if (rate->burst) into["burst"] = *rate->burst;
  return {};
}

}  // namespace

std::optional<std::uint64_t> parse_amount(std::string_view text, bool of_bytes) {
  if (of_bytes) return parse_size(text);
  std::uint64_t factor = 1;
  for (const auto& [letter, value] :
       {std::pair{'k', 1'000ull}, std::pair{'M', 1'000'000ull}, std::pair{'G', 1'000'000'000ull}})
    if (text.ends_with(letter)) factor = value;
  if (factor != 1) text.remove_suffix(1);
  std::uint64_t n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || n > 1'000'000'000'000'000 / factor)
    return std::nullopt;
  return n * factor;
}

std::optional<RateWords> parse_rate(std::string_view text, bool of_bytes) {
  const std::size_t slash = text.find("/s");
  if (slash == std::string_view::npos) return std::nullopt;
  const auto per_second = parse_amount(text.substr(0, slash), of_bytes);
  if (!per_second) return std::nullopt;
  RateWords rate{*per_second, std::nullopt};
  const std::string_view rest = text.substr(slash + 2);
  if (rest.empty()) return rate;
  if (rest.front() != ':') return std::nullopt;
  rate.burst = parse_amount(rest.substr(1), of_bytes);
  return rate.burst ? std::optional(rate) : std::nullopt;
}

std::string change_limits(const LimitsOptions& o, Json& limits) {
  struct Measure {
    const char* name;
    bool of_bytes;
    const LimitsOptions::Of& said;
  };
  for (const Measure& m : {Measure{"requests", false, o.requests}, Measure{"records", false, o.records},
                           Measure{"bytes", true, o.bytes}}) {
    Json of = limits.value(m.name, Json::object());
    const std::string name(m.name);
    for (const std::string& wrong :
         {set_rate(("--" + name).c_str(), m.said.rate, m.of_bytes, of),
          set_amount(("--day-" + name).c_str(), m.said.day, m.of_bytes, of, "per_day"),
          set_amount(("--month-" + name).c_str(), m.said.month, m.of_bytes, of, "per_month")})
      if (!wrong.empty()) return wrong;
    limits.erase(m.name);
    if (!of.empty()) limits[m.name] = of;
  }
  for (const std::string& wrong : {set_amount("--connections", o.connections, false, limits, "connections"),
                                   set_amount("--streams", o.streams, false, limits, "streams"),
                                   set_amount("--disk", o.disk, true, limits, "disk_bytes")})
    if (!wrong.empty()) return wrong;
  return {};
}

}  // namespace tidemill::cli
