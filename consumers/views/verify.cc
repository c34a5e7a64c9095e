#include "consumers/views/verify.h"

#include <algorithm>
#include <map>
#include <optional>

#include "consumers/views/bases.h"
#include "consumers/views/compare.h"
#include "consumers/views/sqlite.h"
#include "consumers/views/view_events.h"
#include "storage/base/errors.h"
#include "storage/seam/file_system.h"

namespace tidemill::views {
namespace {

constexpr std::size_t kShownMax = 5;  // differences of one view that are said one by one
constexpr const char* kAnew =
    " Stop the server, move DATA/views away and start it: all views are then built from their base, where there is "
    "one, and the log.";
constexpr const char* kStoreRemedy =
    "Stop the server, move DATA/views away and start it: the views are built again from their base, where there is "
    "one, and the log.";
constexpr const char* kBaseRemedy =
    "Nothing is lost as long as the views are whole; the next base takes its place. Files of a base and of the views "
    "may be the same.";

struct Defined {
  std::uint64_t id;
  ViewCreated event;
};

class Verifier {
 public:
  // `base`: nullptr where there is none.
  Verifier(Env& scratch_env, Database& database, Database* base, Database& scratch, const VerifyViewsOptions& options,
           const FindingSink& sink)
      : env_(scratch_env), database_(database), base_(base), scratch_(scratch), options_(options), sink_(sink) {}

  Result<std::optional<VerifiedView>> verify(const Defined& defined) {
    name_ = defined.event.name;
    const auto stream = options_.stream(defined.event.stream);
    if (!stream) {
      damage("Its stream cannot be read, and so it cannot be compared.");
      return std::optional<VerifiedView>();
    }
    auto split_up = split(defined.event.sql, {stream->definition().fields});
    if (const auto* error = std::get_if<SqlError>(&split_up)) {
      damage("Its definition cannot be used: " + error->message);
      return std::optional<VerifiedView>();
    }
    const std::string family_name = views::family_name(defined.id);
    const auto names = database_.names();
    if (std::find(names.begin(), names.end(), family_name) == names.end()) {
      note("Nothing of it is on disk yet; it is built from the log.");
      return std::optional<VerifiedView>();
    }
    ASSIGN_OR_RETURN(auto family, database_.family(family_name));
    const View view(defined.id, name_, defined.event.source, std::get<Definition>(std::move(split_up)),
                    std::move(family));
    const auto checkpoint = view.checkpoint(*database_.snapshot());
    if (!checkpoint) {
      damage(std::string("Its checkpoint cannot be read.") + kAnew);
      return std::optional<VerifiedView>();
    }
    const Sequence at = checkpoint->position.sequence();
    if (at > stream->log().durable()) {
      damage("It counts records up to " + std::to_string(at.value()) + ", and the log ends at " +
             std::to_string(stream->log().durable().value()) + ": the next start builds it again.");
      return std::optional<VerifiedView>();
    }
    const auto from_base = [&](Database& into, const Family& its, Sequence first,
                               Sequence durable) -> Result<std::optional<Checkpoint>> {
      if (base_ == nullptr) return std::optional<Checkpoint>();
      return copy_family(*base_, family_name, into, its, first, durable);
    };
    const auto differences = rebuild_and_compare(env_, database_, scratch_, *stream, view, from_base);
    if (!differences && differences.error() == StorageErrc::before_start) {
      note("Not compared: it counts records from " + std::to_string(checkpoint->since.value()) +
           " on, the log begins at " + std::to_string(stream->log().start().value()) +
           ", and there is no base of the views that has what came before.");
      return std::optional<VerifiedView>();
    }
    if (!differences) {
      if (differences.error() != StorageErrc::damaged) return differences.error();
      damage(std::string("It cannot be read to the end.") + kAnew);
      return std::optional<VerifiedView>();
    }
    for (std::size_t i = 0; i < differences->size() && i < kShownMax; ++i) {
      const auto& d = (*differences)[i];
      damage("The key " + d.key +
             (d.rebuilt.empty() ? " is not in"
              : d.live.empty()  ? " is missing; it is in"
                                : " has another value in") +
             " what the log gives.");
    }
    if (differences->size() > kShownMax)
      damage("And " + std::to_string(differences->size() - kShownMax) + " further keys differ." + kAnew);
    return std::optional(VerifiedView{name_, at.value(), checkpoint->rows});
  }

 private:
  void damage(const std::string& text) {
    sink_({Finding::Grade::damage, "view", options_.directory, ByteOffset(0), {}, {}, "View " + name_ + ": " + text});
  }
  void note(const std::string& text) {
    sink_({Finding::Grade::note, "view", options_.directory, ByteOffset(0), {}, {}, "View " + name_ + ": " + text});
  }

  Env& env_;
  Database& database_;
  Database* const base_;
  Database& scratch_;
  const VerifyViewsOptions& options_;
  const FindingSink& sink_;
  std::string name_;
};

}  // namespace

Result<std::vector<VerifiedView>> verify_views(Env& env, Env& scratch_env, SystemStream& system,
                                               const VerifyViewsOptions& options, const FindingSink& sink) {
  std::vector<VerifiedView> out;
  std::map<std::string, Defined> defined;
  RETURN_IF_ERROR(system.fold("view.", [&](const SystemStream::Event& event) {
    if (event.type == "view.created") {
      if (auto created = decode_created(event.json)) {
        const std::string name = created->name;
        defined.insert_or_assign(name, Defined{event.sequence.value(), std::move(*created)});
      }
    } else if (event.type == "view.dropped") {
      if (const auto name = decode_dropped(event.json)) defined.erase(*name);
    }
  }));
  if (!exists(env.files, options.directory + "/CURRENT")) {
    if (!defined.empty())
      sink({Finding::Grade::note,
            "view",
            options.directory,
            ByteOffset(0),
            {},
            {},
            "The views have no store; the next start builds them from the log."});
    return out;
  }
  configure_sqlite();
  auto database = Database::open_read_only(env, options.directory, options.memory_bytes);
  if (!database) {
    if (database.error() != StorageErrc::damaged) return database.error();
    sink({Finding::Grade::damage,
          "store",
          options.directory,
          ByteOffset(0),
          {},
          {},
          "RocksDB cannot open the store of the views; the next start keeps it aside and builds them from the log."});
    return out;
  }
  std::uint64_t damages = 0;
  (*database)->verify_files(
      [&](const Finding& f) {
        ++damages;
        sink(f);
      },
      "store", kStoreRemedy);
  ASSIGN_OR_RETURN(const auto scratch, Database::open(scratch_env, options.scratch, options.memory_bytes));
  const std::string bases = options.directory + kBasesSuffix;
  auto base = open_base(env, bases);
  if (!base && base.error() != StorageErrc::damaged) return base.error();
  if (!base)
    sink({Finding::Grade::damage,
          "base",
          bases,
          ByteOffset(0),
          {},
          {},
          "RocksDB cannot open the base of the views. Nothing is lost as long as the views are whole; the next base "
          "takes its place."});
  if (base && *base) (*base)->verify_files(sink, "base", kBaseRemedy);
  Verifier verifier(scratch_env, **database, base ? base->get() : nullptr, *scratch, options, sink);
  for (const auto& [name, d] : defined) {
    auto verified = verifier.verify(d);
    if (!verified && damages != 0) continue;  // what it comes from has been said
    if (!verified) return verified.error();
    if (*verified) out.push_back(std::move(**verified));
  }
  return out;
}

}  // namespace tidemill::views
