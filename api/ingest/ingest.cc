#include "api/ingest/ingest.h"

#include <openssl/evp.h>

#include <algorithm>
#include <cstring>

#include "api/errors/problem.h"
#include "api/http/encoding.h"
#include "api/ingest/answer.h"
#include "api/ingest/csv_body.h"
#include "api/limits/gate.h"
#include "api/media_type.h"
#include "engine/json/record_parser.h"
#include "engine/json/writer.h"
#include "storage/base/check.h"
#include "storage/base/errors.h"
#include "storage/seam/clock.h"

namespace tidemill {
namespace {

enum class Format { json, ndjson, csv };

constexpr std::string_view kAtomic = "With atomic=true one bad record keeps all others out.";
constexpr std::size_t kSlotsKept = 1'024;
constexpr std::chrono::milliseconds kProbePause{20};

struct Options {
  bool atomic = false;
  bool wait_for_views = false;
  std::chrono::milliseconds wait{0};
  std::shared_ptr<const Principal> who;  // where it waits for views: which of them it may know of
};

// A request that the log has. `Append` is its base, so that the log's pointer is ours.
struct Slot : Append {
  ParsedBody body;
  std::shared_ptr<Stream> stream;
  http::Responder responder;
  Options options;
  MonotonicTime begun{};
  std::optional<KeyId> key;
  std::optional<Amounts> charged;  // to the key and its tenant
  Slot* next_free = nullptr;
};

std::array<unsigned char, 32> sha256(std::initializer_list<std::string_view> parts) {
  static EVP_MD* const md = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  CHECK(md);
  std::array<unsigned char, 32> out;
  EVP_MD_CTX* c = EVP_MD_CTX_new();
  CHECK(c && EVP_DigestInit_ex(c, md, nullptr));
  for (const auto part : parts) {
    // Each part with its length, so that no two lists of parts look alike.
    const std::uint64_t size = part.size();
    CHECK(EVP_DigestUpdate(c, &size, sizeof size) && EVP_DigestUpdate(c, part.data(), part.size()));
  }
  CHECK(EVP_DigestFinal_ex(c, out.data(), nullptr));
  EVP_MD_CTX_free(c);
  return out;
}

// The status of a request none of whose records was taken.
ErrorId none_taken(const std::vector<RejectedRecord>& rejected) {
  const bool all_large = std::all_of(rejected.begin(), rejected.end(), [](const RejectedRecord& r) {
    return r.code == static_cast<std::uint16_t>(Rejection::record_too_large);
  });
  return all_large ? ErrorId::records_too_large : ErrorId::records_rejected;
}

http::Response rejected_problem(const std::vector<RejectedRecord>& rejected, std::string_view detail,
                                std::string_view more = {}) {
  std::string members(",");
  append_rejected(members, rejected);
  members.append(more);
  return problem(none_taken(rejected), detail, members);
}

}  // namespace

class Ingest::PerLoop final : public AppendSink {
 public:
  PerLoop(Ingest& ingest, http::Loop& loop) : ingest_(ingest), context_(ingest.context_), loop_(loop) {}
  ~PerLoop() override {
    while (free_) delete std::exchange(free_, free_->next_free);
  }

  void post(Call& call, http::Responder responder);
  // On a flush thread, once per commit.
  void appended(Append* done) noexcept override;

 private:
  Slot* take();
  void give_back(Slot* slot);
  void drain();
  void finish(Slot* slot, MonotonicTime now);
  void answer(Slot* slot, std::string_view ack, std::string_view behind);
  void wait_for_views(Slot* slot);
  void probe(const Slot& slot);
  void count(std::span<const RejectedRecord> rejected) {
    for (const auto& r : rejected) ingest_.metrics_.rejected[r.code % IngestMetrics::kCodes].add();
  }

