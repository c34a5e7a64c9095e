#include "storage/log/record_codec.h"

namespace tidemill {
namespace {

constexpr std::uint8_t kContentMask = 0x03;
constexpr std::uint8_t kExplicitHash = 0x04;
constexpr std::uint8_t kHasHeaders = 0x08;
constexpr std::uint8_t kKnownFlags = kContentMask | kExplicitHash | kHasHeaders;

}  // namespace

std::byte* encode_record(std::byte* at, const NewRecord& r, std::uint32_t gap, WallTime commit_time) {
  ByteWriter out(at);
  std::uint8_t flags = static_cast<std::uint8_t>(r.content);
  if (r.explicit_hash) flags |= kExplicitHash;
  if (!r.headers.empty()) flags |= kHasHeaders;
  out.u8(flags);
  out.varint(gap);
  out.u64(r.hash.high);
  out.u64(r.hash.low);
  out.zigzag((commit_time - r.arrival).count());
  out.varint(r.key.size());
  out.text(r.key);
  if (!r.headers.empty()) {
    out.varint(r.headers.size());
    out.text(r.headers);
  }
  out.varint(r.data.size());
  out.text(r.data);
  return out.at();
}

RecordCursor::RecordCursor(std::span<const std::byte> raw, std::uint32_t count, Sequence commit_first,
                           std::uint32_t commit_count, WallTime commit_time)
    : in_(raw), left_(count), commit_first_(commit_first), commit_count_(commit_count), commit_time_(commit_time) {}

bool RecordCursor::next(Record& out) {
  if (bad_) return false;
  if (left_ == 0) {
    bad_ = in_.left() != 0;
    return false;
  }
  --left_;
  const std::uint8_t flags = in_.u8();
  const std::uint64_t gap = in_.varint();
  if (gap > commit_count_) {
    bad_ = true;
    return false;
  }
  ordinal_ += gap;
  out.content = static_cast<ContentType>(flags & kContentMask);
  out.explicit_hash = (flags & kExplicitHash) != 0;
  out.hash.high = in_.u64();
  out.hash.low = in_.u64();
  // Unsigned arithmetic: the delta is the world's word and may be anything.
  const auto delta = static_cast<std::uint64_t>(in_.zigzag());
  const auto base = static_cast<std::uint64_t>(commit_time_.time_since_epoch().count());
  out.arrival = WallTime(std::chrono::milliseconds(static_cast<std::int64_t>(base - delta)));
  out.key = in_.text(in_.varint());
  out.headers = (flags & kHasHeaders) != 0 ? in_.text(in_.varint()) : std::string_view();
  out.data = in_.text(in_.varint());
  const bool content_known = out.content == ContentType::json || out.content == ContentType::bytes;
  if (!in_.ok() || ordinal_ >= commit_count_ || !content_known || (flags & ~kKnownFlags) != 0) {
    bad_ = true;
    return false;
  }
  out.sequence = tidemill::next(commit_first_, ordinal_);
  ++ordinal_;
  return true;
}

}  // namespace tidemill
