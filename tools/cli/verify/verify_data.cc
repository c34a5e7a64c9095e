#include "tools/cli/verify/verify_data.h"

#include <algorithm>
#include <vector>

#include "consumers/archive/verify.h"
#include "consumers/views/verify.h"
#include "engine/audit/chain_verifier.h"
#include "storage/base/errors.h"
#include "storage/log/verify_log.h"

namespace tidemill::cli {
namespace {

// What one look at one stream said, kept until it is known that it counts.
struct Looked {
  std::vector<Finding> findings;
  struct Part {
    std::string what;
    VerifyReport::Facts facts;
  };
  std::vector<Part> parts;
  bool damaged() const {
    return std::any_of(findings.begin(), findings.end(),
                       [](const Finding& f) { return f.grade == Finding::Grade::damage; });
  }
};

class DataVerifier {
 public:
  DataVerifier(Env& env, const VerifyDataOptions& options, VerifyReport& report)
      : env_(env), options_(options), report_(report) {}

  Result<void> open() {
    std::optional<DataCut> cut;
    if (options_.cut) {
      ASSIGN_OR_RETURN(cut, options_.cut());
    }
    ASSIGN_OR_RETURN(reader_, DataReader::open(env_, options_.data, std::move(cut)));
    return {};
  }

  // The system stream, and what streams there are. False: that cannot be known.
  Result<bool> system() {
    ASSIGN_OR_RETURN(Looked looked, look(StreamId(0), nullptr));
    if (looked.damaged() && options_.cut) {
      RETURN_IF_ERROR(open());
      ASSIGN_OR_RETURN(looked, look(StreamId(0), nullptr));
    }
    say("_system", looked);
    const auto known = reader_->read_definitions();
    known_ = known.has_value();
    if (known) return true;
    // A system stream that is not there was said above, and is damage like any.
    if (known.error() != StorageErrc::damaged && known.error() != boost::system::errc::no_such_file_or_directory)
      return known.error();
    report_.finding(
        {Finding::Grade::damage,
         "system",
         reader_->directory().stream(StreamId(0)),
         ByteOffset(0),
         {},
         {},
         "The system stream cannot be read, so what streams and views there are cannot be known: only the logs "
         "are looked at. Restore it from a backup."});
    return false;
  }

  Result<void> streams() {
    const auto known = reader_->streams();
    for (const DataReader::Known& stream : known) {
      const StreamId id = stream.definition.id;
      ASSIGN_OR_RETURN(Looked looked, look(id, &stream));
      if (looked.damaged() && options_.cut) {
        // From a later cut, with the definitions as they are then.
        RETURN_IF_ERROR(open());
        RETURN_IF_ERROR(reader_->read_definitions());
        const auto& now = reader_->streams();
        const auto it = std::find_if(now.begin(), now.end(), [&](const auto& k) { return k.definition.id == id; });
        if (it == now.end()) continue;  // removed meanwhile
        ASSIGN_OR_RETURN(looked, look(id, &*it));
      }
      say(text_of(stream.definition.qualified_name()), looked);
    }
    return {};
  }

  // The audit trail, where there is one.
  Result<void> audit() {
    if (!exists(env_.files, reader_->directory().stream(kAuditStream))) return audit_gone();
    if (options_.cut && !reader_->cut_of(kAuditStream)) return {};  // made since
    ASSIGN_OR_RETURN(Looked looked, look(kAuditStream, nullptr));
    if (looked.damaged() && options_.cut) {
      RETURN_IF_ERROR(open());
      if (known_) RETURN_IF_ERROR(reader_->read_definitions());  // streams() and strangers() go by them
      ASSIGN_OR_RETURN(looked, look(kAuditStream, nullptr));
    }
    say("_audit", looked);
    return {};
  }

  // Of a directory whose streams are not known: its logs all the same.
  Result<void> bare_logs() {
    ASSIGN_OR_RETURN(const auto entries, env_.files.list(reader_->directory().streams()));
    for (const DirectoryEntry& e : entries) {
      if (!e.is_directory || e.name == "0" || e.name == std::to_string(kAuditStream.value()) ||
          e.name.find_first_not_of("0123456789") != std::string::npos)
        continue;
      ASSIGN_OR_RETURN(const Looked looked, look(StreamId(std::stoull(e.name)), nullptr));
      say("streams/" + e.name, looked);
    }
    return {};
  }

  Result<void> strangers() {
    ASSIGN_OR_RETURN(const auto names, reader_->strangers());
    for (const std::string& name : names)
      report_.finding({Finding::Grade::note,
                       "stranger",
                       reader_->directory().streams() + "/" + name,
                       ByteOffset(0),
                       {},
                       {},
                       "This belongs to no stream; it is left alone."});
    return {};
  }

