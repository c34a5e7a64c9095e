#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/position.h"
#include "storage/base/time.h"

namespace tidemill::views {

// The keys of one view's family, docs/formats/views.md:
//   01 'c'                                     the checkpoint
//   02 group-key                               a row
//   03 group-key aggregate(u16 BE) member-key  what an aggregate keeps below its row
//   04 sequence(u64 BE)                        a parked record
//   05 bucket(u64 BE) group-key                where rows go with time: when the row's bytes may (expiry.h)
//   06 group-key sequence(u64 BE)              which records are in a row, a piece of them (lineage.h)
// Group keys of one view have the same number of terms and mark their own end, so none is the beginning of another.
inline constexpr std::string_view kCheckpointKey{
    "\x01"
    "c",
    2};
inline constexpr char kRowSpace = 2;
inline constexpr char kMemberSpace = 3;
inline constexpr char kParkedSpace = 4;
inline constexpr char kExpirySpace = 5;
inline constexpr char kLineageSpace = 6;

std::string family_name(std::uint64_t view_id);
std::string row_key(std::string_view group_key);
std::string member_space(std::string_view group_key, std::uint32_t aggregate);  // in front of each member's key
std::string parked_key(std::uint64_t sequence);
std::optional<Sequence> parked_sequence(std::string_view key);  // of such a key
std::string expiry_key(std::int64_t bucket_ms, std::string_view group_key);
std::string lineage_key(std::string_view group_key, std::uint64_t sequence);
struct ExpiryEntry {
  std::int64_t bucket_ms;
  std::string_view group_key;
};
std::optional<ExpiryEntry> expiry_entry(std::string_view key);  // of such a key
// The first key behind all that begin with these bytes; empty: there is none.
std::string behind_prefix(std::string prefix);

// Of a view whose rows go with time.
struct ExpiryState {
  WallTime stream_time{};     // the latest arrival of the records that were read
  std::uint64_t expired = 0;  // rows that have gone, and whose bytes have
  std::uint64_t late = 0;     // records that were dropped
};

// Everything up to and with `position` is in the rows that stand beside it.
struct Checkpoint {
  Position position;
  WallTime time{};           // when the last record that was there to apply was appended; see views.md
  std::uint64_t rows = 0;    // how many there are
  std::uint64_t parked = 0;  // records in quarantine
  Sequence since{1};  // the first record that was there to count; above 1 where retention had removed some before
  std::optional<ExpiryState> expiry;  // nullopt: rows stay
  // Records from here on are in the lineage of rows; above `since` where the rows are of a version without it. nullopt:
  // none is.
  std::optional<Sequence> lineage;
};
std::string encode_checkpoint(const Checkpoint& checkpoint);
std::optional<Checkpoint> decode_checkpoint(std::string_view bytes);  // nullopt: damaged

struct ParkedRecord {
  std::string reason;
  std::string key;
  std::string data;
  WallTime time{};
};
std::string encode_parked(const ParkedRecord& record);
std::optional<ParkedRecord> decode_parked(std::string_view bytes);

}  // namespace tidemill::views
