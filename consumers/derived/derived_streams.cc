#include "consumers/derived/derived_streams.h"

#include <map>
#include <mutex>
#include <utility>

#include "consumers/derived/consumer.h"
#include "consumers/views/sql_account.h"
#include "consumers/views/statement.h"
#include "consumers/views/trial.h"
#include "engine/start_of.h"
#include "storage/base/logger.h"

namespace tidemill::derived {
namespace {

using views::SqlError;
using views::SqlResult;
using Did = StreamChange::Did;

constexpr std::uint32_t kShards = 4;  // as PUT /v1/streams/{stream}
constexpr std::size_t kSample = 3;

SqlError not_stored(const ErrorCode& error) {
  return {"not_stored", "The definition could not be stored: " + error.message() + "."};
}

std::string list_of(const std::vector<std::string>& names) {
  std::string out;
  for (const auto& name : names) out.append(out.empty() ? "" : ", ").append(name);
  return out;
}

class Streams final : public DerivedStreams {
 public:
  Streams(Env& env, Engine& engine, views::AllViews* views) : env_(env), engine_(engine), views_(views) {}

  void begin() {
    engine_.on_stream([this](const std::shared_ptr<Stream>& stream) { attach(stream); });
    engine_.on_remove([this](const std::shared_ptr<Stream>& stream) { detach(stream); });
  }

  std::optional<SqlResult<StreamChange>> run(const std::string& tenant, std::string_view sql) override {
    const views::StatementText text = views::look_at(sql);
    if (text.kind != views::StatementKind::stream) return std::nullopt;
    auto tokens = views::tokenize(text.sql);
    if (const auto* error = std::get_if<SqlError>(&tokens)) return SqlResult<StreamChange>(*error);
    auto head = views::read_head(text.sql, std::get<0>(tokens));
    if (const auto* error = std::get_if<SqlError>(&head)) return SqlResult<StreamChange>(*error);
    const auto& read = std::get<views::StatementHead>(head);
    if (read.kind == views::StatementHead::Kind::drop_stream) {
      if (text.explained)
        return SqlResult<StreamChange>(SqlError{"invalid_sql", "EXPLAIN stands before SELECT or CREATE."});
      return drop(tenant, read);
    }
    return create(tenant, text.sql, text.explained);
  }

  std::optional<DerivedStatus> status(const Stream& stream) const override {
    const auto& definition = stream.definition().derived;
    if (!definition) return std::nullopt;
    DerivedStatus out;
    const std::lock_guard lock(mutex_);
    const auto it = consumers_.find(stream.definition().id);
    if (const auto source = engine_.find(definition->source)) out.source = source->name();
    if (it == consumers_.end()) return out;
    out.position = it->second->position();
    out.latest_parked = it->second->latest_parked();
    return out;
  }

 private:
  void attach(const std::shared_ptr<Stream>& stream) {
    const auto& definition = stream->definition().derived;
    if (!definition) return;
    const auto source = engine_.find(definition->source);
    auto consumer = source ? std::make_shared<DerivingConsumer>(env_, source, stream) : nullptr;
    Result<void> added = EngineErrc::no_such_stream;
    if (consumer) {
      {
        const std::lock_guard lock(mutex_);
        consumers_[stream->definition().id] = consumer;
      }
      added = engine_.groups().add(group_name(*source, *stream), source, std::move(consumer),
                                   Groups::WhenNotOpened::keep_trying);
    }
    if (!added)
      env_.logger.error("a derived stream gets no records",
                        {{"stream", stream->title()}, {"cause", added.error().message()}});
  }

  void detach(const std::shared_ptr<Stream>& stream) {
    const auto& definition = stream->definition().derived;
    const auto source = definition ? engine_.find(definition->source) : nullptr;
    if (!source) return;
    const auto removed = engine_.groups().remove({source->tenant(), group_name(*source, *stream)});
    if (!removed)
      env_.logger.warning("the group of a removed stream did not close cleanly",
                          {{"stream", stream->title()}, {"cause", removed.error().message()}});
    const std::lock_guard lock(mutex_);
    consumers_.erase(stream->definition().id);
  }