  Ingest& ingest_;
  ApiContext& context_;
  http::Loop& loop_;
  RecordParser parser_;
  std::string unpacked_;
  std::string scratch_;
  int probing_ = 0;
  MonotonicTime next_probe_{};
  Slot* free_ = nullptr;
  std::size_t free_count_ = 0;
  std::atomic<Append*> done_{nullptr};
};

Ingest::Ingest(ApiContext& context, http::Server& server) : context_(context) {
  for (std::size_t i = 0; i < server.loops(); ++i) {
    loops_.push_back(std::make_unique<PerLoop>(*this, server.loop(i)));
  }
}
Ingest::~Ingest() = default;

void Ingest::post(Call& call, http::Responder responder) {
  loops_[responder.loop().index()]->post(call, std::move(responder));
}

Slot* Ingest::PerLoop::take() {
  if (!free_) return new Slot;
  --free_count_;
  return std::exchange(free_, free_->next_free);
}

void Ingest::PerLoop::give_back(Slot* slot) {
  if (free_count_ >= kSlotsKept) {
    delete slot;
    return;
  }
  static_cast<Append&>(*slot) = Append{};
  slot->body.clear();
  slot->stream.reset();
  slot->charged.reset();
  slot->options = {};
  slot->next_free = std::exchange(free_, slot);
  ++free_count_;
}

void Ingest::PerLoop::post(Call& call, http::Responder responder) {
  const http::Request& request = call.request;
  const auto refuse = [&](ErrorId id, std::string_view detail = {}) { responder.send(problem(id, detail)); };
  if (context_.draining.load(std::memory_order_relaxed)) return refuse(ErrorId::draining);
  std::shared_ptr<Stream> stream = context_.stream_of(*call.who, call.params[0]);
  if (!stream) return refuse(ErrorId::stream_not_found);
  if (is_reserved_stream(stream->name())) return refuse(ErrorId::reserved_stream);
  if (stream->definition().derived) return refuse(ErrorId::derived_stream);

  const MediaType type = parse_media_type(request.header("Content-Type"));
  // The router let nothing else pass.
  const std::string_view name = canonical_type(type.type);
  const Format format = name == kNdjson ? Format::ndjson : name == "text/csv" ? Format::csv : Format::json;
  csv::Encoding encoding = csv::Encoding::utf8;
  if (!type.charset.empty()) {
    const auto named = csv::parse_encoding(type.charset);
    if (!named || (format != Format::csv && *named != csv::Encoding::utf8)) {
      return refuse(ErrorId::unsupported_media_type,
                    "This charset is not taken: JSON is UTF-8, CSV UTF-8 or windows-1252.");
    }
    encoding = *named;
  }

  Options options;
  if (!call.query.all().empty()) {
    if (const auto atomic = call.query.get("atomic")) {
      if (*atomic != "true" && *atomic != "false")
        return refuse(ErrorId::invalid_parameter, "`atomic` is true or false.");
      options.atomic = *atomic == "true";
    }
    if (const auto ack = call.query.get("ack")) {
      if (*ack != "durable" && *ack != "view") {
        return refuse(ErrorId::invalid_parameter, "`ack` is durable or view.");
      }
      options.wait_for_views = *ack == "view";
      if (options.wait_for_views) options.who = call.who;
    }
    const auto wait = wait_of(call.query);
    if (!wait) return refuse(ErrorId::invalid_parameter, kWaitSentence);
    options.wait = *wait;
  } else {
    options.wait = kWaitDefault;
  }

  // What would be refused for its bytes, or when not even one record may pass, is not unpacked or read.
  const LimitGate gate(context_.limiter);
  Amounts amounts;
  amounts[Measure::bytes] = request.body.size();
  if (call.limited) {
    amounts[Measure::records] = 1;
    if (auto refusal = gate.foresee(call.key, call.who->tenant, amounts, responder, call.limited)) {
      return responder.send(std::move(*refusal));
    }
  }

  // A body that was read is work, whatever is in it: who sends nothing but bad records must not pass its rates.
  const auto spent = [&] {
    if (!call.limited) return;
    Amounts read;
    read[Measure::bytes] = request.body.size();
    context_.limiter->spend(call.key, call.who->tenant, read);
  };
  const auto refuse_read = [&](ErrorId id, std::string_view detail = {}) {
    spent();
    refuse(id, detail);
  };

  const auto limits = context_.limits();
  std::string_view body = request.body;
  const std::string_view packed = request.header("Content-Encoding");
  if (!packed.empty() && !http::iequals(packed, "identity")) {
    switch (http::unpack(packed, body, limits->http.body_bytes, unpacked_)) {
      case http::Unpacked::ok:
        break;
      case http::Unpacked::unknown_encoding:
        return refuse(ErrorId::unsupported_encoding);
      case http::Unpacked::broken:
        return refuse_read(ErrorId::broken_encoding);
      case http::Unpacked::too_large:
        unpacked_ = {};
        return refuse_read(ErrorId::body_too_large);
    }
    body = unpacked_;
  }

  const std::string_view key = request.header("Tidemill-Partition-Key");
  const std::string_view idempotency_key = request.header("Idempotency-Key");
  // An empty one is no key at all, though somebody meant one; of two, one would be left out in silence.
  for (const std::string_view header : {"Tidemill-Partition-Key", "Idempotency-Key"}) {
    const std::size_t n = request.count(header);
    if (n == 0) continue;
    if (n > 1) return refuse(ErrorId::invalid_key_header, std::string(header) + " comes twice.");
    if (request.header(header).empty()) return refuse(ErrorId::invalid_key_header, std::string(header) + " is empty.");
  }
  if (!key.empty() && RecordParser::check_key(key)) {
    return refuse(ErrorId::invalid_key_header, "Tidemill-Partition-Key is too long or not UTF-8.");
  }
  if (idempotency_key.size() > 1'024) {
    return refuse(ErrorId::invalid_key_header, "Idempotency-Key has more than 1,024 bytes.");
  }

  Slot* slot = take();
  slot->begun = context_.env.clock.monotonic();
  const ParseOptions parse{.key_field = stream->definition().partition_key,
                           .request_key = key,
                           .record_bytes_max = limits->record_bytes,
                           .arrival = context_.env.clock.wall()};
  bool fits;
  if (format == Format::csv) {
    const CsvLimits most{limits->record_bytes, limits->http.body_bytes, parse.records_max};
    const CsvBody rows = read_csv_body(body, encoding, stream->definition().fields, most);
    if (rows.refused) {
      give_back(slot);
      return refuse_read(*rows.refused, rows.why);
    }
    fits = parser_.parse(rows.ndjson, BodyFormat::ndjson, parse, slot->body);
    if (fits) merge_rejected(rows, slot->body.rejected);
  } else {
    fits = parser_.parse(body, format == Format::json ? BodyFormat::json : BodyFormat::ndjson, parse, slot->body);
  }
  if (!fits) {
    give_back(slot);
    return refuse_read(ErrorId::too_many_records);
  }

  const auto& rejected = slot->body.rejected;
  slot->options = options;
  slot->stream = std::move(stream);
  // None of them, then; what a key said is remembered all the same.
  if (options.atomic && !rejected.empty()) slot->body.records.clear();
  if (!idempotency_key.empty()) {
    const auto k = sha256({idempotency_key});
    const char kind[] = {static_cast<char>('0' + static_cast<int>(format)), options.atomic ? 'a' : '-'};
    const auto b = sha256({std::string_view(kind, sizeof kind), key, body});
    RequestIdentity identity;
    std::memcpy(identity.key_hash.data(), k.data(), identity.key_hash.size());
    std::memcpy(&identity.body_hash, b.data(), sizeof identity.body_hash);
    slot->identity = identity;
  }
  if (unpacked_.capacity() > (1u << 20)) unpacked_ = {};
  if (slot->body.records.empty()) spent();
  if (slot->body.records.empty() && (!slot->identity || rejected.empty())) {
    count(rejected);
    if (!rejected.empty()) {
      responder.send(rejected_problem(rejected, options.atomic ? kAtomic : ""));
      return give_back(slot);
    }
    // Nothing to do: the token covers whatever is in by now.
    const LogStatus status = slot->stream->log().status();
    slot->epoch = status.epoch;
    slot->first = next(status.durable);
    slot->responder = std::move(responder);
    return finish(slot, slot->begun);
  }
  if (gate.on() && !slot->body.records.empty()) {
    amounts[Measure::records] = slot->body.records.size();
    if (auto refusal = gate.charge(call.key, call.who->tenant, amounts, responder, call.limited)) {
      responder.send(std::move(*refusal));
      return give_back(slot);
    }
    slot->key = call.key;
    slot->charged = amounts;
  }
  slot->records = slot->body.records;
  slot->rejected = rejected;
  slot->sink = this;
  slot->responder = std::move(responder);
  slot->stream->log().append(slot);
}

void Ingest::PerLoop::appended(Append* done) noexcept {
  // A stack of what is done; the loop is woken only when it was empty.
  Append* last = done;
  while (last->next_done) last = last->next_done;
  Append* before = done_.load(std::memory_order_relaxed);
  do {
    last->next_done = before;
  } while (!done_.compare_exchange_weak(before, done, std::memory_order_release, std::memory_order_relaxed));
  if (!before) loop_.post([this] { drain(); });
}

void Ingest::PerLoop::drain() {
  Append* done = done_.exchange(nullptr, std::memory_order_acquire);
  const MonotonicTime now = context_.env.clock.monotonic();
  while (done) {
    Append* following = done->next_done;
    finish(static_cast<Slot*>(done), now);
    done = following;
  }
}

void Ingest::PerLoop::finish(Slot* slot, MonotonicTime now) {
  // What is not stored was not used, nor what a request before it had stored. After a failed flush nobody knows.
  if (slot->charged && (slot->replayed || slot->error == StorageErrc::key_reused)) {
    context_.limiter->replayed(slot->key, slot->stream->tenant(), *slot->charged, slot->begun);
  } else if (slot->charged && slot->error && slot->error != StorageErrc::flush_failed) {
    context_.limiter->give_back(slot->key, slot->stream->tenant(), *slot->charged, slot->begun);
  }
  if (slot->error) {
    const ErrorId id = error_id(slot->error);
    http::Response response =
        problem(id, {}, id == ErrorId::flush_failed ? ",\"outcome\":\"unknown\"" : "", slot->retry_after);
    slot->responder.send(std::move(response));
    return give_back(slot);
  }
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(now - slot->begun);
  ingest_.metrics_.durable_us.observe(static_cast<std::uint64_t>(std::max<std::int64_t>(0, us.count())));
  if (!slot->replayed) count(slot->body.rejected);
  probe(*slot);
  if (slot->options.wait_for_views && context_.all_views) return wait_for_views(slot);
  answer(slot, "durable", {});
}

// Measures how long records take into the views, one request at a time: looking at each would cost too much.
void Ingest::PerLoop::probe(const Slot& slot) {
  if (!context_.all_views || slot.accepted == 0 || probing_ > 0 || slot.replayed || slot.begun < next_probe_) return;
  next_probe_ = slot.begun + kProbePause;
  const OwnViews views = context_.all_views->of(slot.stream->tenant());
  const auto names = views->reading(slot.stream->name());
  const Position position = Position::through(Sequence(slot.first.value() + slot.accepted - 1));
  for (const auto& name : names) {
    ++probing_;
    context_.waits.until_applied(
        loop_, views, {name}, position, kWaitMax,
        [this, name = QualifiedName{slot.stream->tenant(), name}, begun = slot.begun](bool reached) {
          --probing_;
          if (!reached) return;
          const auto us = std::chrono::duration_cast<std::chrono::microseconds>(context_.env.clock.monotonic() - begun);
          ingest_.metrics_.visible.observe(name, static_cast<std::uint64_t>(std::max<std::int64_t>(0, us.count())));
        });
  }
}

void Ingest::PerLoop::wait_for_views(Slot* slot) {
  const OwnViews views = context_.all_views->of(slot->stream->tenant());
  const std::vector<std::string> names = views->reading(slot->stream->name());
  const Sequence last(slot->first.value() + slot->accepted - 1);
  const Position position = Position::through(last);
  context_.waits.until_applied(loop_, views, names, position, slot->options.wait,
                               [this, slot, views, names, position](bool reached) {
                                 if (reached) return answer(slot, "view", {});
                                 // Safe all the same: a retry would be wrong. Which views are behind is said.
                                 std::string behind;
                                 JsonWriter json(behind);
                                 json.begin_array();
                                 bool any = false;
                                 for (const auto& name : names) {
                                   const auto info = views->find(name);
                                   if (!info || info->applied >= position) continue;
                                   any = true;
                                   if (slot->options.who->may(Action::see, Thing::view, name)) json.value(name);
                                 }
                                 json.end_array();
                                 if (!any) return answer(slot, "view", {});  // just now
                                 answer(slot, "durable", behind);
                               });
}

void Ingest::PerLoop::answer(Slot* slot, std::string_view ack, std::string_view behind) {
  const Sequence last(slot->first.value() + slot->accepted - 1);
  const std::vector<RejectedRecord>& rejected = slot->replayed ? slot->replayed_rejected : slot->body.rejected;
  if (slot->accepted == 0 && !rejected.empty()) {
    slot->responder.send(
        rejected_problem(rejected, slot->options.atomic ? kAtomic : "", slot->replayed ? ",\"replayed\":true" : ""));
    return give_back(slot);
  }
  const std::string token = context_.engine.token(*slot->stream, slot->epoch, last).encode();
  scratch_.clear();
  append_answer(scratch_, {.stream = slot->stream->name(),
                           .accepted = slot->accepted,
                           .first = slot->first,
                           .token = token,
                           .ack = ack,
                           .replayed = slot->replayed,
                           .rejected = rejected,
                           .behind = behind});
  slot->responder.send_here(rejected.empty() ? 200 : 207, kJson, {}, scratch_);
  if (scratch_.capacity() > (64u << 10)) scratch_ = {};
  give_back(slot);
}

}  // namespace tidemill
