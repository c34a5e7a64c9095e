#include "tests/campaigns/call_faults.h"

#include "tests/support/sim_disk.h"

namespace tidemill {
namespace {

// Which numbers a path has is no kind of its own.
std::string kind_of(const std::string& path) {
  std::string kind;
  for (const char c : path) {
    if (c < '0' || c > '9') {
      kind += c;
    } else if (kind.empty() || kind.back() != '#') {
      kind += '#';
    }
  }
  return kind;
}

}  // namespace

// The caller's place; in a function that is called through a virtual table and cannot be inlined into its caller.
#define CALLED_FROM __builtin_extract_return_addr(__builtin_return_address(0))

class CallFaults::Guarded final : public File {
 public:
  Guarded(CallFaults& faults, std::unique_ptr<File> file, std::string path)
      : faults_(faults), file_(std::move(file)), path_(std::move(path)) {}

  Result<std::size_t> read_at(ByteOffset offset, std::span<std::byte> into) override {
    if (const int error = faults_.meet(CALLED_FROM, "read_at", path_)) return sim_error(error);
    return file_->read_at(offset, into);
  }
  Result<void> write_at(ByteOffset offset, std::span<const std::byte> bytes) override {
    (void)faults_.meet(CALLED_FROM, "write_at", path_);
    return file_->write_at(offset, bytes);
  }
  Result<void> sync_data() override {
    (void)faults_.meet(CALLED_FROM, "sync_data", path_);
    return file_->sync_data();
  }
  Result<std::uint64_t> size() override {
    if (const int error = faults_.meet(CALLED_FROM, "size", path_)) return sim_error(error);
    return file_->size();
  }
  Result<void> truncate(std::uint64_t size) override {
    if (const int error = faults_.meet(CALLED_FROM, "truncate", path_)) return sim_error(error);
    return file_->truncate(size);
  }
  void start_writeback(ByteOffset offset, std::uint64_t length) override { file_->start_writeback(offset, length); }
  void read_ahead(ByteOffset offset, std::uint64_t length) override { file_->read_ahead(offset, length); }
  void drop_cache(ByteOffset offset, std::uint64_t length) override { file_->drop_cache(offset, length); }

 private:
  CallFaults& faults_;
  const std::unique_ptr<File> file_;
  const std::string path_;
};

CallFaults::CallFaults(SimFileSystem& under) : under_(under) {}

void CallFaults::plan(PlannedFault fault) {
  const std::lock_guard lock(mutex_);
  planned_.push_back(std::move(fault));
}

void CallFaults::heal() {
  const std::lock_guard lock(mutex_);
  planned_.clear();
  under_.clear_faults();
}

std::uint64_t CallFaults::struck() const {
  const std::lock_guard lock(mutex_);
  return struck_;
}

std::map<CallSite, std::uint64_t> CallFaults::seen() const {
  const std::lock_guard lock(mutex_);
  return seen_;
}

int CallFaults::meet(const void* from, const char* op, const std::string& path) {
  if (!under_.powered()) return 0;
  const std::lock_guard lock(mutex_);
  CallSite site{from, op, kind_of(path)};
  const std::uint64_t number = ++seen_[site];
  for (const PlannedFault& fault : planned_) {
    if (fault.site != site || number < fault.occurrence || number >= fault.occurrence + fault.times) continue;
    ++struck_;
    const bool write = site.op == "write_at";
    if (!write && site.op != "sync_data") return fault.error;
    under_.fail({.op = write ? DiskOp::write : DiskOp::sync_data,
                 .path_contains = path,
                 .error = fault.error,
                 .partial = fault.partial,
                 .late = fault.late});
    return 0;
  }
  return 0;
}

Result<std::unique_ptr<File>> CallFaults::open(const std::string& path, OpenMode mode) {
  if (const int error = meet(CALLED_FROM, "open", path)) return sim_error(error);
  ASSIGN_OR_RETURN(auto file, under_.open(path, mode));
  return std::unique_ptr<File>(std::make_unique<Guarded>(*this, std::move(file), path));
}

Result<void> CallFaults::rename(const std::string& from, const std::string& to) {
  if (const int error = meet(CALLED_FROM, "rename", to)) return sim_error(error);
  return under_.rename(from, to);
}

Result<void> CallFaults::link(const std::string& from, const std::string& to) {
  if (const int error = meet(CALLED_FROM, "link", to)) return sim_error(error);
  return under_.link(from, to);
}

Result<void> CallFaults::remove(const std::string& path) {
  if (const int error = meet(CALLED_FROM, "remove", path)) return sim_error(error);
  return under_.remove(path);
}

Result<void> CallFaults::create_directory(const std::string& path) {
  if (const int error = meet(CALLED_FROM, "create_directory", path)) return sim_error(error);
  return under_.create_directory(path);
}

Result<void> CallFaults::sync_directory(const std::string& path) {
  if (const int error = meet(CALLED_FROM, "sync_directory", path)) return sim_error(error);
  return under_.sync_directory(path);
}

Result<std::vector<DirectoryEntry>> CallFaults::list(const std::string& path) {
  if (const int error = meet(CALLED_FROM, "list", path)) return sim_error(error);
  return under_.list(path);
}

Result<FileInfo> CallFaults::info(const std::string& path) {
  if (const int error = meet(CALLED_FROM, "info", path)) return sim_error(error);
  return under_.info(path);
}

Result<DiskSpace> CallFaults::space(const std::string& path) {
  if (const int error = meet(CALLED_FROM, "space", path)) return sim_error(error);
  return under_.space(path);
}

Result<std::unique_ptr<DirectoryLock>> CallFaults::lock(const std::string& path) {
  if (const int error = meet(CALLED_FROM, "lock", path)) return sim_error(error);
  return under_.lock(path);
}

}  // namespace tidemill
