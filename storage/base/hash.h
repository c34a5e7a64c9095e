#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

namespace tidemill {

// XXH3, 64 bits; with seed 0 what `xxhsum -H3` prints. Against accidents, not against attackers.
std::uint64_t xxh3(std::string_view bytes, std::uint64_t seed = 0);

// The same (seed 0), piece by piece.
class Xxh3Stream {
 public:
  Xxh3Stream();
  ~Xxh3Stream();
  Xxh3Stream(Xxh3Stream&&) noexcept;
  Xxh3Stream& operator=(Xxh3Stream&&) noexcept;
  void add(std::string_view bytes);
  std::uint64_t value() const;  // of all that was added

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tidemill
