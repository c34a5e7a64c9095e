#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

namespace tidemill::views {

// What statements may hold, in bytes, of the process: one by itself, and all together. Memory is what SQLite allocates
// for them, files are its temporary ones.
struct SqlBounds {
  std::uint64_t memory = 32u << 20;
  std::uint64_t memory_of_all = 64u << 20;
  std::uint64_t files = 256u << 20;
  std::uint64_t files_of_all = 1u << 30;
};
// Once, at the start, by whoever knows the memory of the process: before the first statement. From any thread later.
void set_sql_bounds(const SqlBounds& bounds);
SqlBounds sql_bounds();

// What all statements together hold; each account draws on it.
struct SqlPool {
  std::atomic<std::uint64_t> memory{0};
  std::atomic<std::uint64_t> files{0};
};

// What the statements of one SQLite connection hold and do: memory, temporary files, and work inside of one function,
// where SQLite does not look at its clock. SQLite's allocator, the files and our functions report here while a Scope
// stands on the thread; without one (the stages of views) nothing is counted and nothing refused. One thread at a time.
class SqlAccount {
 public:
  enum class Refused { nothing, memory, memory_of_all, files, files_of_all, time };

  SqlAccount() = default;
  ~SqlAccount();  // after all that was counted: gives back to the pool
  SqlAccount(const SqlAccount&) = delete;
  SqlAccount& operator=(const SqlAccount&) = delete;

  // For the next statement, within the bounds. `go_on`: false ends it; nullptr: nobody looks.
  void begin(std::function<bool()> go_on);
  // The statement has ended. What the connection keeps for the next (tables, prepared statements) is no statement's.
  void rest();
  Refused refused() const { return refused_; }
  std::uint64_t memory() const { return memory_; }
  std::uint64_t memory_most() const { return memory_most_; }  // since begin()
  std::uint64_t files() const { return files_; }
  std::uint64_t files_most() const { return files_most_; }
  const SqlBounds& bounds() const { return bounds_; }

  // False: refused. `bytes` are what comes to be held.
  bool take_memory(std::uint64_t bytes);
  void give_memory(std::uint64_t bytes);
  void add_rounding(std::uint64_t bytes);  // that the allocator gave on top, when there is no going back
  bool take_file(std::uint64_t bytes);
  void give_file(std::uint64_t bytes);
  // About a nanosecond each. False: the statement is to end.
  bool worked(std::uint64_t steps);

  static SqlAccount* here();  // of the Scope on this thread, or nullptr

  class Scope {
   public:
    explicit Scope(SqlAccount& account);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    SqlAccount* const before_;
  };

 private:
  void add(std::uint64_t bytes) {
    memory_ += bytes;
    if (memory_ > memory_most_) memory_most_ = memory_;
  }
  bool refuse(Refused why) {
    if (refused_ == Refused::nothing) refused_ = why;
    return false;
  }
  std::uint64_t memory_ = 0, memory_most_ = 0;
  std::uint64_t files_ = 0, files_most_ = 0;
  std::uint64_t steps_ = 0;
  SqlBounds bounds_;
  std::function<bool()> go_on_;
  Refused refused_ = Refused::nothing;
};

// Before SQLite is used; calling it again changes nothing.
void account_for_sqlite_memory();
// SQLite's own access to files, which counts the temporary ones; its name, for sqlite3_open_v2. nullptr: there is none.
const char* counting_files();

// From any thread.
SqlPool& sql_pool();

}  // namespace tidemill::views
