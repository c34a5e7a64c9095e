#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/audit/chain.h"
#include "storage/base/finding.h"
#include "storage/log/verify_log.h"

namespace tidemill {

// Holds the records of a chained log against each other, and against heads that somebody has kept elsewhere. Says the
// first record that is not what was written (kind `chain`, of the commit that holds it) and how many more there are;
// what a version without chains wrote is a note (`unchained`). One thread.
class ChainVerifier final : public RecordVisitor {
 public:
  struct Options {
    std::string log;               // as sentences call it: `_system`
    bool from_the_first = false;   // nothing of it is ever given up: it begins with 1
    std::vector<ChainHead> heads;  // kept elsewhere; in any order
  };
  ChainVerifier(Options options, const FindingSink& sink);

  void commit(const std::string& file, ByteOffset offset) override;
  void records(std::span<const Record> records) override;
  void lost(Sequence first, Sequence last) override;

  // After the log's last record, `directory` being the log's. What was found in all.
  struct Verified {
    ChainHead head;  // of what is there; its hash may be unknown behind lost records
    bool known = false;
    std::uint64_t linked = 0, unlinked = 0, breaks = 0;
  };
  Verified finish(const std::string& directory);

 private:
  struct Place {
    std::string file;
    ByteOffset offset;
  };
  void record(const Record& record);
  void broken(const Record& record);
  void say(const Place& place, const std::string& text);

  const Options options_;
  const FindingSink& sink_;
  Chain chain_;
  Verified out_;
  Place here_;
  Place before_;  // of the record before
  std::size_t next_head_ = 0;
  std::optional<Place> unlinked_at_;  // the first that carries no hash although an earlier one does
  Sequence unlinked_;
};

}  // namespace tidemill
