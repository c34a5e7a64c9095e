#pragma once

#include <memory>
#include <optional>
#include <string>

#include "api/server.h"
#include "storage/log/flush_probe.h"
#include "storage/seam/posix_file_system.h"
#include "storage/seam/thread_executor.h"
#include "tools/cli/config/config.h"
#include "tools/cli/log/program_logger.h"
#include "tools/cli/serve/certificate.h"

namespace tidemill::cli {

// All parts of a running server, made in order and taken down in reverse. Owned by `serve`, on its thread.
class RunningServer {
 public:
  struct Flags {
    bool open = false;             // an address other than loopback also without any key
    bool tls_self_signed = false;  // HTTPS, with a certificate that is made now
  };
  RunningServer(const Config& config, ProgramLogger& logger, Flags flags);
  ~RunningServer();  // stop(), if that has not been done

  // Opens the directory, recovers, creates what the configuration names and is missing, listens. False: it said why.
  bool start();
  // After a start that failed: would another one fail as well, for the directory is not for this program?
  bool is_hopeless() const { return hopeless_; }
  // Where it serves, once it does.
  const std::string& url() const { return url_; }
  // What can be changed while it runs.
  void apply_limits(const Config& config);
  // Looks whether the files hold another certificate; `again`: also one that was refused before.
  void look_at_certificate(bool again);
  // Answers what is under way, seals the text files, flushes the views, closes the logs. False: something of that
  // failed; it said what. Nothing acknowledged is lost by that.
  bool stop();

 private:
  void say_directory();
  void say_heads();
  void measure_flush();
  bool open_parts();
  bool open_limits();
  bool create_missing();
  void attach_archives();
  void let_groups_finish();

  std::string host_to_serve(const std::string& wanted, bool loopback, bool tls);

  Config config_;
  const bool open_;
  bool hopeless_ = false;
  ProgramLogger& logger_;
  PosixFileSystem files_;
  ThreadExecutor flush_;
  ThreadExecutor background_;
  ThreadExecutor control_;
  ThreadExecutor workers_;
  ThreadExecutor management_;
  ThreadExecutor changes_;
  ThreadExecutor historical_;
  ThreadExecutor builds_;
  ThreadExecutor usage_writer_;
  Env env_;
  Env control_env_;
  Certificate certificate_;
  bool tls_self_signed_;
  std::optional<FlushTime> flush_time_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<Keys> keys_;
  std::unique_ptr<UsageLog> usage_;
  std::unique_ptr<Limiter> limiter_;
  std::unique_ptr<AuditTrail> audit_;
  std::unique_ptr<views::AllViews> views_;
  std::unique_ptr<derived::DerivedStreams> derived_;
  std::unique_ptr<ApiServer> api_;
  std::string url_;
  bool stopped_ = false;
};

// How the memory that the configuration allows is dealt out.
struct MemoryShares {
  std::uint64_t views = 0;           // caches, write buffers, resident rows
  std::uint64_t requests = 0;        // bodies and answers on their way
  std::uint64_t queue = 0;           // appends in flight
  std::uint64_t tail_cache = 0;      // recent records for readers
  std::uint64_t requests_known = 0;  // answers to keyed requests
};
MemoryShares share_memory(std::uint64_t limit);
ApiLimits api_limits(const Config& config);

}  // namespace tidemill::cli
