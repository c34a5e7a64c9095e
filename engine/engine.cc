#include "engine/engine.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <set>
#include <shared_mutex>
#include <utility>

#include "engine/definition.h"
#include "storage/base/check.h"
#include "storage/base/errors.h"
#include "storage/base/logger.h"
#include "storage/seam/clock.h"
#include "storage/seam/executor.h"

namespace tidemill {
namespace {

constexpr StreamId kSystemId{0};
constexpr std::uint64_t kSystemTailBytes = 1 << 20;
constexpr std::size_t kOpenersMax = 4;  // logs that are opened at a time

using Hook = std::function<void(const std::shared_ptr<Stream>&)>;

class EngineImpl final : public Engine {
 public:
  EngineImpl(Env& env, const Options& options)
      : env_(env),
        options_(options),
        control_(options.control != nullptr ? *options.control : env),
        groups_(env),
        retention_(std::make_shared<Retention>(env, groups_, changing_, [this] { return list(); })) {}
  ~EngineImpl() override { retention_->stop(); }

  Result<void> start();

  std::shared_ptr<Stream> find(const QualifiedName& name) const override {
    const std::shared_lock lock(streams_mutex_);
    const auto it = by_name_.find(name);
    return it == by_name_.end() ? nullptr : it->second;
  }
  std::shared_ptr<Stream> find(StreamId id) const override {
    const std::shared_lock lock(streams_mutex_);
    const auto it = by_id_.find(id);
    return it == by_id_.end() ? nullptr : it->second;
  }
  std::vector<std::shared_ptr<Stream>> list() const override {
    const std::shared_lock lock(streams_mutex_);
    std::vector<std::shared_ptr<Stream>> all;
    for (const auto& [name, stream] : by_name_) all.push_back(stream);
    return all;
  }
  std::vector<std::shared_ptr<Stream>> list(std::string_view tenant) const override {
    const std::shared_lock lock(streams_mutex_);
    std::vector<std::shared_ptr<Stream>> all;
    for (auto it = by_name_.lower_bound({std::string(tenant), {}}); it != by_name_.end() && it->first.tenant == tenant;
         ++it)
      all.push_back(it->second);
    return all;
  }

  std::vector<std::string> derived_from(StreamId source) const override {
    const std::shared_lock lock(streams_mutex_);
    std::vector<std::string> names;
    for (const auto& [name, stream] : by_name_)
      if (const auto& derived = stream->definition().derived; derived && derived->source == source)
        names.push_back(name.name);
    return names;
  }

  Result<std::shared_ptr<Stream>> create(StreamDefinition definition, std::uint32_t shards) override {
    if (is_reserved_stream(definition.name)) return EngineErrc::invalid_name;
    return make(std::move(definition), shards);
  }
  Result<std::shared_ptr<Stream>> create_reserved(StreamDefinition definition, std::uint32_t shards) override {
    if (!is_reserved_stream(definition.name)) return EngineErrc::invalid_name;
    return make(std::move(definition), shards);
  }
  Result<std::shared_ptr<Stream>> change(const StreamDefinition& definition) override;
  Result<Resharded> split(const QualifiedName& name, ShardId shard, std::optional<HashKey> at) override;
  Result<Resharded> merge(const QualifiedName& name, ShardId shard, ShardId with) override;
  Result<void> remove(const QualifiedName& name) override;

  void on_stream(Hook attach) override {
    const std::lock_guard changing(changing_);
    for (const auto& stream : list()) attach(stream);
    attach_.push_back(std::move(attach));
  }
  void on_change(Hook changed) override {
    const std::lock_guard changing(changing_);
    changed_.push_back(std::move(changed));
  }
  void on_remove(Hook detach) override {
    const std::lock_guard changing(changing_);
    detach_.push_back(std::move(detach));
  }

  Token token(const Stream& stream, Epoch epoch, Sequence last) const override {
    return {stream.definition().id, stream.incarnation(), epoch, Position::through(last)};
  }
  Result<Position> resolve(const Stream& stream, const Token& token) const override {
    if (token.stream != stream.definition().id || token.incarnation != stream.incarnation())
      return EngineErrc::unknown_token;
    const auto end = stream.log().end_of(token.epoch);
    if (!end || token.position > Position::through(*end)) return EngineErrc::unknown_token;
    return token.position;
  }

