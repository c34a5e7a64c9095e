#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "consumers/views/decisions.h"
#include "engine/qualified_name.h"
#include "storage/base/ids.h"

namespace tidemill::views {

// The JSON of the system stream's events `view.created`, `view.altering`, `view.kept`, `view.dropped` and
// `view.decided` (docs/formats/system-stream.md). The tenant is written where it is not the default one.
struct ViewCreated {
  QualifiedName name;
  StreamId stream;
  std::string source;       // as it was given: the text, or builtin:NAME
  std::string sql;          // the text that counts, also where a later version ships another builtin
  Sequence from{1};         // it counts records from here on
  std::uint64_t built = 0;  // the sequence of the view.altering whose rows it has; 0: of this event
};
std::string encode_created(const ViewCreated& event);
std::optional<ViewCreated> decode_created(std::string_view json);
std::string encode_dropped(const QualifiedName& name);  // view.kept has the same
std::optional<QualifiedName> decode_dropped(std::string_view json);

struct ViewDecided {
  QualifiedName name;
  Decision decision;  // about each of them
  std::vector<Sequence> sequences;
};
std::string encode_decided(const ViewDecided& event);
std::optional<ViewDecided> decode_decided(std::string_view json);
std::string_view name_of(Decision::Kind kind);  // skip, redrive, edit
std::optional<Decision::Kind> decision_named(std::string_view name);

}  // namespace tidemill::views
