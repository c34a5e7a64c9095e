#include "consumers/views/trial.h"

#include <simdjson.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <map>
#include <numeric>
#include <set>

#include "consumers/views/final_stage.h"
#include "consumers/views/fold.h"
#include "consumers/views/folded_rows.h"
#include "consumers/views/key.h"
#include "consumers/views/row_stage.h"
#include "consumers/views/sql_account.h"
#include "consumers/views/tokenizer.h"
#include "storage/base/errors.h"

namespace tidemill::views {
namespace {

constexpr std::uint64_t kBytesMax = 16 << 20;
constexpr std::size_t kSample = 5;
constexpr std::uint32_t kAtOnce = 16;  // records, between two looks at the clock

void add_names(const Record& record, std::set<std::string>& names) {
  if (record.content != ContentType::json) return;
  simdjson::dom::parser parser;
  simdjson::dom::object object;
  if (parser.parse(record.data.data(), record.data.size()).get(object) != simdjson::SUCCESS) return;
  for (const auto field : object) names.emplace(field.key);
}

std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t changed = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, changed}));
    }
  }
  return row.back();
}

// The name that was meant; empty: none is near. Upper and lower case, and what stands between words, differ most often.
std::string nearest(const std::string& field, const std::set<std::string>& names) {
  const auto plain = [](std::string_view s) {
    std::string out = to_lower(s);
    std::erase_if(out, [](char c) { return c == '_' || c == '-' || c == ' '; });
    return out;
  };
  const std::string wanted = plain(field);
  std::string best;
  std::size_t best_distance = std::min<std::size_t>(3, wanted.size() / 2 + 1);  // a name of two letters is any other
  for (const std::string& name : names) {
    if (name.size() > 128) continue;
    const std::size_t d = distance(wanted, plain(name));
    if (d < best_distance) {
      best_distance = d;
      best = name;
    }
  }
  return best;
}

bool is_metadata(std::string_view field) {
  return field == "data" || field == "_sequence" || field == "_shard" || field == "_time" || field == "_key";
}

struct Counter final : RowSink {
  explicit Counter(Fold& f) : fold(f) {}
  bool takes(std::uint32_t record, std::span<const Cell> groups, std::span<const Cell> arguments) override {
    return fold.takes(record, groups, arguments);
  }
  void row(std::uint32_t record, Order order, std::span<const Cell> groups, std::span<const Cell> arguments) override {
    if (std::exchange(last, record) != record) ++counted;
    fold.row(record, order, groups, arguments);
  }
  void failed(std::uint32_t record, std::string_view reason) override { fold.failed(record, reason); }
  Fold& fold;
  std::uint64_t counted = 0;
  std::uint32_t last = ~0u;
};

}  // namespace

std::function<bool()> trial_time() {
  const auto end = std::chrono::steady_clock::now() + QueryLimits().time_max;
  return [end] { return std::chrono::steady_clock::now() < end; };
}