  Result<std::shared_ptr<Log>> audit_log(bool make) override;
  DataCut cut() override;
  SystemStream& system() override { return *system_; }
  Env& control() override { return control_; }
  Groups& groups() override { return groups_; }
  const Options& options() const override { return options_; }
  const DataDirectory& directory() const override { return *directory_; }
  Result<void> close() override;
  void begin_retention(Retention::Keeper keeper) override { retention_->begin(std::move(keeper)); }
  void check_retention() override { retention_->wake(); }
  RetentionStatus retention(const Stream& stream) const override { return retention_->status(stream.definition().id); }

 private:
  using Plan = std::function<Result<Reshard>(const ShardTable&)>;
  Result<Resharded> reshard(const QualifiedName& name, const Plan& plan);

  Result<std::shared_ptr<Stream>> make(StreamDefinition definition, std::uint32_t shards);
  void fold(const SystemStream::Event& event);
  void unreadable(const SystemStream::Event& event);
  Result<std::shared_ptr<Stream>> open_stream(StreamId id, const KnownStreams::Known& known);
  Result<void> open_streams();
  void clean_up();
  Result<std::shared_ptr<Log>> open_log(StreamId id, const std::string& name);
  void publish(const std::shared_ptr<Stream>& stream);
  void remove_files(StreamId id);
  void close_logs(const std::vector<std::shared_ptr<Log>>& logs);

  Env& env_;
  const Options options_;
  Env& control_;
  std::unique_ptr<DataDirectory> directory_;
  std::unique_ptr<SystemStream> system_;
  Groups groups_;

  // What the events say. Written by the fold (SystemStream's lock) and read by checks under the same lock, and by
  // start() before anybody else is there.
  KnownStreams known_;
  bool unreadable_ = false;
  std::atomic<std::uint64_t> last_id_{0};

  // One change at a time, hooks included: recursive, for a hook may make a change of its own.
  std::recursive_mutex changing_;
  std::vector<Hook> attach_;
  std::vector<Hook> changed_;
  std::vector<Hook> detach_;
  bool closed_ = false;

  std::mutex audit_mutex_;
  std::shared_ptr<Log> audit_;
  bool audit_closed_ = false;

  mutable std::shared_mutex streams_mutex_;
  std::map<QualifiedName, std::shared_ptr<Stream>> by_name_;
  std::map<StreamId, std::shared_ptr<Stream>> by_id_;

