#include "consumers/views/batch.h"

#include <simdjson.h>

#include <cstring>
#include <optional>
#include <unordered_map>

#include "storage/base/check.h"

namespace tidemill::views {
namespace {

namespace ondemand = simdjson::ondemand;
using simdjson::SIMDJSON_PADDING;

enum class Metadata { none, sequence, shard, time, key, data };

Metadata metadata_of(std::string_view name) {
  if (name == "_sequence") return Metadata::sequence;
  if (name == "_shard") return Metadata::shard;
  if (name == "_time") return Metadata::time;
  if (name == "_key") return Metadata::key;
  if (name == "data") return Metadata::data;
  return Metadata::none;
}

// Bytes that stay where they are until clear().
class Arena {
 public:
  char* take(std::size_t n) {
    while (block_ < blocks_.size() && used_ + n > blocks_[block_].size) {
      ++block_;
      used_ = 0;
    }
    if (block_ == blocks_.size()) {
      std::size_t size = std::max<std::size_t>(n, 256 << 10);
      blocks_.push_back({std::make_unique<char[]>(size), size});
    }
    char* out = blocks_[block_].bytes.get() + used_;
    used_ += n;
    return out;
  }
  std::string_view copy(std::string_view s) {
    char* to = take(s.size() + 1);
    std::memcpy(to, s.data(), s.size());
    to[s.size()] = '\0';
    return {to, s.size()};
  }
  void clear() {
    // Back to one block's worth after an unusual batch.
    while (blocks_.size() > 64) blocks_.pop_back();
    block_ = used_ = 0;
  }

 private:
  struct Piece {
    std::unique_ptr<char[]> bytes;
    std::size_t size;
  };
  std::vector<Piece> blocks_;
  std::size_t block_ = 0;
  std::size_t used_ = 0;
};

struct Path {
  std::uint32_t slot;
  bool written;
  std::vector<std::string> steps;  // after the first
};

// What to do with a top-level name.
struct Wanted {
  std::optional<std::uint32_t> slot;
  std::optional<std::uint32_t> written;  // of the value as JSON
  std::vector<Path> paths;
};

}  // namespace

std::uint32_t FieldSet::add(std::string_view name) {
  for (std::uint32_t i = 0; i < size(); ++i) {
    if (names_[i] == name) return i;
  }
  names_.emplace_back(name);
  return size() - 1;
}

struct ParsedBatch::Parser {
  // Producers write their fields in the same order nearly always: the names met in the last record, by position, with
  // what was found out about each. A hit costs one memcmp.
  struct Seen {
    std::string name;  // raw, with the closing quote
    const Wanted* wanted;
  };

  ondemand::parser parser;
  simdjson::dom::parser dom;
  std::unordered_map<std::string, Wanted> wanted;
  std::vector<std::pair<std::uint32_t, Metadata>> metadata;
  std::vector<Seen> shape;
  Arena arena;

  explicit Parser(const FieldSet& fields) {
    for (std::uint32_t slot = 0; slot < fields.size(); ++slot) {
      const bool written = fields.name(slot).starts_with(kAsWritten);
      const std::string name = fields.name(slot).substr(written ? 1 : 0);
      if (Metadata m = metadata_of(name); m != Metadata::none) {
        metadata.emplace_back(slot, m);
        continue;
      }
      (written ? wanted[name].written : wanted[name].slot) = slot;
      if (auto dot = name.find('.'); dot != std::string::npos) {
        Path path{slot, written, {}};
        for (std::size_t at = dot + 1;;) {
          auto end = name.find('.', at);
          path.steps.push_back(name.substr(at, end == std::string::npos ? end : end - at));
          if (end == std::string::npos) break;
          at = end + 1;
        }
        wanted[name.substr(0, dot)].paths.push_back(std::move(path));
      }
    }
  }

