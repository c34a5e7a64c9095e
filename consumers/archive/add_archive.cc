#include "consumers/archive/archive.h"

namespace tidemill {

Result<void> add_archive(Groups& groups, Env& env, std::shared_ptr<Stream> stream, std::string directory) {
  const StreamDefinition& definition = stream->definition();
  LogReader reader = [log = stream->shared_log()](Sequence from, const ReadOptions& options) {
    return log->read(from, options);
  };
  const std::string name = stream->name() + ":archive";
  if (stream->shards().now().table->most_open() > kArchivedShardsMax) {
    std::shared_ptr<Consumer> lanes = make_lane_archive(env, std::move(directory), definition, std::move(reader));
    return groups.add(name, stream, std::move(lanes), Groups::WhenNotOpened::keep_trying);
  }
  std::shared_ptr<ShardedConsumer> shards = make_archive(env, std::move(directory), definition, std::move(reader),
                                                         [stream] { return stream->shards().now().table; });
  return groups.add(name, stream, std::move(shards), Groups::WhenNotOpened::keep_trying);
}

}  // namespace tidemill
