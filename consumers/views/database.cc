#include "consumers/views/database.h"

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/listener.h>
#include <rocksdb/options.h>
#include <rocksdb/sst_file_reader.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/checkpoint.h>
#include <rocksdb/write_batch.h>
#include <rocksdb/write_buffer_manager.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <map>
#include <mutex>
#include <thread>

#include "consumers/views/rocks_env.h"
#include "storage/base/check.h"
#include "storage/base/errors.h"
#include "storage/base/logger.h"
#include "storage/seam/clock.h"
#include "storage/seam/file_system.h"

namespace tidemill::views {
namespace {

rocksdb::Slice slice(std::string_view s) {
  return {s.data(), s.size()};
}
std::string_view view(const rocksdb::Slice& s) {
  return {s.data(), s.size()};
}

ErrorCode code_of(const rocksdb::Status& status) {
  if (status.IsIOError() && status.subcode() == rocksdb::Status::kNoSpace) {
    return {ENOSPC, boost::system::generic_category()};
  }
  // RocksDB has no code for it; rocks_env.cc hands the sentence through.
  const ErrorCode no_files = make_error_code(StorageErrc::too_many_files);
  if (status.IsIOError() && status.ToString().find(no_files.message()) != std::string::npos) return no_files;
  // A path that is named and not there: files of the database are gone.
  if (status.IsCorruption() || status.IsPathNotFound()) return make_error_code(StorageErrc::damaged);
  return {EIO, boost::system::generic_category()};
}

// What must be free on the disk beyond all that is not flushed: a full disk is better met between two batches than in
// the middle of a flush or a compaction.
constexpr std::uint64_t kSpareBytes = 16 << 20;

// Whether RocksDB has stopped its work behind the scenes, because of an error. From some it recovers by itself.
class Trouble final : public rocksdb::EventListener {
 public:
  bool now() const { return now_; }
  void OnBackgroundError(rocksdb::BackgroundErrorReason, rocksdb::Status*) override { now_ = true; }
  void OnErrorRecoveryEnd(const rocksdb::BackgroundErrorRecoveryInfo& info) override {
    if (info.new_bg_error.ok()) now_ = false;
  }

 private:
  std::atomic<bool> now_{false};
};

// Outlives all families and cursors that somebody still holds.
struct Handle {
  std::unique_ptr<rocksdb::Env> env;
  std::unique_ptr<rocksdb::DB> db;
};

class FamilyImpl final : public Family {
 public:
  FamilyImpl(std::shared_ptr<Handle> handle, rocksdb::ColumnFamilyHandle* family)
      : handle_(std::move(handle)), family_(family), name_(family->GetName()) {}
  ~FamilyImpl() override {
    if (family_ != handle_->db->DefaultColumnFamily()) handle_->db->DestroyColumnFamilyHandle(family_);
  }
  const std::string& name() const override { return name_; }
  rocksdb::ColumnFamilyHandle* get() const { return family_; }

 private:
  std::shared_ptr<Handle> handle_;
  rocksdb::ColumnFamilyHandle* family_;
  std::string name_;
};

rocksdb::ColumnFamilyHandle* native(const Family& family) {
  return static_cast<const FamilyImpl&>(family).get();
}

class CursorImpl final : public Cursor {
 public:
  CursorImpl(rocksdb::DB& db, const rocksdb::Snapshot* snapshot, const Family& family, std::string_view lower,
             std::string_view upper)
      : lower_(lower), upper_(upper), lower_slice_(lower_), upper_slice_(upper_) {
    rocksdb::ReadOptions options;
    options.snapshot = snapshot;
    options.iterate_lower_bound = &lower_slice_;
    if (!upper_.empty()) options.iterate_upper_bound = &upper_slice_;
    iterator_.reset(db.NewIterator(options, native(family)));
    iterator_->SeekToFirst();
  }
  bool valid() const override { return iterator_->Valid(); }
  std::string_view key() const override { return view(iterator_->key()); }
  std::string_view value() const override { return view(iterator_->value()); }
  void next() override { iterator_->Next(); }
  void previous() override { iterator_->Prev(); }
  void seek(std::string_view key) override { iterator_->Seek(slice(key)); }
  void seek_to_last() override { iterator_->SeekToLast(); }
  ErrorCode error() const override {
    const rocksdb::Status status = iterator_->status();
    return status.ok() ? ErrorCode() : code_of(status);
  }

