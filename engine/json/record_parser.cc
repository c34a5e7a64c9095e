#include "engine/json/record_parser.h"

#include <algorithm>
#include <cstring>

#include "engine/json/array_scanner.h"
#include "engine/json/validator.h"
#include "engine/stream.h"
#include "storage/base/check.h"

namespace tidemill {
namespace {

constexpr std::string_view kSpace = " \t\n\r";
constexpr std::size_t kKeptRecords = 4096;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

std::string_view trim(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) + 1 - first);
}

// The spelling of the value of an object's n-th member. The object is valid and minified.
std::string_view member_spelling(std::string_view object, std::size_t member) {
  std::size_t at = 1;
  int depth = 0;
  const auto skip_string = [&] {
    for (++at; object[at] != '"'; ++at)
      if (object[at] == '\\') ++at;
    ++at;
  };
  for (;;) {
    skip_string();  // the name
    const std::size_t value = ++at;
    for (; depth > 0 || (object[at] != ',' && object[at] != '}');) {
      if (object[at] == '"') {
        skip_string();
        continue;
      }
      if (object[at] == '{' || object[at] == '[') ++depth;
      if (object[at] == '}' || object[at] == ']') --depth;
      ++at;
    }
    if (member-- == 0) return object.substr(value, at - value);
    ++at;
  }
}

}  // namespace

void ParsedBody::clear() {
  if (records.capacity() > kKeptRecords) records = {};
  if (rejected.capacity() > kKeptRecords) rejected = {};
  records.clear();
  rejected.clear();
  used_ = 0;
  if (capacity_ > kept_bytes) {
    memory_.reset();
    capacity_ = 0;
  }
}

void ParsedBody::reserve(std::size_t bytes) {
  if (capacity_ - used_ >= bytes) return;
  CHECK(used_ == 0);  // views of what is there would move
  capacity_ = std::max<std::size_t>(bytes, 4096);
  memory_ = std::make_unique_for_overwrite<char[]>(capacity_);
}

std::string_view ParsedBody::add(std::string_view bytes) {
  CHECK(capacity_ - used_ >= bytes.size());
  if (bytes.empty()) return {};
  char* const to = room();
  std::memcpy(to, bytes.data(), bytes.size());
  used_ += bytes.size();
  return {to, bytes.size()};
}

struct RecordParser::Impl {
  Validator validator;
  std::string_view body;
  const ParseOptions* options = nullptr;
  ParsedBody* out = nullptr;
  std::string_view request_key;  // the out's copy
  HashKey request_hash;

  void reject(Rejection code) { out->rejected.push_back({out->count(), static_cast<std::uint16_t>(code)}); }

  void record(std::string_view text) {
    bool padded =
        static_cast<std::size_t>(body.data() + body.size() - (text.data() + text.size())) >= Validator::kPadding;
    char* const place = out->room();
    std::optional<std::size_t> size;
    if (text.size() > options->record_bytes_max) {
      // White space may be all that makes it large, and validating costs ten times its size in memory.
      size = Validator::minify(text, place);
      if (!size) return reject(Rejection::invalid_json);
      if (*size > options->record_bytes_max) return reject(Rejection::record_too_large);
      text = {place, *size};
      padded = true;  // the room behind it
    }
    Validator::Key key;
    const bool own_key = request_key.empty();
    const auto wrong = validator.validate(text, padded, own_key ? options->key_field : std::string_view(), key);
    if (wrong) return reject(*wrong);
    if (own_key && options->key_field.empty()) return reject(Rejection::missing_partition_key);
    if (!size) size = Validator::minify(text, place);
    CHECK(size);
    out->used_ += *size;

    NewRecord record;
    record.data = {place, *size};
    record.arrival = options->arrival;
    if (!own_key) {
      record.key = request_key;
      record.hash = request_hash;
    } else {
      record.key = key.member ? member_spelling(record.data, *key.member) : out->add(key.text);
      record.hash = hash_key(record.key);
    }
    out->records.push_back(record);
  }

  bool full() const { return out->count() > options->records_max; }

  void lines(std::string_view text) {
    while (!text.empty() && !full()) {
      const std::size_t end = text.find('\n');
      const std::string_view line = trim(text.substr(0, end));
      if (!line.empty()) record(line);
      if (end == std::string_view::npos) return;
      text.remove_prefix(end + 1);
    }
  }

  void array(std::string_view text) {
    ArrayScanner scanner(text);
    while (!full()) {
      std::string_view element;
      switch (scanner.next(element)) {
        case ArrayScanner::Step::element:
          if (element.empty())
            reject(Rejection::invalid_json);
          else
            record(element);
          break;
        case ArrayScanner::Step::end:
          return;
        case ArrayScanner::Step::broken:
          return reject(Rejection::broken_array);
      }
    }
  }
};

RecordParser::RecordParser() : impl_(std::make_unique<Impl>()) {}
RecordParser::~RecordParser() = default;

bool RecordParser::parse(std::string_view body, BodyFormat format, const ParseOptions& options, ParsedBody& out) {
  out.clear();
  // Each minified text is at most its source, and so is each decoded key.
  out.reserve(2 * body.size() + options.request_key.size() + Validator::kPadding);
  impl_->body = body;
  impl_->options = &options;
  impl_->out = &out;
  impl_->request_key = out.add(options.request_key);
  impl_->request_hash = hash_key(options.request_key);

  std::string_view text = body;
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  const std::string_view trimmed = trim(text);
  if (format == BodyFormat::ndjson)
    impl_->lines(text);
  else if (trimmed.empty())
    impl_->reject(Rejection::invalid_json);
  else if (trimmed.front() == '[')
    impl_->array(trimmed);
  else
    impl_->record(trimmed);
  if (!impl_->full()) return true;
  out.clear();
  return false;
}

std::optional<Rejection> RecordParser::check(std::string_view text) {
  Validator::Key key;
  return impl_->validator.validate(text, false, {}, key);
}

std::optional<Rejection> RecordParser::check_key(std::string_view key) {
  if (key.empty()) return Rejection::missing_partition_key;
  if (!valid_partition_key(key)) return Rejection::invalid_partition_key;
  return std::nullopt;
}

}  // namespace tidemill
