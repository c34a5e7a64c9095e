#include "tests/support/sim_file_system.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "storage/base/errors.h"
#include "tests/support/sim_disk.h"

namespace tidemill {
namespace {

using State = SimFileSystem::State;
using NodePtr = std::shared_ptr<Node>;

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

constexpr std::uint64_t kSimBlock = 4096;

class SimFile final : public File {
 public:
  SimFile(std::shared_ptr<State> state, NodePtr node, std::string path, OpenMode mode)
      : state_(std::move(state)),
        node_(std::move(node)),
        path_(std::move(path)),
        generation_(state_->generation),
        writable_(mode != OpenMode::read),
        through_(mode == OpenMode::write_through) {}

  Result<std::size_t> read_at(ByteOffset offset, std::span<std::byte> into) override {
    std::unique_lock lock(state_->mutex);
    if (dead()) return sim_error(EIO);
    if (const auto v = state_->begin(lock, DiskOp::read, path_, offset.value(), into.size()); v.error != 0)
      return sim_error(v.error);
    const std::string& bytes = node_->current;
    if (offset.value() >= bytes.size()) return std::size_t{0};
    const std::size_t n = std::min<std::uint64_t>(into.size(), bytes.size() - offset.value());
    std::memcpy(into.data(), bytes.data() + offset.value(), n);
    return n;
  }

  Result<void> write_at(ByteOffset offset, std::span<const std::byte> bytes) override {
    if (!through_) return write(offset, bytes);
    if (offset.value() % kSimBlock != 0 || bytes.size() % kSimBlock != 0 ||
        reinterpret_cast<std::uintptr_t>(bytes.data()) % kSimBlock != 0)
      return sim_error(EINVAL);
    RETURN_IF_ERROR(write(offset, bytes));
    return sync_data();
  }

  Result<void> write(ByteOffset offset, std::span<const std::byte> bytes) {
    std::unique_lock lock(state_->mutex);
    if (dead()) return sim_error(EIO);
    if (!writable_) return sim_error(EBADF);
    if (bytes.empty()) return {};
    const auto v = state_->begin(lock, DiskOp::write, path_, offset.value(), bytes.size());
    if (!v.applies || dead_generation()) return sim_error(EIO);
    int error = v.error;
    std::uint64_t length = std::min<std::uint64_t>(bytes.size(), v.partial);
    const std::uint64_t size = node_->current.size();
    if (offset.value() + length > size) {
      const std::uint64_t used = state_->used();
      const std::uint64_t fits = size + (state_->capacity > used ? state_->capacity - used : 0);
      if (offset.value() + length > fits) {
        length = fits > offset.value() ? fits - offset.value() : 0;
        if (error == 0) error = ENOSPC;
      }
    }
    State::write(*node_, offset.value(), text_of(bytes).substr(0, length));
    if (v.late != 0) {
      state_->fail_sync(*node_);
      node_->late_error = v.late;
    }
    if (state_->clock != nullptr)
      node_->modified_s = state_->clock->wall().time_since_epoch() / std::chrono::seconds(1);
    if (error != 0) return sim_error(error);
    return {};
  }

  Result<void> sync_data() override {
    std::unique_lock lock(state_->mutex);
    if (dead()) return sim_error(EIO);
    auto v = state_->begin(lock, DiskOp::sync_data, path_);
    if (dead_generation()) return sim_error(EIO);
    if (v.error == 0 && node_->late_error != 0) v = {.error = node_->late_error, .applies = false};
    node_->late_error = 0;
    if (v.error == 0) {
      State::sync(*node_);
      return {};
    }
    if (!v.applies && state_->powered) state_->fail_sync(*node_);
    return sim_error(v.error);
  }

  Result<std::uint64_t> size() override {
    const std::unique_lock lock(state_->mutex);
    if (dead()) return sim_error(EIO);
    return std::uint64_t{node_->current.size()};
  }

