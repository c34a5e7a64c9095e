#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "tests/support/sim_file_system.h"

namespace tidemill {

// From where in the code, and of what kind of file, the seam was called: the return address of the call, the operation,
// and the path with "#" for its numbers. The same for as long as the process runs.
struct CallSite {
  const void* from = nullptr;
  std::string op;
  std::string path;
  auto operator<=>(const CallSite&) const = default;
};

// One call that goes wrong: the `occurrence`-th from this site, and `times - 1` after it.
struct PlannedFault {
  CallSite site;
  std::uint64_t occurrence = 1;
  std::uint64_t times = 1;
  int error = 5;
  std::uint64_t partial = ~0ull;  // of a write: bytes that go in; more than it has: drawn from the seed
  bool late = false;              // of a write: it succeeds, and the file's next flush fails
};

// Stands before a simulated disk and knows each call by its place in the code. Any thread.
class CallFaults final : public FileSystem {
 public:
  explicit CallFaults(SimFileSystem& under);

  void plan(PlannedFault fault);  // beside those that are planned
  void heal();                    // nothing fails any more
  std::uint64_t struck() const;
  std::map<CallSite, std::uint64_t> seen() const;  // how often each was called

  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override;
  Result<void> rename(const std::string& from, const std::string& to) override;
  Result<void> link(const std::string& from, const std::string& to) override;
  Result<void> remove(const std::string& path) override;
  Result<void> create_directory(const std::string& path) override;
  Result<void> sync_directory(const std::string& path) override;
  Result<std::vector<DirectoryEntry>> list(const std::string& path) override;
  Result<FileInfo> info(const std::string& path) override;
  Result<DiskSpace> space(const std::string& path) override;
  Result<std::unique_ptr<DirectoryLock>> lock(const std::string& path) override;

 private:
  class Guarded;
  // What is to happen to this call; 0: nothing. Faults of bytes and flushes are left to the disk below.
  int meet(const void* from, const char* op, const std::string& path);

  SimFileSystem& under_;
  mutable std::mutex mutex_;
  std::map<CallSite, std::uint64_t> seen_;
  std::vector<PlannedFault> planned_;
  std::uint64_t struck_ = 0;
};

}  // namespace tidemill