  // From `stream` up to the one that producers write to: is `name` among them?
  bool is_made_of(std::shared_ptr<Stream> stream, std::string_view name) const {
    while (stream && stream->definition().derived) {
      stream = engine_.find(stream->definition().derived->source);
      if (stream && stream->name() == name) return true;
    }
    return false;
  }

  SqlResult<StreamChange> create(const std::string& tenant, std::string_view sql, bool explained) {
    auto first = views::read_derivation(sql);
    if (const auto* error = std::get_if<SqlError>(&first)) return *error;
    const std::string& source_name = std::get<0>(first).source;
    const std::string& name = std::get<0>(first).name;
    const auto source = engine_.find({tenant, source_name});
    if (name == source_name || is_made_of(source, name)) {
      return SqlError{"invalid_sql", "That is a circle: " + source_name +
                                         (name == source_name ? " would be made of itself" : " is made of " + name) +
                                         ". Give the new stream another name."};
    }
    if (!source) {
      if (views_ && views_->of(tenant)->find(source_name))
        return SqlError{"not_supported", source_name +
                                             " is a view, and a stream is derived from a stream: a view's rows change, "
                                             "records do not. Name the stream that the view reads."};
      return SqlError{"no_such_stream",
                      "There is no stream " + source_name + ". Create it first: PUT /v1/streams/" + source_name + "."};
    }
    auto second = views::read_derivation(sql, source->definition().fields);
    if (const auto* error = std::get_if<SqlError>(&second)) return *error;
    const auto& derivation = std::get<views::Derivation>(second);

    StreamChange change;
    change.statement = explained ? "EXPLAIN" : "CREATE STREAM";
    change.name = name;
    change.source = source_name;
    change.columns = derivation.columns;
    if (engine_.find({tenant, name}) && !explained) {
      if (!derivation.if_not_exists)
        return SqlError{"stream_exists", "There is a stream " + name + " already. Use another name, or IF NOT EXISTS."};
      change.did = Did::exists;
      return change;
    }
    const auto from = first_of(derivation, source->log());
    if (const auto* error = std::get_if<SqlError>(&from)) return *error;
    if (auto error = look(derivation, *source, change)) return *error;
    if (explained) {
      change.did = Did::explained;
      change.row_statement = derivation.rows.row_sql;
      return change;
    }
    StreamDefinition definition;
    definition.name = name;
    definition.tenant = tenant;
    definition.derived = StreamDefinition::Derived{source->definition().id, std::get<Sequence>(from), std::string(sql)};
    const auto made = engine_.create(std::move(definition), derivation.shards != 0 ? derivation.shards : kShards);
    if (!made) {
      if (made.error() == EngineErrc::stream_exists)
        return SqlError{"stream_exists", "There is a stream " + name + " already. Use another name, or IF NOT EXISTS."};
      return not_stored(made.error());
    }
    return change;
  }

  static SqlResult<Sequence> first_of(const views::Derivation& derivation, Log& log) {
    const std::string from = derivation.from.empty() ? "earliest" : derivation.from;
    if (!is_from(from))
      return SqlError{"invalid_sql", "WITH (from = ...) takes " + std::string(kFromSentence) + ", in quotes."};
    const auto first = start_of(log, from);
    if (!first) return not_stored(first.error());
    if (*first > next(log.durable()))
      return SqlError{"invalid_sql", "WITH (from = ...) lies beyond the end of the stream: the next record is " +
                                         std::to_string(log.durable().value() + 1) + "."};
    return *first;
  }