 private:
  const std::string lower_, upper_;
  const rocksdb::Slice lower_slice_, upper_slice_;
  std::unique_ptr<rocksdb::Iterator> iterator_;
};

constexpr std::size_t kMomentBytes = 64 << 10;  // what takes longer than a moment to make an answer of

class SnapshotImpl final : public Snapshot {
 public:
  SnapshotImpl(std::shared_ptr<Handle> handle, Database::Reads from)
      : handle_(std::move(handle)), snapshot_(handle_->db->GetSnapshot()), from_(from) {}
  ~SnapshotImpl() override { handle_->db->ReleaseSnapshot(snapshot_); }

  Result<std::optional<std::string>> get(const Family& family, std::string_view key) const override {
    rocksdb::ReadOptions options;
    options.snapshot = snapshot_;
    if (from_ == Database::Reads::memory) options.read_tier = rocksdb::kBlockCacheTier;
    std::string value;
    const rocksdb::Status status = handle_->db->Get(options, native(family), slice(key), &value);
    if (status.IsNotFound()) return std::optional<std::string>();
    if (status.IsIncomplete()) return ErrorCode(EAGAIN, boost::system::generic_category());
    if (!status.ok()) return code_of(status);
    if (from_ == Database::Reads::memory && value.size() > kMomentBytes)
      return ErrorCode(EAGAIN, boost::system::generic_category());
    return std::optional<std::string>(std::move(value));
  }
  std::unique_ptr<Cursor> cursor(const Family& family, std::string_view lower, std::string_view upper) const override {
    CHECK(from_ == Database::Reads::disk);
    return std::make_unique<CursorImpl>(*handle_->db, snapshot_, family, lower, upper);
  }

 private:
  std::shared_ptr<Handle> handle_;
  const rocksdb::Snapshot* snapshot_;
  const Database::Reads from_;
};

}  // namespace

struct Database::Impl {
  Env* env = nullptr;
  std::string directory;
  std::shared_ptr<Handle> handle;
  rocksdb::ColumnFamilyOptions family_options;
  std::shared_ptr<rocksdb::Cache> cache;
  std::shared_ptr<Trouble> trouble = std::make_shared<Trouble>();
  mutable std::mutex mutex;
  std::map<std::string, std::shared_ptr<FamilyImpl>> families;
  bool closed = false;

  // ENOSPC where a flush of everything might not fit.
  Result<void> room() const {
    const auto space = env->files.space(directory);
    if (!space) return space.error();
    std::uint64_t unflushed = 0;
    handle->db->GetAggregatedIntProperty(rocksdb::DB::Properties::kCurSizeAllMemTables, &unflushed);
    if (space->free_bytes < unflushed + kSpareBytes) return ErrorCode(ENOSPC, boost::system::generic_category());
    return {};
  }

  // RocksDB 7.8 that has once met a full disk flushes when it is told to, but does not wait for that any more, and says
  // that all is well (facebook/rocksdb#8046). So it is asked what is left.
  Result<void> wait_for_flush(rocksdb::ColumnFamilyHandle* family) const {
    constexpr int kTimes = 2'000;
    for (int i = 0; i < kTimes; ++i) {
      std::uint64_t unflushed = 0;
      handle->db->GetIntProperty(family, rocksdb::DB::Properties::kNumImmutableMemTable, &unflushed);
      if (unflushed == 0) return {};
      env->clock.sleep(std::chrono::milliseconds(5));
    }
    return ErrorCode(EAGAIN, boost::system::generic_category());
  }