  const std::shared_ptr<Retention> retention_;
};

Result<void> EngineImpl::start() {
  ASSIGN_OR_RETURN(directory_, DataDirectory::open(env_, options_.data));
  ASSIGN_OR_RETURN(auto log, open_log(kSystemId, "_system"));
  system_ = std::make_unique<SystemStream>(control_, std::move(log));
  RETURN_IF_ERROR(system_->fold("stream.", [this](const SystemStream::Event& event) { fold(event); }));
  if (unreadable_) return StorageErrc::damaged;
  RETURN_IF_ERROR(open_streams());
  clean_up();
  return {};
}

Result<std::shared_ptr<Log>> EngineImpl::open_log(StreamId id, const std::string& name) {
  const std::string path = directory_->stream(id);
  RETURN_IF_ERROR(create_directories(env_.files, path));
  LogOptions options = options_.log;
  options.name = name;
  const bool own = id == kSystemId || id == kAuditStream;
  if (own) {  // their few events never wait for records
    options.pond = nullptr;
    options.tail_cache_bytes = kSystemTailBytes;
  }
  auto log = Log::open(own ? control_ : env_, path, options);
  if (!log)
    env_.logger.error("cannot open a stream's log",
                      {{"stream", name}, {"directory", path}, {"error", log.error().message()}});
  return log;
}

void EngineImpl::fold(const SystemStream::Event& event) {
  if (!known_.fold(event.type, event.json)) return unreadable(event);
  last_id_.store(known_.last.value());
}

void EngineImpl::unreadable(const SystemStream::Event& event) {
  unreadable_ = true;
  env_.logger.error("the system stream holds an event that this version cannot read; start a later version",
                    {{"event", std::string(event.type)}, {"sequence", std::to_string(event.sequence.value())}});
}

Result<std::shared_ptr<Stream>> EngineImpl::open_stream(StreamId id, const KnownStreams::Known& known) {
  const std::string path = directory_->stream(id);
  const std::string title = text_of(known.definition.qualified_name());
  // A log that is opened where there is none is made anew, empty: that must not hide a loss.
  ASSIGN_OR_RETURN(const bool there, is_there(env_.files, path));
  if (!there) {
    env_.logger.error("the records of a stream are missing; restore its directory from a backup",
                      {{"stream", title}, {"directory", path}});
    return StorageErrc::damaged;
  }
  ASSIGN_OR_RETURN(auto log, open_log(id, title));
  if (log->status().incarnation != known.incarnation) {
    env_.logger.error("a stream's directory holds the records of another stream; restore the right one",
                      {{"stream", title}, {"directory", path}});
    return StorageErrc::damaged;
  }
  return std::make_shared<Stream>(known.definition, std::move(log));
}

// Opening a log is mostly waiting for flushes, and those of several logs overlap.
Result<void> EngineImpl::open_streams() {
  std::vector<std::pair<const StreamId, KnownStreams::Known>*> wanted;
  for (auto& one : known_.streams) wanted.push_back(&one);
  std::vector<Result<std::shared_ptr<Stream>>> opened(wanted.size(), std::shared_ptr<Stream>());
  std::atomic<std::size_t> next{0};
  const auto open_some = [&] {
    for (std::size_t i = 0; (i = next.fetch_add(1)) < wanted.size();)
      opened[i] = open_stream(wanted[i]->first, wanted[i]->second);
  };
  std::vector<std::shared_ptr<Signal>> helpers;
  for (std::size_t n = 1; n < std::min(wanted.size(), kOpenersMax); ++n) {
    helpers.push_back(env_.background.make_signal());
    env_.background.post([&open_some, signal = helpers.back()] {
      open_some();
      signal->set();
    });
  }
  open_some();
  for (const auto& helper : helpers) helper->wait();
  for (const auto& stream : opened) {
    if (!stream) return stream.error();
    publish(*stream);
  }
  return {};
}

// What an interrupted creation or removal left.
void EngineImpl::clean_up() {
  for (const StreamId id : known_.unfinished)
    if (exists(env_.files, directory_->stream(id))) remove_files(id);
  const auto entries = env_.files.list(directory_->streams());
  if (!entries) return;
  for (const DirectoryEntry& entry : *entries) {
    const auto is = [&](StreamId id) { return entry.name == std::to_string(id.value()); };
    if (is(kSystemId) || is(kAuditStream) ||
        std::any_of(known_.streams.begin(), known_.streams.end(), [&](const auto& k) { return is(k.first); }) ||
        std::any_of(known_.unfinished.begin(), known_.unfinished.end(), is))
      continue;
    env_.logger.warning("a directory beside the streams belongs to none; it is left alone",
                        {{"directory", directory_->streams() + "/" + entry.name}});
  }
}

void EngineImpl::publish(const std::shared_ptr<Stream>& stream) {
  const std::unique_lock lock(streams_mutex_);
  by_name_[stream->qualified_name()] = stream;
  by_id_[stream->definition().id] = stream;
}

void EngineImpl::remove_files(StreamId id) {
  env_.background.post([&env = env_, path = directory_->stream(id)] {
    const auto removed = remove_tree(env.files, path);
    if (!removed && removed.error() != ErrorCode(ENOENT, boost::system::generic_category()))
      env.logger.warning("cannot remove the files of a removed stream; the next start tries again",
                         {{"directory", path}, {"error", removed.error().message()}});
  });
}

Result<std::shared_ptr<Stream>> EngineImpl::make(StreamDefinition definition, std::uint32_t shards) {
  if (!valid_stream_name(definition.name) || !valid_tenant_name(definition.tenant)) return EngineErrc::invalid_name;
  if (definition.shards.empty()) {
    if (shards == 0 || shards > kOpenShardsMax) return EngineErrc::invalid_definition;
    definition.shards = make_shards(shards);
  }
  if (definition.shards.size() > kOpenShardsMax || !valid_shards(definition.shards))
    return EngineErrc::invalid_definition;

  const std::lock_guard changing(changing_);
  if (closed_) return EngineErrc::draining;
  if (definition.derived) {
    const auto source = find(definition.derived->source);
    if (source == nullptr || source->tenant() != definition.tenant) return EngineErrc::no_such_stream;
  }
  definition.id = StreamId(last_id_.load() + 1);
  definition.created = env_.clock.wall();
  const auto name_is_free = [&]() -> Result<void> {
    for (const auto& [id, known] : known_.streams)
      if (known.definition.qualified_name() == definition.qualified_name()) return EngineErrc::stream_exists;
    return {};
  };
  // Said before it is done, so that what a crash leaves of it is known for what it is.
  RETURN_IF_ERROR(system_->append("stream.creating", encode_id(definition.id), name_is_free));
  auto log = open_log(definition.id, text_of(definition.qualified_name()));
  if (!log) {
    remove_files(definition.id);
    return log.error();
  }
  const auto created = system_->append(creation_event(definition),
                                       encode_definition(definition, (*log)->status().incarnation), name_is_free);
  if (!created) {
    close_logs({*log});
    if (created.error() != StorageErrc::flush_failed) remove_files(definition.id);
    return created.error();
  }
  const auto stream = std::make_shared<Stream>(std::move(definition), *log);
  publish(stream);
  for (const Hook& attach : attach_) attach(stream);
  retention_->wake();
  return stream;
}

Result<std::shared_ptr<Stream>> EngineImpl::change(const StreamDefinition& definition) {
  const std::lock_guard changing(changing_);
  if (closed_) return EngineErrc::draining;
  const auto old = find(definition.qualified_name());
  if (old == nullptr) return EngineErrc::no_such_stream;
  if (is_reserved_stream(old->name())) return EngineErrc::reserved_stream;
  StreamDefinition wanted = old->definition();
  wanted.fields = definition.fields;
  wanted.partition_key = definition.partition_key;
  wanted.archive = definition.archive;
  wanted.retention = definition.retention;
  StreamDefinition settings = wanted;
  settings.shards.clear();  // those have events of their own
  RETURN_IF_ERROR(system_->append("stream.changed", encode_definition(settings, old->incarnation())));
  const auto stream = std::make_shared<Stream>(std::move(wanted), *old);
  publish(stream);
  for (const Hook& changed : changed_) changed(stream);
  retention_->wake();
  return stream;
}

Result<Engine::Resharded> EngineImpl::split(const QualifiedName& name, ShardId shard, std::optional<HashKey> at) {
  const std::lock_guard changing(changing_);
  const auto stream = find(name);
  if (stream == nullptr) return EngineErrc::no_such_stream;
  const auto table = stream->shards().now().table;
  if (stream->definition().archive.enabled && table->most_open() == kArchivedShardsMax &&
      table->open() == kArchivedShardsMax && table->plan_split(shard, at))
    return EngineErrc::archived_by_shard;
  return reshard(name, [&](const ShardTable& shards) { return shards.plan_split(shard, at); });
}

Result<Engine::Resharded> EngineImpl::merge(const QualifiedName& name, ShardId shard, ShardId with) {
  return reshard(name, [&](const ShardTable& shards) { return shards.plan_merge(shard, with); });
}

// What is true when: groups stop at the end of that moment, the event is made durable, groups go on.
Result<Engine::Resharded> EngineImpl::reshard(const QualifiedName& name, const Plan& plan) {
  const std::lock_guard changing(changing_);
  if (closed_) return EngineErrc::draining;
  const auto old = find(name);
  if (old == nullptr) return EngineErrc::no_such_stream;
  if (is_reserved_stream(name.name)) return EngineErrc::reserved_stream;
  const StreamId id = old->definition().id;
  ShardMap& shards = old->shards();
  if (shards.now().settled != kSequenceMax) return StorageErrc::not_accepting;  // see below
  ASSIGN_OR_RETURN(Reshard change, plan(*shards.now().table));
  RETURN_IF_ERROR(shards.propose(change, [&] { return old->log().durable(); }));
  if (const auto appended = system_->append("stream.resharded", encode_reshard(id, change)); !appended) {
    const LogStatus status = system_->log().status();
    if (appended.error() != StorageErrc::flush_failed || (status.accepting && status.sealed)) {
      shards.withdraw();
      groups_.wake(id);
    } else {
      // The event may be found at the next start. Until then nobody may act on shards as if it were not.
      env_.logger.error("it is not known whether shards were changed; the stream's groups wait for the next start",
                        {{"stream", old->title()}, {"error", appended.error().message()}});
    }
    return appended.error();
  }
  shards.settle();
  StreamDefinition wanted = old->definition();
  wanted.shards = shards.now().table->all();
  auto stream = std::make_shared<Stream>(std::move(wanted), *old);
  publish(stream);
  groups_.wake(id);
  env_.logger.info(change.opened.size() == 2 ? "a shard was split" : "shards were merged",
                   {{"stream", stream->title()},
                    {"closed", std::to_string(change.closed.front().value())},
                    {"at", std::to_string(change.at.value())},
                    {"opened", std::to_string(change.opened.front().id.value())},
                    {"open", std::to_string(stream->shards().now().table->open())}});
  return Resharded{std::move(stream), std::move(change)};
}

Result<void> EngineImpl::remove(const QualifiedName& name) {
  const std::lock_guard changing(changing_);
  if (closed_) return EngineErrc::draining;
  const auto stream = find(name);
  if (stream == nullptr) return EngineErrc::no_such_stream;
  if (is_reserved_stream(name.name)) return EngineErrc::reserved_stream;
  const StreamId id = stream->definition().id;
  if (!derived_from(id).empty()) return EngineErrc::stream_in_use;
  RETURN_IF_ERROR(system_->append("stream.removed", encode_id(id)));
  {
    const std::unique_lock lock(streams_mutex_);
    by_name_.erase(name);
    by_id_.erase(id);
  }
  for (const Hook& detach : detach_) detach(stream);
  for (const GroupStatus& group : groups_.list())
    if (group.stream_id == id)
      if (const auto closed = groups_.remove(group.qualified_name()); !closed)
        env_.logger.warning("a group of a removed stream did not close cleanly",
                            {{"group", text_of(group.qualified_name())}, {"error", closed.error().message()}});
  close_logs({stream->shared_log()});
  remove_files(id);
  return {};
}

// Not under `changing_`: who writes the trail must not wait for a change that waits for the background's threads.
Result<std::shared_ptr<Log>> EngineImpl::audit_log(bool make) {
  const std::lock_guard lock(audit_mutex_);
  if (audit_closed_) return EngineErrc::draining;
  if (audit_) return audit_;
  if (!make) {
    ASSIGN_OR_RETURN(const bool there, is_there(env_.files, directory_->stream(kAuditStream)));
    if (!there) return std::shared_ptr<Log>();
  }
  ASSIGN_OR_RETURN(audit_, open_log(kAuditStream, "_audit"));
  return audit_;
}

DataCut EngineImpl::cut() {
  const std::lock_guard changing(changing_);
  DataCut cut;
  cut.instance = directory_->instance();
  cut.streams.push_back({kSystemId, "_system", system_->log().cut()});
  const std::shared_lock lock(streams_mutex_);
  // The youngest first: a derived stream, which is younger than its source, must not be found ahead of it.
  for (auto it = by_id_.rbegin(); it != by_id_.rend(); ++it)
    cut.streams.push_back({it->first, it->second->title(), it->second->log().cut()});
  std::reverse(cut.streams.begin() + 1, cut.streams.end());
  const std::lock_guard audit(audit_mutex_);
  if (audit_) cut.streams.push_back({kAuditStream, "_audit", audit_->cut()});
  return cut;
}

void EngineImpl::close_logs(const std::vector<std::shared_ptr<Log>>& logs) {
  std::vector<std::shared_ptr<Signal>> signals;
  for (const auto& log : logs) {
    signals.push_back(env_.background.make_signal());
    log->close([signal = signals.back()] { signal->set(); });
  }
  for (const auto& signal : signals) signal->wait();
}

Result<void> EngineImpl::close() {
  const std::lock_guard changing(changing_);
  if (std::exchange(closed_, true)) return {};
  retention_->stop();
  const auto closed = groups_.close();
  std::vector<std::shared_ptr<Log>> logs;
  {
    const std::shared_lock lock(streams_mutex_);
    for (const auto& [id, stream] : by_id_) logs.push_back(stream->shared_log());
  }
  {
    const std::lock_guard lock(audit_mutex_);
    audit_closed_ = true;
    if (audit_) logs.push_back(audit_);
  }
  close_logs(logs);
  close_logs({system_->shared_log()});
  return closed;
}

}  // namespace

Result<std::unique_ptr<Engine>> Engine::open(Env& env, const Options& options) {
  auto engine = std::make_unique<EngineImpl>(env, options);
  RETURN_IF_ERROR(engine->start());
  return std::unique_ptr<Engine>(std::move(engine));
}

}  // namespace tidemill
