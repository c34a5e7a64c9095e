#include "storage/log/read_only_log.h"

#include "storage/base/errors.h"
#include "storage/base/logger.h"
#include "storage/log/log_reader.h"
#include "storage/log/segment_scanner.h"
#include "storage/log/segments.h"
#include "storage/log/verify_log.h"
#include "storage/seam/executor.h"

namespace tidemill {
namespace {

constexpr std::size_t kReadBytes = 1 << 20;

class ReadOnlyLog final : public Log {
 public:
  ReadOnlyLog(Env& env, const std::string& directory, Segments::Start start, const LogCut& cut,
              const std::optional<DurableMark>& mark, WallTime last_time)
      : env_(env),
        epochs_(start.active->header.epochs),
        segments_(env, directory, std::move(start)),
        reader_(segments_, cache_, metrics_),
        cut_(cut),
        mark_(mark),
        last_time_(last_time) {}

  void append(Append* append) override {
    append->error = make_error_code(StorageErrc::closed);
    append->sink->appended(append);
  }
  Sequence durable() const override { return cut_.last; }
  Sequence start() const override { return cut_.start; }
  LogStatus status() const override {
    LogStatus s;
    s.incarnation = cut_.incarnation;
    s.epoch = cut_.epoch;
    s.start = cut_.start;
    s.durable = cut_.last;
    s.last_time = last_time_;
    s.segments = segments_.count();
    s.accepting = false;
    s.damage = segments_.damage();
    return s;
  }
  LogCut cut() const override { return cut_; }
  std::optional<Sequence> end_of(Epoch epoch) const override {
    if (epoch.value() == 0 || epoch > cut_.epoch) return std::nullopt;
    for (const EpochStart& e : epochs_)
      if (e.epoch > epoch) return Sequence(e.start.value() - 1);
    return cut_.last;
  }
  const LogMetrics& metrics() const override { return metrics_; }
  Result<RecordBatch> read(Sequence from, const ReadOptions& options) override {
    if (from < cut_.start) return make_error_code(StorageErrc::before_start);
    if (from > next(cut_.last)) return make_error_code(StorageErrc::beyond_end);
    return reader_.read(from, cut_.last, options);
  }
  Result<Sequence> find(WallTime time) override { return segments_.find(time, cut_.start, next(cut_.last)); }
  std::shared_ptr<void> listen(Listener) override { return nullptr; }  // there is nothing to come
  std::shared_ptr<void> listen_in(const HashRange&, RangeListener) override { return nullptr; }
  void note(std::uint32_t, Sequence) override {}
  Result<void> note_durably(std::uint32_t, Sequence) override { return {}; }
  std::optional<Sequence> noted(std::uint32_t slot) const override {
    return mark_ && slot < kNotesMax ? mark_->notes[slot] : std::nullopt;
  }
  Result<Sequence> retention_start(const RetentionLimits&) override { return cut_.start; }
  Result<Sequence> drop_before(Sequence) override { return make_error_code(StorageErrc::closed); }
  void close(std::function<void()> closed) override { env_.flush.post(std::move(closed)); }

 private:
  Env& env_;
  const std::vector<EpochStart> epochs_;
  LogMetrics metrics_;
  Segments segments_;
  TailStore none_{0};  // nothing is kept in memory
  TailCache cache_{none_};
  LogReader reader_;
  const LogCut cut_;
  const std::optional<DurableMark> mark_;
  const WallTime last_time_;
};

}  // namespace

Result<std::shared_ptr<Log>> open_log_read_only(Env& env, const std::string& directory,
                                                std::optional<Incarnation> incarnation,
                                                const std::optional<LogCut>& cut) {
  VerifyLogOptions options;
  options.incarnation = incarnation;
  options.cut = cut;
  ASSIGN_OR_RETURN(LogLayout layout, read_layout(env.files, directory, options));
  // What stands behind the last readable segment is lost to whoever reads.
  std::shared_ptr<SegmentFile> last;
  Sequence beyond;
  while (!last && !layout.names.empty()) {
    auto opened =
        open_segment(env.files, directory, layout.names.back(), OpenMode::read, layout.incarnation, env.logger);
    if (opened) {
      last = std::move(*opened);
    } else if (opened.error() == StorageErrc::damaged) {
      layout.names.pop_back();
      beyond = Sequence(1);
    } else {
      return opened.error();
    }
  }
  if (!last) return make_error_code(StorageErrc::damaged);

  Segments::Start start;
  start.names = layout.names;
  start.active = last;
  ASSIGN_OR_RETURN(const std::uint64_t size, last->file->size());
  std::uint64_t end = std::min(last->header.bytes, size / kBlockBytes * kBlockBytes);
  if (cut && beyond == Sequence()) end = std::min(end, cut->end.value());
  SegmentScanner scanner(*last, ByteOffset(kSegmentHeaderBytes), ByteOffset(end), SegmentScanner::Depth::whole,
                         kReadBytes);
  LogCut now{
      layout.incarnation, last->header.epoch, std::max(last->header.log_start, layout.start), {}, layout.names, {}};
  Sequence expected = last->header.first;
  WallTime last_time = last->header.running_max;
  for (;;) {
    ASSIGN_OR_RETURN(const auto found, scanner.next());
    if (!found) break;
    const CommitHeader& h = found->header;
    if (h.first < expected) continue;
    start.entries.push_back({h.first, h.count, h.hash_mask, found->offset, h.running_max});
    expected = h.end();
    last_time = h.running_max;
  }
  start.end = now.end = scanner.position();
  now.last = Sequence(expected.value() - 1);
  return std::shared_ptr<Log>(
      std::make_shared<ReadOnlyLog>(env, directory, std::move(start), now, layout.mark, last_time));
}

}  // namespace tidemill
