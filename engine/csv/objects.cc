#include "engine/csv/objects.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <set>

namespace tidemill::csv {
namespace {

bool digit(char c) {
  return c >= '0' && c <= '9';
}

constexpr std::size_t kNameBytesMax = 4'096;  // each row repeats it

constexpr char kHex[] = "0123456789abcdef";

// What stands for a byte in a JSON string: 0 itself, 'u' \u00XX, else the letter behind the backslash; 1: not ASCII.
constexpr std::array<char, 256> make_escapes() {
  std::array<char, 256> table{};
  for (int c = 0; c < 0x20; ++c) table[c] = 'u';
  table['\b'] = 'b';
  table['\f'] = 'f';
  table['\n'] = 'n';
  table['\r'] = 'r';
  table['\t'] = 't';
  table['"'] = '"';
  table['\\'] = '\\';
  for (int c = 0x80; c < 0x100; ++c) table[c] = 1;
  return table;
}
constexpr std::array<char, 256> kEscapes = make_escapes();

// `out` has room for 6 bytes a byte and the quotes. nullptr: not valid in its encoding.
char* write_string(char* out, std::string_view s, Encoding encoding) {
  *out++ = '"';
  const char* at = s.data();
  const char* const end = at + s.size();
  while (true) {
    while (at < end && kEscapes[static_cast<unsigned char>(*at)] == 0) *out++ = *at++;
    if (at == end) break;
    const char escape = kEscapes[static_cast<unsigned char>(*at)];
    if (escape != 1) {
      *out++ = '\\';
      *out++ = escape;
      if (escape == 'u') {
        *out++ = '0';
        *out++ = '0';
        *out++ = kHex[static_cast<unsigned char>(*at) >> 4];
        *out++ = kHex[*at & 15];
      }
      ++at;
    } else if (encoding == Encoding::windows_1252) {
      out += windows_1252_to_utf8(static_cast<unsigned char>(*at++), out);
    } else {
      const char* stop = at;
      while (stop < end && static_cast<unsigned char>(*stop) >= 0x80) ++stop;
      const std::string_view run(at, static_cast<std::size_t>(stop - at));
      if (valid_utf8_prefix(run) != run.size()) return nullptr;
      std::memcpy(out, run.data(), run.size());
      out += run.size();
      at = stop;
    }
  }
  *out++ = '"';
  return out;
}

// A value in an error message: short, and always valid UTF-8.
std::string shown(std::string_view value, Encoding encoding) {
  constexpr std::size_t kMax = 60;
  std::string text;
  if (!append_utf8(value.substr(0, kMax), encoding, text)) text += "…";
  if (value.size() > kMax) text += "…";
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  return "'" + text + "'";
}

}  // namespace

NumberKind number_kind(std::string_view s) {
  std::size_t i = 0;
  const bool negative = !s.empty() && s[0] == '-';
  if (negative) ++i;
  const std::size_t begin = i;
  while (i < s.size() && digit(s[i])) ++i;
  const std::size_t digits = i - begin;
  if (digits == 0 || (digits > 1 && s[begin] == '0')) return NumberKind::none;
  if (i == s.size()) {
    if (digits <= 18) return NumberKind::integer;
    std::errc error;
    if (negative) {
      std::int64_t v;
      error = std::from_chars(s.data(), s.data() + s.size(), v).ec;
    } else {
      std::uint64_t v;
      error = std::from_chars(s.data(), s.data() + s.size(), v).ec;
    }
    return error == std::errc() ? NumberKind::integer : NumberKind::none;
  }
  bool may_overflow = digits > 300;
  if (s[i] == '.') {
    const std::size_t fraction = ++i;
    while (i < s.size() && digit(s[i])) ++i;
    if (i == fraction) return NumberKind::none;
  }
  if (i < s.size() && (s[i] == 'e' || s[i] == 'E')) {
    ++i;
    if (i < s.size() && (s[i] == '+' || s[i] == '-')) ++i;
    const std::size_t exponent = i;
    while (i < s.size() && digit(s[i])) ++i;
    if (i == exponent) return NumberKind::none;
    may_overflow = true;
  }
  if (i != s.size()) return NumberKind::none;
  if (may_overflow && std::isinf(std::strtod(std::string(s).c_str(), nullptr))) return NumberKind::none;
  return NumberKind::real;
}

ObjectReader::ObjectReader(const Dialect& dialect, Encoding encoding, FieldTypes types)
    : reader_(dialect), encoding_(encoding), types_(std::move(types)) {}
ObjectReader::~ObjectReader() = default;

std::optional<std::size_t> ObjectReader::column(std::string_view name) const {
  for (std::size_t i = 0; i < columns_.size(); ++i)
    if (columns_[i] == name) return i;
  return std::nullopt;
}

void ObjectReader::resume(std::uint64_t line, std::uint64_t rows) {
  reader_.resume(line);
  rows_ = rows;
}

void ObjectReader::set_types(const FieldTypes& types) {
  column_types_.clear();
  for (const std::string& column : columns_) {
    const auto type = types.find(column);
    column_types_.push_back(type == types.end() ? FieldType::text : type->second);
  }
}

ObjectReader::Outcome ObjectReader::fail(std::string message) {
  error_ = {{}, std::move(message)};
  return Outcome::failed;
}

ObjectReader::Outcome ObjectReader::reject(Rejection code, std::string message) {
  error_ = {code, std::move(message)};
  ++rows_;
  return Outcome::rejected;
}

ObjectReader::Outcome ObjectReader::read_header(std::string_view& input, bool last) {
  switch (reader_.next(input, last, row_)) {
    case csv::Outcome::need_more:
      return Outcome::need_more;
    case csv::Outcome::end:
      return fail("The CSV is empty; its first line must name the columns.");
    case csv::Outcome::bad_row:
      return fail(
          "The header line cannot be read: a quote is not closed, text follows a closing quote, or it is longer "
          "than a row may be.");
    case csv::Outcome::row:
      break;
  }
  std::set<std::string, std::less<>> names;
  for (std::size_t i = 0; i < row_.fields.size(); ++i) {
    std::string name;
    if (!append_utf8(row_.fields[i], encoding_, name))
      return fail("The name of column " + std::to_string(i + 1) +
                  " is not valid UTF-8; say which encoding the file is in.");
    if (name.empty())
      return fail("Column " + std::to_string(i + 1) + " has no name; every column of the header line needs one.");
    if (name.size() > kNameBytesMax)
      return fail("The name of column " + std::to_string(i + 1) +
                  " is longer than 4,096 bytes: " + shown(row_.fields[i], encoding_) + "; is a line end lost?");
    if (!names.insert(name).second)
      return fail("The header line names " + shown(row_.fields[i], encoding_) +
                  " twice; a JSON object has each name once.");
    columns_.push_back(name);
    std::string prefix(name.size() * 6 + 8, '\0');
    prefix[0] = i == 0 ? '{' : ',';
    char* end = write_string(prefix.data() + 1, name, Encoding::utf8);
    *end++ = ':';
    prefix.resize(static_cast<std::size_t>(end - prefix.data()));
    prefix_bytes_ += prefix.size();
    prefixes_.push_back(std::move(prefix));
  }
  header_ = row_.raw;
  set_types(types_);
  return Outcome::object;
}

ObjectReader::Outcome ObjectReader::next(std::string_view& input, bool last, std::string& out) {
  if (columns_.empty()) {
    const Outcome header = read_header(input, last);
    if (header != Outcome::object) return header;
  }
  switch (reader_.next(input, last, row_)) {
    case csv::Outcome::need_more:
      return Outcome::need_more;
    case csv::Outcome::end:
      return Outcome::end;
    case csv::Outcome::bad_row:
      switch (row_.problem) {
        case Problem::unclosed_quote:
          return reject(Rejection::csv_bad_quote, "The quote that opens in line " + std::to_string(row_.problem_line) +
                                                      " is never closed; a quote inside a quoted field is doubled.");
        case Problem::text_after_quote:
          return reject(Rejection::csv_bad_quote, "Text follows a closing quote in line " +
                                                      std::to_string(row_.problem_line) +
                                                      "; a quote inside a quoted field is doubled.");
        case Problem::too_many_columns:
          return reject(Rejection::csv_too_many_fields,
                        "The row has more fields than any file may have; the header names " +
                            std::to_string(columns_.size()) + ".");
        case Problem::row_too_long:
        case Problem::none:
          break;
      }
      return reject(Rejection::record_too_large,
                    "The row is longer than a row may be; is a quote missing or a line end lost?");
    case csv::Outcome::row:
      break;
  }
  if (row_.fields.size() != columns_.size()) {
    const bool many = row_.fields.size() > columns_.size();
    return reject(many ? Rejection::csv_too_many_fields : Rejection::csv_too_few_fields,
                  "The row has " + std::to_string(row_.fields.size()) + " fields, the header names " +
                      std::to_string(columns_.size()) +
                      (many ? "; a field with a delimiter in it needs quotes." : "."));
  }
  if (!write(out)) return reject(error_.code, error_.message);
  ++rows_;
  return Outcome::object;
}

// Into a buffer that is big enough for the worst case, so that nothing is checked on the way.
bool ObjectReader::write(std::string& out) {
  const std::size_t need = prefix_bytes_ + row_.raw.size() * 6 + columns_.size() * 6 + 8;
  if (need > buffer_size_) {
    buffer_size_ = need * 2;
    buffer_.reset(new char[buffer_size_]);
  }
  char* at = buffer_.get();
  const auto made = [&](const char* end) { made_ += static_cast<std::size_t>(end - buffer_.get()); };
  for (std::size_t i = 0; i < row_.fields.size(); ++i) {
    const std::string& prefix = prefixes_[i];
    std::memcpy(at, prefix.data(), prefix.size());
    at += prefix.size();
    const std::string_view value = row_.fields[i];
    if (value.empty()) {
      std::memcpy(at, "null", 4);
      at += 4;
      continue;
    }
    if (column_types_[i] == FieldType::text) {
      char* const end = write_string(at, value, encoding_);
      if (!end) {
        made(at + value.size());
        error_ = {Rejection::invalid_utf8, "Column '" + columns_[i] + "' holds bytes that are not UTF-8: " +
                                               shown(value, encoding_) + "; is the file windows-1252?"};
        return false;
      }
      at = end;
      continue;
    }
    const NumberKind kind = number_kind(value);
    const bool integer = column_types_[i] == FieldType::integer;
    if (kind == NumberKind::none || (integer && kind == NumberKind::real)) {
      error_ = {Rejection::csv_invalid_value, "Column '" + columns_[i] + "' is " + shown(value, encoding_) +
                                                  ", but the stream declares " + (integer ? "an integer" : "a number") +
                                                  "."};
      made(at);
      return false;
    }
    std::memcpy(at, value.data(), value.size());
    at += value.size();
  }
  *at++ = '}';
  made(at);
  out.append(buffer_.get(), static_cast<std::size_t>(at - buffer_.get()));
  return true;
}

void TypeDetector::add(const Row& row) {
  if (seen_.size() < row.fields.size()) seen_.resize(row.fields.size(), Seen::nothing);
  for (std::size_t i = 0; i < row.fields.size(); ++i) {
    if (row.fields[i].empty() || seen_[i] == Seen::text) continue;
    seen_[i] = number_kind(row.fields[i]) == NumberKind::none ? Seen::text : Seen::numbers;
  }
}

FieldTypes TypeDetector::result(const std::vector<std::string>& columns) const {
  FieldTypes types;
  for (std::size_t i = 0; i < columns.size() && i < seen_.size(); ++i)
    if (seen_[i] == Seen::numbers) types.emplace(columns[i], FieldType::number);
  return types;
}

}  // namespace tidemill::csv
