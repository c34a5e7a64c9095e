#include "storage/seam/strand.h"

#include <deque>
#include <mutex>
#include <utility>

#include "storage/base/check.h"

namespace tidemill {
namespace {
constexpr int kTasksPerTurn = 64;
}

struct Strand::State : std::enable_shared_from_this<State> {
  explicit State(Executor& e) : executor(e) {}

  Executor& executor;
  std::mutex mutex;
  std::deque<Task> queue;
  bool active = false;  // a turn is posted or running

  void post(Task task);
  void post_turn();
  void run();

  static thread_local State* here;
};

thread_local Strand::State* Strand::State::here = nullptr;

void Strand::State::post(Task task) {
  {
    const std::lock_guard lock(mutex);
    queue.push_back(std::move(task));
    if (active) return;
    active = true;
  }
  post_turn();
}

// A turn that is dropped unrun (the executor stopped) takes the waiting tasks with it: they may hold the strand, and
// the strand holds them.
void Strand::State::post_turn() {
  struct Turn {
    std::shared_ptr<State> state;
    bool ran = false;
    ~Turn() {
      if (ran) return;
      std::deque<Task> dropped;
      const std::lock_guard lock(state->mutex);
      dropped.swap(state->queue);
      state->active = false;
    }
  };
  auto turn = std::make_shared<Turn>();
  turn->state = shared_from_this();
  executor.post([turn = std::move(turn)] {
    turn->ran = true;
    turn->state->run();
  });
}

void Strand::State::run() {
  State* const outer = std::exchange(here, this);
  bool more = true;
  for (int i = 0; more && i < kTasksPerTurn; ++i) {
    Task task;
    {
      const std::lock_guard lock(mutex);
      if (queue.empty()) {
        active = more = false;
        break;
      }
      task = std::move(queue.front());
      queue.pop_front();
    }
    task();
  }
  here = outer;
  if (more) post_turn();
}

Strand::Strand(Executor& executor) : state_(std::make_shared<State>(executor)) {}

void Strand::post(Task task) {
  CHECK(task);
  state_->post(std::move(task));
}

void Strand::post_after(std::chrono::nanoseconds delay, Task task) {
  CHECK(task);
  state_->executor.post_after(delay, [state = state_, task = std::move(task)] { state->post(task); });
}

std::shared_ptr<Signal> Strand::make_signal() {
  return state_->executor.make_signal();
}

bool Strand::running_here() const {
  return State::here == state_.get();
}

}  // namespace tidemill
