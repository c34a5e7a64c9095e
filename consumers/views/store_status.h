#pragma once

#include "consumers/views/database.h"
#include "consumers/views/views.h"

namespace tidemill::views {

// What RocksDB says of itself. Any thread; microseconds for each family.
StoreStatus store_status(const Database& database);

}  // namespace tidemill::views
