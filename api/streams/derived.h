#pragma once

#include <string_view>

#include "api/context.h"
#include "api/http/message.h"
#include "engine/json/writer.h"

namespace tidemill {

// CREATE STREAM ... AS SELECT and DROP STREAM, and EXPLAIN of them: the answer. nullopt: `sql` is none of these.
// `who`: whose streams it names. Blocks.
std::optional<http::Response> answer_stream_statement(ApiContext& context, const Principal& who, std::string_view sql);
// The member `derived` of a stream: what it is made of, or null.
void write_derived(JsonWriter& json, const ApiContext& context, const Stream& stream);

}  // namespace tidemill
