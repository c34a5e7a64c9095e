#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "storage/log/aligned_buffer.h"
#include "storage/log/append.h"
#include "storage/log/commit_format.h"
#include "storage/log/compression.h"

namespace tidemill {

// A commit in memory, in the writer's buffers until its next encode().
struct EncodedCommit {
  CommitHeader header;
  std::span<std::byte> bytes;                             // starts on a block, ends on one
  std::array<std::span<const std::byte>, kLanesMax> raw;  // of each lane, before compression: for the tail cache
};

// Encodes appends into a commit. Its buffers are used again, so that a commit costs no allocation once they are warm.
// One thread.
class CommitWriter {
 public:
  struct Context {
    std::uint64_t salt = 0;
    Incarnation incarnation;
    Epoch epoch;
    Sequence first;
    WallTime wall{};
    WallTime running_max{};
    std::span<const CommitExtension> extensions;
  };

  // The appends linked by next_queued. The result lives until the next call.
  EncodedCommit encode(const Append* head, const Context& context);

 private:
  struct Plan;
  Plan plan(const Append* head, const Context& context) const;
  std::byte* encode_front(const Append* head, const Context& context, const Plan& plan);
  void encode_lanes(const Append* head, const Context& context, const Plan& plan, CommitHeader& header,
                    EncodedCommit& out, std::byte* direct);
  std::size_t place_lanes(const Plan& plan, CommitHeader& header, const EncodedCommit& encoded);

  Compressor compressor_;
  AlignedBuffer out_;
  AlignedBuffer scratch_;
};

// What the request table will hold of it; also how much room it takes at most in a commit.
std::uint64_t append_bytes_bound(const Append& append);

// Seals a commit anew for a segment with another salt: all lanes and the header get new checksums. `header` must have
// been read from these bytes.
void reseal_commit(std::span<std::byte> commit, CommitHeader& header, std::uint64_t salt);

}  // namespace tidemill