  // What it makes of the last records. A trial that cannot be made (the disk) holds nothing up.
  static std::optional<SqlError> look(const views::Derivation& derivation, const Stream& source, StreamChange& change) {
    change.warnings = derivation.rows.warnings;
    const auto go_on = views::trial_time();
    const auto tried = views::try_out(derivation.rows, source, go_on);
    if (!tried && tried.error() == boost::system::errc::timed_out) {
      change.warnings.push_back(views::kTrialTooSlow);
      return std::nullopt;
    }
    const bool said = tried && tried->set_aside != 0;  // what would be parked
    if (tried)
      for (std::string& warning : views::warnings_of(*tried)) change.warnings.push_back(std::move(warning));
    auto maker =
        Maker::open(derivation, [&](HashKey hash, Sequence sequence) { return source.shard_of(hash, sequence); });
    if (const auto* error = std::get_if<SqlError>(&maker)) return *error;
    Log& log = source.log();
    const std::uint64_t durable = log.durable().value();
    const std::uint64_t records = views::kTrialRecords;
    ReadOptions options;
    options.records_max = views::kTrialRecords;
    const auto batch = log.read(
        Sequence(std::max<std::uint64_t>(log.start().value(), durable < records ? 1 : durable - records + 1)), options);
    if (!batch) return std::nullopt;
    views::SqlAccount account;
    account.begin(go_on);
    const views::SqlAccount::Scope scope(account);
    Maker& m = *std::get<0>(maker);
    m.parse(batch->records);
    StreamChange::Trial trial;
    for (std::uint32_t i = 0; i < batch->records.size(); ++i) {
      Made made;
      if (!go_on() || !m.make(i, 1, made) || account.refused() != views::SqlAccount::Refused::nothing)
        return std::nullopt;
      ++trial.records;
      trial.made += made.size();
      trial.parked += made.parked.size();
      if (!said && !made.parked.empty() && trial.parked == 1)
        change.warnings.push_back("Some of the last records would be set aside. The first, sequence " +
                                  std::to_string(made.parked[0].sequence.value()) + ": " + made.parked[0].reason + ".");
      for (const NewRecord& record : made.records())
        if (trial.sample.size() < kSample && record.content == ContentType::json)
          trial.sample.emplace_back(record.data);
    }
    change.trial = std::move(trial);
    return std::nullopt;
  }

  SqlResult<StreamChange> drop(const std::string& tenant, const views::StatementHead& head) {
    StreamChange change;
    change.statement = "DROP STREAM";
    change.name = head.name;
    change.did = Did::dropped;
    const auto stream = engine_.find({tenant, head.name});
    if (!stream) {
      if (!head.if_exists) return SqlError{"no_such_stream", "There is no stream " + head.name + "."};
      change.did = Did::absent;
      return change;
    }
    if (!stream->definition().derived)
      return SqlError{"not_supported", head.name +
                                           " is no derived stream: its records are nowhere else. DELETE /v1/streams/" +
                                           head.name + " removes it with all of them."};
    if (views_) {
      if (const auto readers = views_->of(tenant)->reading(head.name); !readers.empty())
        return SqlError{"stream_in_use", "Views over " + head.name + ": " + list_of(readers) + ". Drop them first."};
    }
    if (const auto streams = engine_.derived_from(stream->definition().id); !streams.empty())
      return SqlError{"stream_in_use",
                      "Streams derived from " + head.name + ": " + list_of(streams) + ". Drop them first."};
    if (const auto removed = engine_.remove({tenant, head.name}); !removed) return not_stored(removed.error());
    return change;
  }

  Env& env_;
  Engine& engine_;
  views::AllViews* const views_;
  mutable std::mutex mutex_;
  std::map<StreamId, std::shared_ptr<DerivingConsumer>> consumers_;
};

}  // namespace

std::string group_name(const Stream& source, const Stream& derived) {
  return source.name() + ":derived:" + derived.name();
}

bool DerivedStreams::is_change(std::string_view sql) {
  const views::StatementText text = views::look_at(sql);
  return text.kind == views::StatementKind::stream && !text.explained;
}

std::unique_ptr<DerivedStreams> DerivedStreams::open(Env& env, Engine& engine, views::AllViews* views) {
  auto streams = std::make_unique<Streams>(env, engine, views);
  streams->begin();
  return streams;
}

}  // namespace tidemill::derived
