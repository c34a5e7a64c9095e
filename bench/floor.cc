// The floor under every durable answer: what the disk alone takes, with nothing of ours in the way.
//
//   floor DIRECTORY [SECONDS]
//
// Workloads, each one 4 KiB write followed by fdatasync, one at a time:
//   overwrite  into a file whose blocks were written before (what the log does)
//   append     at the end of a growing file
// Prints one JSON object.

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

void require(bool ok, const char* what) {
  if (ok) return;
  std::perror(what);
  std::exit(1);
}

void measure(const std::string& path, bool overwrite, double seconds, const char* name) {
  constexpr std::size_t kBlock = 4096;
  constexpr off_t kFile = 64 << 20;
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600);
  require(fd >= 0, "open");
  std::vector<char> block(1 << 20, 'x');
  if (overwrite) {
    for (off_t at = 0; at < kFile; at += static_cast<off_t>(block.size())) {
      require(::pwrite(fd, block.data(), block.size(), at) == static_cast<ssize_t>(block.size()), "pwrite");
    }
    require(::fdatasync(fd) == 0, "fdatasync");
  }
  std::vector<double> micros;
  off_t at = 0;
  const auto begin = Clock::now();
  auto last = begin;
  while (std::chrono::duration<double>(last - begin).count() < seconds) {
    require(::pwrite(fd, block.data(), kBlock, at) == kBlock, "pwrite");
    require(::fdatasync(fd) == 0, "fdatasync");
    const auto now = Clock::now();
    micros.push_back(std::chrono::duration<double, std::micro>(now - last).count());
    last = now;
    at += kBlock;
    if (overwrite && at == kFile) at = 0;
  }
  ::close(fd);
  ::unlink(path.c_str());
  const double elapsed = std::chrono::duration<double>(last - begin).count();
  std::sort(micros.begin(), micros.end());
  std::printf("\"%s\": {\"per_second\": %.0f, \"p50_us\": %.0f, \"p99_us\": %.0f}", name,
              static_cast<double>(micros.size()) / elapsed, micros[micros.size() / 2],
              micros[micros.size() * 99 / 100]);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: floor DIRECTORY [SECONDS]\n");
    return 2;
  }
  const double seconds = argc > 2 ? std::atof(argv[2]) : 2;
  const std::string path = std::string(argv[1]) + "/floor.tmp";
  std::printf("{");
  measure(path, true, seconds, "overwrite");
  std::printf(", ");
  measure(path, false, seconds, "append");
  std::printf("}\n");
  return 0;
}
