#include "consumers/views/lineage.h"

#include <algorithm>

#include "consumers/views/encoding.h"
#include "consumers/views/store_keys.h"
#include "storage/base/errors.h"

namespace tidemill::views {
namespace {

using Sequences = std::vector<std::uint64_t>;

// Appends those of a piece, ascending. false: damaged.
bool read_piece(std::uint64_t last, std::string_view differences, Sequences& out) {
  const std::size_t begin = out.size();
  std::uint64_t sum = 0;
  out.push_back(0);  // less the first
  while (!differences.empty()) {
    std::uint64_t d = 0;
    if (!get_varint(differences, d) || d == 0 || d > last - sum) return false;
    sum += d;
    out.push_back(sum);
  }
  if (sum >= last) return false;
  for (std::size_t i = begin; i < out.size(); ++i) out[i] += last - sum;
  return true;
}

// The sequence under which a piece stands; 0: it is none of this row's.
std::uint64_t last_of(std::string_view key, std::size_t space) {
  if (key.size() != space + 8) return 0;
  std::string_view tail = key.substr(space);
  std::uint64_t last = 0;
  get_u64_big(tail, last);
  return last;
}

std::string lineage_space(std::string_view group_key) {
  return std::string(1, kLineageSpace).append(group_key);
}

// What stands between two records that end a piece whatever is before them: one piece, but where there are too many for
// one. From the store, as it was; the row's recent ones, too, where it is the last.
struct Run {
  Sequences sequences;
  std::vector<std::string> keys;
  bool with_recent = false;
};

Result<Run> run_around(Cursor& cursor, std::string_view group_key, const Recent& recent, std::uint64_t last,
                       std::uint64_t sequence) {
  const std::size_t space = group_key.size() + 1;
  Run run;
  cursor.seek(lineage_key(group_key, sequence));
  const bool behind_all = !cursor.valid();
  behind_all ? cursor.seek_to_last() : cursor.previous();
  while (cursor.valid() && !ends_piece(last_of(cursor.key(), space))) cursor.previous();
  if (cursor.error()) return cursor.error();
  // At the last piece of the run before, or in front of all.
  cursor.valid() ? cursor.next() : cursor.seek(lineage_key(group_key, 0));
  for (; cursor.valid(); cursor.next()) {
    const std::uint64_t piece = last_of(cursor.key(), space);
    if (piece == 0 || !read_piece(piece, cursor.value(), run.sequences)) return make_error_code(StorageErrc::damaged);
    run.keys.emplace_back(cursor.key());
    if (ends_piece(piece)) return run;
  }
  if (cursor.error()) return cursor.error();
  run.with_recent = true;
  if (recent.count > 0 && !read_piece(last, recent.differences, run.sequences))
    return make_error_code(StorageErrc::damaged);
  return run;
}

}  // namespace

bool ends_piece(std::uint64_t sequence) {
  std::uint64_t h = sequence * 0x9E3779B97F4A7C15ull;
  h = (h ^ h >> 32) * 0xD6E8FEB86659FD93ull;
  return (h ^ h >> 32) % 16 == 0;
}

void add_in_turn(Recent& recent, std::string_view group_key, std::uint64_t last, std::uint64_t sequence,
                 WriteSet& set) {
  if (recent.count != 0) put_varint(sequence - last, recent.differences);
  if (++recent.count < kPieceMax && !ends_piece(sequence)) return;
  set.put(lineage_key(group_key, sequence), recent.differences);
  recent.count = 0;
  recent.differences.clear();
}

Result<void> add_late(const Database& database, const Family& family, std::string_view group_key, Recent& recent,
                      std::uint64_t last, std::span<const std::uint64_t> sequences, WriteSet& set) {
  const std::string space = lineage_space(group_key);
  const auto snapshot = database.snapshot();
  const auto cursor = snapshot->cursor(family, space, behind_prefix(space));
  while (!sequences.empty() && sequences.front() < last) {
    ASSIGN_OR_RETURN(Run run, run_around(*cursor, group_key, recent, last, sequences.front()));
    const std::uint64_t end = run.with_recent ? last : run.sequences.back();
    std::size_t n = 0;
    while (n < sequences.size() && sequences[n] < end) ++n;
    if (n == 0) return make_error_code(StorageErrc::damaged);
    run.sequences.insert(run.sequences.end(), sequences.begin(), sequences.begin() + static_cast<std::ptrdiff_t>(n));
    std::sort(run.sequences.begin(), run.sequences.end());
    for (const std::string& key : run.keys) set.remove(key);
    Recent again;
    std::uint64_t before = 0;
    for (const std::uint64_t s : run.sequences) {
      add_in_turn(again, group_key, before, s, set);
      before = s;
    }
    if (run.with_recent) recent = std::move(again);
    sequences = sequences.subspan(n);
  }
  for (const std::uint64_t s : sequences) {
    add_in_turn(recent, group_key, last, s, set);
    last = s;
  }
  return {};
}

Result<LineagePage> read_lineage(const Snapshot& snapshot, const Family& family, std::string_view group_key,
                                 const RowState& row, const LineageFrom& from) {
  LineagePage page;
  const std::uint64_t last = row.header().last;
  const std::string space = lineage_space(group_key);
  const auto cursor = snapshot.cursor(family, space, behind_prefix(space));
  Sequences piece;
  // false: the page is full.
  const auto take = [&] {
    if (from.backwards) std::reverse(piece.begin(), piece.end());
    for (const std::uint64_t s : piece) {
      if (from.backwards ? s > from.sequence : s < from.sequence) continue;
      if (page.sequences.size() == from.limit) {
        page.next = s;
        return false;
      }
      page.sequences.push_back(s);
    }
    return true;
  };
  const auto take_recent = [&]() -> Result<bool> {
    piece.clear();
    if (row.recent().count == 0) return true;
    if (!read_piece(last, row.recent().differences, piece)) return make_error_code(StorageErrc::damaged);
    return take();
  };
  if (from.backwards) {
    ASSIGN_OR_RETURN(const bool more, take_recent());
    if (!more) return page;
  }
  cursor->seek(lineage_key(group_key, from.sequence));
  // The piece whose last one is later may begin before.
  if (from.backwards && !cursor->valid()) cursor->seek_to_last();
  for (; cursor->valid(); from.backwards ? cursor->previous() : cursor->next()) {
    piece.clear();
    const std::uint64_t end = last_of(cursor->key(), space.size());
    if (end == 0 || !read_piece(end, cursor->value(), piece)) return make_error_code(StorageErrc::damaged);
    if (!take()) return page;
  }
  if (cursor->error()) return cursor->error();
  if (!from.backwards) RETURN_IF_ERROR(take_recent());
  return page;
}

}  // namespace tidemill::views
