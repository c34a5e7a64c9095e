#include "tools/cli/serve/server.h"

#include <algorithm>
#include <filesystem>
#include <thread>

#include "consumers/archive/archive.h"
#include "consumers/usage/usage_view.h"
#include "consumers/views/sql_account.h"
#include "engine/errors.h"
#include "storage/base/errors.h"
#include "storage/log/pond.h"
#include "storage/seam/clock.h"
#include "storage/seam/random.h"
#include "tools/cli/serve/differences.h"

namespace tidemill::cli {
namespace {

std::size_t cores() {
  return std::max(1u, std::thread::hardware_concurrency());
}

// Questions of one tenant keep as many busy as there are cores, at least four; the two beside them are other tenants'.
std::size_t worker_threads() {
  return std::max<std::size_t>(4, cores()) + 2;
}
std::size_t historical_threads() {
  return std::max<std::size_t>(1, cores() / 2);
}

QualifiedName archive_group(const Stream& stream) {
  return {stream.tenant(), stream.name() + ":archive"};
}

// What to do about an error that keeps the server from starting. Of a directory that is in use, too new or not ours the
// engine has said it.
std::string remedy(const ErrorCode& error, const std::string& data) {
  if (error == boost::system::errc::permission_denied)
    return "this user may not write to " + data + ": change its owner, or choose another directory with --data";
  if (error == boost::system::errc::no_space_on_device)
    return "the disk of " + data + " is full: make room and start again";
  if (error == StorageErrc::too_many_files)
    return "the streams' and views' files need more descriptors than the process may have: raise LimitNOFILE= of its "
           "service, or ulimit -n in the shell that starts it";
  if (error == boost::system::errc::read_only_file_system)
    return "the disk of " + data + " is mounted read-only: choose another directory with --data";
  if (error == boost::system::errc::no_such_file_or_directory || error == boost::system::errc::not_a_directory ||
      error == boost::system::errc::file_exists)
    return data + " is no directory and cannot be made one: choose another with --data";
  if (error == StorageErrc::damaged)
    return "the lines above say what is damaged, `tidemill verify --data " + data +
           "` looks at everything; restore what it names, or the directory, from a backup (tidemill restore)";
  return "see the lines above; the data directory is " + data;
}

// What stays as it is until somebody mends it: a service manager that starts the server for ever would only hide it.
// What the disk says now (EIO, ENOSPC, a directory in use) it may not say later.
bool no_use_in_another_try(const ErrorCode& error) {
  return error == StorageErrc::layout_too_new || error == StorageErrc::damaged ||
         error == EngineErrc::not_a_data_directory;
}

}  // namespace

MemoryShares share_memory(std::uint64_t limit) {
  // What is left over is for the allocator's slack, SQL statements and the groups' batches.
  return {limit / 8 * 3, limit / 8, limit / 8, limit / 16, std::min<std::uint64_t>(limit / 4, 64 << 20)};
}

ApiLimits api_limits(const Config& config) {
  ApiLimits limits;
  limits.http.header_bytes = config.headers;
  limits.http.body_bytes = config.body;
  limits.http.memory_bytes =
      std::max<std::uint64_t>(share_memory(config.memory).requests, limits.http.one_request() * 2);
  // One answer of SQL at its largest, with what stands around its rows; or many smaller ones.
  limits.http.answer_bytes = std::max<std::uint64_t>(config.memory / 4, config.sql_bytes) + (2 << 20);
  limits.http.connections = config.connections;
  limits.http.header_count = config.header_count;
  limits.http.header_timeout = config.header_timeout;
  limits.http.body_bytes_per_second = limits.http.write_bytes_per_second = config.slowest;
  limits.http.requests = config.requests;
  limits.http.idle_timeout = config.idle_timeout;
  limits.record_bytes = config.record;
  limits.sql.rows_max = config.sql_rows;
  limits.sql.bytes_max = config.sql_bytes;
  limits.sql.time_max = config.sql_time;
  limits.sql_stream_time = config.sql_stream_time;
  return limits;
}

RunningServer::RunningServer(const Config& config, ProgramLogger& logger, Flags flags)
    : config_(config),
      open_(flags.open),
      logger_(logger),
      flush_("flush", 2),
      background_("background", std::max<std::size_t>(3, cores() + 1)),
      control_("control", 2),
      workers_("worker", worker_threads()),
      management_("management", 2),
      changes_("change", 1),
      historical_("historical", historical_threads(), ThreadExecutor::Priority::low),
      builds_("build", 1),
      usage_writer_("usage", 1),
      env_{files_, system_clock(), system_random(), flush_, background_, logger},
      control_env_{files_, system_clock(), system_random(), flush_, control_, logger},
      certificate_(files_, system_clock(), logger),
      tls_self_signed_(flags.tls_self_signed) {}

RunningServer::~RunningServer() {
  if (!stopped_) stop();
}

bool RunningServer::start() {
  std::string error;
  const auto address = parse_address(config_.listen, error);
  // First of all: a mistake in it is said before a log of gigabytes is looked at.
  const auto tls = certificate_.begin(config_, tls_self_signed_, address->host);
  if (!tls.good) return hopeless_ = true, false;
  if (!open_parts()) return false;
  attach_archives();
  if (!create_missing()) return false;
  keep_usage_views(env_, *engine_, *views_, workers_);
  // All groups are there.
  engine_->begin_retention([this](const Stream& stream, Sequence target, const std::function<void(Sequence)>& drop) {
    return views_->release(stream, target, drop);
  });

  // Of what share_memory() leaves over: of all statements a quarter, of one half of that.
  views::SqlBounds bounds;
  bounds.memory = std::max<std::uint64_t>(config_.memory / 8, 16 << 20);
  bounds.memory_of_all = 2 * bounds.memory;
  views::set_sql_bounds(bounds);

  ApiOptions options;
  options.tls = tls.tls;
  options.host = host_to_serve(address->host, address->loopback, tls.tls != nullptr);
  options.port = address->port;
  options.threads = config_.threads;
  options.limits = api_limits(config_);
  options.worker_threads = worker_threads();
  options.historical = &historical_;
  options.historical_threads = historical_threads();
  options.management = &management_;
  options.changes = &changes_;
  options.flush_time = flush_time_;
  options.derived = derived_.get();
  options.keys = keys_.get();
  options.usage = usage_.get();
  options.limiter = limiter_.get();
  options.audit = audit_.get();
  auto api = ApiServer::start(env_, *engine_, views_.get(), workers_, options);
  if (!api) return false;  // it said why, and what to do
  api_ = std::move(*api);
  const std::string host = options.host.find(':') == std::string::npos ? options.host : "[" + options.host + "]";
  url_ = (tls.tls ? "https://" : "http://") + host + ":" + std::to_string(api_->port());
  logger_.info("serving", {{"url", url_}, {"instance", engine_->directory().instance()}});
  return true;
}

// Without keys everybody may do everything, so only this machine may be everybody.
std::string RunningServer::host_to_serve(const std::string& wanted, bool loopback, bool tls) {
  if (keys_->any()) {
    if (!loopback && !tls)
      logger_.warning(
          "keys are taken over plain HTTP: whoever is on the way reads them, and can use them. Set server.tls_cert and "
          "server.tls_key, or serve 127.0.0.1 and let a proxy speak HTTPS.",
          {{"listen", config_.listen}});
    return wanted;
  }
  if (loopback) {
    logger_.info(
        "there are no keys: whoever reaches this machine's loopback address may do everything. Make the first key with "
        "`tidemill keys create NAME --admin`.",
        {{"listen", config_.listen}});
    return wanted;
  }
  if (open_) {
    logger_.warning(
        "there are no keys, and this serves more than this machine: whoever reaches the port may write, read and "
        "delete",
        {{"listen", config_.listen}});
    return wanted;
  }
  const std::string instead = wanted.find(':') == std::string::npos ? "127.0.0.1" : "::1";
  logger_.warning(
      "there are no keys: only this machine is served, not what server.listen says. Make the first key with `tidemill "
      "keys create NAME --admin` and start again.",
      {{"listen", config_.listen}, {"served", instead}});
  return instead;
}

// Before it is opened: what goes wrong then may be a wrong directory or a full disk.
void RunningServer::say_directory() {
  std::filesystem::path there = std::filesystem::absolute(config_.data).lexically_normal();
  const std::string directory = there.string();
  while (!exists(files_, there.string()) && there.has_relative_path()) there = there.parent_path();  // not made yet
  const auto space = files_.space(there.string());
  logger_.info("data directory", {{"directory", directory},
                                  {"free_bytes", space ? std::to_string(space->free_bytes) : "unknown"},
                                  {"total_bytes", space ? std::to_string(space->total_bytes) : "unknown"}});
}

// What an acknowledgement waits for here. Nobody is served yet, so it is the disk's own time.
void RunningServer::measure_flush() {
  const std::string& directory = engine_->directory().path();
  const auto time = probe_flush(files_, env_.clock, directory);
  if (!time) {
    logger_.warning("the flush time of the data directory was not measured",
                    {{"directory", directory}, {"cause", time.error().message()}});
    return;
  }
  flush_time_ = *time;
  const auto us = [](std::chrono::nanoseconds t) { return std::to_string(t.count() / 1000); };
  logger_.info(
      "flush time of the data directory",
      {{"median_us", us(time->median)}, {"max_us", us(time->max)}, {"flushes", std::to_string(time->flushes)}});
  if (time->implausible())
    logger_.warning(
        "a flush takes less time than any disk needs: the data directory is in memory, or something below it says "
        "\"flushed\" and does nothing; what is acknowledged would not outlive a power cut. Put it on a disk that "
        "flushes (server.data).",
        {{"directory", directory}, {"median_us", us(time->median)}});
}

bool RunningServer::open_parts() {
  say_directory();
  const MemoryShares memory = share_memory(config_.memory);
  Engine::Options options;
  options.data = config_.data;
  options.log.segment_bytes_max = config_.segment;
  options.log.segment_bytes_first = std::min(options.log.segment_bytes_first, config_.segment);
  options.log.write_through = config_.flush == "direct";
  options.log.queue_bytes_max = memory.queue;
  options.log.pond = std::make_shared<Pond>(Pond::Options{.in_flight_bytes_max = memory.queue,
                                                          .tail_bytes_max = memory.tail_cache,
                                                          .requests_bytes_max = memory.requests_known});
  options.log.request_window = static_cast<std::uint32_t>(config_.idempotency_keys);
  options.control = &control_env_;
  auto engine = Engine::open(env_, options);
  if (!engine) {
    // The engine has said of the first two, and of a directory in use, what there is to say.
    const bool said = engine.error() == StorageErrc::layout_too_new ||
                      engine.error() == EngineErrc::not_a_data_directory ||
                      engine.error() == StorageErrc::directory_in_use;
    hopeless_ = no_use_in_another_try(engine.error());
    if (!said)
      logger_.error("cannot open the data directory", {{"directory", config_.data},
                                                       {"cause", engine.error().message()},
                                                       {"remedy", remedy(engine.error(), config_.data)}});
    return false;
  }
  engine_ = std::move(*engine);
  measure_flush();
  auto keys = Keys::open(engine_->control(), engine_->system(), {engine_->directory().path(), system_private_files()});
  if (!keys) {
    hopeless_ = no_use_in_another_try(keys.error());
    logger_.error("cannot read the keys", {{"directory", config_.data},
                                           {"cause", keys.error().message()},
                                           {"remedy", remedy(keys.error(), config_.data)}});
    return false;
  }
  keys_ = std::move(*keys);
  usage_ = std::move(UsageLog::open(env_, *engine_)).value();
  if (!open_limits()) return false;
  audit_ = AuditTrail::open(engine_->control(), *engine_,
                            {.keep_bytes = config_.audit_keep_size, .keep_age = config_.audit_keep_age});
  say_heads();
  views::AllViews::Options view_options;
  view_options.directory = engine_->directory().views();
  view_options.memory_bytes = memory.views;
  view_options.builds = &builds_;
  view_options.audit = config_.audit;
  view_options.history_every = config_.history_every;
  view_options.history_keep = config_.history_keep;
  auto views = views::AllViews::open(env_, *engine_, view_options);
  if (!views) {
    logger_.error("cannot open the views", {{"directory", view_options.directory},
                                            {"cause", views.error().message()},
                                            {"remedy", remedy(views.error(), config_.data)}});
    return false;
  }
  views_ = std::move(*views);
  derived_ = derived::DerivedStreams::open(env_, *engine_, views_.get());
  return true;
}

bool RunningServer::open_limits() {
  const auto disk_bytes = [this](const std::string& tenant) {
    std::uint64_t bytes = 0;
    for (const auto& stream : engine_->list(tenant))
      if (!stream->name().starts_with('_')) bytes += stream->log().status().bytes;
    return bytes;
  };
  auto limiter =
      Limiter::open(env_, engine_->system(), {usage_writer_, usage_.get(), disk_bytes, config_.changes_per_hour});
  if (!limiter) {
    hopeless_ = no_use_in_another_try(limiter.error());
    logger_.error("cannot read the limits of keys and tenants", {{"directory", config_.data},
                                                                 {"cause", limiter.error().message()},
                                                                 {"remedy", remedy(limiter.error(), config_.data)}});
    return false;
  }
  limiter_ = std::move(*limiter);
  return true;
}

// Whoever keeps the log elsewhere has with these what `verify --heads` takes.
void RunningServer::say_heads() {
  const auto say = [this](const char* log, const ChainHead& head) {
    logger_.info("hash chain",
                 {{"log", log}, {"sequence", std::to_string(head.sequence.value())}, {"sha256", to_hex(head.hash)}});
  };
  if (const auto head = engine_->system().head()) say("_system", *head);
  if (audit_->log()) say("_audit", audit_->head());
}

// A group that files the stream's records, for each stream that wants one, now and later.
void RunningServer::attach_archives() {
  const auto attach = [this](const std::shared_ptr<Stream>& stream) {
    if (!stream->definition().archive.enabled) return;
    const auto added =
        add_archive(engine_->groups(), env_, stream, engine_->directory().archive(stream->qualified_name()));
    if (!added)
      logger_.error("the stream is not archived", {{"stream", stream->title()}, {"cause", added.error().message()}});
  };
  const auto detach = [this](const std::shared_ptr<Stream>& stream) {
    if (!engine_->groups().find(archive_group(*stream))) return;
    const auto removed = engine_->groups().remove(archive_group(*stream));
    if (!removed)
      logger_.error("the archive did not close cleanly",
                    {{"stream", stream->title()}, {"cause", removed.error().message()}});
  };
  engine_->on_stream(attach);
  engine_->on_change([attach, detach](const std::shared_ptr<Stream>& stream) {
    detach(stream);  // seals the open files; the new one goes on behind them
    attach(stream);
  });
  engine_->on_remove(detach);
}

// The configuration creates what is missing, and never changes what exists.
bool RunningServer::create_missing() {
  for (const StreamConfig& wanted : config_.streams) {
    if (const auto there = engine_->find(in_default(wanted.name))) {
      for (const std::string& difference : differences(wanted, there->definition()))
        logger_.warning("configuration and store differ; the store holds (`tidemill apply` changes it)",
                        {{"difference", difference}});
      continue;
    }
    const auto created = engine_->create(definition_of(wanted), static_cast<std::uint32_t>(wanted.shards));
    if (!created) {
      logger_.error("cannot create a stream of the configuration", {{"stream", wanted.name},
                                                                    {"cause", created.error().message()},
                                                                    {"remedy", remedy(created.error(), config_.data)}});
      return false;
    }
    logger_.info("stream created", {{"stream", wanted.name}, {"shards", std::to_string(wanted.shards)}});
  }
  const auto views = views_->of(kDefaultTenant);
  for (const ViewConfig& wanted : config_.views) {
    if (const auto there = views->find(wanted.name)) {
      for (const std::string& difference : differences(wanted, *there))
        logger_.warning("configuration and store differ; the store holds", {{"difference", difference}});
      continue;
    }
    // One that cannot be opened is there all the same: that was said, and must not keep the server down.
    const auto failed = views->failed();
    if (std::any_of(failed.begin(), failed.end(), [&](const auto& f) { return f.name == wanted.name; })) continue;
    const auto created = views->create(wanted.name, wanted.sql);
    if (const auto* error = std::get_if<views::SqlError>(&created)) {
      logger_.error("cannot create a view of the configuration",
                    {{"view", wanted.name}, {"code", error->code}, {"cause", error->message}});
      return false;
    }
    logger_.info("view created", {{"view", wanted.name}});
  }
  return true;
}

void RunningServer::apply_limits(const Config& config) {
  config_ = config;
  if (api_) api_->set_limits(api_limits(config_));
}

void RunningServer::look_at_certificate(bool again) {
  if (!api_) return;
  auto look = certificate_.look(again);
  if (look.change == Certificate::Change::taken) api_->set_tls(std::move(look.tls));
  if (look.change == Certificate::Change::refused) api_->count_tls_refused();
}

// What was acknowledged is in text files and views after a clean stop, unless that takes longer than the drain may. It
// would be done at the next start all the same.
void RunningServer::let_groups_finish() {
  const MonotonicTime end = env_.clock.monotonic() + config_.drain;
  const auto behind = [](const GroupStatus& group) {
    return group.last_error.empty() && group.applied.sequence() < group.durable;
  };
  for (;;) {
    const auto groups = engine_->groups().list();
    if (std::none_of(groups.begin(), groups.end(), behind)) return;
    if (env_.clock.monotonic() >= end) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  for (const GroupStatus& group : engine_->groups().list())
    if (behind(group))
      logger_.warning("a group did not finish in time; it goes on at the next start",
                      {{"group", text_of(group.qualified_name())}, {"lag_records", std::to_string(group.lag_records)}});
}

bool RunningServer::stop() {
  stopped_ = true;
  bool clean = true;
  if (api_) {
    api_->drain();
    api_->stop(config_.drain);
    logger_.info("requests answered");
    let_groups_finish();
  }
  if (limiter_) limiter_->close();
  if (audit_) audit_->close();
  if (keys_) {
    if (const auto closed = keys_->close(); !closed)
      logger_.warning("when keys were last used was not written down", {{"cause", closed.error().message()}});
  }
  if (engine_) {
    if (audit_ && keys_) say_heads();
    if (const auto closed = engine_->close(); !closed) {
      logger_.error("the engine did not close cleanly", {{"cause", closed.error().message()}});
      clean = false;
    }
  }
  if (views_) {
    if (const auto closed = views_->close(); !closed) {
      logger_.error("the views did not close cleanly", {{"cause", closed.error().message()}});
      clean = false;
    }
  }
  api_.reset();
  workers_.stop();
  management_.stop();
  changes_.stop();
  historical_.stop();
  builds_.stop();
  usage_writer_.stop();
  views_.reset();
  limiter_.reset();
  usage_.reset();
  audit_.reset();
  keys_.reset();
  engine_.reset();
  derived_.reset();
  background_.stop();
  control_.stop();
  flush_.stop();
  return clean;
}

}  // namespace tidemill::cli
