#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "storage/base/ids.h"
#include "storage/log/record.h"

namespace tidemill {

// A hash chain over the records of one log (docs/formats/chain.md): each carries, in its headers, the SHA-256 of all
// that the record before it is, which has the same of the one before that. Who alters, removes, inserts or reorders a
// record must make every later one anew, and then the last hash is another: the *head*, which is good for finding that
// where somebody keeps it elsewhere.
using ChainHash = std::array<std::byte, 32>;
std::string to_hex(const ChainHash& hash);
std::optional<ChainHash> chain_hash_from_hex(std::string_view text);

// How far a log's chain is: the last record, and its hash. Of an empty log: 0, and zeros.
struct ChainHead {
  Sequence sequence;
  ChainHash hash{};
  bool operator==(const ChainHead&) const = default;
};

// Headers of a record, as they are encoded: each u8 type, u8 length, so many bytes. Types that a reader does not know
// it passes over.
std::string link_header(const ChainHash& of_predecessor);
std::optional<ChainHash> link_of(std::string_view headers);  // nullopt: it carries none

// SHA-256 of what a record is, and of the hash before it.
ChainHash chain_hash(const ChainHash& before, const Record& record);

// Goes through a log in order, from its first record that is held. One thread.
class Chain {
 public:
  enum class Seen {
    linked,    // it carries the hash of the record before it, or there is nothing to hold it against
    unlinked,  // it carries none: written by a version without chains
    broken,    // it carries another: the record before it is not the one that it was written after
  };
  // After something other than `linked` it goes on from what the record says of itself: one change is one break.
  Seen add(const Record& record);
  void lost(Sequence last);  // up to there records cannot be read, or were given up: the next is taken at its word

  const ChainHead& head() const { return head_; }
  bool begun() const { return known_; }  // the head's hash is that of a record, or the log is empty

 private:
  ChainHead head_;
  bool known_ = true;
};

}  // namespace tidemill
