#pragma once

#include "storage/base/metrics.h"

namespace tidemill::http {

struct Metrics {
  Gauge connections;
  Counter accepted, refused_connections;
  Counter bytes_in, bytes_out;
  Counter timeouts;      // connections closed for being too slow, in any direction
  Counter bad_requests;  // refused before a handler saw them
  Gauge buffer_bytes;    // held by connections for requests and answers; as of the last sweep
  struct Handshakes {    // of TLS
    Counter full_12, full_13, resumed_12, resumed_13;
    Counter failed, timed_out;
    Counter plain;  // the client spoke HTTP without TLS
  } handshakes;
};

}  // namespace tidemill::http
