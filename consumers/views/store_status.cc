#include "consumers/views/store_status.h"

namespace tidemill::views {

StoreStatus store_status(const Database& database) {
  StoreStatus s;
  s.memtable_bytes = database.property("rocksdb.cur-size-all-mem-tables");
  s.live_data_bytes = database.property("rocksdb.estimate-live-data-size");
  s.file_bytes = database.property("rocksdb.total-sst-files-size");
  s.pending_compaction_bytes = database.property("rocksdb.estimate-pending-compaction-bytes");
  s.background_errors = database.property("rocksdb.background-errors");
  // One cache, one scheduler, one list of snapshots for all families.
  s.block_cache_bytes = database.whole_property("rocksdb.block-cache-usage");
  s.block_cache_capacity_bytes = database.whole_property("rocksdb.block-cache-capacity");
  s.running_compactions = database.whole_property("rocksdb.num-running-compactions");
  s.running_flushes = database.whole_property("rocksdb.num-running-flushes");
  s.snapshots = database.whole_property("rocksdb.num-snapshots");
  s.write_stopped = database.whole_property("rocksdb.is-write-stopped") != 0;
  s.write_delayed = database.whole_property("rocksdb.actual-delayed-write-rate") != 0;
  return s;
}

}  // namespace tidemill::views
