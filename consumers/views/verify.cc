#include "consumers/views/verify.h"

#include <algorithm>
#include <map>
#include <optional>

#include "consumers/views/bases.h"
#include "consumers/views/compare.h"
#include "consumers/views/definitions.h"
#include "consumers/views/sqlite.h"
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

constexpr const char* kNotThere = "not_there";

using Defined = ViewDefinitions::Defined;

class Verifier {
 public:
  // `base`: nullptr where there is none.
  Verifier(Env& scratch_env, const ViewDefinitions& defined, Database& database, Database* base, Database& scratch,
           const VerifyViewsOptions& options, const FindingSink& sink)
      : defined_(defined),
        env_(scratch_env),
        database_(database),
        base_(base),
        scratch_(scratch),
        options_(options),
        sink_(sink) {}

  Result<std::optional<VerifiedView>> verify(const ViewDefinitions::View& its) {
    const Defined& defined = its.serving;
    name_ = text_of(defined.event.name);
    tenant_ = defined.event.name.tenant;
    const auto stream = options_.stream(defined.event.stream);
    if (!stream) {
      damage("Its stream cannot be read, and so it cannot be compared.");
      return std::optional<VerifiedView>();
    }
    const std::string family_name = views::family_name(defined.id);
    auto opened = open(defined.event.name.name);
    if (const auto* error = std::get_if<SqlError>(&opened)) {
      error->code == kNotThere ? note(error->message) : damage("Its definition cannot be used: " + error->message);
      return std::optional<VerifiedView>();
    }
    const View& view = *std::get<0>(opened);
    LookedUp lookups;
    for (const Lookup& l : view.definition().lookups) lookups.push_back(std::get<0>(open(l.view)));
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
    const auto differences =
        rebuild_and_compare(env_, database_, scratch_, *stream, view, lookups, its.decisions, from_base);
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
    if (!view.definition().deterministic && !differences->empty()) {
      note(
          std::to_string(differences->size()) +
          " keys differ from what the log gives now. It looks up other views, whose rows may have been others when its "
          "records were counted: that is not necessarily a fault.");
      return std::optional(VerifiedView{name_, at.value(), checkpoint->rows});
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
  // The view that is served under that name. SqlError: its definition cannot be used, or nothing of it is there.
  SqlResult<std::shared_ptr<const View>> open(std::string_view name) {
    const auto* its = defined_.find({tenant_, std::string(name)});
    if (its == nullptr) return SqlError{"no_such_view", "There is no view " + std::string(name) + "."};
    const Defined& defined = its->serving;
    for (const std::string& other : looked_up(defined.event.sql)) {
      const auto there = open(other);
      if (const auto* error = std::get_if<SqlError>(&there))
        return SqlError{error->code, "It looks up " + other + ". " + error->message};
    }
    const auto stream = options_.stream(defined.event.stream);
    auto split_up = split(defined.event.sql, {stream ? stream->definition().fields : decltype(SplitOptions::fields){},
                                              [this](std::string_view other) {
                                                auto opened = open(other);
                                                return opened.index() == 0 ? std::get<0>(opened) : nullptr;
                                              }});
    if (const auto* error = std::get_if<SqlError>(&split_up)) return *error;
    const std::string family_name = views::family_name(defined.id);
    const auto names = database_.names();
    auto family = std::find(names.begin(), names.end(), family_name) == names.end()
                      ? Result<std::shared_ptr<Family>>(std::shared_ptr<Family>())
                      : database_.family(family_name);
    if (!family || !*family) return SqlError{kNotThere, "Nothing of it is on disk yet; it is built from the log."};
    return std::make_shared<const View>(defined.id, defined.event.name, defined.event.source,
                                        std::get<Definition>(std::move(split_up)), std::move(*family));
  }

  void damage(const std::string& text) {
    sink_({Finding::Grade::damage, "view", options_.directory, ByteOffset(0), {}, {}, "View " + name_ + ": " + text});
  }
  void note(const std::string& text) {
    sink_({Finding::Grade::note, "view", options_.directory, ByteOffset(0), {}, {}, "View " + name_ + ": " + text});
  }

  const ViewDefinitions& defined_;
  Env& env_;
  Database& database_;
  Database* const base_;
  Database& scratch_;
  const VerifyViewsOptions& options_;
  const FindingSink& sink_;
  std::string name_;    // of the view under way, for findings
  std::string tenant_;  // whose it is, and what it looks up
};

}  // namespace

Result<std::vector<VerifiedView>> verify_views(Env& env, Env& scratch_env, SystemStream& system,
                                               const VerifyViewsOptions& options, const FindingSink& sink) {
  std::vector<VerifiedView> out;
  ViewDefinitions defined;
  RETURN_IF_ERROR(system.fold("view.", [&](const SystemStream::Event& event) { defined.fold(event); }));
  if (!exists(env.files, options.directory + "/CURRENT")) {
    if (!defined.all().empty())
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
  Verifier verifier(scratch_env, defined, **database, base ? base->get() : nullptr, *scratch, options, sink);
  // What is being built has not been shown to anybody; it is looked at when it is served.
  for (const auto& [name, view] : defined.all()) {
    auto verified = verifier.verify(view);
    if (!verified && damages != 0) continue;  // what it comes from has been said
    if (!verified) return verified.error();
    if (*verified) out.push_back(std::move(**verified));
  }
  return out;
}

}  // namespace tidemill::views
