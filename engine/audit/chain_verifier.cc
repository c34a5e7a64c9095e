#include "engine/audit/chain_verifier.h"

#include <algorithm>
#include <utility>

namespace tidemill {
namespace {

std::string number(Sequence s) {
  return std::to_string(s.value());
}

ChainVerifier::Options in_order(ChainVerifier::Options options) {
  std::sort(options.heads.begin(), options.heads.end(),
            [](const ChainHead& a, const ChainHead& b) { return a.sequence < b.sequence; });
  return options;
}

}  // namespace

ChainVerifier::ChainVerifier(Options options, const FindingSink& sink)
    : options_(in_order(std::move(options))), sink_(sink) {}

// Its records can be read: first and last stay empty, for none is lost.
void ChainVerifier::say(const Place& place, const std::string& text) {
  sink_({Finding::Grade::damage, "chain", place.file, place.offset, {}, {}, text});
}

void ChainVerifier::commit(const std::string& file, ByteOffset offset) {
  here_ = {file, offset};
}

void ChainVerifier::records(std::span<const Record> records) {
  for (const Record& r : records) record(r);
}

void ChainVerifier::record(const Record& r) {
  const Chain::Seen seen = chain_.add(r);
  if (seen == Chain::Seen::broken) broken(r);
  if (seen == Chain::Seen::linked) ++out_.linked;
  if (seen == Chain::Seen::unlinked && out_.linked != 0 && !unlinked_at_) {
    unlinked_at_ = here_;
    unlinked_ = r.sequence;
  }
  if (seen == Chain::Seen::unlinked) ++out_.unlinked;
  before_ = here_;
  for (; next_head_ < options_.heads.size() && options_.heads[next_head_].sequence <= r.sequence; ++next_head_) {
    const ChainHead& kept = options_.heads[next_head_];
    if (kept.sequence == r.sequence && chain_.begun() && kept.hash != chain_.head().hash && ++out_.breaks == 1)
      say(here_,
          "Event " + number(r.sequence) + " of " + options_.log +
              " is not the one of the head that was kept: it, or an event before it, was altered, and all behind it "
              "made anew.");
  }
}

void ChainVerifier::broken(const Record& r) {
  if (++out_.breaks != 1) return;
  const Sequence before(r.sequence.value() - 1);
  if (before.value() == 0)
    return say(here_,
               "Event 1 of " + options_.log + " was not the first when it was written: events before it were removed.");
  say(before_.file.empty() ? here_ : before_,
      "Event " + number(before) + " of " + options_.log + " is not the one that event " + number(r.sequence) +
          " was written after: it was changed, or events there were removed, put in or put in another order.");
}

void ChainVerifier::lost(Sequence first, Sequence last) {
  // Said by whoever found it; of this log it may not even be retention.
  if (first == Sequence(1) && chain_.head().sequence == Sequence() && options_.from_the_first && ++out_.breaks == 1)
    say(here_, "The first events of " + options_.log + ", up to " + number(last) +
                   ", are not there, and nothing of this log is ever removed.");
  chain_.lost(last);
  while (next_head_ < options_.heads.size() && options_.heads[next_head_].sequence <= last) ++next_head_;
}

ChainVerifier::Verified ChainVerifier::finish(const std::string& directory) {
  out_.head = chain_.head();
  out_.known = chain_.begun();
  if (next_head_ < options_.heads.size() && ++out_.breaks == 1)
    say({before_.file.empty() ? directory : before_.file, before_.offset},
        "The head that was kept is of event " + number(options_.heads.back().sequence) + " of " + options_.log +
            ", and the log ends with event " + number(out_.head.sequence) + ": the events behind it were removed.");
  if (out_.breaks > 1)
    sink_(
        {Finding::Grade::note,
         "chain",
         before_.file,
         before_.offset,
         {},
         {},
         std::to_string(out_.breaks - 1) + " more places of " + options_.log + " do not fit what stands before them."});
  if (unlinked_at_)
    sink_({Finding::Grade::note,
           "unchained",
           unlinked_at_->file,
           unlinked_at_->offset,
           {},
           {},
           "Events of " + options_.log + " from " + number(unlinked_) +
               " on carry no hash although earlier ones do: a version without chains wrote them, or somebody else."});
  return out_;
}

}  // namespace tidemill