  Result<void> truncate(std::uint64_t size) override {
    std::unique_lock lock(state_->mutex);
    if (dead()) return sim_error(EIO);
    if (!writable_) return sim_error(EINVAL);
    const auto v = state_->begin(lock, DiskOp::truncate, path_, size);
    if (v.applies && !dead_generation()) State::truncate(*node_, size);
    if (v.error != 0) return sim_error(v.error);
    return {};
  }

  void start_writeback(ByteOffset, std::uint64_t) override {}
  void read_ahead(ByteOffset offset, std::uint64_t length) override { hint(DiskHint::read_ahead, offset, length); }
  void drop_cache(ByteOffset offset, std::uint64_t length) override { hint(DiskHint::drop_cache, offset, length); }

 private:
  void hint(DiskHint::Kind kind, ByteOffset offset, std::uint64_t length) {
    const std::unique_lock lock(state_->mutex);
    state_->hints.push_back({kind, path_, offset.value(), length});
  }
  bool dead_generation() const { return generation_ != state_->generation; }
  bool dead() const { return dead_generation() || !state_->powered; }

  const std::shared_ptr<State> state_;
  const NodePtr node_;
  const std::string path_;
  const std::uint64_t generation_;
  const bool writable_;
  const bool through_;
};

class SimLock final : public DirectoryLock {
 public:
  SimLock(std::shared_ptr<State> state, NodePtr node)
      : state_(std::move(state)), node_(std::move(node)), generation_(state_->generation) {}
  ~SimLock() override {
    const std::lock_guard lock(state_->mutex);
    if (generation_ == state_->generation) state_->locked.erase(node_.get());
  }

