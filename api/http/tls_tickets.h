#pragma once

#include <array>
#include <chrono>
#include <mutex>
#include <vector>

struct ssl_ctx_st;

namespace tidemill::http {

// The keys that session tickets are sealed with: random, in memory only, a new one every hour. A ticket of the key
// before is still opened, so one is good for an hour at least and two at most; whoever finds a key later opens no older
// connection's. Owned by its context. Any thread.
class TicketKeys {
 public:
  using Time = std::chrono::steady_clock::time_point;
  struct Key {
    std::array<unsigned char, 16> name;
    std::array<unsigned char, 32> cipher;  // AES-256-CBC
    std::array<unsigned char, 32> mac;     // HMAC-SHA-256
    Time made;
  };
  static constexpr std::chrono::hours kLife{1};

  void attach(ssl_ctx_st* context);  // tickets of `context` are sealed and opened here; must outlive it
  // For sealing; made anew where the last one is too old. False: there is no randomness.
  bool current(Time now, Key& key);
  // The one of that name; false: it is gone, and a full handshake follows. `renew`: it is not the current one any more.
  bool find(const unsigned char* name, Time now, Key& key, bool& renew);

 private:
  std::mutex mutex_;
  std::vector<Key> keys_;  // the newest first, at most two
};

}  // namespace tidemill::http
