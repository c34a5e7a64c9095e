#include <malloc.h>
#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <thread>

#include "storage/base/build_info.h"
#include "tools/cli/commands.h"
#include "tools/cli/config/config.h"
#include "tools/cli/log/program_logger.h"
#include "tools/cli/output.h"
#include "tools/cli/remote.h"
#include "tools/cli/serve/server.h"
#include "tools/cli/serve/service_manager.h"

namespace tidemill::cli {
namespace {

// Only without errors it is to be used.
Config read_config(const ServeOptions& options, ConfigErrors& errors) {
  Config config = load_config({options.config, environment_of_process(), options.settings}, errors);
  if (errors.empty() && options.tls_self_signed && !config.tls_cert.empty())
    errors.push_back("--tls-self-signed makes a certificate, and server.tls_cert names one: choose one of them");
  return config;
}

// As many descriptors as the system allows: connections, segments, RocksDB's files.
void raise_descriptor_limit(std::uint64_t connections, Logger& logger) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  ::getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur < connections + 1'000)
    logger.warning("the system allows fewer open files than limits.connections needs; raise it with ulimit -n",
                   {{"allowed", std::to_string(limit.rlim_cur)}, {"needed", std::to_string(connections + 1'000)}});
}

// The C library makes up to eight heaps a core and gives back only the top of each: with our threads, 216 MB resident
// for 74 MB in use. One a core is as fast and wastes little (docs/decisions/0026). Left to itself it also keeps ever
// larger blocks in its heaps, up to 32 MiB, and the buffers of large bodies tear holes that stay: 164 MB resident for
// 96 MiB configured. From 1 MiB on a block is the kernel's, and goes back to it when it is freed: 104 MB, as fast.
void limit_heaps() {
#ifdef M_ARENA_MAX
  ::mallopt(M_ARENA_MAX, std::max(2, int(std::thread::hardware_concurrency())));
  ::mallopt(M_MMAP_THRESHOLD, 1 << 20);
#endif
}

// What the start needed for a while, as to read a million keys, is the kernel's again: 13 of 146 MiB.
void give_back_memory() {
#ifdef M_ARENA_MAX
  ::malloc_trim(0);
#endif
}

// SIGHUP: what can be changed while the server runs is taken over, the rest is named.
void reload(const ServeOptions& options, Config& config, RunningServer& server, ProgramLogger& logger) {
  ConfigErrors errors;
  const Config fresh = read_config(options, errors);
  for (const std::string& e : errors)
    logger.error("SIGHUP: a mistake in the configuration; everything stays as it was", {{"cause", e}});
  if (!errors.empty()) return;
  const ConfigChange change = compare(config, fresh);
  for (const std::string& key : change.restart) logger.warning("SIGHUP: this change needs a restart", {{"key", key}});
  config = take_live(config, fresh);
  logger.set_level(*parse_level(config.log_level));
  server.apply_limits(config);
  std::string taken;
  for (const std::string& key : change.live) taken += (taken.empty() ? "" : " ") + key;
  logger.info("SIGHUP: configuration read again", {{"taken_over", taken.empty() ? "nothing changed" : taken}});
}

}  // namespace

int serve(const ServeOptions& options) {
  ConfigErrors errors;
  Config config = read_config(options, errors);
  for (const std::string& e : errors) wrong_use("serve", e);
  if (!errors.empty()) return kWrongUse;
  if (options.print_config) return print(print_config(config)), kOk;

  limit_heaps();
  // Before any thread is made, so that all of them leave these signals to this one.
  sigset_t signals;
  sigemptyset(&signals);
  for (const int s : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals, s);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  ProgramLogger logger(system_clock(), log_format(config.log_format), *parse_level(config.log_level));
  logger.info("tidemill starts", {{"version", std::string(version())}, {"commit", std::string(commit())}});
  logger.info("configuration", {{"file", options.config.value_or("built-in")},
                                {"listen", config.listen},
                                {"memory", format_size(config.memory)},
                                {"streams", std::to_string(config.streams.size())},
                                {"views", std::to_string(config.views.size())}});
  raise_descriptor_limit(config.connections, logger);

  RunningServer server(config, logger, {options.open, options.tls_self_signed});
  if (!server.start()) {
    server.stop();
    return server.is_hopeless() ? kWrongUse : kNotReached;
  }
  give_back_memory();
  const ServiceManager manager(std::getenv("NOTIFY_SOCKET"));
  manager.ready(server.url());
  while (true) {
    const timespec slice{10, 0};
    siginfo_t info{};
    const int signal = sigtimedwait(&signals, &info, &slice);
    if (signal == SIGHUP) {
      reload(options, config, server, logger);
      server.look_at_certificate(true);
    } else if (signal == SIGINT || signal == SIGTERM) {
      logger.info("stopping", {{"signal", signal == SIGINT ? "SIGINT" : "SIGTERM"}});
      break;
    } else {
      logger.flush_repeats();
      server.look_at_certificate(false);
    }
  }
  manager.stopping();
  // A second signal ends it at once, as a kill would: nothing acknowledged is lost by that.
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
  std::signal(SIGHUP, SIG_IGN);
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
  const bool clean = server.stop();
  logger.info("stopped", {{"clean", clean ? "yes" : "no"}});
  return clean ? kOk : kPartly;
}

}  // namespace tidemill::cli
