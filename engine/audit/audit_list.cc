#include "engine/audit/audit_list.h"

#include <simdjson.h>

#include <algorithm>
#include <utility>

#include "engine/audit/actions.h"
#include "engine/audit/audit_events.h"
#include "engine/json/writer.h"
#include "engine/start_of.h"
#include "storage/base/errors.h"

namespace tidemill {
namespace {

namespace dom = simdjson::dom;

constexpr std::size_t kScannedMax = 100'000;  // events of a page, shown or not
constexpr std::uint32_t kReadMax = 2'000;

// What is shown of the system stream's events, whatever their type: nothing that is, or comes of, a secret, and no text
// of unbounded length.
constexpr std::string_view kShown[] = {"id",          "kind",     "name",        "tenant",  "scopes",   "expires",
                                       "older_until", "revoked",  "closed",      "opened",  "at",       "stream",
                                       "key",         "decision", "derived",     "built",   "requests", "sequences",
                                       "limit",       "limits",   "certificate", "subject", "bound",    "unbound"};
constexpr std::size_t kShownMax = 2'000;  // bytes of one member

std::string_view text_of(const dom::element& object, const char* name) {
  std::string_view text;
  return object[name].get(text) == simdjson::SUCCESS ? text : std::string_view();
}

// Reads one log in order, a piece at a time.
class Cursor {
 public:
  Cursor(Log* log, Sequence from) : log_(log), from_(from) {}

  // The next record, or nullptr at the end.
  Result<const Record*> peek(AuditPage& page) {
    while (log_ != nullptr && at_ == batch_.records.size()) {
      from_ = std::max(from_, log_->start());
      if (from_ > log_->durable()) return nullptr;
      ReadOptions options;
      options.records_max = kReadMax;
      auto read = log_->read(from_, options);
      if (!read && read.error() == StorageErrc::before_start) continue;  // retention, a moment ago
      if (!read) return read.error();
      batch_ = std::move(*read);
      at_ = 0;
      if (batch_.next <= from_) return nullptr;
      from_ = batch_.next;
      page.lost.insert(page.lost.end(), batch_.lost.begin(), batch_.lost.end());
    }
    return log_ == nullptr ? nullptr : &batch_.records[at_];
  }
  void pass() { ++at_; }
  Sequence next() const { return at_ < batch_.records.size() ? batch_.records[at_].sequence : from_; }

 private:
  Log* const log_;
  RecordBatch batch_;
  std::size_t at_ = 0;
  Sequence from_;
};

}  // namespace

struct AuditList::Streams {
  std::mutex mutex;
  std::map<std::uint64_t, QualifiedName> names;
  dom::parser parser;

