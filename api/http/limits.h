#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace tidemill::http {

// What a public server has to hold against. Bytes and milliseconds. May be changed while the server runs; what is on
// its way keeps what it began with.
struct Limits {
  std::size_t header_bytes = 32 << 10;  // request line and header fields together: 431
  std::size_t header_count = 100;       // 431
  std::size_t body_bytes = 16 << 20;    // as sent and, once more, unpacked: 413
  // Of receive buffers above 64 KiB, hence of large bodies on their way in, all connections together: 429. Twice
  // one_request() at least, or the largest do not go in.
  std::size_t memory_bytes = 96 << 20;
  // Answers that are made and not taken yet, all connections together, small ones apart: 429.
  std::size_t answer_bytes = 66 << 20;
  std::size_t connections = 10'000;                  // one more gets 503 and is closed
  std::size_t pipelined = 1'024;                     // unanswered requests of one connection; then it is not read
  std::size_t unanswered_bytes = 4 << 20;            // of answers that one client does not take; then it is not read
  std::chrono::milliseconds header_timeout{10'000};  // from the first byte of a request to the end of its header: 408
  std::chrono::milliseconds idle_timeout{75'000};    // between requests: closed
  std::chrono::milliseconds body_grace{10'000};      // a body may stand still this long in all, else it comes with
  std::size_t body_bytes_per_second = 1'024;         // this rate: 408. What comes faster earns no further standstill
  std::chrono::milliseconds write_timeout{30'000};   // a client that takes nothing of its answer so long: closed;
  std::size_t write_bytes_per_second = 1'024;        // and one that takes what it is owed slower than this, likewise
  std::uint64_t requests = 1'000'000;                // of one connection, the last answer says "close"; 0: no limit

  // The receive buffer of the largest request: its head, its body, and what frames a chunk of it.
  std::size_t one_request() const { return body_bytes + 2 * header_bytes + (4 << 10); }
};

}  // namespace tidemill::http