  const Wanted* find(std::size_t position, ondemand::raw_json_string key, const char* end) {
    const char* raw = key.raw();
    if (position < shape.size()) {
      const Seen& seen = shape[position];
      if (static_cast<std::size_t>(end - raw) >= seen.name.size() &&
          std::memcmp(raw, seen.name.data(), seen.name.size()) == 0) {
        return seen.wanted;
      }
    }
    std::size_t n = 0;
    bool escaped = false;
    while (raw[n] != '"') {
      if (raw[n] == '\\') {
        escaped = true;
        ++n;
      }
      ++n;
    }
    std::string name(raw, n);
    if (escaped) {
      // A name spelt with escapes is compared by what it means. Rare, so the slow way.
      std::string_view meant;
      if (dom.parse("\"" + name + "\"").get(meant)) return nullptr;
      name.assign(meant);
    }
    auto it = wanted.find(name);
    const Wanted* found = it == wanted.end() ? nullptr : &it->second;
    if (shape.size() <= position) shape.resize(position + 1, Seen{"\"", nullptr});
    shape[position] = {std::string(raw, n + 1), found};
    return found;
  }

  // The record lies in a padded buffer that lives as long as the batch, so that plain strings need no copy.
  Cell read(ondemand::value& value) {
    switch (value.type()) {
      case ondemand::json_type::string: {
        std::string_view raw = value.raw_json_token();
        // The token runs up to the next one: cut it at its closing quote.
        const char* begin = raw.data() + 1;
        const char* quote = begin;
        const char* end = raw.data() + raw.size();
        while (quote < end && *quote != '"' && *quote != '\\') ++quote;
        if (quote < end && *quote == '"') return Cell::text({begin, static_cast<std::size_t>(quote - begin)});
        std::string_view text;
        if (value.get_string().get(text)) throw simdjson::simdjson_error(simdjson::STRING_ERROR);
        return Cell::text(arena.copy(text));
      }
      case ondemand::json_type::number: {
        ondemand::number n = value.get_number();
        if (n.is_int64()) return Cell::integer(n.get_int64());
        if (n.is_uint64()) return Cell::text(arena.copy(std::to_string(n.get_uint64())));
        return canonical(Cell::real(n.get_double()));
      }
      case ondemand::json_type::boolean:
        return Cell::integer(bool(value.get_bool()) ? 1 : 0);
      case ondemand::json_type::null:
        return {};
      case ondemand::json_type::object:
      case ondemand::json_type::array:
        return Cell::text(raw_of(value), CellType::json);
    }
    return {};
  }

  // Of a scalar, before it is read: the token runs up to the next one.
  static std::string_view written(ondemand::value& value) {
    std::string_view token = value.raw_json_token();
    while (!token.empty() &&
           (token.back() == ' ' || token.back() == '\t' || token.back() == '\n' || token.back() == '\r'))
      token.remove_suffix(1);
    return token;
  }

  static std::string_view raw_of(ondemand::value& value) {
    if (value.type() == ondemand::json_type::object) return value.get_object().value().raw_json();
    return value.get_array().value().raw_json();
  }

  Cell read(simdjson::dom::element e) {
    switch (e.type()) {
      case simdjson::dom::element_type::STRING:
        return Cell::text(arena.copy(std::string_view(e)));
      case simdjson::dom::element_type::INT64:
        return Cell::integer(std::int64_t(e));
      case simdjson::dom::element_type::UINT64:
        return Cell::text(arena.copy(std::to_string(std::uint64_t(e))));
      case simdjson::dom::element_type::DOUBLE:
        return canonical(Cell::real(double(e)));
      case simdjson::dom::element_type::BOOL:
        return Cell::integer(bool(e) ? 1 : 0);
      case simdjson::dom::element_type::NULL_VALUE:
        return {};
      default:
        return Cell::text(arena.copy(simdjson::minify(e)), CellType::json);
    }
  }

