#include "tools/cli/load/batches.h"

namespace tidemill::cli {
namespace {

// FNV-1a, stirred once more, for it leaves most bits alone in its last steps: invoice numbers that differ only at the
// end would share a lane. The same lane for the same key on every machine.
std::uint32_t lane_of(std::string_view key) {
  std::uint64_t h = 14695981039346656037ull;
  for (const unsigned char c : key) h = (h ^ c) * 1099511628211ull;
  h = (h ^ (h >> 30)) * 0xBF58476D1CE4E5B9ull;
  return static_cast<std::uint32_t>((h >> 32) % kLanes);
}

}  // namespace

std::string delimiter_hint(const std::vector<std::string>& columns) {
  for (const char c : {';', '\t', '|', ','})
    if (columns.size() == 1 && columns[0].find(c) != std::string::npos)
      return c == '\t' ? " (--delimiter tab?)" : std::string(" (--delimiter '") + c + "'?)";
  return {};
}

BatchMaker::BatchMaker(LoadInput& input, Options options)
    : input_(input), options_(std::move(options)), reader_(options_.dialect, options_.encoding, {}) {}

bool BatchMaker::begin(std::string& error) {
  while (true) {
    std::string_view rest = input_.held();
    const std::size_t before = rest.size();
    const auto outcome = reader_.read_header(rest, input_.last());
    input_.consume(before - rest.size());
    if (outcome == csv::ObjectReader::Outcome::object) break;
    if (outcome == csv::ObjectReader::Outcome::failed) {
      error = reader_.error().message;
      return false;
    }
    if (!input_.read_more(error)) return false;
  }
  if (options_.key_column) key_ = reader_.column(*options_.key_column);
  return true;
}

bool BatchMaker::resume(std::uint64_t block, std::uint64_t rows, std::uint64_t line, std::uint64_t offset,
                        std::string& error) {
  block_ = block;
  reader_.resume(line, rows);
  return input_.seek(offset, error);
}

bool BatchMaker::next(BlockOfRows& block, std::string& error) {
  block = {};
  block.number = block_;
  std::array<Batch, kLanes> lanes;
  std::string object;
  std::size_t bytes = 0;
  const std::uint64_t first = reader_.rows() + 1;
  bool end = false;
  while (!end && reader_.rows() - first + 1 < kBlockRows && bytes < kBlockBytes) {
    object.clear();
    std::string_view rest = input_.held();
    const std::size_t before = rest.size();
    const auto outcome = reader_.next(rest, input_.last(), object);
    switch (outcome) {
      case csv::ObjectReader::Outcome::object: {
        Batch& batch = lanes[key_ ? lane_of(reader_.row().fields[*key_]) : 0];
        if (batch.body.empty()) batch.body.reserve(256 << 10);
        batch.body += object;
        batch.body += '\n';
        bytes += object.size() + 1;
        batch.lines.push_back(reader_.row().line);
        if (options_.keep_raw) batch.raw.emplace_back(reader_.row().raw);
        break;
      }
      case csv::ObjectReader::Outcome::rejected:
        block.rejected.push_back({reader_.row().line, reader_.error().message,
                                  options_.keep_raw ? std::string(reader_.row().raw) : std::string()});
        break;
      case csv::ObjectReader::Outcome::need_more:
        input_.consume(before - rest.size());
        if (!input_.read_more(error)) return false;
        continue;
      case csv::ObjectReader::Outcome::failed:
        error = reader_.error().message;
        return false;
      case csv::ObjectReader::Outcome::end:
        end = true;
        break;
    }
    input_.consume(before - rest.size());
  }
  if (reader_.rows() + 1 == first) return false;
  ++block_;
  block.rows_end = reader_.rows();
  block.line_end = reader_.next_line();
  block.offset_end = input_.offset();
  // The key names the rows, too, so that a person can read it in a log.
  const std::string hash = options_.file_hash.empty() ? input_.consumed_hash() : options_.file_hash;
  for (std::uint32_t lane = 0; lane < kLanes; ++lane) {
    Batch& batch = lanes[lane];
    if (batch.lines.empty()) continue;
    batch.block = block.number;
    batch.lane = lane;
    batch.idempotency_key = "load-" + hash.substr(0, 32) + "-" + std::to_string(first) + "-" +
                            std::to_string(block.rows_end) + "-" + std::to_string(lane);
    if (!options_.nonce.empty()) batch.idempotency_key += "-" + options_.nonce;
    block.batches.push_back(std::move(batch));
  }
  return true;
}

}  // namespace tidemill::cli
