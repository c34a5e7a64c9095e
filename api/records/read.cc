#include "api/records/read.h"

#include <array>
#include <charconv>

#include "api/errors/problem.h"
#include "api/json_input.h"
#include "api/media_type.h"
#include "api/records/tail.h"
#include "api/views/rows_json.h"
#include "engine/cut.h"
#include "engine/start_of.h"
#include "storage/base/errors.h"

namespace tidemill {
namespace {

constexpr std::uint32_t kLimitDefault = 100;
constexpr std::uint32_t kLimitMax = 10'000;
constexpr std::uint64_t kPageBytes = 8 << 20;

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return n;
}

}  // namespace

// What a request asks for, with everything copied.
struct Records::Ask {
  Follower follower;  // of a live tail
  std::shared_ptr<Stream> stream;
  std::string from = "earliest";
  HashRange range;
  std::optional<ShardId> shard;
  Sequence not_before;  // its first
  std::uint32_t limit = kLimitDefault;
};

Records::Records(ApiContext& context) : context_(context) {}
Records::~Records() = default;

void Records::get(Call& call, http::Responder responder) {
  const auto refuse = [&](ErrorId id, std::string_view detail = {}) { responder.send(problem(id, detail)); };
  if (context_.draining.load()) return refuse(ErrorId::draining);
  Ask ask;
  ask.stream = context_.stream_of(*call.who, call.params[0]);
  if (!ask.stream) return refuse(ErrorId::stream_not_found);
  static constexpr std::array<std::string_view, 2> kOffered{kJson, "text/event-stream"};
  const std::string_view type = negotiate(call.request, kOffered);
  if (type.empty()) return refuse(ErrorId::not_acceptable, "This path gives " + std::string(call.route.gives) + ".");
  const bool live = type == kOffered[1];
  if (live) {
    ask.from = "latest";
    ask.follower = Follower(call);
  }
  if (const auto from = call.query.get("from")) ask.from = *from;
  if (const std::string_view last = call.request.header("Last-Event-ID"); live && !last.empty()) {
    if (!number(last)) return refuse(ErrorId::invalid_parameter, "`Last-Event-ID` is not one of ours.");
    ask.from = last;
  }
  if (!is_from(ask.from)) return refuse(ErrorId::invalid_parameter, std::string("`from` is ") + kFromSentence + ".");
  if (!wait_of(call.query)) return refuse(ErrorId::invalid_parameter, kWaitSentence);
  if (const auto limit = call.query.get("limit")) {
    if (live) return refuse(ErrorId::invalid_parameter, "A live tail has no end: leave `limit` out.");
    const auto n = number(*limit);
    if (!n || *n < 1 || *n > kLimitMax)
      return refuse(ErrorId::invalid_parameter, "`limit` is a number from 1 to 10,000.");
    ask.limit = static_cast<std::uint32_t>(*n);
  }
  if (const auto shard = call.query.get("shard")) {
    ask.shard = parse_shard(*shard);
    const auto table = ask.stream->shards().now().table;
    const ShardDefinition* const found = ask.shard ? table->find(*ask.shard) : nullptr;
    if (!found)
      return refuse(ErrorId::invalid_parameter,
                    "`shard` is one of the stream's shards, such as 3 or s0003; GET /v1/streams/{stream} lists them.");
    ask.range = found->range;
    ask.not_before = found->first_sequence;
  }
  if (const auto after = call.query.get("after")) {
    // Whatever a token names was durable when it was given: nothing to wait for, only to check.
    const auto token = Token::decode(*after);
    if (!token) return refuse(ErrorId::invalid_token);
    if (token->stream != ask.stream->definition().id) {
      const auto other = context_.stream_of(*call.who, *token);
      if (!other) return refuse(ErrorId::token_gone);
      return refuse(ErrorId::invalid_token, "The token is of stream " + other->name() + ".");
    }
    const auto resolved = context_.engine.resolve(*ask.stream, *token);
    if (!resolved) return refuse(error_id(resolved.error()));
  }
  if (live) return tail(std::move(ask), call.request.method == "HEAD", std::move(responder));
  page(std::move(ask), std::move(responder));
}

namespace {

http::Response beyond_end(const Log& log) {
  return problem(ErrorId::invalid_parameter, "`from` lies beyond the end of the stream: the next record is " +
                                                 std::to_string(log.durable().value() + 1) + ".");
}

}  // namespace

