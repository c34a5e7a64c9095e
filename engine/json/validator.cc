#include "engine/json/validator.h"

#include <simdjson.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "engine/json/classify.h"
#include "storage/base/check.h"

namespace tidemill {
namespace {

namespace dom = simdjson::dom;

constexpr std::size_t kDepthMax = 64;
constexpr std::size_t kKeptBytes = 64 << 10;
constexpr std::size_t kKeyCharactersMax = 256;

static_assert(Validator::kPadding >= simdjson::SIMDJSON_PADDING);

std::size_t characters(std::string_view utf8) {
  return static_cast<std::size_t>(
      std::count_if(utf8.begin(), utf8.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

Rejection rejection_of(simdjson::error_code error, std::string_view text) {
  switch (error) {
    case simdjson::UTF8_ERROR:
      return Rejection::invalid_utf8;
    case simdjson::DEPTH_ERROR:
      return Rejection::too_deep;
    case simdjson::STRING_ERROR:
      return classify_bad_string(text);
    case simdjson::NUMBER_ERROR:
      return classify_bad_number(text);
    default:
      return Rejection::invalid_json;
  }
}

constexpr std::size_t kNone = ~std::size_t{0};

// One pass over the parser's tape (64-bit words, a type in the upper 8 bits; simdjson's doc/tape.md), for what it does
// not look for: names that occur twice, and an empty container one level too deep. Finds the key's field on the way.
// Its own iterators cost as much as its parsing; this costs a quarter.
class Walk {
 public:
  struct Found {
    std::size_t tape = kNone;  // of the key field's value
    std::size_t member = 0;
  };

  Walk(const dom::document& document, std::vector<std::string_view>& names)
      : tape_(document.tape.get()), strings_(document.string_buf.get()), names_(names) {}

  std::optional<Rejection> run(std::string_view field, Found& found) {
    names_.clear();
    Frame frames[kDepthMax + 1];  // each is set when it is entered
    frames[0].object = false;
    Frame* frame = frames;
    std::size_t at = 1;
    // Reads one value at a time: a name first where an object wants one.
    do {
      std::uint64_t word = tape_[at];
      char type = type_of(word);
      if (frame->object && type != '}') {
        const std::string_view name = string(word);
        if (frame == frames + 1 && name == field) found = {at + 1, frame->members};
        ++frame->members;
        if (!add(*frame, name)) return Rejection::duplicate_name;
        word = tape_[++at];
        type = type_of(word);
      }
      switch (type) {
        case '{':
        case '[':
          if (frame == frames + kDepthMax) return Rejection::too_deep;
          ++frame;
          *frame = {.object = type == '{',
                    .large = (word >> 32 & 0xFFFFFF) > kSmall,
                    .names = names_.size(),
                    .members = 0,
                    .seen = 0};
          ++at;
          break;
        case '}':
          if (frame->large && repeats(*frame)) return Rejection::duplicate_name;
          names_.resize(frame->names);
          [[fallthrough]];
        case ']':
          --frame;
          ++at;
          break;
        case 'l':
        case 'u':
        case 'd':
          at += 2;  // the number is in the next word
          break;
        default:
          ++at;
      }
    } while (frame != frames);
    return std::nullopt;
  }

  static char type_of(std::uint64_t word) { return static_cast<char>(word >> 56); }
  std::string_view string(std::uint64_t word) const {
    const std::uint8_t* const at = strings_ + (word & simdjson::internal::JSON_VALUE_MASK);
    std::uint32_t size = 0;
    std::memcpy(&size, at, sizeof size);
    return {reinterpret_cast<const char*>(at + sizeof size), size};
  }

 private:
  static constexpr std::uint64_t kSmall = 64;

  struct Frame {
    bool object;
    bool large;  // sorted at its end, so that names chosen to share a bit cannot make this quadratic
    std::size_t names;
    std::size_t members;
    std::uint64_t seen;  // a bit for each name; only names on one bit need comparing
  };

  bool add(Frame& frame, std::string_view name) {
    if (!frame.large) {
      const std::uint64_t bit = std::uint64_t{1} << (mix(name) >> 58);
      if ((frame.seen & bit) != 0)
        for (std::size_t i = frame.names; i < names_.size(); ++i)
          if (names_[i] == name) return false;
      frame.seen |= bit;
    }
    names_.push_back(name);
    return true;
  }

  bool repeats(const Frame& frame) {
    const auto first = names_.begin() + static_cast<std::ptrdiff_t>(frame.names);
    std::sort(first, names_.end());
    return std::adjacent_find(first, names_.end()) != names_.end();
  }

  static std::uint64_t mix(std::string_view name) {
    std::uint64_t head = 0;
    std::uint64_t tail = 0;
    if (name.size() >= 8) {
      std::memcpy(&head, name.data(), 8);
      std::memcpy(&tail, name.data() + name.size() - 8, 8);
    } else {
      for (const char c : name) head = head << 8 | static_cast<unsigned char>(c);
    }
    return (head ^ (tail << 1 | tail >> 63) ^ name.size()) * 0x9E3779B97F4A7C15;
  }

  const std::uint64_t* tape_;
  const std::uint8_t* strings_;
  std::vector<std::string_view>& names_;
};

// AVX-512's compressing store makes simdjson's own choice four times slower here than its AVX2 code on some processors
// (Zen 4: 240 against 57 ns for 231 bytes), so AVX2 goes first.
const simdjson::implementation& minifier() {
  static const simdjson::implementation* const chosen = [] {
    const simdjson::implementation* avx2 = simdjson::get_available_implementations()["haswell"];
    if (avx2 != nullptr && avx2->supported_by_runtime_system()) return avx2;
    return static_cast<const simdjson::implementation*>(simdjson::get_active_implementation());
  }();
  return *chosen;
}

}  // namespace

bool valid_partition_key(std::string_view key) {
  return !key.empty() && simdjson::validate_utf8(key.data(), key.size()) && characters(key) <= kKeyCharactersMax;
}

struct Validator::Impl {
  dom::parser parser;
  std::vector<std::string_view> names;
  std::string scratch;  // a text with padding behind it
  std::string large_key;

  // The parser counts an empty innermost container one level less, so it is given one more and Walk counts anew.
  Impl() { CHECK(parser.allocate(kKeptBytes, kDepthMax + 1) == simdjson::SUCCESS); }

  std::optional<Rejection> validate(dom::parser& with, std::string_view text, bool padded, std::string_view key_field,
                                    Key& key) {
    std::string own;
    if (!padded) {
      std::string& copy = text.size() <= kKeptBytes ? scratch : own;
      copy.assign(text);
      copy.append(kPadding, ' ');
      text = std::string_view(copy).substr(0, text.size());
    }
    const auto root = with.parse(text.data(), text.size(), false);
    if (root.error() != simdjson::SUCCESS) return rejection_of(root.error(), text);
    if (Walk::type_of(with.doc.tape[1]) != '{') return Rejection::not_an_object;
    Walk walk(with.doc, names);
    Walk::Found found;
    if (const auto wrong = walk.run(key_field, found)) return wrong;
    if (key_field.empty()) return std::nullopt;
    if (found.tape == kNone) return Rejection::missing_partition_key;
    const std::uint64_t value = with.doc.tape[found.tape];
    switch (Walk::type_of(value)) {
      case '"':
        key.text = walk.string(value);
        if (key.text.empty()) return Rejection::missing_partition_key;
        if (characters(key.text) > kKeyCharactersMax) return Rejection::invalid_partition_key;
        return std::nullopt;
      case 'n':
        return Rejection::missing_partition_key;
      case '{':
      case '[':
        return Rejection::invalid_partition_key;
      default:
        key.member = found.member;
        return std::nullopt;
    }
  }
};

Validator::Validator() : impl_(std::make_unique<Impl>()) {}
Validator::~Validator() = default;

std::optional<Rejection> Validator::validate(std::string_view text, bool padded, std::string_view key_field, Key& key) {
  key = {};
  if (text.size() <= kKeptBytes) return impl_->validate(impl_->parser, text, padded, key_field, key);
  // Large: the parser's tape is about nine times the text, so it is not kept.
  dom::parser once;
  if (once.allocate(text.size(), kDepthMax + 1) != simdjson::SUCCESS) return Rejection::record_too_large;
  const auto wrong = impl_->validate(once, text, padded, key_field, key);
  if (!key.text.empty()) {
    impl_->large_key.assign(key.text);
    key.text = impl_->large_key;
  }
  if (impl_->names.capacity() > 4096) std::vector<std::string_view>().swap(impl_->names);
  return wrong;
}

std::optional<std::size_t> Validator::minify(std::string_view text, char* into) {
  std::size_t size = 0;
  const auto* const from = reinterpret_cast<const std::uint8_t*>(text.data());
  if (minifier().minify(from, text.size(), reinterpret_cast<std::uint8_t*>(into), size) != simdjson::SUCCESS)
    return std::nullopt;
  return size;
}

}  // namespace tidemill
