#include <algorithm>
#include <cerrno>

#include "tests/support/sim_disk.h"
#include "tests/support/sim_file_system.h"

// What tests do to a simulated disk, and how they look at it.

namespace tidemill {
namespace {

using NodePtr = std::shared_ptr<Node>;

void each_file(const NodePtr& node, const std::string& path, auto&& use) {
  if (!node->is_directory) return use(node, path);
  for (const auto& [name, child] : node->names) each_file(child, path + "/" + name, use);
}

}  // namespace

void SimFileSystem::power_off() {
  const std::lock_guard lock(state_->mutex);
  state_->powered = false;
}

void SimFileSystem::crash(const CrashPolicy& policy) {
  const std::lock_guard lock(state_->mutex);
  state_->crash(policy);
}

void SimFileSystem::kill() {
  const std::lock_guard lock(state_->mutex);
  CHECK(state_->powered || state_->killed);
  state_->powered = true;
  state_->killed = false;
  state_->kill_at = 0;
  ++state_->generation;
  state_->locked.clear();
}

bool SimFileSystem::powered() const {
  const std::lock_guard lock(state_->mutex);
  return state_->powered;
}

void SimFileSystem::cut_at_step(std::uint64_t number) {
  const std::lock_guard lock(state_->mutex);
  CHECK(number > state_->step_count);
  state_->cut_at = number;
}

void SimFileSystem::kill_at_step(std::uint64_t number) {
  const std::lock_guard lock(state_->mutex);
  CHECK(number > state_->step_count);
  state_->kill_at = number;
}

std::uint64_t SimFileSystem::steps() const {
  const std::lock_guard lock(state_->mutex);
  return state_->step_count;
}

std::vector<DiskStep> SimFileSystem::journal() const {
  const std::lock_guard lock(state_->mutex);
  return state_->journal;
}

std::vector<DiskHint> SimFileSystem::take_hints() {
  const std::unique_lock lock(state_->mutex);
  return std::exchange(state_->hints, {});
}

void SimFileSystem::clear_journal() {
  const std::lock_guard lock(state_->mutex);
  state_->journal.clear();
}

void SimFileSystem::on_step(std::function<void(const DiskStep&)> hook) {
  const std::lock_guard lock(state_->mutex);
  state_->hook = std::move(hook);
}

void SimFileSystem::fail(DiskFault fault) {
  CHECK(fault.nth > 0 && fault.error != 0);
  const std::lock_guard lock(state_->mutex);
  state_->faults.push_back(std::move(fault));
}

void SimFileSystem::clear_faults() {
  const std::lock_guard lock(state_->mutex);
  state_->faults.clear();
}

std::uint64_t SimFileSystem::faults_hit() const {
  const std::lock_guard lock(state_->mutex);
  return state_->faults_hit;
}

void SimFileSystem::set_capacity(std::uint64_t bytes) {
  const std::lock_guard lock(state_->mutex);
  state_->capacity = bytes;
}

std::uint64_t SimFileSystem::used() const {
  const std::lock_guard lock(state_->mutex);
  return state_->used();
}

void SimFileSystem::drop_caches() {
  const std::lock_guard lock(state_->mutex);
  each_file(state_->root, "", [](const NodePtr& node, const std::string&) {
    Node disk;
    disk.durable = node->durable;
    disk.pending = node->pending;
    State::sync(disk);
    node->current = disk.durable;
  });
}

Result<void> SimFileSystem::flip_bit(const std::string& path, std::uint64_t offset, unsigned bit) {
  const std::lock_guard lock(state_->mutex);
  const NodePtr node = state_->find(path);
  if (!node) return sim_error(errno);
  if (offset >= node->current.size()) return sim_error(EINVAL);
  node->current[offset] = static_cast<char>(node->current[offset] ^ (1 << bit));
  State::sync(*node);  // what was pending first, then the damage
  if (offset < node->durable.size()) node->durable[offset] = node->current[offset];
  return {};
}

Result<void> SimFileSystem::overwrite(const std::string& path, std::uint64_t offset, std::string_view bytes) {
  const std::lock_guard lock(state_->mutex);
  const NodePtr node = state_->find(path);
  if (!node) return sim_error(errno);
  State::write(*node, offset, bytes);
  State::sync(*node);
  return {};
}

Result<void> SimFileSystem::cut_file(const std::string& path, std::uint64_t size) {
  const std::lock_guard lock(state_->mutex);
  const NodePtr node = state_->find(path);
  if (!node) return sim_error(errno);
  State::truncate(*node, size);
  State::sync(*node);
  return {};
}

std::optional<std::string> SimFileSystem::content(const std::string& path) const {
  const std::lock_guard lock(state_->mutex);
  const NodePtr node = state_->find(path);
  if (!node || node->is_directory) return std::nullopt;
  return node->current;
}

std::optional<std::string> SimFileSystem::durable_content(const std::string& path) const {
  const std::lock_guard lock(state_->mutex);
  const NodePtr node = state_->find(path);
  if (!node || node->is_directory) return std::nullopt;
  return node->durable;
}

std::vector<std::string> SimFileSystem::all_files() const {
  const std::lock_guard lock(state_->mutex);
  std::vector<std::string> paths;
  each_file(state_->root, "", [&](const NodePtr&, const std::string& path) { paths.push_back(path); });
  std::sort(paths.begin(), paths.end());
  return paths;
}

}  // namespace tidemill
