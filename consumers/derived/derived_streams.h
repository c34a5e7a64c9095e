#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "consumers/derived/maker.h"
#include "consumers/views/views.h"
#include "engine/engine.h"
#include "storage/seam/env.h"

namespace tidemill::derived {

// What a statement did.
struct StreamChange {
  enum class Did { created, exists, dropped, absent, explained };
  Did did = Did::created;
  std::string statement;  // CREATE STREAM, DROP STREAM, EXPLAIN
  std::string name;
  std::string source;                // of a derived one
  std::vector<std::string> columns;  // fields of its records; empty: those of the source
  std::string row_statement;         // what SQLite runs over the source's records; only explained
  std::vector<std::string> warnings;
  struct Trial {
    std::uint64_t records = 0;  // the last of the source that were looked at
    std::uint64_t made = 0;     // records of them
    std::uint64_t parked = 0;
    std::vector<std::string> sample;  // the first few that were made, JSON
  };
  std::optional<Trial> trial;
};

struct DerivedStatus {
  std::string source;
  SourcePosition position;
  std::vector<Parked> latest_parked;
};

// Streams whose records are made from another stream's by a statement. Keeps a group for each, from the moment that it
// is made; a stream's definition is the engine's. Any thread.
class DerivedStreams {
 public:
  // Before anybody else makes streams; must outlive the engine's last change. `views` may be nullptr.
  static std::unique_ptr<DerivedStreams> open(Env& env, Engine& engine, views::AllViews* views);
  virtual ~DerivedStreams() = default;

  // CREATE STREAM, DROP STREAM, and EXPLAIN of the first. nullopt: it is none of these. Blocks. `tenant`: whose streams
  // the names in it are.
  virtual std::optional<views::SqlResult<StreamChange>> run(const std::string& tenant, std::string_view sql) = 0;
  // Whether run() would change what streams there are. Does not block.
  static bool is_change(std::string_view sql);
  // nullopt: it is not derived.
  virtual std::optional<DerivedStatus> status(const Stream& stream) const = 0;
};

// The group's name: <source>:derived:<name>.
std::string group_name(const Stream& source, const Stream& derived);

}  // namespace tidemill::derived
