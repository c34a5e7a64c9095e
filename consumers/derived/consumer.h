#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "consumers/derived/maker.h"
#include "engine/consumer.h"
#include "engine/stream.h"
#include "storage/seam/env.h"

namespace tidemill::derived {

// Makes the records of one derived stream: reads its source in order, as one group, and appends what the statement
// makes of it.
//
// Exactly once: each append says how far in the source it is, and the target's log keeps that with the records, in the
// same commit. What is found there at the start is where the group goes on. One append is under way at a time, and what
// one record of the source makes is never in two: so the position is true whatever was written last.
//
//   process() ─► Maker ─► Log::append of the target ─► (flush thread) InFlight::appended ─► wake ─► process() again
//
// A full disk or an unknown outcome is an error of the group, tried again with the same records; where the queue is
// full, it waits as a producer would. Where nothing passes WHERE, a position without records is written now and then.
class DerivingConsumer final : public Consumer {
 public:
  DerivingConsumer(Env& env, std::shared_ptr<Stream> source, std::shared_ptr<Stream> target);
  ~DerivingConsumer() override;

  Result<Position> open() override;
  Result<void> process(const RecordBatch& batch) override;
  Result<void> note_position() override;
  Result<void> close() override;
  Position applied() const override;
  Position persisted() const override;
  void wake_with(std::function<void()> wake) override { wake_ = std::move(wake); }
  bool pending() const override { return in_flight_ != nullptr; }
  bool waits() const override;

  // Any thread.
  SourcePosition position() const;
  std::vector<Parked> latest_parked() const;  // since the start, the latest last

 private:
  class InFlight;
  static constexpr std::uint64_t kAppendBytes = 512 << 10;
  static constexpr std::uint32_t kSlice = 500;          // records at a time
  static constexpr std::uint64_t kNoteEvery = 100'000;  // records of the source without one that is made
  static constexpr std::size_t kParkedKept = 100;

  Result<void> settle();
  void begin(const RecordBatch& batch);
  Result<bool> make_some(const RecordBatch& batch);
  void append(Made made, const SourcePosition& position);
  void set_applied(const SourcePosition& position);
  void say_parked(const std::vector<Parked>& parked);

  Env& env_;
  const std::shared_ptr<Stream> source_;
  const std::shared_ptr<Stream> target_;
  std::function<void()> wake_;
  std::unique_ptr<Maker> maker_;

  std::shared_ptr<InFlight> in_flight_;
  bool again_ = false;       // the append failed and goes out once more
  bool at_work_ = false;     // on a batch
  std::uint32_t at_ = 0;     // its first record that nothing was made of yet
  std::uint32_t count_ = 0;  // of its records
  std::size_t lost_at_ = 0;  // its first lost range that is not counted yet
  bool last_ = false;        // what is under way is the batch's last
  bool closing_ = false;

  mutable std::mutex mutex_;  // what follows
  SourcePosition applied_;
  std::deque<Parked> parked_;
};

}  // namespace tidemill::derived
