#include "consumers/views/bases.h"

#include <algorithm>

#include "engine/base_directory.h"
#include "storage/base/errors.h"
#include "storage/base/logger.h"
#include "storage/seam/clock.h"
#include "storage/seam/file_system.h"

namespace tidemill::views {
namespace {

constexpr std::uint64_t kMemory = 8 << 20;  // to read a base with
constexpr std::size_t kCopyBytes = 1 << 20;
// In the place of a checkpoint while a family is copied: no decoder takes it, so a family that was cut short is one
// that cannot be read, and is made again.
constexpr std::string_view kUnfinished = "unfinished";

}  // namespace

Result<std::unique_ptr<Database>> open_base(Env& env, const std::string& directory) {
  ASSIGN_OR_RETURN(const std::uint64_t newest, newest_base(env.files, directory));
  if (newest == 0) return std::unique_ptr<Database>();
  const std::string path = directory + "/" + std::to_string(newest);
  if (!exists(env.files, path + "/CURRENT")) return make_error_code(StorageErrc::damaged);
  return Database::open_read_only(env, path, kMemory);
}

Result<std::optional<Checkpoint>> read_checkpoint(const Database& database, const Family& family) {
  const std::string_view key = kCheckpointKey;
  std::vector<std::optional<std::string>> found;
  RETURN_IF_ERROR(database.get(family, {&key, 1}, found));
  if (!found[0]) return std::optional<Checkpoint>();
  auto checkpoint = decode_checkpoint(*found[0]);
  if (!checkpoint) return make_error_code(StorageErrc::damaged);
  return checkpoint;
}

Result<std::optional<Checkpoint>> copy_family(Database& base, const std::string& name, Database& database,
                                              const Family& family, Sequence first, Sequence durable) {
  const std::vector<std::string> names = base.names();
  if (std::find(names.begin(), names.end(), name) == names.end()) return std::optional<Checkpoint>();
  ASSIGN_OR_RETURN(const auto from, base.family(name));
  ASSIGN_OR_RETURN(const auto checkpoint, read_checkpoint(base, *from));
  if (!checkpoint || next(checkpoint->position.sequence()) < first || checkpoint->position.sequence() > durable)
    return std::optional<Checkpoint>();
  WriteSet set;
  set.put(kCheckpointKey, kUnfinished);
  const auto snapshot = base.snapshot();
  const auto cursor = snapshot->cursor(*from, {}, {});
  for (; cursor->valid(); cursor->next()) {
    if (cursor->key() == kCheckpointKey) continue;
    set.put(cursor->key(), cursor->value());
    if (set.bytes() < kCopyBytes) continue;
    RETURN_IF_ERROR(database.write(family, set));
    set.clear();
  }
  if (const ErrorCode error = cursor->error()) {
    RETURN_IF_ERROR(database.write(family, set));
    return error;
  }
  set.put(kCheckpointKey, encode_checkpoint(*checkpoint));
  RETURN_IF_ERROR(database.write(family, set));
  RETURN_IF_ERROR(database.flush(family, true));
  return checkpoint;
}

Bases::Bases(Env& env, std::string directory, const Database& database, Wanted wanted, std::function<void()> made)
    : Serial(env),
      copies_(env, std::move(directory), "base"),
      database_(database),
      wanted_(std::move(wanted)),
      made_(std::move(made)) {}

Result<void> Bases::open() {
  const std::lock_guard running(run_mutex_);
  ASSIGN_OR_RETURN(const bool there, copies_.settle(Copies::Missing::leave));
  if (!there) return {};
  ASSIGN_OR_RETURN(const std::uint64_t number, newest());
  remove_others(wanted_().empty() ? 0 : number);
  return {};
}

void Bases::drop_unwanted() {
  const std::lock_guard running(run_mutex_);
  if (!wanted_().empty()) return;
  remove_others(0);
  const std::lock_guard lock(mutex_);
  state_.families.clear();
}

Bases::State Bases::state() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

void Bases::make() {
  {
    const std::lock_guard lock(mutex_);
    if (state_.under_way) return;
    state_.under_way = true;
  }
  wake();
}

void Bases::stop() {
  const std::lock_guard running(run_mutex_);
  stopped_ = true;
}

Result<std::uint64_t> Bases::newest() const {
  return newest_base(env_.files, copies_.directory());
}

void Bases::run() {
  const std::lock_guard running(run_mutex_);
  if (stopped_) return;
  const auto why_not = make_one();
  const bool made = why_not && why_not->empty();
  // It would keep room from being given back. Failing is harmless: the next one does it.
  if (!made) copies_.remove_aside();
  {
    const std::lock_guard lock(mutex_);
    state_.under_way = false;
    state_.failed = made ? "" : why_not ? *why_not : why_not.error().message() + ".";
  }
  if (made) made_();
}

Result<std::string> Bases::make_one() {
  const MonotonicTime begun = env_.clock.monotonic();
  RETURN_IF_ERROR(copies_.settle(Copies::Missing::make));
  ASSIGN_OR_RETURN(const std::uint64_t before, newest());
  const std::string aside = copies_.aside();
  remove_others(before);
  RETURN_IF_ERROR(database_.copy_to(aside));

  // As somebody would find it who has nothing else: opened, every block read, every checkpoint understood.
  std::map<std::string, Checkpoint> families;
  {
    ASSIGN_OR_RETURN(const auto made, Database::open_read_only(env_, aside, kMemory));
    std::string damage;
    const char* remedy = "Stop the server, move DATA/views away and start it: the views are built again.";
    made->verify_files([&](const Finding& f) { damage = f.file.substr(f.file.rfind('/') + 1) + ": " + f.text; }, "base",
                       remedy);
    if (!damage.empty()) return "A file of the views is damaged, " + damage;
    for (const std::string& name : made->names()) {
      if (!name.starts_with('v')) continue;  // a comparison's
      ASSIGN_OR_RETURN(const auto family, made->family(name));
      ASSIGN_OR_RETURN(const auto checkpoint, read_checkpoint(*made, *family));
      families.emplace(name, checkpoint.value_or(Checkpoint{}));
    }
  }
  // What the one before has, this one has or has more: a view that is being built again may be the reason why that one
  // is needed.
  if (before != 0) {
    const auto old = open_base(env_, copies_.directory());
    if (!old && old.error() != StorageErrc::damaged) return old.error();
    for (const auto& [name, durable] : wanted_()) {
      if (!old) break;
      const auto names = (*old)->names();
      if (std::find(names.begin(), names.end(), name) == names.end()) continue;
      ASSIGN_OR_RETURN(const auto family, (*old)->family(name));
      const auto had = read_checkpoint(**old, *family);
      if (!had || !*had || (*had)->position.sequence() > durable) continue;
      const auto now = families.find(name);
      if (now == families.end() || now->second.position < (*had)->position)
        return "The base of before is still needed: a view has not yet again counted what is in it.";
    }
  }
  const std::uint64_t number = before + 1;
  RETURN_IF_ERROR(copies_.keep(number));
  {
    const std::lock_guard lock(mutex_);
    state_.families = std::move(families);
  }
  remove_others(number);
  const auto spent = std::chrono::duration_cast<std::chrono::milliseconds>(env_.clock.monotonic() - begun);
  env_.logger.info("a base of the views was made",
                   {{"number", std::to_string(number)}, {"ms", std::to_string(spent.count())}});
  return std::string();
}

// The older ones, and what was left while one was made.
void Bases::remove_others(std::uint64_t kept) const {
  copies_.remove_others(kept == 0 ? std::set<std::uint64_t>() : std::set<std::uint64_t>{kept});
}

Result<std::optional<Checkpoint>> Bases::rebuild(const std::string& name, Database& database, const Family& family,
                                                 Sequence first, Sequence durable) const {
  const std::lock_guard running(run_mutex_);  // none is removed meanwhile
  ASSIGN_OR_RETURN(const auto base, open_base(env_, copies_.directory()));
  if (!base) return std::optional<Checkpoint>();
  return copy_family(*base, name, database, family, first, durable);
}

}  // namespace tidemill::views
