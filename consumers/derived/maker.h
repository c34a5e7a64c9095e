#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "consumers/views/batch.h"
#include "consumers/views/derivation.h"
#include "engine/json/record_parser.h"
#include "storage/log/record.h"

namespace tidemill::derived {

// Of one record of the source nothing is made that is larger than this together.
inline constexpr std::uint64_t kMadeBytesMax = 16 << 20;

struct Parked {
  Sequence sequence;   // in the source
  std::string reason;  // a sentence, without the record's data
};

// Records on their way into a derived stream, with their bytes.
class Made {
 public:
  std::uint64_t bytes() const { return bytes_.size(); }
  bool empty() const { return entries_.empty(); }
  std::size_t size() const { return entries_.size(); }
  std::vector<Parked> parked;

  // Views of this object's memory: it must stay where it is, and as it is.
  std::vector<NewRecord> records() const;

 private:
  friend class Maker;
  struct Entry {
    NewRecord record;  // its texts are not set
    std::size_t key = 0, key_size = 0;
    std::size_t headers = 0, headers_size = 0;
    std::size_t data = 0, data_size = 0;
  };
  std::size_t keep(std::string_view text) {
    bytes_ += text;
    return bytes_.size() - text.size();
  }
  std::vector<Entry> entries_;
  std::string bytes_;
};

// Makes the records of a derived stream out of those of its source: the same ones from the same ones, however they are
// cut. One thread at a time.
class Maker final : private views::RowSink {
 public:
  static views::SqlResult<std::unique_ptr<Maker>> open(const views::Derivation& derivation,
                                                       views::ParsedBatch::ShardOf shard_of);

  // The records' bytes must live until the next parse().
  void parse(std::span<const Record> records) { batch_->parse(records); }
  // What `count` of them from `first` on make, added to `made`. An error is memory, nothing else.
  Result<void> make(std::uint32_t first, std::uint32_t count, Made& made);
  // One record can make several.
  bool several() const { return derivation_.rows.several_rows; }

 private:
  explicit Maker(const views::Derivation& derivation) : derivation_(derivation) {}
  void row(std::uint32_t record, views::Order order, std::span<const views::Cell> groups,
           std::span<const views::Cell> arguments) override;
  void failed(std::uint32_t record, std::string_view reason) override;
  bool make_data(const Record& record, std::span<const views::Cell> columns);

  const views::Derivation derivation_;
  std::vector<std::string> names_;  // of the columns, quoted, with their colon
  std::unique_ptr<views::RowStage> stage_;
  std::unique_ptr<views::ParsedBatch> batch_;
  RecordParser check_;
  Made* made_ = nullptr;
  // Of the record at hand.
  static constexpr std::uint32_t kNone = ~0u;
  std::uint32_t record_ = kNone;
  std::size_t entries_before_ = 0;
  std::size_t bytes_before_ = 0;
  bool bad_ = false;
  std::string data_;
  std::string scratch_;
};

}  // namespace tidemill::derived
