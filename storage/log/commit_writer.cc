#include "storage/log/commit_writer.h"

#include <algorithm>
#include <cstring>

#include "storage/base/check.h"
#include "storage/log/bytes.h"
#include "storage/log/checksum.h"
#include "storage/log/record_codec.h"

namespace tidemill {
namespace {

constexpr std::size_t kKeepBytes = 4 << 20;  // of each buffer, once a huge request has passed

}  // namespace

std::uint64_t append_bytes_bound(const Append& append) {
  std::uint64_t n = 0;
  for (const NewRecord& r : append.records) n += record_bytes_bound(r);
  if (append.source) n += kExtensionHeaderBytes + kSourcePositionBytes;
  if (append.identity) n += kRequestEntryBytes + append.rejected.size() * kRejectedBytes;
  return n;
}

struct CommitWriter::Plan {
  std::uint32_t count = 0;
  std::uint32_t requests = 0;
  std::uint32_t request_bytes = 0;
  std::uint32_t extension_bytes = 0;
  std::uint16_t lanes = 0;
  std::uint32_t header_bytes = 0;
  std::uint64_t bound = 0;                            // of all raw lanes
  std::array<std::uint64_t, kLanesMax> lane_bound{};  // by lane
  std::array<std::uint8_t, kLanesMax> first_sixteenth{};
  std::array<std::uint8_t, 16> lane_of{};  // by sixteenth
};

CommitWriter::Plan CommitWriter::plan(const Append* head, const Context& context) const {
  Plan p;
  std::uint64_t request_bytes = 0;
  std::array<std::uint64_t, 16> sixteenth{};
  for (const Append* a = head; a != nullptr; a = a->next_queued) {
    if (a->identity) {
      ++p.requests;
      request_bytes += kRequestEntryBytes + a->rejected.size() * kRejectedBytes;
    }
    p.count += static_cast<std::uint32_t>(a->records.size());
    for (const NewRecord& r : a->records) sixteenth[r.hash.high >> 60] += record_bytes_bound(r);
  }
  for (const std::uint64_t n : sixteenth) p.bound += n;
  p.request_bytes = static_cast<std::uint32_t>(request_bytes);
  for (const CommitExtension& e : context.extensions) {
    p.extension_bytes += static_cast<std::uint32_t>(kExtensionHeaderBytes + e.bytes.size());
  }

  // Neighbouring sixteenths share a lane until it is large enough; what remains joins the last one.
  if (p.count != 0) {
    p.lanes = 1;
    std::uint64_t in_lane = 0;
    std::uint64_t left = p.bound;
    for (std::uint8_t s = 0; s < 16; ++s) {
      if (in_lane >= kLaneBytesMin && left >= kLaneBytesMin) {
        p.first_sixteenth[p.lanes++] = s;
        in_lane = 0;
      }
      p.lane_of[s] = static_cast<std::uint8_t>(p.lanes - 1);
      p.lane_bound[p.lanes - 1] += sixteenth[s];
      in_lane += sixteenth[s];
      left -= sixteenth[s];
    }
  }
  const std::uint64_t header =
      kCommitHeaderBytes + request_bytes + p.extension_bytes + std::uint64_t{p.lanes} * kLaneEntryBytes;
  CHECK(header + p.bound <= kCommitBytesLimit);
  p.header_bytes = static_cast<std::uint32_t>(p.lanes == 0 ? round_up(header, kBlockBytes) : header);
  return p;
}

// Request table and extensions; the fixed part and the lane directory come last, when everything is known.
std::byte* CommitWriter::encode_front(const Append* head, const Context& context, const Plan& p) {
  ByteWriter out(out_.data() + kCommitHeaderBytes);
  std::uint32_t ordinal = 0;
  for (const Append* a = head; a != nullptr; a = a->next_queued) {
    if (a->identity) {
      out.bytes(a->identity->key_hash.data(), a->identity->key_hash.size());
      out.u64(a->identity->body_hash);
      out.u32(ordinal);
      out.u32(static_cast<std::uint32_t>(a->records.size()));
      out.u32(static_cast<std::uint32_t>(a->rejected.size()));
      out.u32(0);
      for (const RejectedRecord& r : a->rejected) {
        out.u32(r.index);
        out.u16(r.code);
      }
    }
    ordinal += static_cast<std::uint32_t>(a->records.size());
  }
  for (const CommitExtension& e : context.extensions) {
    out.u16(e.type);
    out.u16(0);
    out.u32(static_cast<std::uint32_t>(e.bytes.size()));
    out.bytes(e.bytes.data(), e.bytes.size());
  }
  CHECK(out.at() == out_.data() + kCommitHeaderBytes + p.request_bytes + p.extension_bytes);
  return out.at();
}

void CommitWriter::encode_lanes(const Append* head, const Context& context, const Plan& p, CommitHeader& h,
                                EncodedCommit& out, std::byte* into) {
  std::array<std::byte*, kLanesMax> begin{};
  std::array<std::byte*, kLanesMax> at{};
  std::array<std::uint32_t, kLanesMax> next_ordinal{};
  for (std::size_t i = 0; i < p.lanes; ++i) {
    begin[i] = at[i] = into;
    into += p.lane_bound[i];
  }
  std::uint32_t ordinal = 0;
  for (const Append* a = head; a != nullptr; a = a->next_queued) {
    for (const NewRecord& r : a->records) {
      const auto sixteenth = static_cast<std::size_t>(r.hash.high >> 60);
      const std::size_t lane = p.lane_of[sixteenth];
      h.hash_mask |= static_cast<std::uint16_t>(1u << sixteenth);
      at[lane] = encode_record(at[lane], r, ordinal - next_ordinal[lane], context.wall);
      next_ordinal[lane] = ++ordinal;
      ++h.lane[lane].count;
    }
  }
  for (std::size_t i = 0; i < p.lanes; ++i) {
    CHECK(at[i] <= begin[i] + p.lane_bound[i]);
    Lane& lane = h.lane[i];
    lane.first_sixteenth = p.first_sixteenth[i];
    lane.end_sixteenth = i + 1 < p.lanes ? p.first_sixteenth[i + 1] : 16;
    lane.raw = lane.stored = static_cast<std::uint32_t>(at[i] - begin[i]);
    out.raw[i] = {begin[i], lane.raw};
  }
}

// Copies the lanes from the scratch buffer to their places: compressed if that saves at least one block. Returns the
// end of the last.
std::size_t CommitWriter::place_lanes(const Plan& p, CommitHeader& h, const EncodedCommit& encoded) {
  std::uint64_t raw_end = p.header_bytes;
  for (std::size_t i = 0; i < p.lanes; ++i) raw_end += h.lane[i].raw;
  const auto copy = [&](Lane& lane, std::size_t i, std::size_t at) {
    lane.codec = LaneCodec::raw;
    lane.offset = static_cast<std::uint32_t>(at);
    lane.stored = lane.raw;
    std::memcpy(out_.data() + at, encoded.raw[i].data(), lane.raw);
    return at + lane.raw;
  };

  std::size_t at = p.header_bytes;
  if (raw_end > kBlockBytes) {
    for (std::size_t i = 0; i < p.lanes; ++i) {
      Lane& lane = h.lane[i];
      const std::size_t room = lane.raw - 1;  // more is no gain
      const std::size_t n = compressor_.compress(encoded.raw[i], {out_.data() + at, room});
      if (n == 0) {
        at = copy(lane, i, at);
        continue;
      }
      lane.codec = LaneCodec::lz4;
      lane.offset = static_cast<std::uint32_t>(at);
      lane.stored = static_cast<std::uint32_t>(n);
      at += n;
    }
    if (round_up(at, kBlockBytes) < round_up(raw_end, kBlockBytes)) return at;
    at = p.header_bytes;
  }
  for (std::size_t i = 0; i < p.lanes; ++i) at = copy(h.lane[i], i, at);
  return at;
}

namespace {

void write_header(std::byte* commit, const CommitHeader& h) {
  ByteWriter out(commit + 8);
  out.u32(kCommitMagic);
  out.u16(kCommitVersion);
  out.u16(0);  // flags
  out.u32(h.length);
  out.u32(h.header_bytes);
  out.u64(h.incarnation.value());
  out.u64(h.first.value());
  out.u32(h.count);
  out.u32(h.epoch.value());
  out.i64(h.wall.time_since_epoch().count());
  out.i64(h.running_max.time_since_epoch().count());
  out.u32(h.requests);
  out.u32(h.request_bytes);
  out.u32(h.extension_bytes);
  out.u16(h.hash_mask);
  out.u16(h.lanes);
  out.zeros(16);  // reserved
  CHECK(out.at() == commit + kCommitHeaderBytes);

  ByteWriter lanes(commit + kCommitHeaderBytes + h.request_bytes + h.extension_bytes);
  for (std::size_t i = 0; i < h.lanes; ++i) {
    const Lane& lane = h.lane[i];
    lanes.u8(lane.first_sixteenth);
    lanes.u8(static_cast<std::uint8_t>(lane.codec));
    lanes.u16(0);
    lanes.u32(lane.count);
    lanes.u32(lane.offset);
    lanes.u32(lane.stored);
    lanes.u32(lane.raw);
    lanes.u32(0);
    lanes.u64(lane.checksum);
  }
}

}  // namespace

void reseal_commit(std::span<std::byte> commit, CommitHeader& h, std::uint64_t salt) {
  for (std::size_t i = 0; i < h.lanes; ++i) {
    h.lane[i].checksum = checksum(commit.subspan(h.lane[i].offset, h.lane[i].extent), salt);
  }
  write_header(commit.data(), h);
  h.checksum = checksum(commit.subspan(8, h.header_bytes - 8), salt);
  ByteWriter(commit.data()).u64(h.checksum);
}

EncodedCommit CommitWriter::encode(const Append* head, const Context& context) {
  const Plan p = plan(head, context);
  EncodedCommit out;
  CommitHeader& h = out.header;
  h.header_bytes = p.header_bytes;
  h.incarnation = context.incarnation;
  h.epoch = context.epoch;
  h.first = context.first;
  h.count = p.count;
  h.wall = context.wall;
  h.running_max = context.running_max;
  h.requests = p.requests;
  h.request_bytes = p.request_bytes;
  h.extension_bytes = p.extension_bytes;
  h.lanes = p.lanes;

  // A small commit has one lane and goes straight to its place; the others pass through the scratch buffer, for they
  // get compressed on the way.
  const std::uint64_t room = p.header_bytes + p.bound;
  if (room <= kKeepBytes) {
    out_.shrink(kKeepBytes);
    scratch_.shrink(kKeepBytes);
  }
  std::byte* const begin = out_.reserve(round_up(room, kBlockBytes));
  const std::byte* const front_end = encode_front(head, context, p);
  std::size_t end = 0;
  if (p.lanes == 0) {
    end = static_cast<std::size_t>(front_end - begin);
  } else if (p.lanes == 1 && room <= kBlockBytes) {
    encode_lanes(head, context, p, h, out, begin + p.header_bytes);
    h.lane[0].offset = p.header_bytes;
    end = p.header_bytes + h.lane[0].raw;
  } else {
    encode_lanes(head, context, p, h, out, scratch_.reserve(p.bound));
    end = place_lanes(p, h, out);
  }
  h.length = static_cast<std::uint32_t>(round_up(end, kBlockBytes));
  std::memset(begin + end, 0, h.length - end);
  for (std::size_t i = 0; i < p.lanes; ++i) {
    h.lane[i].extent = (i + 1 < p.lanes ? h.lane[i + 1].offset : h.length) - h.lane[i].offset;
  }
  out.bytes = {begin, h.length};
  reseal_commit(out.bytes, h, context.salt);
  return out;
}

}  // namespace tidemill
