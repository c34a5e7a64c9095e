#include "consumers/derived/maker.h"

#include "engine/json/validator.h"
#include "engine/json/writer.h"
#include "engine/stream.h"

namespace tidemill::derived {

using views::Cell;
using Shape = views::Derivation::Shape;

std::vector<NewRecord> Made::records() const {
  std::vector<NewRecord> out;
  out.reserve(entries_.size());
  const std::string_view bytes = bytes_;
  for (const Entry& e : entries_) {
    NewRecord& record = out.emplace_back(e.record);
    record.key = bytes.substr(e.key, e.key_size);
    record.headers = bytes.substr(e.headers, e.headers_size);
    record.data = bytes.substr(e.data, e.data_size);
  }
  return out;
}

views::SqlResult<std::unique_ptr<Maker>> Maker::open(const views::Derivation& derivation,
                                                     views::ParsedBatch::ShardOf shard_of) {
  std::unique_ptr<Maker> maker(new Maker(derivation));
  for (const std::string& name : derivation.columns) {
    std::string quoted;
    views::append_json(Cell::text(name), quoted);
    maker->names_.push_back(quoted + ":");
  }
  views::FieldSet fields;
  auto stage = views::RowStage::prepare(maker->derivation_.rows, fields);
  if (auto* error = std::get_if<views::SqlError>(&stage)) return *error;
  maker->stage_ = std::move(std::get<0>(stage));
  maker->batch_ = std::make_unique<views::ParsedBatch>(std::move(fields), std::move(shard_of));
  return maker;
}

Result<void> Maker::make(std::uint32_t first, std::uint32_t count, Made& made) {
  made_ = &made;
  record_ = kNone;
  const auto done = stage_->run(*batch_, first, count, *this);
  made_ = nullptr;
  return done;
}

void Maker::row(std::uint32_t record, views::Order, std::span<const Cell> groups, std::span<const Cell> arguments) {
  if (record_ != record) {
    record_ = record;
    entries_before_ = made_->entries_.size();
    bytes_before_ = made_->bytes_.size();
    bad_ = false;
  }
  if (bad_) return;
  const Record& source = batch_->record(record);
  Made::Entry entry;
  entry.record.arrival = source.arrival;
  entry.record.content = ContentType::json;
  if (derivation_.keyed) {
    const Cell key = groups[0];
    if (key.is_null()) return failed(record, "_key is NULL: a record needs a partition key");
    scratch_.clear();
    if (key.is_text()) {
      scratch_ = key.text();
    } else {
      views::append_json(key, scratch_);
    }
    if (!valid_partition_key(scratch_))
      return failed(record, "_key is no partition key, which has 1 to 256 characters of UTF-8");
    entry.record.hash = hash_key(scratch_);
    entry.key_size = scratch_.size();
    entry.key = made_->keep(scratch_);
  } else {
    entry.record.hash = source.hash;
    entry.record.explicit_hash = source.explicit_hash;
    entry.key_size = source.key.size();
    entry.key = made_->keep(source.key);
  }
  if (derivation_.shape == Shape::same) {
    entry.record.content = source.content;
    data_ = source.data;
  } else if (!make_data(source, arguments)) {
    return;
  }
  entry.headers_size = source.headers.size();
  entry.headers = made_->keep(source.headers);
  entry.data_size = data_.size();
  entry.data = made_->keep(data_);
  made_->entries_.push_back(entry);
  if (made_->bytes_.size() - bytes_before_ > kMadeBytesMax)
    failed(record, "what is made of it has more than 16 MiB together");
}

bool Maker::make_data(const Record&, std::span<const Cell> columns) {
  const auto refuse = [&](std::string_view reason) {
    failed(record_, reason);
    return false;
  };
  if (derivation_.shape == Shape::whole) {
    if (!columns[0].is_text()) return refuse("data is no JSON object");
    data_.resize(columns[0].text().size() + Validator::kPadding);
    const auto size = Validator::minify(columns[0].text(), data_.data());
    if (!size) return refuse("data is no JSON object");
    data_.resize(*size);
  } else {
    data_ = "{";
    for (std::size_t i = 0; i < columns.size(); ++i) {
      if (i != 0) data_ += ',';
      data_ += names_[i];
      data_ += columns[i].is_text() ? columns[i].text() : std::string_view("null");
    }
    data_ += '}';
  }
  if (const auto bad = check_.check(data_))
    return refuse("what is made of it is no record: " + std::string(rejection_message(*bad)));
  return true;
}

void Maker::failed(std::uint32_t record, std::string_view reason) {
  if (record_ == record) {
    if (bad_) return;
    made_->entries_.resize(entries_before_);
    made_->bytes_.resize(bytes_before_);
  }
  record_ = record;
  bad_ = true;
  made_->parked.push_back({batch_->record(record).sequence, std::string(reason)});
}

}  // namespace tidemill::derived
