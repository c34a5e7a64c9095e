#pragma once

#include <memory>

#include "storage/seam/executor.h"

namespace tidemill {

// Runs tasks one at a time, in the order of posting, on another executor's threads. For state that belongs to one
// task at a time: no lock is needed, each task sees what the ones before it did. Copies are the same strand; the
// executor must outlive the tasks, the strand need not. Any thread. A busy strand gives its thread back now and then.
class Strand final : public Executor {
 public:
  explicit Strand(Executor& executor);
  void post(Task task) override;
  void post_after(std::chrono::nanoseconds delay, Task task) override;  // joins the queue when the delay has passed
  std::shared_ptr<Signal> make_signal() override;                       // the executor's
  bool running_here() const;  // on the calling thread: for CHECK(strand_.running_here())

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace tidemill
