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

// What the parser does not look for: names that occur twice, and an empty container one level too deep.
class Walk {
 public:
  explicit Walk(std::vector<std::string_view>& names) : names_(names) { names_.clear(); }

  std::optional<Rejection> object(const dom::object& object, std::size_t depth) {
    if (depth > kDepthMax) return Rejection::too_deep;
    // A bit for each name seen; only two names on one bit need comparing. Large objects are sorted instead, so that
    // names chosen to share a bit cannot make this quadratic.
    const std::size_t base = names_.size();
    const bool sorted = object.size() > 64;
    std::uint64_t seen = 0;
    for (const auto [name, value] : object) {
      if (!sorted) {
        const std::uint64_t bit = std::uint64_t{1} << (mix(name) >> 58);
        if ((seen & bit) != 0 &&
            std::find(names_.begin() + static_cast<std::ptrdiff_t>(base), names_.end(), name) != names_.end())
          return Rejection::duplicate_name;
        seen |= bit;
      }
      names_.push_back(name);
      if (const auto wrong = inner(value, depth)) return wrong;
    }
    if (sorted) {
      const auto first = names_.begin() + static_cast<std::ptrdiff_t>(base);
      std::sort(first, names_.end());
      if (std::adjacent_find(first, names_.end()) != names_.end()) return Rejection::duplicate_name;
    }
    names_.resize(base);
    return std::nullopt;
  }

 private:
  std::optional<Rejection> inner(const dom::element& value, std::size_t depth) {
    switch (value.type()) {
      case dom::element_type::OBJECT:
        return object(value.get_object().value_unsafe(), depth + 1);
      case dom::element_type::ARRAY: {
        if (depth + 1 > kDepthMax) return Rejection::too_deep;
        const dom::array array = value.get_array().value_unsafe();
        for (const dom::element item : array)
          if (const auto wrong = inner(item, depth + 1)) return wrong;
        return std::nullopt;
      }
      default:
        return std::nullopt;
    }
  }

  static std::uint64_t mix(std::string_view name) {
    std::uint64_t head = 0;
    std::uint64_t tail = 0;
    const std::size_t n = std::min<std::size_t>(name.size(), 8);
    if (n == 8) {
      std::memcpy(&head, name.data(), 8);
      std::memcpy(&tail, name.data() + name.size() - 8, 8);
    } else {
      for (std::size_t i = 0; i < n; ++i) head = head << 8 | static_cast<unsigned char>(name[i]);
    }
    return (head ^ (tail << 1 | tail >> 63) ^ name.size()) * 0x9E3779B97F4A7C15;
  }

  std::vector<std::string_view>& names_;
};

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
    const dom::element element = root.value_unsafe();
    if (element.type() != dom::element_type::OBJECT) return Rejection::not_an_object;
    const dom::object object = element.get_object().value_unsafe();
    if (const auto wrong = Walk(names).object(object, 1)) return wrong;
    if (key_field.empty()) return std::nullopt;
    return find_key(object, key_field, key);
  }

  static std::optional<Rejection> find_key(const dom::object& object, std::string_view field, Key& key) {
    std::size_t member = 0;
    for (const auto [name, value] : object) {
      if (name != field) {
        ++member;
        continue;
      }
      switch (value.type()) {
        case dom::element_type::STRING:
          key.text = value.get_string().value_unsafe();
          if (key.text.empty()) return Rejection::missing_partition_key;
          if (characters(key.text) > kKeyCharactersMax) return Rejection::invalid_partition_key;
          return std::nullopt;
        case dom::element_type::NULL_VALUE:
          return Rejection::missing_partition_key;
        case dom::element_type::OBJECT:
        case dom::element_type::ARRAY:
          return Rejection::invalid_partition_key;
        default:
          key.member = member;
          return std::nullopt;
      }
    }
    return Rejection::missing_partition_key;
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
  if (simdjson::minify(text.data(), text.size(), into, size) != simdjson::SUCCESS) return std::nullopt;
  return size;
}

}  // namespace tidemill
