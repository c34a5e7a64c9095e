#include "storage/log/flush_turns.h"

#include <algorithm>
#include <mutex>
#include <tuple>
#include <utility>
#include <vector>

#include "storage/base/check.h"

namespace tidemill {

struct FlushTurns::State {
  struct Waiting {
    std::uint64_t begin;
    std::uint64_t end_before;  // who had less before goes first, among equals; who came first, among these
    std::uint64_t order;
    Task task;
  };
  static bool later(const Waiting& a, const Waiting& b) {
    return std::tie(a.begin, a.end_before, a.order) > std::tie(b.begin, b.end_before, b.order);
  }

  std::mutex mutex;
  std::vector<Waiting> heap;
  std::uint64_t now = 0;  // where the scale stands: the begin of the latest turn
  std::uint64_t next_order = 0;

  Task take() {
    const std::lock_guard lock(mutex);
    CHECK(!heap.empty());
    std::pop_heap(heap.begin(), heap.end(), later);
    Waiting first = std::move(heap.back());
    heap.pop_back();
    now = std::max(now, first.begin);
    return std::move(first.task);
  }
};

FlushTurns::FlushTurns() : state_(std::make_shared<State>()) {}
FlushTurns::~FlushTurns() = default;

void FlushTurns::post(Executor& flush, Account& account, Task task) {
  // One that the executor drops unrun (it was stopped) takes a waiting task with it: that may hold a log, which holds
  // this.
  struct Turn {
    std::shared_ptr<State> state;
    bool ran = false;
    explicit Turn(std::shared_ptr<State> s) : state(std::move(s)) {}
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    ~Turn() {
      if (!ran) state->take();
    }
  };
  {
    const std::lock_guard lock(state_->mutex);
    account.begin = std::max(state_->now, account.end);
    state_->heap.push_back({account.begin, account.end, state_->next_order++, std::move(task)});
    std::push_heap(state_->heap.begin(), state_->heap.end(), State::later);
  }
  flush.post([turn = std::make_shared<Turn>(state_)] {
    turn->ran = true;
    turn->state->take()();
  });
}

void FlushTurns::charge(Account& account, std::uint64_t bytes) {
  account.end = account.begin + bytes + kFlushBytes;
}

}  // namespace tidemill
