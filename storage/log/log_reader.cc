#include "storage/log/log_reader.h"

#include <algorithm>

#include "storage/base/check.h"
#include "storage/base/errors.h"
#include "storage/log/block.h"
#include "storage/log/commit_reader.h"
#include "storage/log/segment_scanner.h"

namespace tidemill {
namespace {

constexpr std::size_t kReadBytes = 256 << 10;
constexpr std::uint64_t kWholeBytes = 64 << 10;     // smaller commits are read in one go, whatever lanes are wanted
constexpr std::uint64_t kDropBytesMin = 256 << 10;  // less than that may be looked at again, and costs nothing
constexpr std::uint64_t kReadAheadBytes = 1 << 20;
constexpr std::uint64_t kExaminedBytesMax = 16 << 20;  // a narrow range must not read the whole log in one call

}  // namespace

struct LogReader::Call {
  const ReadOptions& options;
  const Sequence durable;
  RecordBatch batch;
  std::uint64_t bytes = 0;     // of the batch's records
  std::uint64_t examined = 0;  // on disk
  bool full = false;

  Sequence at() const { return batch.next; }
};

namespace {

// The page cache's part in a historical read of a sealed segment: what was passed goes, what comes next is fetched.
struct Passing {
  Passing(const Segments::View& v, ByteOffset from, bool w)
      : at(from.value()), view(v), begin(from.value()), wanted(w) {}
  Passing(const Passing&) = delete;
  Passing& operator=(const Passing&) = delete;
  ~Passing() {
    if (!wanted) return;
    if (at - begin >= kDropBytesMin) view.file->file->drop_cache(ByteOffset(begin), at - begin);
    const std::uint64_t left = view.end.value() - at;
    if (left != 0) view.file->file->read_ahead(ByteOffset(at), std::min(kReadAheadBytes, left));
  }
  std::uint64_t at;  // the commit that is looked at: all before it was passed

  const Segments::View& view;
  const std::uint64_t begin;
  const bool wanted;
};

// The lanes that the range meets, checked and decompressed. StorageErrc::damaged, or why the disk would not read.
Result<std::shared_ptr<const Block>> load_block(SegmentScanner& scanner, const SegmentFile& segment,
                                                const SegmentScanner::Found& found, const HashRange& range) {
  const CommitHeader& h = found.header;
  auto block = std::make_shared<Block>(h, range);
  if (h.length <= kWholeBytes) {
    if (auto whole = scanner.bytes(found.offset.value(), h.length); !whole) return whole.error();
  }
  for (std::size_t i = 0; i < block->lanes(); ++i) {
    const Lane& lane = h.lane[block->lane_number(i)];
    const auto extent = scanner.bytes(found.offset.value() + lane.offset, lane.extent);
    if (!extent) return extent.error();
    if (!lane_valid(*extent, lane, segment.header.salt) || !read_lane(*extent, lane, block->lane(i))) {
      return make_error_code(StorageErrc::damaged);
    }
  }
  return std::shared_ptr<const Block>(std::move(block));
}

}  // namespace

Result<void> LogReader::read_segment(Call& call) {
  ASSIGN_OR_RETURN(const Segments::View view, segments_.view(call.at()));
  const Sequence last = std::min(view.last, call.durable);
  // Everything up to `through` cannot be read: says so and goes on behind it.
  const auto lose = [&](Sequence through, ByteOffset offset) {
    through = std::min(through, last);
    if (through < call.at()) return;
    const LostRange lost{call.at(), through, view.path, offset};
    segments_.add_damage(lost);
    call.batch.lost.push_back(lost);
    call.batch.next = next(through);
  };
  if (!view.file) {
    lose(last, ByteOffset(0));
    return {};
  }
  ASSIGN_OR_RETURN(const auto begin, segments_.locate(view, call.at()));
  SegmentScanner scanner(*view.file, begin.value_or(view.end), view.end, SegmentScanner::Depth::header, kReadBytes);
  call.batch.from_disk = true;
  Passing passing(view, begin.value_or(view.end), call.options.historical && !view.active);
  const Sequence entered = call.at();
  ASSIGN_OR_RETURN(auto found, scanner.next());
  while (!call.full && call.at() <= last) {
    if (call.at() != entered && cache_.find(call.at())) return {};
    if (!found || found->header.first > last) {
      lose(last, found ? found->bad.value_or(found->offset) : scanner.position());
      return {};
    }
    const SegmentScanner::Found now = *found;
    passing.at = now.offset.value();
    const CommitHeader& h = now.header;
    if (h.first > call.at()) lose(Sequence(h.first.value() - 1), now.bad.value_or(now.offset));
    if (h.count != 0 && h.last() >= call.at()) {
      auto block = load_block(scanner, *view.file, now, call.options.range);
      std::optional<SegmentScanner::Found> peeked;
      if (!block && block.error() != StorageErrc::damaged) {
        // A bad sector, if what comes behind can be read and this still cannot; else it is the disk, and no loss yet.
        ASSIGN_OR_RETURN(peeked, scanner.next());
        if (!peeked) return block.error();
        block = load_block(scanner, *view.file, now, call.options.range);
      }
      if (block) {
        metrics_.lanes_decoded.add((*block)->lanes());
        metrics_.lanes_read.add((*block)->lanes());
        const auto taken = (*block)->take(last, call.options, call.batch, call.bytes);
        if (taken == Block::Taken::bad) lose(h.last(), now.offset);
        call.full |= taken == Block::Taken::full;
        call.examined += (*block)->bytes();
        call.full |= call.examined >= kExaminedBytesMax;
      } else {
        lose(h.last(), now.offset);
      }
      if (peeked) {
        found = peeked;
        continue;
      }
    }
    if (call.at() > last || call.full) return {};
    ASSIGN_OR_RETURN(found, scanner.next());
  }
  return {};
}

Result<RecordBatch> LogReader::read(Sequence from, Sequence durable, const ReadOptions& options) {
  Call call{options, durable, {}};
  call.batch.next = from;
  while (!call.full && call.at() <= durable) {
    if (const auto block = cache_.find(call.at())) {
      metrics_.lanes_read.add(block->lanes_in(options.range));
      const auto taken = block->take(durable, options, call.batch, call.bytes);
      CHECK(taken != Block::Taken::bad);
      call.full |= taken == Block::Taken::full;
      continue;
    }
    if (options.cached_only) break;
    const Sequence before = call.at();
    if (auto r = read_segment(call); !r) {
      // What came before the trouble is good; the trouble comes again with the next call.
      if (call.at() != from) break;
      return r.error();
    }
    if (!call.full && call.at() == before) return make_error_code(StorageErrc::damaged);  // and no endless loop
  }
  return std::move(call.batch);
}

}  // namespace tidemill