// What is in memory is read here; what is not, where it leaves the processors to those who write.
void Records::page(Ask ask, http::Responder responder) {
  const std::string tenant = ask.stream->tenant();
  in_turn(context_.questions, tenant, std::move(responder), [this, tenant, ask = std::move(ask)](http::Responder r) {
    Log& log = ask.stream->log();
    auto from = start_of(log, ask.from);
    if (!from) return r.send(problem(error_id(from.error())));
    from = std::max(*from, ask.not_before);
    ReadOptions look;
    look.cached_only = true;
    look.records_max = 1;
    const auto looked = log.read(*from, look);
    const bool in_memory = !looked || looked->next > *from || *from > log.durable();
    if (in_memory) return read_page(ask, *from, std::move(r));
    in_turn(context_.old_pages, tenant, std::move(r),
            [this, ask, from = *from](http::Responder old) { read_page(ask, from, std::move(old)); });
  });
}

void Records::read_page(const Ask& ask, Sequence from, http::Responder r) {
  Log& log = ask.stream->log();
  ReadOptions options;
  options.historical = true;
  options.range = ask.range;
  options.records_max = ask.limit;
  options.bytes_max = kPageBytes;
  http::Response response;
  response.content_type = kJson;
  std::string& out = response.body;
  out = "{\"records\":[";
  const LogStatus status = log.status();
  views::AsOf as_of{Position::through(status.durable), status.last_time, {}};
  // Where a shard has little among much, several reads make a page; a page ends after a bounded look.
  Sequence at = from;
  bool ended = false;  // a closed shard
  std::string lost;
  std::uint32_t count = 0;
  for (int round = 0; round < 16 && count < ask.limit && out.size() < kPageBytes; ++round) {
    options.records_max = ask.limit - count;
    options.bytes_max = kPageBytes - out.size();
    auto batch = log.read(at, options);
    if (!batch) {
      if (batch.error() == StorageErrc::beyond_end) {
        return r.send(beyond_end(log));
      }
      if (batch.error() == StorageErrc::before_start) {
        return r.send(problem(ErrorId::records_gone, {}, ",\"start\":" + std::to_string(log.start().value())));
      }
      return r.send(problem(error_id(batch.error())));
    }
    if (ask.shard) {
      const auto shards = ask.stream->shards().now();
      const Sequence last = shards.shown->find(*ask.shard)->last_sequence;
      cut(*batch, at, last);
      ended = last < batch->next && !shards.table->find(*ask.shard)->open;
    }
    for (const LostRange& l : batch->lost) {
      lost.append(lost.empty() ? "" : ",").append("{\"first\":" + std::to_string(l.first.value()));
      lost.append(",\"last\":" + std::to_string(l.last.value()) + "}");
    }
    for (const Record& record : batch->records) {
      if (count++ != 0) out.push_back(',');
      append_record(out, *ask.stream, record);
      if (record.sequence > as_of.position.sequence()) {  // came while the page was read
        as_of.position = Position::through(record.sequence);
        as_of.time = std::max(as_of.time, record.arrival);
      }
    }
    const bool moved = batch->next > at;
    at = batch->next;
    if (!moved || ended) break;
    // Without a shard one read is what there is of a page, unless it was cut by what a commit holds.
    if (context_.draining.load()) break;
  }
  if (ended) {
    out.append("],\"next\":null,\"children\":[").append(children_of(*ask.stream, *ask.shard)).append("]");
  } else {
    out.append("],\"next\":").append(std::to_string(at.value()));
  }
  if (!lost.empty()) out.append(",\"lost\":[").append(lost).append("]");
  out.append(",\"as_of\":");
  as_of.token = context_.engine.token(*ask.stream, status.epoch, as_of.position.sequence()).encode();
  append_as_of(out, as_of);
  out.append("}\n");
  r.send(std::move(response));
}

void Records::tail(Ask ask, bool head_only, http::Responder responder) {
  // Where to begin may have to be looked up on disk; the answer's head is written on the loop.
  auto shared = std::make_shared<http::Responder>(std::move(responder));
  context_.workers.post([this, ask = std::move(ask), head_only, shared] {
    Log& log = ask.stream->log();
    auto from = start_of(log, ask.from);
    if (!from) return shared->send(problem(error_id(from.error())));
    if (*from > next(log.durable())) {
      return shared->send(beyond_end(log));
    }
    // Before the log's start is fine: the tail says what is lost.
    shared->loop().post([this, ask, head_only, shared, begin = *from] {
      http::Response head;
      head.content_type = "text/event-stream";
      head.add_header("Cache-Control", "no-store");
      if (head_only) return shared->stream(head)->finish();
      auto tail = std::make_shared<Tail>(context_, metrics_, ask.follower, ask.stream, ask.range, ask.shard,
                                         std::max(begin, ask.not_before), shared->stream(head));
      {
        const std::lock_guard lock(mutex_);
        std::erase_if(tails_, [](const auto& t) { return t.expired(); });
        tails_.insert(tail);
      }
      tail->begin();
    });
  });
}

void Records::wake() {
  const std::lock_guard lock(mutex_);
  for (const auto& weak : tails_) {
    if (const auto tail = weak.lock()) tail->wake();
  }
}

}  // namespace tidemill
