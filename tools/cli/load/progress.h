#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tools/cli/load/sender.h"

namespace tidemill::cli {

inline constexpr int kProgressVersion = 1;

// FILE.csv.progress: how far a load has come, so that `--resume` goes on there. JSON, replaced as a whole.
struct Progress {
  // Of which file, to where, how.
  std::uint64_t file_size = 0;
  std::string file_hash;
  std::string target;    // the URL of the POST
  std::string settings;  // encoding, delimiter, types: what makes the batches what they are
  std::string nonce;     // of --again
  // Everything before is answered.
  std::uint64_t block = 0;
  std::uint64_t rows = 0;
  std::uint64_t line = 0;
  std::uint64_t offset = 0;
  std::uint64_t accepted = 0;
  std::uint64_t rejected = 0;
  // Sent, and to be sent again: idempotency keys. The server must still know them then.
  std::vector<std::string> in_flight;
  std::uint64_t last_sequence = 0;  // the last one the server spoke of

  std::string to_json() const;
  static std::optional<Progress> from_json(const std::string& text);
  static std::optional<Progress> read(const std::string& path, std::string& error);  // no file: no error
  bool write(const std::string& path) const;
};

// Puts the answers of many lanes into the order of the file. A block is over when all its batches are answered and all
// blocks before it are over. Any thread.
class Tracker {
 public:
  explicit Tracker(Progress start) : progress_(std::move(start)) {}

  void sent(const BlockOfRows& block);  // before its batches go out
  void answered(BatchResult result);
  // Takes what has become final: rejected rows in the order of the file.
  std::vector<RejectedRow> take_rejected();
  Progress progress() const;

  struct Counts {
    std::uint64_t rows = 0;  // answered, in this run
    std::uint64_t accepted = 0;
    std::uint64_t rejected = 0;
    std::uint64_t replayed = 0;  // of the accepted, those that were in already
    std::uint64_t offset = 0;
  };
  Counts counts() const;

 private:
  struct Open {
    std::uint64_t rows_end, line_end, offset_end;
    std::set<std::uint32_t> waiting;  // lanes
    std::vector<std::string> keys;
    std::uint64_t accepted = 0;
    std::vector<RejectedRow> rejected;
  };
  void close_finished();

  mutable std::mutex mutex_;
  Progress progress_;
  Counts counts_;
  std::map<std::uint64_t, Open> open_;
  std::vector<RejectedRow> final_;
};

}  // namespace tidemill::cli
