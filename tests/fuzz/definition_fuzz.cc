// Definitions of streams as they lie in the system stream.
#include "engine/definition.h"
#include "tests/fuzz/fuzz.h"

using namespace tidemill;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = text_of(data, size);
  (void)decode_id(text);
  const auto first = decode_definition(text);
  if (!first) return 0;
  (void)valid_shards(first->definition.shards);
  const std::string written = encode_definition(first->definition, first->incarnation);
  const auto second = decode_definition(written);
  CHECK(second);
  CHECK(encode_definition(second->definition, second->incarnation) == written);
  return 0;
}
