#include "engine/group.h"

#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "engine/errors.h"
#include "engine/group_runner.h"
#include "storage/seam/executor.h"

namespace tidemill {

struct Groups::Impl {
  explicit Impl(Env& e) : env(e) {}

  Env& env;
  mutable std::mutex mutex;
  std::map<QualifiedName, std::shared_ptr<GroupRunner>> runners;  // nullptr: being opened
  bool closed = false;

  Result<void> add(const std::shared_ptr<GroupRunner>& runner, WhenNotOpened when) {
    const QualifiedName name = runner->qualified_name();
    {
      const std::lock_guard lock(mutex);
      if (closed) return EngineErrc::draining;
      if (!runners.emplace(name, nullptr).second) return EngineErrc::group_exists;
    }
    auto opened = runner->open();
    if (!opened && when == WhenNotOpened::keep_trying) {
      runner->open_later(opened.error());
      opened = {};
    }
    {
      const std::lock_guard lock(mutex);
      if (!opened || closed) {
        runners.erase(name);
      } else {
        runners[name] = runner;
        runner->start();
        return {};
      }
    }
    if (!opened) return opened.error();
    RETURN_IF_ERROR(close({runner}));
    return EngineErrc::draining;
  }

  // Closes them side by side and waits; the first error.
  Result<void> close(const std::vector<std::shared_ptr<GroupRunner>>& all) {
    struct Wait {
      std::shared_ptr<Signal> signal;
      Result<void> result;
    };
    std::vector<std::shared_ptr<Wait>> waits;
    for (const auto& runner : all) {
      waits.push_back(std::make_shared<Wait>());
      waits.back()->signal = env.background.make_signal();
      runner->close([wait = waits.back()](Result<void> result) {
        wait->result = std::move(result);
        wait->signal->set();
      });
    }
    Result<void> first;
    for (const auto& wait : waits) {
      wait->signal->wait();
      if (first && !wait->result) first = wait->result;
    }
    return first;
  }

  std::shared_ptr<GroupRunner> find(const QualifiedName& name) const {
    const std::lock_guard lock(mutex);
    const auto it = runners.find(name);
    return it == runners.end() ? nullptr : it->second;
  }

  std::vector<std::shared_ptr<GroupRunner>> running() const {
    const std::lock_guard lock(mutex);
    std::vector<std::shared_ptr<GroupRunner>> all;
    for (const auto& [name, runner] : runners)
      if (runner != nullptr) all.push_back(runner);
    return all;
  }
};

Groups::Groups(Env& env) : impl_(std::make_unique<Impl>(env)) {}

Groups::~Groups() {
  for (const auto& runner : impl_->running()) runner->abandon();
}

Result<void> Groups::add(std::string name, std::shared_ptr<Stream> stream, std::shared_ptr<Consumer> consumer,
                         WhenNotOpened when) {
  return impl_->add(make_stream_group(impl_->env, std::move(name), std::move(stream), std::move(consumer)), when);
}

Result<void> Groups::add(std::string name, std::shared_ptr<Stream> stream, std::shared_ptr<ShardedConsumer> consumer,
                         WhenNotOpened when) {
  return impl_->add(make_sharded_group(impl_->env, std::move(name), std::move(stream), std::move(consumer)), when);
}

Result<void> Groups::remove(const QualifiedName& name) {
  std::shared_ptr<GroupRunner> runner;
  {
    const std::lock_guard lock(impl_->mutex);
    const auto it = impl_->runners.find(name);
    if (it == impl_->runners.end() || it->second == nullptr) return EngineErrc::no_such_group;
    runner = std::move(it->second);
    impl_->runners.erase(it);
  }
  return impl_->close({runner});
}

void Groups::wake(StreamId stream) {
  for (const auto& runner : impl_->running())
    if (runner->stream().definition().id == stream) runner->wake();
}

void Groups::note_position(const QualifiedName& name) {
  if (const auto runner = impl_->find(name)) runner->note_position();
}

std::vector<GroupStatus> Groups::list() const {
  std::vector<GroupStatus> all;
  for (const auto& runner : impl_->running()) all.push_back(runner->status());
  return all;
}

std::vector<GroupStatus> Groups::list(std::string_view tenant) const {
  std::vector<GroupStatus> all;
  for (const auto& runner : impl_->running())
    if (runner->stream().tenant() == tenant) all.push_back(runner->status());
  return all;
}

std::optional<GroupStatus> Groups::find(const QualifiedName& name) const {
  const auto runner = impl_->find(name);
  return runner ? std::optional(runner->status()) : std::nullopt;
}

Result<void> Groups::close() {
  std::vector<std::shared_ptr<GroupRunner>> all = impl_->running();
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->closed = true;
    impl_->runners.clear();
  }
  return impl_->close(all);
}

}  // namespace tidemill
