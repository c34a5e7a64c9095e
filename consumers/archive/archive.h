#pragma once

#include <functional>
#include <memory>
#include <string>

#include "engine/consumer.h"
#include "engine/group.h"
#include "engine/stream.h"
#include "storage/log/log.h"
#include "storage/seam/env.h"

namespace tidemill {

// The built-in consumer that turns a stream into text files, one record a line, each in exactly one file:
//
//   DIRECTORY/YYYY/MM/DD/HH/<stream>-<unit>-<YYYYMMDDThhmmssZ>-<first sequence>.txt     (.part until complete)
//   DIRECTORY/manifest                                             (docs/formats/archive-manifest.md)
//
// A directory belongs to one stream's life: what a removed stream of the same name left there is moved aside, whole, to
// _<id>-<stream> beside it.
//
// A unit is a shard (s0003) or, in a stream that has had over 256 open ones, a lane: a sixteenth of the hash space
// (l03). A file is complete when it has reached definition.archive.size_bytes or its age, counted from its first
// record, whether more records come or not, or when the consumer is closed. The manifest is the checkpoint: a file's
// line is on disk after its bytes and before its name, and a file whose line is there and whose name is not is made
// again with the same bytes.
//
// Damage in the log (batch.lost) completes the open file, is noted in the manifest and passed.

// How a file is made again: Log::read.
using LogReader = std::function<Result<RecordBatch>(Sequence from, const ReadOptions& options)>;

// By shard: for streams that never had more than 256 open ones. `directory` is made when missing. All shards' consumers
// share the manifest and must go before the ShardedConsumer is closed. `shards` gives those of the moment; without it,
// they are the definition's for ever.
using ShardsNow = std::function<std::shared_ptr<const ShardTable>()>;
std::unique_ptr<ShardedConsumer> make_archive(Env& env, std::string directory, const StreamDefinition& definition,
                                              LogReader log, ShardsNow shards = {});
// For any stream: reads it whole and files by lane.
std::unique_ptr<Consumer> make_lane_archive(Env& env, std::string directory, const StreamDefinition& definition,
                                            LogReader log);
// Adds the group "<stream>:archive" with the one that fits. Blocks. An archive that cannot be opened (the disk is full,
// its manifest damaged) is tried again, with its error in the group's status: that is no error here.
Result<void> add_archive(Groups& groups, Env& env, std::shared_ptr<Stream> stream, std::string directory);

}  // namespace tidemill
