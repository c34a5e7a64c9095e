#include "tools/cli/load/display.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace tidemill::cli {

using Clock = std::chrono::steady_clock;

std::string with_commas(std::uint64_t number) {
  std::string out = std::to_string(number);
  for (std::size_t i = out.size(); i > 3; i -= 3) out.insert(i - 3, ",");
  return out;
}

std::string count_of_rows(std::uint64_t n) {
  return with_commas(n) + (n == 1 ? " row" : " rows");
}

LoadDisplay::LoadDisplay(std::uint64_t bytes, bool quiet)
    : bytes_(bytes), quiet_(quiet), terminal_(::isatty(STDERR_FILENO)), begin_(Clock::now()), drawn_at_(begin_) {}

LoadDisplay::~LoadDisplay() {
  finish();
}

double LoadDisplay::seconds() const {
  return std::max(1e-3, std::chrono::duration<double>(Clock::now() - begin_).count());
}

void LoadDisplay::clear() {
  if (drawn_) std::fputs("\r\033[K", stderr);
  drawn_ = false;
}

void LoadDisplay::finish() {
  clear();
  std::fflush(stderr);
}

void LoadDisplay::say(const std::string& line) {
  clear();
  std::fprintf(stderr, "%s\n", line.c_str());
}

void LoadDisplay::say_once(const std::string& line) {
  if (line != last_said_) say(line);
  last_said_ = line;
}

void LoadDisplay::update(std::uint64_t bytes_done, std::uint64_t rows) {
  if (!started_) {  // a resumed run begins in the middle
    started_ = true;
    bytes_begin_ = bytes_done;
  }
  const auto now = Clock::now();
  const auto pause = terminal_ ? std::chrono::milliseconds(100) : std::chrono::milliseconds(5'000);
  if (quiet_ || now - drawn_at_ < pause) return;
  drawn_at_ = now;
  last_said_.clear();
  const double rate = static_cast<double>(rows) / seconds();
  std::string text;
  if (bytes_ > 0) {
    const double done = std::min(1.0, static_cast<double>(bytes_done) / static_cast<double>(bytes_));
    const double bytes_rate = static_cast<double>(bytes_done - bytes_begin_) / seconds();
    const auto percent = static_cast<int>(done * 100);
    if (terminal_) {
      constexpr int kWidth = 30;
      const int full = static_cast<int>(done * kWidth);
      text = "[" + std::string(static_cast<std::size_t>(full), '=') + (full < kWidth ? ">" : "") +
             std::string(static_cast<std::size_t>(std::max(0, kWidth - full - 1)), ' ') + "] ";
    }
    text += std::to_string(percent) + "%  ";
    if (bytes_rate > 0) {
      const auto left =
          static_cast<std::uint64_t>(static_cast<double>(bytes_ - std::min(bytes_, bytes_done)) / bytes_rate);
      text += std::to_string(left) + " s left  ";
    }
  }
  text += with_commas(rows) + " rows  " + with_commas(static_cast<std::uint64_t>(rate)) + " rows/s";
  if (terminal_) {
    std::fprintf(stderr, "\r\033[K%s", text.c_str());
    std::fflush(stderr);
    drawn_ = true;
  } else {
    std::fprintf(stderr, "%s\n", text.c_str());
  }
}

}  // namespace tidemill::cli