  ErrorCode fail(const char* what, const rocksdb::Status& status) const {
    env->logger.error("views: the database refused", {{"call", what}, {"cause", status.ToString()}});
    return code_of(status);
  }
};

Database::Database(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Database::~Database() {
  if (impl_ && !impl_->closed) (void)close();
}

Result<std::unique_ptr<Database>> Database::open(Env& env, const std::string& directory, std::uint64_t memory_bytes) {
  return open(env, directory, memory_bytes, false);
}

Result<std::unique_ptr<Database>> Database::open_read_only(Env& env, const std::string& directory,
                                                           std::uint64_t memory_bytes) {
  return open(env, directory, memory_bytes, true);
}

Result<std::unique_ptr<Database>> Database::open_beside(const Database& other, Env& env, const std::string& directory) {
  return open(env, directory, 8 << 20, true, other.impl_.get());
}

Result<std::unique_ptr<Database>> Database::open(Env& env, const std::string& directory, std::uint64_t memory_bytes,
                                                 bool read_only, const Impl* beside) {
  if (!read_only) RETURN_IF_ERROR(create_directories(env.files, directory));
  auto impl = std::make_unique<Impl>();
  impl->env = &env;
  impl->directory = directory;
  impl->handle = std::make_shared<Handle>();
  impl->handle->env = make_rocks_env(env.files, env.clock);

  // Half for blocks that were read, half for what was written and not yet flushed; both count against one cache.
  // In four parts, and files of 32 MiB: the filter of a file must fit into one of them, or it is read anew for each
  // key. Where rows are alike, as counters are, LZ4 packs millions of keys into a file, with more than a byte of filter
  // each.
  impl->cache = beside != nullptr ? beside->cache : rocksdb::NewLRUCache(memory_bytes, 2);
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = impl->cache;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  table.cache_index_and_filter_blocks = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  table.format_version = 5;

  rocksdb::Options options;
  options.env = impl->handle->env.get();
  options.info_log = make_rocks_logger(env.logger, env.clock);
  options.create_if_missing = !read_only;
  options.listeners.push_back(impl->trouble);
  if (beside == nullptr)
    options.write_buffer_manager = std::make_shared<rocksdb::WriteBufferManager>(memory_bytes / 2, impl->cache);
  options.write_buffer_size = std::clamp<std::uint64_t>(memory_bytes / 6, 4 << 20, 32 << 20);
  // The C library asks the kernel for each piece of 1 MiB or more, and for each of its pages when it is touched.
  options.arena_block_size = options.writable_file_max_buffer_size = 512 << 10;
  options.max_write_buffer_number = 3;
  // What was just flushed is soon merged, eight files at a time: to compress it first costs more than it saves.
  options.compression_per_level = {rocksdb::kNoCompression, rocksdb::kLZ4Compression};
  options.level0_file_num_compaction_trigger = 8;
  options.target_file_size_base = 32 << 20;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  options.max_background_jobs = 2;
  options.bytes_per_sync = 1 << 20;  // so that writing a file out never stalls a commit of the log for long
  options.max_open_files = beside != nullptr ? 64 : 256;
  options.avoid_flush_during_shutdown = true;  // close() does it, and says when it failed
  options.paranoid_checks = true;
  options.stats_dump_period_sec = 0;
  impl->family_options = rocksdb::ColumnFamilyOptions(options);

  std::vector<std::string> names{rocksdb::kDefaultColumnFamilyName};
  const auto current = env.files.info(directory + "/CURRENT");  // made last when a database is made
  if (current) {
    const rocksdb::Status status = rocksdb::DB::ListColumnFamilies(options, directory, &names);
    if (!status.ok()) return impl->fail("open", status);
  } else if (current.error() != ErrorCode(ENOENT, boost::system::generic_category())) {
    return current.error();
  }
  std::vector<rocksdb::ColumnFamilyDescriptor> wanted;
  for (const auto& name : names) wanted.emplace_back(name, impl->family_options);
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* db = nullptr;
  const rocksdb::Status status = read_only ? rocksdb::DB::OpenForReadOnly(options, directory, wanted, &handles, &db)
                                           : rocksdb::DB::Open(options, directory, wanted, &handles, &db);
  impl->closed = read_only;  // there is nothing to flush
  if (!status.ok()) return impl->fail("open", status);
  impl->handle->db.reset(db);
  for (auto* handle : handles) {
    if (handle->GetName() == rocksdb::kDefaultColumnFamilyName) {
      db->DestroyColumnFamilyHandle(handle);
    } else {
      impl->families.emplace(handle->GetName(), std::make_shared<FamilyImpl>(impl->handle, handle));
    }
  }
  return std::unique_ptr<Database>(new Database(std::move(impl)));
}

Result<std::unique_ptr<Database>> Database::open_or_begin_anew(Env& env, const std::string& directory,
                                                               std::uint64_t memory_bytes) {
  auto opened = open(env, directory, memory_bytes);
  if (opened || opened.error() != make_error_code(StorageErrc::damaged)) return opened;
  const std::string aside = directory + ".damaged";
  if (exists(env.files, aside)) RETURN_IF_ERROR(remove_tree(env.files, aside));
  RETURN_IF_ERROR(env.files.rename(directory, aside));
  env.logger.error(
      "the store of the views is damaged: it is kept aside, and all views are built again from the log "
      "and their base",
      {{"kept", aside.substr(aside.find_last_of('/') + 1)}});
  return open(env, directory, memory_bytes);
}

std::vector<std::string> Database::names() const {
  const std::lock_guard lock(impl_->mutex);
  std::vector<std::string> names;
  for (const auto& [name, family] : impl_->families) names.push_back(name);
  return names;
}

Result<std::shared_ptr<Family>> Database::family(const std::string& name) {
  const std::lock_guard lock(impl_->mutex);
  if (const auto found = impl_->families.find(name); found != impl_->families.end()) {
    return std::shared_ptr<Family>(found->second);
  }
  rocksdb::ColumnFamilyHandle* handle = nullptr;
  const rocksdb::Status status = impl_->handle->db->CreateColumnFamily(impl_->family_options, name, &handle);
  if (!status.ok()) return impl_->fail("create a family", status);
  auto family = std::make_shared<FamilyImpl>(impl_->handle, handle);
  impl_->families.emplace(name, family);
  return std::shared_ptr<Family>(std::move(family));
}

Result<void> Database::drop(const std::string& name) {
  const std::lock_guard lock(impl_->mutex);
  const auto found = impl_->families.find(name);
  if (found == impl_->families.end()) return {};
  const rocksdb::Status status = impl_->handle->db->DropColumnFamily(found->second->get());
  if (!status.ok()) return impl_->fail("drop a family", status);
  impl_->families.erase(found);
  return {};
}

// RocksDB's threads do not go by the seam's clock, so neither does this.
Result<void> Database::wait_for_flushes() const {
  std::vector<std::shared_ptr<FamilyImpl>> families;
  {
    const std::lock_guard lock(impl_->mutex);
    for (const auto& [name, family] : impl_->families) families.push_back(family);
  }
  using Clock = std::chrono::steady_clock;
  const auto begun = Clock::now();
  for (const auto& family : families) {
    while (true) {
      std::uint64_t left = 0;
      impl_->handle->db->GetIntProperty(family->get(), rocksdb::DB::Properties::kNumImmutableMemTable, &left);
      if (left == 0) break;
      const auto waited = Clock::now() - begun;
      if (impl_->trouble->now() && waited > std::chrono::milliseconds(100))
        return ErrorCode(EIO, boost::system::generic_category());
      if (waited > std::chrono::seconds(10)) return ErrorCode(EAGAIN, boost::system::generic_category());
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  return {};
}

Result<void> Database::copy_to(const std::string& directory, Unflushed what) const {
  RETURN_IF_ERROR(impl_->room());
  if (what == Unflushed::leave_out) RETURN_IF_ERROR(wait_for_flushes());
  rocksdb::Checkpoint* made = nullptr;
  rocksdb::Status status = rocksdb::Checkpoint::Create(impl_->handle->db.get(), &made);
  const std::unique_ptr<rocksdb::Checkpoint> checkpoint(made);
  // It flushes where the write-ahead log, which we have none of, is as long as this.
  const std::uint64_t flush_from = what == Unflushed::flush ? 0 : ~std::uint64_t{0};
  if (status.ok()) status = checkpoint->CreateCheckpoint(directory, flush_from);
  if (!status.ok()) return impl_->fail("make a copy", status);
  return impl_->env->files.sync_directory(directory);
}

void Database::verify_files(const FindingSink& sink, const std::string& kind, const std::string& remedy) const {
  std::vector<rocksdb::LiveFileMetaData> files;
  impl_->handle->db->GetLiveFilesMetaData(&files);
  for (const auto& file : files) {
    const std::string path = impl_->directory + "/" + file.name.substr(file.name.find_first_not_of('/'));
    rocksdb::Options options;
    options.env = impl_->handle->env.get();
    rocksdb::SstFileReader reader(options);
    rocksdb::Status status = reader.Open(path);
    if (status.ok()) status = reader.VerifyChecksum();
    if (status.ok()) continue;
    // "block checksum mismatch: stored = 1, computed = 2, type = 4  in FILE offset 0 size 1234"
    const std::string text = status.ToString();
    const std::size_t at = text.rfind(" offset ");
    const std::uint64_t offset = at == std::string::npos ? 0 : std::strtoull(text.c_str() + at + 8, nullptr, 10);
    sink({Finding::Grade::damage, kind, path, ByteOffset(offset), {}, {}, "RocksDB says: " + text + ". " + remedy});
  }
}

Result<void> Database::write(std::span<const FamilyWrite> writes) {
  std::size_t bytes = 0;
  for (const auto& [family, set] : writes) bytes += set->bytes() + set->size() * 16;
  rocksdb::WriteBatch batch(bytes);
  for (const auto& [family, set] : writes) {
    for (const std::uint32_t i : set->in_order()) {
      const WriteSet::Entry entry = set->entry(i);
      const rocksdb::Slice key(entry.key.data(), entry.key.size());
      const rocksdb::Slice value(entry.value.data(), entry.value.size());
      using Kind = WriteSet::Kind;
      const rocksdb::Status status = entry.kind == Kind::put      ? batch.Put(native(*family), key, value)
                                     : entry.kind == Kind::remove ? batch.Delete(native(*family), key)
                                                                  : batch.DeleteRange(native(*family), key, value);
      if (!status.ok()) return impl_->fail("put", status);
    }
  }
  RETURN_IF_ERROR(impl_->room());
  rocksdb::WriteOptions options;
  options.disableWAL = true;
  const rocksdb::Status status = impl_->handle->db->Write(options, &batch);
  if (!status.ok()) return impl_->fail("write", status);
  return {};
}

Result<void> Database::get(const Family& family, std::span<const std::string_view> keys,
                           std::vector<std::optional<std::string>>& out) const {
  out.assign(keys.size(), std::nullopt);
  if (keys.empty()) return {};
  std::vector<rocksdb::Slice> slices;
  slices.reserve(keys.size());
  for (const auto key : keys) slices.push_back(slice(key));
  std::vector<rocksdb::PinnableSlice> values(keys.size());
  std::vector<rocksdb::Status> statuses(keys.size());
  impl_->handle->db->MultiGet(rocksdb::ReadOptions(), native(family), keys.size(), slices.data(), values.data(),
                              statuses.data());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (statuses[i].ok()) {
      out[i] = values[i].ToString();
    } else if (!statuses[i].IsNotFound()) {
      return impl_->fail("get", statuses[i]);
    }
  }
  return {};
}

Result<std::optional<std::string>> Database::get_persisted(const Family& family, std::string_view key) const {
  rocksdb::ReadOptions options;
  options.read_tier = rocksdb::kPersistedTier;
  std::string value;
  const rocksdb::Status status = impl_->handle->db->Get(options, native(family), slice(key), &value);
  if (status.IsNotFound()) return std::optional<std::string>();
  if (!status.ok()) return impl_->fail("get", status);
  return std::optional<std::string>(std::move(value));
}

std::unique_ptr<Snapshot> Database::snapshot(Reads from) const {
  return std::make_unique<SnapshotImpl>(impl_->handle, from);
}

Result<void> Database::flush(const Family& family, bool wait) {
  RETURN_IF_ERROR(impl_->room());
  rocksdb::FlushOptions options;
  options.wait = wait;
  options.allow_write_stall = true;
  const rocksdb::Status status = impl_->handle->db->Flush(options, native(family));
  if (!status.ok()) return impl_->fail("flush", status);
  if (wait) return impl_->wait_for_flush(native(family));
  return {};
}

std::uint64_t Database::property(std::string_view name) const {
  std::uint64_t value = 0;
  impl_->handle->db->GetAggregatedIntProperty(slice(name), &value);
  return value;
}

std::uint64_t Database::whole_property(std::string_view name) const {
  std::uint64_t value = 0;
  impl_->handle->db->GetIntProperty(slice(name), &value);
  return value;
}

Result<void> Database::close() {
  const std::lock_guard lock(impl_->mutex);
  if (std::exchange(impl_->closed, true)) return {};
  Result<void> result;
  if (const Result<void> room = impl_->room(); !room) {
    // Nothing is lost: the log has it all, and the next start applies it again.
    impl_->env->logger.error("views were not flushed at the end", {{"cause", room.error().message()}});
    result = room;
  } else {
    for (const auto& [name, family] : impl_->families) {
      const rocksdb::Status status = impl_->handle->db->Flush(rocksdb::FlushOptions(), family->get());
      if (!status.ok()) {
        result = impl_->fail("flush", status);
      } else if (const Result<void> flushed = impl_->wait_for_flush(family->get()); !flushed) {
        result = flushed;
      }
    }
  }
  impl_->families.clear();
  return result;
}

}  // namespace tidemill::views