 private:
  const std::shared_ptr<State> state_;
  const NodePtr node_;
  const std::uint64_t generation_;
};

// One change of names, after its checks: ask for the verdict, apply, answer.
Result<void> change(State& s, std::unique_lock<std::mutex>& lock, DiskOp op, const std::string& path,
                    NameChange names) {
  const auto v = s.begin(lock, op, path);
  if (v.applies) s.change_names(std::move(names));
  if (v.error != 0) return sim_error(v.error);
  return {};
}

}  // namespace

SimFileSystem::SimFileSystem(std::uint64_t seed, Clock* clock) : state_(std::make_shared<State>(seed, clock)) {}
SimFileSystem::~SimFileSystem() = default;

Result<std::unique_ptr<File>> SimFileSystem::open(const std::string& path, OpenMode mode) {
  std::unique_lock lock(state_->mutex);
  if (const auto v = state_->begin(lock, DiskOp::open, path); v.error != 0) return sim_error(v.error);
  NodePtr node = state_->find(path);
  if (node && mode == OpenMode::create) return sim_error(EEXIST);
  if (node && node->is_directory) return sim_error(EISDIR);
  if (!node) {
    if (errno != ENOENT || mode == OpenMode::read || mode == OpenMode::write || mode == OpenMode::write_through)
      return sim_error(errno);
    std::string name;
    const NodePtr parent = state_->find_parent(path, name);
    if (!parent) return sim_error(errno);
    node = state_->make_node(false);
    RETURN_IF_ERROR(change(*state_, lock, DiskOp::create, path, NameChange{{{parent, name, node}}}));
  }
  return std::unique_ptr<File>(std::make_unique<SimFile>(state_, node, path, mode));
}

Result<void> SimFileSystem::rename(const std::string& from, const std::string& to) {
  std::unique_lock lock(state_->mutex);
  std::string from_name;
  std::string to_name;
  const NodePtr from_parent = state_->find_parent(from, from_name);
  if (!from_parent) return sim_error(errno);
  const NodePtr node = state_->find(from);
  if (!node) return sim_error(errno);
  const NodePtr to_parent = state_->find_parent(to, to_name);
  if (!to_parent) return sim_error(errno);
  for (const NodePtr target = state_->find(to); target;) {
    if (target == node) return {};
    if (target->is_directory && !node->is_directory) return sim_error(EISDIR);
    if (!target->is_directory && node->is_directory) return sim_error(ENOTDIR);
    if (!target->names.empty()) return sim_error(ENOTEMPTY);
    break;
  }
  if (node->is_directory && (to + "/").starts_with(from + "/")) return sim_error(EINVAL);
  return change(*state_, lock, DiskOp::rename, to,
                NameChange{{{to_parent, to_name, node}, {from_parent, from_name, nullptr}}});
}

Result<void> SimFileSystem::link(const std::string& from, const std::string& to) {
  std::unique_lock lock(state_->mutex);
  const NodePtr node = state_->find(from);
  if (!node) return sim_error(errno);
  if (node->is_directory) return sim_error(EPERM);
  if (state_->find(to)) return sim_error(EEXIST);
  std::string name;
  const NodePtr parent = state_->find_parent(to, name);
  if (!parent) return sim_error(errno);
  return change(*state_, lock, DiskOp::link, to, NameChange{{{parent, name, node}}});
}

Result<void> SimFileSystem::remove(const std::string& path) {
  std::unique_lock lock(state_->mutex);
  std::string name;
  const NodePtr parent = state_->find_parent(path, name);
  if (!parent) return sim_error(errno);
  const NodePtr node = state_->find(path);
  if (!node) return sim_error(errno);
  if (!node->names.empty()) return sim_error(ENOTEMPTY);
  return change(*state_, lock, DiskOp::remove, path, NameChange{{{parent, name, nullptr}}});
}

Result<void> SimFileSystem::create_directory(const std::string& path) {
  std::unique_lock lock(state_->mutex);
  if (state_->find(path)) return sim_error(EEXIST);
  std::string name;
  const NodePtr parent = state_->find_parent(path, name);
  if (!parent) return sim_error(errno);
  return change(*state_, lock, DiskOp::create_directory, path, NameChange{{{parent, name, state_->make_node(true)}}});
}

Result<void> SimFileSystem::sync_directory(const std::string& path) {
  std::unique_lock lock(state_->mutex);
  const NodePtr node = state_->find(path);
  if (!node) return sim_error(errno);
  if (!node->is_directory) return sim_error(ENOTDIR);
  const auto v = state_->begin(lock, DiskOp::sync_directory, path);
  if (v.error != 0) return sim_error(v.error);  // a failed one may be asked for again: names stay pending
  state_->sync_names(*node);
  return {};
}

Result<std::vector<DirectoryEntry>> SimFileSystem::list(const std::string& path) {
  std::unique_lock lock(state_->mutex);
  if (const auto v = state_->begin(lock, DiskOp::list, path); v.error != 0) return sim_error(v.error);
  const NodePtr node = state_->find(path);
  if (!node) return sim_error(errno);
  if (!node->is_directory) return sim_error(ENOTDIR);
  std::vector<DirectoryEntry> entries;
  for (const auto& [name, child] : node->names) entries.push_back({name, child->is_directory});
  return entries;
}

Result<FileInfo> SimFileSystem::info(const std::string& path) {
  const std::unique_lock lock(state_->mutex);
  if (!state_->powered) return sim_error(EIO);
  const NodePtr node = state_->find(path);
  if (!node) return sim_error(errno);
  return FileInfo{node->current.size(), node->is_directory, node->modified_s};
}

Result<DiskSpace> SimFileSystem::space(const std::string& path) {
  const std::unique_lock lock(state_->mutex);
  if (!state_->powered) return sim_error(EIO);
  if (!state_->find(path)) return sim_error(errno);
  const std::uint64_t used = state_->used();
  return DiskSpace{state_->capacity > used ? state_->capacity - used : 0, state_->capacity};
}

Result<std::unique_ptr<DirectoryLock>> SimFileSystem::lock(const std::string& path) {
  {
    std::unique_lock lock(state_->mutex);
    if (const auto v = state_->begin(lock, DiskOp::lock, path); v.error != 0) return sim_error(v.error);
  }
  RETURN_IF_ERROR(open(path, OpenMode::open_or_create));
  const std::unique_lock lock(state_->mutex);
  const NodePtr node = state_->find(path);
  if (!node) return sim_error(errno);
  if (!state_->locked.insert(node.get()).second) return StorageErrc::directory_in_use;
  return std::unique_ptr<DirectoryLock>(std::make_unique<SimLock>(state_, node));
}

}  // namespace tidemill
