#pragma once

#include "storage/base/metrics.h"

namespace tidemill::http {

struct Metrics {
  Gauge connections;
  Counter accepted, refused_connections;
  Counter bytes_in, bytes_out;
  Counter timeouts;      // connections closed for being too slow, in any direction
  Counter bad_requests;  // refused before a handler saw them
  Gauge memory_bytes;    // of the large buffers
};

}  // namespace tidemill::http
