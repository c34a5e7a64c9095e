#include "engine/data_reader.h"

#include <algorithm>

#include "storage/base/errors.h"
#include "storage/log/mark_file.h"
#include "storage/log/read_only_log.h"

namespace tidemill {

Result<std::unique_ptr<DataReader>> DataReader::open(Env& env, const std::string& data, std::optional<DataCut> cut) {
  std::unique_ptr<DataReader> reader(new DataReader(env));
  ASSIGN_OR_RETURN(reader->directory_, DataDirectory::open_read_only(env, data, !cut));
  // The server of another directory gave it.
  if (cut && cut->instance != reader->directory_->instance()) return make_error_code(StorageErrc::invalid_argument);
  reader->cut_ = std::move(cut);
  return reader;
}

std::optional<LogCut> DataReader::cut_of(StreamId id) const {
  if (!cut_) return std::nullopt;
  for (const StreamCut& s : cut_->streams)
    if (s.id == id) return s.log;
  return std::nullopt;
}

Result<void> DataReader::read_definitions() {
  ASSIGN_OR_RETURN(auto log, open_log_read_only(env_, directory_->stream(StreamId(0)), {}, cut_of(StreamId(0))));
  system_ = std::make_unique<SystemStream>(env_, std::move(log));
  KnownStreams known;
  bool unreadable = false;
  RETURN_IF_ERROR(system_->fold(
      "stream.", [&](const SystemStream::Event& event) { unreadable |= !known.fold(event.type, event.json); }));
  if (unreadable) return make_error_code(StorageErrc::layout_too_new);
  for (auto& [id, one] : known.streams) streams_.push_back(std::move(one));
  unfinished_.assign(known.unfinished.begin(), known.unfinished.end());
  return {};
}

Result<std::shared_ptr<Stream>> DataReader::stream(const Known& known) {
  const StreamId id = known.definition.id;
  ASSIGN_OR_RETURN(auto log, open_log_read_only(env_, directory_->stream(id), known.incarnation, cut_of(id)));
  return std::make_shared<Stream>(known.definition, std::move(log));
}

Result<DataCut> DataReader::cut_at_rest() {
  if (!system_) RETURN_IF_ERROR(read_definitions());
  DataCut out;
  out.instance = directory_->instance();
  const auto add = [&](StreamId id, const std::string& name, Log& log) -> Result<void> {
    StreamCut cut{id, name, log.cut()};
    ASSIGN_OR_RETURN(const auto mark, MarkFile(env_.files, directory_->stream(id)).read());
    const SegmentId last = cut.log.segments.back().id;
    const bool beyond = mark && mark->incarnation == cut.log.incarnation &&
                        (mark->segment > last || (mark->segment == last && mark->end > cut.log.end));
    // To copy what is left would pass it off as the whole.
    if (beyond) return make_error_code(StorageErrc::damaged);
    out.streams.push_back(std::move(cut));
    return {};
  };
  RETURN_IF_ERROR(add(StreamId(0), "_system", system_->log()));
  for (const Known& known : streams_) {
    ASSIGN_OR_RETURN(const auto opened, stream(known));
    RETURN_IF_ERROR(add(known.definition.id, opened->title(), opened->log()));
  }
  if (exists(env_.files, directory_->stream(kAuditStream))) {
    ASSIGN_OR_RETURN(const auto audit, open_log_read_only(env_, directory_->stream(kAuditStream), {}, {}));
    RETURN_IF_ERROR(add(kAuditStream, "_audit", *audit));
  }
  return out;
}

Result<std::vector<std::string>> DataReader::strangers() const {
  ASSIGN_OR_RETURN(const auto entries, env_.files.list(directory_->streams()));
  std::vector<std::string> out;
  for (const DirectoryEntry& e : entries) {
    const auto is = [&](StreamId id) { return e.name == std::to_string(id.value()); };
    if (is(StreamId(0)) || is(kAuditStream) || std::any_of(unfinished_.begin(), unfinished_.end(), is) ||
        std::any_of(streams_.begin(), streams_.end(), [&](const Known& k) { return is(k.definition.id); }))
      continue;
    out.push_back(e.name);
  }
  return out;
}

}  // namespace tidemill
