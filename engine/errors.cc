#include "engine/errors.h"

namespace tidemill {
namespace {

class EngineCategory final : public boost::system::error_category {
 public:
  const char* name() const noexcept override { return "tidemill.engine"; }
  std::string message(int code) const override {
    switch (static_cast<EngineErrc>(code)) {
      case EngineErrc::no_such_stream:
        return "no such stream";
      case EngineErrc::stream_exists:
        return "the stream exists";
      case EngineErrc::invalid_name:
        return "not a valid name";
      case EngineErrc::reserved_stream:
        return "the stream is the server's own";
      case EngineErrc::invalid_definition:
        return "not a valid definition";
      case EngineErrc::stream_in_use:
        return "other streams are derived from the stream";
      case EngineErrc::draining:
        return "the server is draining";
      case EngineErrc::unknown_token:
        return "the token is not of this log";
      case EngineErrc::no_such_group:
        return "no such group";
      case EngineErrc::group_exists:
        return "the group exists";
      case EngineErrc::no_such_shard:
        return "no such shard";
      case EngineErrc::shard_closed:
        return "the shard is closed";
      case EngineErrc::invalid_split:
        return "the shard cannot be split there";
      case EngineErrc::not_adjacent:
        return "the shards are not neighbours";
      case EngineErrc::too_many_shards:
        return "the stream has as many shards as it can have";
      case EngineErrc::archived_by_shard:
        return "an archive that files by shard can have no more shards";
      case EngineErrc::not_a_data_directory:
        return "the directory holds files that are not Tidemill's: choose an empty or a new one";
    }
    return "unknown engine error";
  }
};

}  // namespace

ErrorCode make_error_code(EngineErrc e) {
  static const EngineCategory category;
  return {static_cast<int>(e), category};
}

}  // namespace tidemill
