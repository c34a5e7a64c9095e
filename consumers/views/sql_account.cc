#include "consumers/views/sql_account.h"

#include <sqlite3.h>

#include <algorithm>
#include <mutex>
#include <utility>

namespace tidemill::views {
namespace {

constexpr std::uint64_t kStepsBetweenLooks = 1u << 20;

thread_local SqlAccount* account_here = nullptr;
// Each for itself: whoever reads them while they are set gets some of both.
std::atomic<std::uint64_t> memory_bound{SqlBounds().memory}, memory_of_all_bound{SqlBounds().memory_of_all},
    files_bound{SqlBounds().files}, files_of_all_bound{SqlBounds().files_of_all};

// What is refused is never counted, not even for a moment in which somebody else asks.
bool take_of(std::atomic<std::uint64_t>& all, std::uint64_t bytes, std::uint64_t max) {
  std::uint64_t before = all.load(std::memory_order_relaxed);
  do {
    if (before > max || bytes > max - before) return false;
  } while (!all.compare_exchange_weak(before, before + bytes, std::memory_order_relaxed));
  return true;
}

sqlite3_mem_methods plain;  // SQLite's own

void* allocate(int bytes) {
  SqlAccount* const account = account_here;
  if (account == nullptr) return plain.xMalloc(bytes);
  if (!account->take_memory(static_cast<std::uint64_t>(bytes))) return nullptr;
  void* const made = plain.xMalloc(bytes);
  const auto asked = static_cast<std::uint64_t>(bytes);
  if (made == nullptr) {
    account->give_memory(asked);
    return nullptr;
  }
  // What is counted is what is freed later.
  const auto size = static_cast<std::uint64_t>(plain.xSize(made));
  if (size < asked) account->give_memory(asked - size);
  if (size > asked) account->add_rounding(size - asked);
  return made;
}

void release(void* memory) {
  if (account_here != nullptr) account_here->give_memory(static_cast<std::uint64_t>(plain.xSize(memory)));
  plain.xFree(memory);
}

void* reallocate(void* memory, int bytes) {
  SqlAccount* const account = account_here;
  if (account == nullptr) return plain.xRealloc(memory, bytes);
  const auto before = static_cast<std::uint64_t>(plain.xSize(memory));
  const auto wanted = static_cast<std::uint64_t>(bytes);
  const std::uint64_t more = wanted > before ? wanted - before : 0;
  if (!account->take_memory(more)) return nullptr;
  void* const made = plain.xRealloc(memory, bytes);
  if (made == nullptr) {
    account->give_memory(more);
    return nullptr;
  }
  const auto after = static_cast<std::uint64_t>(plain.xSize(made));
  const std::uint64_t counted = before + more;
  if (after < counted) account->give_memory(counted - after);
  if (after > counted) account->add_rounding(after - counted);
  return made;
}

}  // namespace

SqlAccount* SqlAccount::here() {
  return account_here;
}

SqlAccount::Scope::Scope(SqlAccount& account) : before_(std::exchange(account_here, &account)) {}
SqlAccount::Scope::~Scope() {
  account_here = before_;
}

SqlAccount::~SqlAccount() {
  sql_pool().memory.fetch_sub(memory_, std::memory_order_relaxed);
  sql_pool().files.fetch_sub(files_, std::memory_order_relaxed);
}

void SqlAccount::rest() {
  sql_pool().memory.fetch_sub(memory_, std::memory_order_relaxed);
  memory_ = 0;
  go_on_ = nullptr;
}

void SqlAccount::begin(std::function<bool()> go_on) {
  bounds_ = sql_bounds();
  rest();
  memory_most_ = 0;
  files_most_ = files_;
  go_on_ = std::move(go_on);
  refused_ = Refused::nothing;
  steps_ = 0;
}

bool SqlAccount::take_memory(std::uint64_t bytes) {
  // Straight code, a thousand long values in a row, has no jump where SQLite looks at its clock.
  if (!worked(bytes)) return false;
  if (memory_ > bounds_.memory || bytes > bounds_.memory - memory_) return refuse(Refused::memory);
  if (!take_of(sql_pool().memory, bytes, bounds_.memory_of_all)) return refuse(Refused::memory_of_all);
  add(bytes);
  return true;
}

void SqlAccount::add_rounding(std::uint64_t bytes) {
  sql_pool().memory.fetch_add(bytes, std::memory_order_relaxed);
  add(bytes);
}

void SqlAccount::give_memory(std::uint64_t bytes) {
  bytes = std::min(bytes, memory_);  // what came before there was an account
  memory_ -= bytes;
  sql_pool().memory.fetch_sub(bytes, std::memory_order_relaxed);
}

bool SqlAccount::take_file(std::uint64_t bytes) {
  if (files_ > bounds_.files || bytes > bounds_.files - files_) return refuse(Refused::files);
  if (!take_of(sql_pool().files, bytes, bounds_.files_of_all)) return refuse(Refused::files_of_all);
  files_ += bytes;
  files_most_ = std::max(files_most_, files_);
  return true;
}

void SqlAccount::give_file(std::uint64_t bytes) {
  bytes = std::min(bytes, files_);
  files_ -= bytes;
  sql_pool().files.fetch_sub(bytes, std::memory_order_relaxed);
}

bool SqlAccount::worked(std::uint64_t steps) {
  if (refused_ == Refused::time) return false;  // over is over
  steps_ += steps;
  if (steps_ < kStepsBetweenLooks) return true;
  steps_ = 0;
  if (go_on_ && !go_on_()) return refuse(Refused::time);
  return true;
}

void account_for_sqlite_memory() {
  static std::once_flag once;
  std::call_once(once, [] {
    if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &plain) != SQLITE_OK) return;  // SQLite is in use
    sqlite3_mem_methods counting = plain;
    counting.xMalloc = allocate;
    counting.xFree = release;
    counting.xRealloc = reallocate;
    sqlite3_config(SQLITE_CONFIG_MALLOC, &counting);
  });
}

void set_sql_bounds(const SqlBounds& bounds) {
  memory_bound = bounds.memory;
  memory_of_all_bound = bounds.memory_of_all;
  files_bound = bounds.files;
  files_of_all_bound = bounds.files_of_all;
}

SqlBounds sql_bounds() {
  return {memory_bound, memory_of_all_bound, files_bound, files_of_all_bound};
}

SqlPool& sql_pool() {
  static SqlPool pool;
  return pool;
}

}  // namespace tidemill::views