  void read_paths(std::string_view json, const std::vector<Path>& paths, Cell* row) {
    simdjson::dom::element root;
    if (dom.parse(json.data(), json.size()).get(root)) return;
    for (const Path& path : paths) {
      if (!row[path.slot].is_null()) continue;  // the object has that very name
      simdjson::dom::element at = root;
      bool there = true;
      for (const std::string& step : path.steps) {
        simdjson::dom::element inner;
        if (at.is_array()) {
          bool index = !step.empty() && step.size() < 10 && step.find_first_not_of("0123456789") == std::string::npos;
          there = index && !at.get_array().at(std::stoul(step)).get(inner);
        } else {
          there = at.is_object() && !at.get_object().at_key(step).get(inner);
        }
        if (!there) break;
        at = inner;
      }
      if (there && path.written) {
        row[path.slot] = Cell::text(arena.copy(simdjson::minify(at)), CellType::json);
      } else if (there) {
        row[path.slot] = read(at);
      }
    }
  }

  // false: not a JSON object.
  bool parse(std::string_view json, Cell* row) {
    char* copy = arena.take(json.size() + SIMDJSON_PADDING);
    std::memcpy(copy, json.data(), json.size());
    std::memset(copy + json.size(), ' ', SIMDJSON_PADDING);
    try {
      ondemand::document document = parser.iterate(copy, json.size(), json.size() + SIMDJSON_PADDING);
      std::size_t position = 0;
      for (auto field : document.get_object()) {
        const Wanted* found = find(position++, field.key(), copy + json.size() + SIMDJSON_PADDING);
        if (found == nullptr) continue;
        ondemand::value value = field.value();
        const std::string_view token = found->written ? written(value) : std::string_view();
        Cell cell = read(value);
        if (found->written)
          row[*found->written] = cell.type() == CellType::json ? cell : Cell::text(token, CellType::json);
        if (found->slot) row[*found->slot] = cell;
        if (!found->paths.empty() && cell.type() == CellType::json) read_paths(cell.text(), found->paths, row);
      }
      return true;
    } catch (const simdjson::simdjson_error&) {
      return false;
    }
  }
};

ParsedBatch::ParsedBatch(FieldSet fields, ShardOf shard_of)
    : fields_(std::move(fields)), shard_of_(std::move(shard_of)), parser_(std::make_unique<Parser>(fields_)) {}
ParsedBatch::~ParsedBatch() = default;
ParsedBatch::ParsedBatch(ParsedBatch&&) noexcept = default;
ParsedBatch& ParsedBatch::operator=(ParsedBatch&&) noexcept = default;

void ParsedBatch::parse(std::span<const Record> records) {
  records_ = records;
  cells_.assign(records.size() * fields_.size(), Cell{});
  Parser& p = *parser_;
  p.arena.clear();
  Cell* row = cells_.data();
  for (const Record& record : records) {
    bool object = true;
    if (record.content == ContentType::bytes) {
      // Nobody has validated these: the On-Demand parser would take some broken documents for good ones.
      simdjson::dom::element root;
      object = !p.dom.parse(record.data.data(), record.data.size()).get(root) && root.is_object();
    }
    if (object && !p.parse(record.data, row)) {
      object = false;
      std::fill(row, row + fields_.size(), Cell{});
    }
    for (auto [slot, what] : p.metadata) {
      switch (what) {
        case Metadata::sequence:
          row[slot] = Cell::integer(static_cast<std::int64_t>(record.sequence.value()));
          break;
        case Metadata::shard:
          row[slot] = Cell::integer(shard_of_ ? shard_of_(record.hash, record.sequence).value() : 0);
          break;
        case Metadata::time:
          row[slot] = Cell::text(p.arena.copy(format_rfc3339(record.arrival)));
          break;
        case Metadata::key:
          row[slot] = Cell::text(record.key);
          break;
        case Metadata::data:
          if (object) row[slot] = Cell::text(record.data, CellType::json);
          break;
        case Metadata::none:
          break;
      }
    }
    row += fields_.size();
  }
}

}  // namespace tidemill::views
