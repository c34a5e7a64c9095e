#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "storage/base/ids.h"

namespace tidemill::views {

// What is to become of a record that a view could not count.
struct Decision {
  enum class Kind : std::uint8_t {
    skip,     // it is left out
    redrive,  // it is tried again as it is
    edit,     // it counts as `data`; where that cannot be counted either, as it is
  };
  Kind kind = Kind::skip;
  std::string data;
};
struct Decided {
  Sequence sequence;
  Decision decision;
};

// All decisions about one view, by record, folded from the system stream (docs/decisions/0047): they hold for each
// definition that the view has or will have. Shared by whoever keeps rows of the view. Any thread.
class Decisions {
 public:
  struct Counts {
    std::uint64_t skipped = 0;
    std::uint64_t redriven = 0;
    std::uint64_t edited = 0;
  };

  Decisions() = default;
  Decisions(const Decisions&) = delete;
  Decisions& operator=(const Decisions&) = delete;

  void add(Sequence sequence, Decision decision);
  // What counts after `decision`: the last one, but trying again leaves an edit as it is.
  Decision after(Sequence sequence, const Decision& decision) const;

  Sequence last() const { return Sequence(last_.load()); }           // about a later record there is none; 0: none
  std::vector<Decided> within(Sequence first, Sequence last) const;  // in order, both inside
  std::vector<Decided> some(Sequence from, std::size_t most) const;  // the first of them, in order
  std::uint64_t size() const;
  std::uint64_t bytes() const;  // of edited data
  Counts counts() const;        // of decisions made

 private:
  mutable std::mutex mutex_;
  std::map<std::uint64_t, Decision> all_;
  std::uint64_t bytes_ = 0;
  Counts counts_;
  std::atomic<std::uint64_t> last_{0};
};

}  // namespace tidemill::views
