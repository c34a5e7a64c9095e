#include "tests/support/sim_disk.h"

#include <algorithm>
#include <cerrno>
#include <set>

#include "storage/base/errors.h"

namespace tidemill {
namespace {

using Keep = CrashPolicy::Keep;
using Fill = CrashPolicy::Fill;
using NodePtr = std::shared_ptr<Node>;

std::uint64_t hash_of(std::string_view text) {
  std::uint64_t h = 0;
  for (const char c : text) h = mix(h ^ static_cast<unsigned char>(c));
  return h;
}

// Applies a pending change whole.
void apply_change(std::string& bytes, const PendingWrite& w) {
  bytes.resize(w.is_truncate ? w.size : std::max<std::uint64_t>(bytes.size(), w.offset), '\0');
  if (!w.is_truncate) {
    bytes.resize(std::max<std::uint64_t>(bytes.size(), w.offset + w.bytes.size()), '\0');
    bytes.replace(w.offset, w.bytes.size(), w.bytes);
  }
}

void visit(const NodePtr& node, const std::string& path, auto&& use) {
  use(node, path);
  for (const auto& [name, child] : node->names) visit(child, path + "/" + name, use);
}

}  // namespace

ErrorCode sim_error(int value) {
  return errno_error(value);
}

NodePtr SimFileSystem::State::make_node(bool is_directory) {
  auto node = std::make_shared<Node>();
  node->id = next_id++;
  node->is_directory = is_directory;
  if (clock != nullptr) node->modified_s = clock->wall().time_since_epoch() / std::chrono::seconds(1);
  return node;
}

std::uint64_t SimFileSystem::State::used() const {
  std::set<const Node*> seen;  // hard links count once
  std::uint64_t bytes = 0;
  visit(root, "", [&](const NodePtr& node, const std::string&) {
    if (seen.insert(node.get()).second) bytes += node->current.size();
  });
  return bytes;
}

NodePtr SimFileSystem::State::find(const std::string& path) const {
  NodePtr node = root;
  for (std::size_t at = 0; at < path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    const std::string name = path.substr(at, end - at);
    at = end + 1;
    if (name.empty() || name == ".") continue;
    if (!node->is_directory) {
      errno = ENOTDIR;
      return nullptr;
    }
    const auto child = node->names.find(name);
    if (child == node->names.end()) {
      errno = ENOENT;
      return nullptr;
    }
    node = child->second;
  }
  return node;
}

NodePtr SimFileSystem::State::find_parent(const std::string& path, std::string& name) const {
  const std::string trimmed = path.substr(0, path.find_last_not_of('/') + 1);
  const std::size_t slash = trimmed.find_last_of('/');
  name = slash == std::string::npos ? trimmed : trimmed.substr(slash + 1);
  if (name.empty() || name == "." || name == "..") {
    errno = EBUSY;
    return nullptr;
  }
  auto parent = find(slash == std::string::npos ? "" : trimmed.substr(0, slash));
  if (parent && !parent->is_directory) {
    errno = ENOTDIR;
    return nullptr;
  }
  return parent;
}

SimFileSystem::State::Verdict SimFileSystem::State::begin(std::unique_lock<std::mutex>& lock, DiskOp op,
                                                          const std::string& path, std::uint64_t offset,
                                                          std::uint64_t length) {
  Verdict verdict;
  const bool is_step = (static_cast<std::uint32_t>(op) & static_cast<std::uint32_t>(DiskOp::change)) != 0;
  if (powered && is_step) {
    const DiskStep step{++step_count, op, path, offset, length};
    journal.push_back(step);
    if (hook) {
      const auto call = hook;
      lock.unlock();
      call(step);
      lock.lock();
    }
    if (step.number == cut_at) {
      powered = false;
      return {.error = EIO, .applies = true};
    }
    if (step.number == kill_at) {
      powered = false;
      killed = true;
      return {.error = EIO, .applies = false};
    }
  }
  if (!powered) return {.error = EIO, .applies = false};
  for (auto& fault : faults) {
    if ((static_cast<std::uint32_t>(fault.op) & static_cast<std::uint32_t>(op)) == 0) continue;
    if (fault.times == 0 || path.find(fault.path_contains) == std::string::npos) continue;
    if (fault.nth > 1) {
      --fault.nth;
      continue;
    }
    --fault.times;
    ++faults_hit;
    if (fault.late) return {.late = fault.error};
    verdict.error = fault.error;
    verdict.applies = false;
    if (op == DiskOp::write) {
      verdict.applies = true;
      verdict.partial = fault.partial <= length ? fault.partial : random.below(length + 1);
    }
    break;
  }
  return verdict;
}

void SimFileSystem::State::change_names(NameChange change) {
  for (const auto& [directory, name, node] : change.entries) {
    const auto there = directory->names.find(name);
    if (there != directory->names.end() && there->second != node) bury(*there->second);
    if (node)
      directory->names[name] = node;
    else
      directory->names.erase(name);
  }
  name_changes.push_back(std::move(change));
}

void SimFileSystem::State::bury(const Node& node) {
  if (node.current.empty()) return;
  if (graveyard.size() == 16) graveyard.erase(graveyard.begin());
  graveyard.push_back(node.current.substr(0, 64 << 10));
}

void SimFileSystem::State::write(Node& node, std::uint64_t offset, std::string_view bytes) {
  if (bytes.empty()) return;
  const std::uint64_t end = offset + bytes.size();
  const std::uint64_t size_before = node.current.size();
  node.current.resize(std::max<std::uint64_t>(size_before, end), '\0');
  node.current.replace(offset, bytes.size(), bytes);
  const std::uint64_t first = offset / kSector * kSector;
  const std::uint64_t last = std::min<std::uint64_t>((end + kSector - 1) / kSector * kSector, node.current.size());
  node.pending.push_back(
      {.offset = first, .bytes = node.current.substr(first, last - first), .size = node.current.size()});
}

void SimFileSystem::State::truncate(Node& node, std::uint64_t size) {
  node.current.resize(size, '\0');
  node.pending.push_back({.is_truncate = true, .size = size});
}

void SimFileSystem::State::sync(Node& node) {
  for (const auto& w : node.pending) apply_change(node.durable, w);
  node.pending.clear();
}

// Of what should have been written each sector is on disk or is not, for ever: the kernel marks the pages clean.
void SimFileSystem::State::fail_sync(Node& node) {
  resolve(node, Keep::any, Fill::zeros, random);
  node.pending.clear();
}

// Everything that touched the directory, and what came before it on the same names.
void SimFileSystem::State::sync_names(const Node& directory) {
  std::set<std::pair<const Node*, std::string>> needed;
  std::vector<std::list<NameChange>::iterator> chosen;
  for (auto it = name_changes.end(); it != name_changes.begin();) {
    --it;
    const bool take = std::any_of(it->entries.begin(), it->entries.end(), [&](const auto& e) {
      return e.directory.get() == &directory || needed.contains({e.directory.get(), e.name});
    });
    if (!take) continue;
    for (const auto& e : it->entries) needed.emplace(e.directory.get(), e.name);
    chosen.push_back(it);
  }
  for (auto it = chosen.rbegin(); it != chosen.rend(); ++it) {
    for (const auto& [where, name, node] : (*it)->entries) {
      if (node)
        where->durable_names[name] = node;
      else
        where->durable_names.erase(name);
    }
    name_changes.erase(*it);
  }
}

// Turns durable + pending into what the disk holds after the cut, in node.durable.
void SimFileSystem::State::resolve(Node& node, Keep keep, Fill fill, SimRandom& dice) {
  auto& pending = node.pending;
  if (keep == Keep::random) keep = static_cast<Keep>(dice.below(4));
  if (fill == Fill::random) fill = static_cast<Fill>(dice.below(2));
  if (pending.empty() || keep == Keep::none) return;
  if (keep == Keep::all) return sync(node);

  // Whole changes first; those from `begin` to `end` arrive sector by sector. Truncations are barriers: bytes of
  // before and after one do not mix.
  std::size_t begin = 0;
  std::size_t end = 0;
  if (keep == Keep::prefix) {
    begin = dice.below(pending.size() + 1);
    end = std::min(begin + 1, pending.size());
  } else {
    std::vector<std::size_t> cuts{0};
    for (std::size_t i = 0; i < pending.size(); ++i)
      if (pending[i].is_truncate) cuts.push_back(i + 1);
    const std::size_t which = dice.below(cuts.size());
    begin = cuts[which];
    end = which + 1 < cuts.size() ? cuts[which + 1] - 1 : pending.size();
  }
  for (std::size_t i = 0; i < begin; ++i) apply_change(node.durable, pending[i]);
  if (begin < end && pending[begin].is_truncate) {
    if (dice.one_in(2)) apply_change(node.durable, pending[begin]);
    return;
  }

  std::map<std::uint64_t, std::vector<const PendingWrite*>> versions;  // of each sector, oldest first
  std::vector<std::uint64_t> sizes{node.durable.size()};
  for (std::size_t i = begin; i < end; ++i) {
    sizes.push_back(pending[i].size);
    for (std::uint64_t at = 0; at < pending[i].bytes.size(); at += kSector)
      versions[pending[i].offset + at].push_back(&pending[i]);
  }
  const std::uint64_t old_size = node.durable.size();
  std::string bytes = node.durable;
  bytes.resize(std::max<std::uint64_t>(node.current.size(), bytes.size()), '\0');
  const std::uint64_t bias = 1 + dice.below(4);  // of 5 sectors so many are lost, about
  for (const auto& [offset, writes] : versions) {
    const bool lost = dice.below(5) < bias;
    // Most often the newest; now and then an older one, which the kernel wrote out early.
    const std::size_t kept = lost ? (dice.one_in(4) ? dice.below(writes.size()) : 0) : writes.size();
    if (kept > 0) {
      const PendingWrite& w = *writes[kept - 1];
      const std::string_view sector = std::string_view(w.bytes).substr(offset - w.offset, kSector);
      if (bytes.size() < offset + sector.size()) bytes.resize(offset + sector.size(), '\0');
      bytes.replace(offset, sector.size(), sector);
    } else if (offset >= old_size && fill == Fill::stale) {
      const std::string* grave = graveyard.empty() ? nullptr : &graveyard[dice.below(graveyard.size())];
      for (std::uint64_t i = offset; i < std::min<std::uint64_t>(offset + kSector, bytes.size()); ++i)
        bytes[i] = grave != nullptr ? (*grave)[i % grave->size()] : static_cast<char>(dice.next());
    }
  }
  bytes.resize(sizes[dice.below(sizes.size())], '\0');
  node.durable = std::move(bytes);
}

void SimFileSystem::State::resolve_names(Keep keep, SimRandom& dice) {
  if (keep == Keep::random) keep = static_cast<Keep>(dice.below(4));
  std::uint64_t whole = 0;
  if (keep == Keep::all) whole = name_changes.size();
  if (keep == Keep::prefix) whole = dice.below(name_changes.size() + 1);
  std::set<std::pair<const Node*, std::string>> broken;  // names whose history has a hole
  std::uint64_t i = 0;
  for (const auto& change : name_changes) {
    bool take = keep == Keep::any ? dice.one_in(2) : i < whole;
    ++i;
    for (const auto& e : change.entries) take = take && !broken.contains({e.directory.get(), e.name});
    for (const auto& e : change.entries) {
      if (!take)
        broken.emplace(e.directory.get(), e.name);
      else if (e.node)
        e.directory->durable_names[e.name] = e.node;
      else
        e.directory->durable_names.erase(e.name);
    }
  }
  name_changes.clear();
}

void SimFileSystem::State::crash(const CrashPolicy& policy) {
  SimRandom dice(random.next());
  resolve_names(policy.names, dice);
  std::set<const Node*> done;
  const std::uint64_t salt = random.next();
  const auto settle = [&](auto&& self, const NodePtr& node, const std::string& path) -> void {
    if (!done.insert(node.get()).second) return;
    SimRandom own(salt ^ hash_of(path));
    if (node->is_directory) {
      node->names = node->durable_names;
      for (const auto& [name, child] : node->names) self(self, child, path + "/" + name);
    } else {
      resolve(*node, policy.writes, policy.fill, own);
      node->pending.clear();
      node->late_error = 0;
      node->current = node->durable;
    }
  };
  settle(settle, root, "");
  powered = true;
  cut_at = kill_at = 0;
  killed = false;
  ++generation;
  locked.clear();
}

}  // namespace tidemill
