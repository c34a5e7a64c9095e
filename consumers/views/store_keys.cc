#include "consumers/views/store_keys.h"

namespace tidemill::views {
namespace {

void put_be(std::string& out, std::uint64_t v, int bytes) {
  for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>(v >> (8 * i));
}

void put_le(std::string& out, std::uint64_t v) {
  for (int i = 0; i < 8; ++i) out += static_cast<char>(v >> (8 * i));
}

bool get_le(std::string_view& in, std::uint64_t& v) {
  if (in.size() < 8) return false;
  v = 0;
  for (int i = 0; i < 8; ++i) v |= std::uint64_t{static_cast<unsigned char>(in[i])} << (8 * i);
  in.remove_prefix(8);
  return true;
}

bool get_text(std::string_view& in, std::string& out) {
  std::uint64_t size = 0;
  if (!get_le(in, size) || size > in.size()) return false;
  out.assign(in.substr(0, size));
  in.remove_prefix(size);
  return true;
}

constexpr char kVersion = 1;
constexpr char kSinceVersion = 2;    // of a checkpoint that says since when
constexpr char kExpiryVersion = 3;   // of one that says what has gone with time
constexpr char kLineageVersion = 4;  // of one that says which records are in the lineage
constexpr char kBothVersion = 5;     // and what has gone with time

}  // namespace

std::string family_name(std::uint64_t view_id) {
  return "v" + std::to_string(view_id);
}

std::string row_key(std::string_view group_key) {
  return kRowSpace + std::string(group_key);
}

std::string member_space(std::string_view group_key, std::uint32_t aggregate) {
  std::string out;
  out.reserve(group_key.size() + 3);
  out += kMemberSpace;
  out += group_key;
  put_be(out, aggregate, 2);
  return out;
}

std::string parked_key(std::uint64_t sequence) {
  std::string out(1, kParkedSpace);
  put_be(out, sequence, 8);
  return out;
}

std::optional<Sequence> parked_sequence(std::string_view key) {
  if (key.size() != 9 || key[0] != kParkedSpace) return std::nullopt;
  std::uint64_t sequence = 0;
  for (const char c : key.substr(1)) sequence = sequence << 8 | static_cast<unsigned char>(c);
  return Sequence(sequence);
}

std::string expiry_key(std::int64_t bucket_ms, std::string_view group_key) {
  std::string out(1, kExpirySpace);
  put_be(out, static_cast<std::uint64_t>(bucket_ms), 8);
  return out.append(group_key);
}

std::string lineage_key(std::string_view group_key, std::uint64_t sequence) {
  std::string out;
  out.reserve(group_key.size() + 9);
  out += kLineageSpace;
  out += group_key;
  put_be(out, sequence, 8);
  return out;
}

std::optional<ExpiryEntry> expiry_entry(std::string_view key) {
  if (key.size() < 9 || key[0] != kExpirySpace) return std::nullopt;
  std::uint64_t bucket = 0;
  for (const char c : key.substr(1, 8)) bucket = bucket << 8 | static_cast<unsigned char>(c);
  return ExpiryEntry{static_cast<std::int64_t>(bucket), key.substr(9)};
}

std::string behind_prefix(std::string prefix) {
  while (!prefix.empty() && static_cast<unsigned char>(prefix.back()) == 0xFF) prefix.pop_back();
  if (!prefix.empty()) prefix.back() = static_cast<char>(static_cast<unsigned char>(prefix.back()) + 1);
  return prefix;
}

std::string encode_checkpoint(const Checkpoint& c) {
  const bool all = c.since <= Sequence(1) && !c.expiry && !c.lineage;
  const char without = c.expiry ? kExpiryVersion : all ? kVersion : kSinceVersion;
  std::string out(1, !c.lineage ? without : c.expiry ? kBothVersion : kLineageVersion);
  put_le(out, c.position.sequence().value());
  put_le(out, static_cast<std::uint64_t>(c.time.time_since_epoch().count()));
  put_le(out, c.rows);
  put_le(out, c.parked);
  if (!all) put_le(out, c.since.value());
  if (c.lineage) put_le(out, c.lineage->value());
  if (!c.expiry) return out;
  put_le(out, static_cast<std::uint64_t>(c.expiry->stream_time.time_since_epoch().count()));
  put_le(out, c.expiry->expired);
  put_le(out, c.expiry->late);
  return out;
}

std::optional<Checkpoint> decode_checkpoint(std::string_view in) {
  std::uint64_t sequence = 0, time = 0, rows = 0, parked = 0, since = 1;
  static constexpr std::size_t kSizes[] = {0, 33, 41, 65, 49, 73};
  if (in.empty() || in[0] < kVersion || in[0] > kBothVersion || in.size() != kSizes[std::size_t(in[0])])
    return std::nullopt;
  const bool all = in[0] == kVersion;
  const bool expires = in[0] == kExpiryVersion || in[0] == kBothVersion;
  const bool lineage = in[0] == kLineageVersion || in[0] == kBothVersion;
  const bool since_may_be_1 = expires || lineage;
  in.remove_prefix(1);
  if (!get_le(in, sequence) || !get_le(in, time) || !get_le(in, rows) || !get_le(in, parked)) return std::nullopt;
  if (!all && (!get_le(in, since) || since < (since_may_be_1 ? 1 : 2))) return std::nullopt;
  std::uint64_t lineage_from = 1;
  if (lineage && (!get_le(in, lineage_from) || lineage_from == 0)) return std::nullopt;
  const auto wall = [](std::uint64_t ms) { return WallTime(std::chrono::milliseconds(static_cast<std::int64_t>(ms))); };
  Checkpoint out{
      Position::through(Sequence(sequence)), wall(time), rows, parked, Sequence(since), std::nullopt, std::nullopt};
  if (lineage) out.lineage = Sequence(lineage_from);
  if (!expires) return out;
  std::uint64_t stream_time = 0, expired = 0, late = 0;
  if (!get_le(in, stream_time) || !get_le(in, expired) || !get_le(in, late)) return std::nullopt;
  out.expiry = {wall(stream_time), expired, late};
  return out;
}

std::string encode_parked(const ParkedRecord& r) {
  std::string out(1, kVersion);
  put_le(out, static_cast<std::uint64_t>(r.time.time_since_epoch().count()));
  for (const std::string* text : {&r.reason, &r.key, &r.data}) {
    put_le(out, text->size());
    out += *text;
  }
  return out;
}

std::optional<ParkedRecord> decode_parked(std::string_view in) {
  ParkedRecord r;
  std::uint64_t time = 0;
  if (in.empty() || in[0] != kVersion) return std::nullopt;
  in.remove_prefix(1);
  if (!get_le(in, time) || !get_text(in, r.reason) || !get_text(in, r.key) || !get_text(in, r.data) || !in.empty()) {
    return std::nullopt;
  }
  r.time = WallTime(std::chrono::milliseconds(static_cast<std::int64_t>(time)));
  return r;
}

}  // namespace tidemill::views
