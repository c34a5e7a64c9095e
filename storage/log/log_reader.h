#pragma once

#include "storage/log/log.h"
#include "storage/log/segments.h"
#include "storage/log/tail_cache.h"

namespace tidemill {

// Reads records: from the tail cache where it reaches, else from the segments. Has no state of its own; any number of
// calls at once.
class LogReader {
 public:
  LogReader(Segments& segments, TailCache& cache, LogMetrics& metrics)
      : segments_(segments), cache_(cache), metrics_(metrics) {}
  // `from` lies between the log's start and durable + 1.
  Result<RecordBatch> read(Sequence from, Sequence durable, const ReadOptions& options);

 private:
  struct Call;
  // Goes on in the segment where batch.next belongs, to its end or until the batch is full.
  Result<void> read_segment(Call& call);

  Segments& segments_;
  TailCache& cache_;
  LogMetrics& metrics_;
};

}  // namespace tidemill