  void fold(const SystemStream::Event& event) {
    dom::element root;
    std::uint64_t id = 0;
    const std::lock_guard lock(mutex);
    if (parser.parse(event.json.data(), event.json.size()).get(root) != simdjson::SUCCESS || !root.is_object() ||
        root["id"].get(id) != simdjson::SUCCESS || text_of(root, "name").empty())
      return;
    const std::string_view tenant = text_of(root, "tenant");
    names[id] = {std::string(tenant.empty() ? kDefaultTenant : tenant), std::string(text_of(root, "name"))};
  }
  std::optional<QualifiedName> find(std::uint64_t id) {
    const std::lock_guard lock(mutex);
    const auto it = names.find(id);
    return it == names.end() ? std::nullopt : std::optional(it->second);
  }
};

AuditList::AuditList(SystemStream& system, TenantOf tenant_of)
    : system_(system), tenant_of_(std::move(tenant_of)), streams_(std::make_shared<Streams>()) {}

// When the first page is asked for: most servers are never asked.
Result<void> AuditList::learn_streams() {
  const std::lock_guard lock(mutex_);
  if (learned_) return {};
  RETURN_IF_ERROR(system_.fold("stream.", [streams = streams_](const SystemStream::Event& e) { streams->fold(e); }));
  learned_ = true;
  return {};
}

Result<AuditPage> AuditList::page(const std::shared_ptr<Log>& audit, const AuditQuery& query) {
  RETURN_IF_ERROR(learn_streams());
  AuditPage page;
  AuditCursor start = query.after.value_or(AuditCursor());
  if (!query.after && query.from) {
    if (audit) {
      ASSIGN_OR_RETURN(start.audit, first_since(*audit, *query.from));
    }
    ASSIGN_OR_RETURN(start.system, first_since(system_.log(), *query.from));
  }
  Cursor of_audit(audit.get(), start.audit);
  Cursor of_system(&system_.log(), start.system);
  dom::parser parser;

  const auto look = [&](const Record& r, bool system) {
    dom::element root;
    const bool sum = !system && r.key == kAuditSummed;
    if (r.key == "key.used" || (!sum && !means_action(query.action, r.key)) ||
        (query.from && r.arrival < *query.from) || (query.until && r.arrival >= *query.until) ||
        parser.parse(r.data.data(), r.data.size()).get(root) != simdjson::SUCCESS || !root.is_object())
      return;
    // Whoever asks for what was summed is told that there was more of it.
    if (sum && !means_action(query.action, r.key) && !means_action(query.action, text_of(root, "of"))) return;
    // Who did it: the audit trail's `key`, the system stream's `by`.
    const auto who = parse_key_id(text_of(root, system ? "by" : "key"));
    const bool of_keys = system && r.key.starts_with("key.");
    const auto whom = parse_key_id(text_of(root, of_keys ? "id" : "key"));
    std::string tenant(text_of(root, "tenant"));
    std::string name;
    std::uint64_t id = 0;
    if (system && r.key.starts_with("stream.") && root["id"].get(id) == simdjson::SUCCESS)
      if (const auto known = streams_->find(id)) tenant = known->tenant, name = known->name;
    if (system && tenant.empty() && whom) tenant = tenant_of_(*whom).value_or("");
    if (system && tenant.empty() && r.key.starts_with("view.")) tenant = kDefaultTenant;
    if (!query.tenant.empty() && tenant != query.tenant) return;
    const bool may_be_in = sum && query.key && (tenant.empty() || tenant == tenant_of_(*query.key));
    if (query.key && who != query.key && whom != query.key && !may_be_in) return;

    std::string out;
    JsonWriter json(out);
    json.begin_object().field("time", format_rfc3339(r.arrival)).field("log", system ? "_system" : "_audit");
    json.field("sequence", r.sequence.value()).field("action", r.key);
    if (!system) {
      for (const auto& [member, value] : dom::object(root)) json.name(member).raw(simdjson::minify(value));
    } else {
      if (who) json.field("by", to_text(*who));
      if (!tenant.empty()) json.field("tenant", tenant);
      if (!name.empty()) json.field("name", name);
      for (const std::string_view shown : kShown) {
        dom::element value;
        if ((shown == "tenant" && !tenant.empty()) || (shown == "name" && !name.empty()) ||
            root[shown].get(value) != simdjson::SUCCESS)
          continue;
        const std::string text = simdjson::minify(value);
        if (text.size() <= kShownMax) json.name(shown).raw(text);
      }
    }
    json.end_object();
    page.items.push_back(std::move(out));
  };

  for (std::size_t scanned = 0;; ++scanned) {
    ASSIGN_OR_RETURN(const Record* a, of_audit.peek(page));
    ASSIGN_OR_RETURN(const Record* s, of_system.peek(page));
    if (a == nullptr && s == nullptr) return page;
    if (page.items.size() == query.limit || scanned == kScannedMax) break;
    const bool system = a == nullptr || (s != nullptr && s->arrival < a->arrival);
    look(system ? *s : *a, system);
    (system ? of_system : of_audit).pass();
  }
  page.next = AuditCursor{of_audit.next(), of_system.next()};
  return page;
}

}  // namespace tidemill
