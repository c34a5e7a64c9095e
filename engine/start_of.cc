#include "engine/start_of.h"

#include <charconv>
#include <optional>

#include "storage/base/errors.h"
#include "storage/base/time.h"

namespace tidemill {
namespace {

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return n;
}

}  // namespace

// The log finds the commit, whose first records may be older.
Result<Sequence> first_since(Log& log, WallTime time) {
  ASSIGN_OR_RETURN(const Sequence commit, log.find(time));
  Sequence at = commit;
  ReadOptions options;
  options.records_max = 100;  // most commits are small, and what is read beyond the record is read in vain
  options.bytes_max = 1 << 20;
  for (int round = 0; round < 32; ++round) {
    const auto batch = log.read(at, options);
    if (!batch && batch.error() != StorageErrc::before_start) return batch.error();
    if (!batch || batch->next <= at) return at;
    for (const Record& record : batch->records) {
      if (record.arrival >= time) return record.sequence;
    }
    at = batch->next;
    options.records_max = 10'000;
  }
  return commit;  // the clock went back: too much before to look through
}

bool is_from(std::string_view from) {
  return from == "earliest" || from == "latest" || number(from) || parse_rfc3339(from);
}

Result<Sequence> start_of(Log& log, std::string_view from) {
  if (from == "earliest") return log.start();
  if (from == "latest") return next(log.durable());
  if (const auto n = number(from)) return *n == 0 ? log.start() : Sequence(*n);
  return first_since(log, *parse_rfc3339(from));
}

}  // namespace tidemill
