#pragma once

#include <string.h>

#include <atomic>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>

namespace tidemill::http {

// Memory that many share: who wants some asks, and is refused where it would become too much. Any thread.
class Budget {
 public:
  void set_most(std::size_t bytes) { most_ = bytes; }
  std::size_t used() const { return used_; }
  bool take(std::size_t bytes) {
    if (used_.fetch_add(bytes) + bytes <= most_) return true;
    used_ -= bytes;
    return false;
  }
  void give_back(std::size_t bytes) { used_ -= bytes; }

 private:
  std::atomic<std::size_t> most_{0};
  std::atomic<std::size_t> used_{0};
};

// What was taken of a budget, until it goes. The budget must outlive it.
class Held {
 public:
  Held() = default;
  static std::optional<Held> take(Budget& budget, std::size_t bytes) {
    if (!budget.take(bytes)) return std::nullopt;
    Held held;
    held.budget_ = &budget;
    held.bytes_ = bytes;
    return held;
  }
  Held(Held&& other) noexcept : budget_(std::exchange(other.budget_, nullptr)), bytes_(other.bytes_) {}
  Held& operator=(Held&& other) noexcept {
    std::swap(budget_, other.budget_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Held() {
    if (budget_) budget_->give_back(bytes_);
  }

 private:
  Budget* budget_ = nullptr;
  std::size_t bytes_ = 0;
};

// A part of an answer that is not worth copying, and its memory.
struct Piece {
  enum class Content { ordinary, secret };

  Piece() = default;
  Piece(std::string made, Held room, Content content = Content::ordinary)
      : bytes(std::move(made)), held(std::move(room)), secret(content == Content::secret) {}
  Piece(Piece&& other) noexcept = default;
  Piece& operator=(Piece&& other) noexcept {
    std::swap(bytes, other.bytes);
    std::swap(held, other.held);
    std::swap(secret, other.secret);
    return *this;
  }
  ~Piece() {
    if (secret) explicit_bzero(bytes.data(), bytes.size());
  }

  std::string bytes;
  Held held;
  bool secret = false;  // its bytes go from memory with it; longer than what a string keeps in itself
};

}  // namespace tidemill::http