  Result<void> views(Env& scratch_env) {
    views::VerifyViewsOptions options;
    options.directory = reader_->directory().views();
    options.scratch = options_.scratch;
    options.stream = [this](StreamId id) -> std::shared_ptr<Stream> {
      for (const DataReader::Known& known : reader_->streams()) {
        if (known.definition.id != id) continue;
        auto stream = reader_->stream(known);
        return stream ? *stream : nullptr;
      }
      return nullptr;
    };
    ASSIGN_OR_RETURN(const auto verified, views::verify_views(env_, scratch_env, reader_->system(), options,
                                                              [this](const Finding& f) { report_.finding(f); }));
    for (const auto& view : verified)
      report_.part("view", view.name, {{"rows", view.rows}, {"sequence", view.sequence}});
    return {};
  }

 private:
  Result<void> audit_gone() {
    const bool kept = options_.heads.contains("_audit");
    if (!kept && !reader_->cut_of(kAuditStream)) return {};
    report_.finding({Finding::Grade::damage,
                     "missing",
                     reader_->directory().stream(kAuditStream),
                     ByteOffset(0),
                     {},
                     {},
                     "The audit trail is not there, and it was. Restore it from a backup."});
    return {};
  }

  Result<Looked> look(StreamId id, const DataReader::Known* known) {
    Looked out;
    const FindingSink sink = [&out](const Finding& f) { out.findings.push_back(f); };
    const DataDirectory& directory = reader_->directory();
    // The manifest first and then the cut: what it says is filed was in the log before.
    std::unique_ptr<ArchiveVerifier> archive;
    if (known != nullptr) {
      ASSIGN_OR_RETURN(archive, ArchiveVerifier::open(env_.files, directory.archive(known->definition.qualified_name()),
                                                      known->definition, options_.moved_files_ok, sink));
    }
    VerifyLogOptions options;
    const bool system = id == StreamId(0);
    std::optional<ChainVerifier> chain;
    if (system || id == kAuditStream) {
      const std::string name = system ? "_system" : "_audit";
      const auto heads = options_.heads.find(name);
      chain.emplace(ChainVerifier::Options{name, system,
                                           heads == options_.heads.end() ? std::vector<ChainHead>() : heads->second},
                    sink);
      options.visitor = &*chain;
    } else {
      options.visitor = archive.get();
    }
    if (known != nullptr) options.incarnation = known->incarnation;
    options.cut = reader_->cut_of(id);
    if (options_.cut) {
      ASSIGN_OR_RETURN(const DataCut cut, options_.cut());
      const auto it = std::find_if(cut.streams.begin(), cut.streams.end(), [&](const auto& s) { return s.id == id; });
      if (it == cut.streams.end()) return out;  // removed meanwhile
      options.cut = it->log;
    }
    const std::string path = directory.stream(id);
    if (!exists(env_.files, path)) {
      sink({Finding::Grade::damage,
            "missing",
            path,
            ByteOffset(0),
            {},
            {},
            "The stream's directory is not there. Restore it from a backup."});
      return out;
    }
    ASSIGN_OR_RETURN(const VerifiedLog log, verify_log(env_.files, path, options, sink));
    out.parts.push_back({"log",
                         {{"first", log.cut.start.value()},
                          {"last", log.cut.last.value()},
                          {"records", log.records},
                          {"commits", log.commits},
                          {"segments", log.segments},
                          {"bytes", log.bytes}}});
    if (chain) {
      const auto verified = chain->finish(path);
      out.parts.push_back(
          {"chain",
           {{"last", verified.head.sequence.value()}, {"chained", verified.linked}, {"breaks", verified.breaks}}});
    }
    if (!archive) return out;
    const VerifiedArchive filed = archive->finish(log.cut);
    if (filed.there)
      out.parts.push_back(
          {"archive", {{"files", filed.files}, {"records", filed.records}, {"unfiled", filed.unfiled}}});
    return out;
  }

  void say(const std::string& name, const Looked& looked) {
    for (const Finding& f : looked.findings) report_.finding(f);
    for (const auto& part : looked.parts) report_.part(part.what, name, part.facts);
  }

  Env& env_;
  const VerifyDataOptions& options_;
  VerifyReport& report_;
  std::unique_ptr<DataReader> reader_;
  bool known_ = false;  // what streams there are
};

}  // namespace

Result<void> verify_data(Env& env, Env& scratch_env, const VerifyDataOptions& options, VerifyReport& report) {
  DataVerifier verifier(env, options, report);
  RETURN_IF_ERROR(verifier.open());
  ASSIGN_OR_RETURN(const bool known, verifier.system());
  RETURN_IF_ERROR(verifier.audit());
  if (!known) return verifier.bare_logs();
  RETURN_IF_ERROR(verifier.streams());
  RETURN_IF_ERROR(verifier.strangers());
  if (!options.scratch.empty() && !options.cut) return verifier.views(scratch_env);
  return {};
}

}  // namespace tidemill::cli