Result<Trial> try_out(const Definition& definition, const Stream& stream, const std::function<bool()>& go_on,
                      const LookedUp& lookups, const Snapshot* seen) {
  // An expression is worked out without a jump, where SQLite would look at a clock: its functions report here.
  SqlAccount account;
  account.begin(go_on);
  const SqlAccount::Scope scope(account);
  const auto too_slow = [] { return errno_error(ETIMEDOUT); };
  Trial trial;
  FieldSet fields;
  auto stage = RowStage::prepare(definition, fields, lookups);
  auto final = FinalStage::prepare(definition);
  if (std::holds_alternative<SqlError>(stage) || std::holds_alternative<SqlError>(final))
    return make_error_code(StorageErrc::invalid_argument);  // split() prepared them before
  if (seen != nullptr) std::get<0>(stage)->look_in(*seen);
  const StateLayout layout(definition);
  Fold fold(layout);
  FoldedRows rows(layout);
  ParsedBatch parsed(fields, [&](HashKey h, Sequence s) { return stream.shard_of(h, s); });
  std::vector<bool> had_value(fields.size());
  std::set<std::string> names;
  std::uint64_t bytes = 0;
  std::vector<std::int64_t> times;  // stream time, as if these were all records
  std::int64_t now = 0;

  Log& log = stream.log();
  const std::uint64_t durable = log.durable().value();
  Sequence from(
      std::max<std::uint64_t>(log.start().value(), durable < kTrialRecords ? 1 : durable - kTrialRecords + 1));
  while (from.value() <= durable && trial.records < kTrialRecords && bytes < kBytesMax) {
    ReadOptions options;
    options.records_max = static_cast<std::uint32_t>(kTrialRecords - trial.records);
    auto batch = log.read(from, options);
    if (!batch && batch.error() == StorageErrc::before_start) {  // retention, meanwhile
      from = log.start();
      continue;
    }
    if (!batch) return batch.error();
    if (batch->next <= from) break;
    parsed.parse(batch->records);
    fold.clear();
    times.clear();
    for (const Record& record : batch->records)
      times.push_back(now = std::max<std::int64_t>(now, record.arrival.time_since_epoch().count()));
    fold.times(times);
    Counter counter(fold);
    for (std::uint32_t r = 0; r < parsed.size(); r += kAtOnce) {
      if (!go_on()) return too_slow();
      const auto done = (*std::get<0>(stage)).run(parsed, r, std::min(kAtOnce, parsed.size() - r), counter);
      if (account.refused() != SqlAccount::Refused::nothing) return too_slow();  // what it says of them is not so
      RETURN_IF_ERROR(done);
    }
    rows.take(fold);
    trial.counted += counter.counted;
    trial.late += fold.late();
    for (std::uint32_t r = 0; r < parsed.size(); ++r) {
      const Record& record = parsed.record(r);
      if (trial.records == 0) trial.first = record.sequence;
      trial.last = record.sequence;
      ++trial.records;
      bytes += record.data.size();
      if (trial.records <= 100) add_names(record, names);
      for (std::uint32_t slot = 0; slot < fields.size(); ++slot)
        if (!had_value[slot] && !parsed.cell(r, slot).is_null()) had_value[slot] = true;
    }
    for (const Fold::Parked& parked : fold.parked()) {
      if (trial.set_aside++ != 0) continue;
      trial.set_aside_first = parsed.record(parked.record).sequence;
      trial.set_aside_reason = parked.reason;
    }
    from = batch->next;
  }
  if (trial.records == 0) return trial;

  for (std::uint32_t slot = 0; slot < fields.size(); ++slot) {
    std::string field = fields.name(slot);
    if (field.starts_with(kAsWritten)) field.erase(0, 1);
    if (!had_value[slot] && !is_metadata(field)) trial.without_value.push_back({field, nearest(field, names)});
  }
  std::vector<bool> shown(definition.columns.size());
  std::uint64_t made = 0;
  const auto all = (*std::get<0>(final)).select(layout, {});
  RETURN_IF_ERROR(rows.each([&](const std::string& key, const RowState& state) -> Result<void> {
    if (layout.expiry() != nullptr && state.header().deadline <= now) return {};
    Row terms, row;
    if (!decode_key(key, definition.groups.size(), terms)) return make_error_code(StorageErrc::damaged);
    if (made % kAtOnce == 0 && !go_on()) return too_slow();
    RETURN_IF_ERROR((*std::get<0>(final)).run(terms, state, rows, all, row));
    if (account.refused() != SqlAccount::Refused::nothing) return too_slow();
    ++made;
    if (trial.sample.size() < kSample) trial.sample.push_back(row);
    for (std::size_t i = 0; i < row.size() && i < shown.size(); ++i)
      if (!std::holds_alternative<std::monostate>(row[i])) shown[i] = true;
    return {};
  }));
  for (std::size_t i = 0; made != 0 && i < shown.size(); ++i)
    if (!shown[i]) trial.null_columns.push_back(definition.columns[i].name);
  return trial;
}

std::vector<std::string> warnings_of(const Trial& trial) {
  std::vector<std::string> out;
  if (trial.records == 0) return out;
  const std::string n = std::to_string(trial.records);
  const std::string of_last = trial.records == 1 ? "the last record" : "the last " + n + " records";
  for (const auto& field : trial.without_value) {
    out.push_back("The field " + field.field + " has no value in " + (trial.records == 1 ? "" : "any of ") + of_last +
                  (field.nearest.empty() ? "." : ": did you mean " + field.nearest + "?"));
  }
  if (trial.counted == 0 && trial.set_aside == 0) out.push_back("None of " + of_last + " passes WHERE.");
  // Where a field is missing, what is made of it is NULL too: said once.
  if (trial.without_value.empty()) {
    for (const auto& column : trial.null_columns)
      out.push_back("The column " + column + " is NULL in every row that " + of_last + " give" +
                    (trial.records == 1 ? "s." : "."));
  }
  if (trial.late != 0) {
    out.push_back((trial.records == 1 ? "The last record" : std::to_string(trial.late) + " of " + of_last) +
                  " would be dropped as late: the window's retention was over.");
  }
  if (trial.set_aside != 0) {
    out.push_back(std::to_string(trial.set_aside) + " of " + of_last + " would be set aside. The first, sequence " +
                  std::to_string(trial.set_aside_first.value()) + ": " + trial.set_aside_reason);
  }
  return out;
}

}  // namespace tidemill::views
