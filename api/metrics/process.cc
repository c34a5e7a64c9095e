#include "api/metrics/process.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <iterator>

namespace tidemill {

void add_process(Families& out) {
  const double ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
  std::ifstream stat("/proc/self/stat");
  std::string text((std::istreambuf_iterator<char>(stat)), {});
  const std::size_t close = text.rfind(')');
  if (close != std::string::npos) {
    unsigned long user = 0;
    unsigned long system = 0;
    long threads = 0;
    unsigned long long start = 0;
    long pages = 0;
    if (std::sscanf(text.c_str() + close + 1,
                    " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d %ld %*d %llu %*u %ld", &user,
                    &system, &threads, &start, &pages) == 5) {
      out.add("tidemill_process_cpu_seconds_total", static_cast<double>(user + system) / ticks);
      out.add("tidemill_process_resident_memory_bytes",
              static_cast<double>(pages) * static_cast<double>(::sysconf(_SC_PAGESIZE)));
      out.add("tidemill_process_threads", static_cast<double>(threads));
      std::ifstream global("/proc/stat");
      std::string word;
      double boot = 0;
      while (global >> word) {
        if (word == "btime" && global >> boot) break;
      }
      out.add("tidemill_process_start_time_seconds", boot + static_cast<double>(start) / ticks);
    }
  }
  if (DIR* directory = ::opendir("/proc/self/fd")) {
    std::size_t n = 0;
    while (::readdir(directory)) ++n;
    ::closedir(directory);
    out.add("tidemill_process_open_fds", static_cast<double>(n > 3 ? n - 3 : 0));
  }
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    out.add("tidemill_process_max_fds", static_cast<double>(limit.rlim_cur));
  }
}

}  // namespace tidemill
