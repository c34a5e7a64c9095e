#include "storage/seam/thread_executor.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "storage/base/check.h"

namespace tidemill {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

struct Timer {
  SteadyTime due;
  std::uint64_t order;  // timers of one moment fire in the order of posting
  Task task;
};

// Makes the earliest timer the top of a heap.
bool later(const Timer& a, const Timer& b) {
  return a.due != b.due ? a.due > b.due : a.order > b.order;
}

}  // namespace

struct ThreadExecutor::Impl {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Task> queue;
  std::vector<Timer> timers;  // a heap
  std::uint64_t next_order = 0;
  std::size_t running = 0;
  std::size_t idle = 0;         // threads that wait
  std::size_t timekeepers = 0;  // of these, how many wake for the first timer
  bool stopping = false;
  bool stopped = false;
  std::vector<std::thread> threads;

  void work();
  Task take(std::unique_lock<std::mutex>& lock);
  std::optional<Task> take_ready();
};

std::optional<Task> ThreadExecutor::Impl::take_ready() {
  Task task;
  if (!stopping && !timers.empty() && timers.front().due <= std::chrono::steady_clock::now()) {
    std::pop_heap(timers.begin(), timers.end(), later);
    task = std::move(timers.back().task);
    timers.pop_back();
  } else if (!queue.empty()) {
    task = std::move(queue.front());
    queue.pop_front();
  } else {
    return std::nullopt;
  }
  // This thread goes to work: while timers are pending, one of those that stay behind must watch the clock.
  if (!timers.empty() && timekeepers == 0 && idle > 0) changed.notify_one();
  return task;
}

// The next task, waiting for one; an empty one when it is time to go.
Task ThreadExecutor::Impl::take(std::unique_lock<std::mutex>& lock) {
  for (;;) {
    if (auto task = take_ready()) return std::move(*task);
    if (stopping && running == 0) return {};  // nobody is left who could post
    ++idle;
    if (stopping || timers.empty()) {
      changed.wait(lock);
    } else {
      ++timekeepers;
      const SteadyTime due = timers.front().due;  // a copy: the heap may change while we wait
      changed.wait_until(lock, due);
      --timekeepers;
    }
    --idle;
  }
}

void ThreadExecutor::Impl::work() {
  std::unique_lock lock(mutex);
  while (Task task = take(lock)) {
    ++running;
    lock.unlock();
    task();
    task = nullptr;  // what it holds goes before the lock is taken: its destructors may post
    lock.lock();
    --running;
    if (stopping && running == 0 && queue.empty()) changed.notify_all();
  }
}

ThreadExecutor::ThreadExecutor(std::string name, std::size_t threads, Priority priority)
    : impl_(std::make_unique<Impl>()) {
  CHECK(threads > 0);
  // Signals are for main: pool threads are born with them blocked, except those that a thread brings on itself.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  for (const int own : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS, SIGPROF}) sigdelset(&all, own);
  CHECK(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
  for (std::size_t i = 0; i < threads; ++i) {
    const std::string suffix = "-" + std::to_string(i);
    impl_->threads.emplace_back([impl = impl_.get(), thread_name = name.substr(0, 15 - suffix.size()) + suffix,
                                 low = priority == Priority::low] {
      pthread_setname_np(pthread_self(), thread_name.c_str());
      // Not a matter of nice: a thread that is merely nice keeps its time slice, of milliseconds, from one that is
      // woken. Lowering is always allowed; if it fails all the same, it runs like others.
      const sched_param none{};
      if (low) ::sched_setscheduler(0, SCHED_IDLE, &none);
      impl->work();
    });
  }
  CHECK(pthread_sigmask(SIG_SETMASK, &before, nullptr) == 0);
}

ThreadExecutor::~ThreadExecutor() {
  stop();
}

void ThreadExecutor::post(Task task) {
  CHECK(task);
  {
    const std::lock_guard lock(impl_->mutex);
    if (impl_->stopped) return;  // drops it (the caller's copy goes after the lock)
    impl_->queue.push_back(std::move(task));
  }
  impl_->changed.notify_one();
}

void ThreadExecutor::post_after(std::chrono::nanoseconds delay, Task task) {
  CHECK(task);
  const SteadyTime due = std::chrono::steady_clock::now() + delay;
  {
    const std::lock_guard lock(impl_->mutex);
    if (impl_->stopping) return;
    impl_->timers.push_back({due, impl_->next_order++, std::move(task)});
    std::push_heap(impl_->timers.begin(), impl_->timers.end(), later);
    if (impl_->timers.front().due < due) return;  // somebody already wakes earlier
  }
  impl_->changed.notify_one();
}

void ThreadExecutor::stop() {
  std::vector<Timer> dropped;
  {
    const std::lock_guard lock(impl_->mutex);
    if (impl_->stopping) return;
    impl_->stopping = true;
    dropped.swap(impl_->timers);
  }
  dropped.clear();  // outside the lock: what a timer's task holds may post when it goes
  impl_->changed.notify_all();
  for (auto& thread : impl_->threads) {
    CHECK(thread.get_id() != std::this_thread::get_id());
    thread.join();
  }
  std::deque<Task> late;
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopped = true;
    late.swap(impl_->queue);  // posted by destructors of the very last tasks
  }
}

}  // namespace tidemill
