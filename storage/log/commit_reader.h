#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "storage/log/append.h"
#include "storage/log/commit_format.h"

namespace tidemill {

// Reading commits from bytes that nobody vouches for. docs/formats/segment.md says when a commit is valid.

// The first block of what may be a commit: does it look like one, and how long is it? Nothing is verified yet.
struct CommitShape {
  std::uint32_t length = 0;
  std::uint32_t header_bytes = 0;
};
std::optional<CommitShape> commit_shape(std::span<const std::byte> first_block);

// `bytes` holds at least the header_bytes of the shape. nullopt: not a valid header of this incarnation under this
// salt.
std::optional<CommitHeader> read_commit_header(std::span<const std::byte> bytes, std::uint64_t salt,
                                               Incarnation incarnation);
// `extent`: the lane's bytes with what its checksum covers.
bool lane_valid(std::span<const std::byte> extent, const Lane& lane, std::uint64_t salt);
// Header and all lanes. `bytes` holds the whole commit.
std::optional<CommitHeader> read_commit(std::span<const std::byte> bytes, std::uint64_t salt, Incarnation incarnation);

// Into `raw` (lane.raw bytes). False where a valid checksum covers nonsense.
bool read_lane(std::span<const std::byte> extent, const Lane& lane, std::span<std::byte> raw);

// A keyed request as its commit keeps it.
struct StoredRequest {
  RequestIdentity identity;
  Sequence first;  // 0 when it has no records
  std::uint32_t accepted = 0;
  std::vector<RejectedRecord> rejected;
};
// `bytes` begins with the commit. nullopt where the table makes no sense.
std::optional<std::vector<StoredRequest>> read_requests(std::span<const std::byte> bytes, const CommitHeader& header);
std::optional<std::vector<CommitExtension>> read_extensions(std::span<const std::byte> bytes,
                                                            const CommitHeader& header);

}  // namespace tidemill
