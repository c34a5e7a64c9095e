// Positions and tokens that clients hold.
#include "engine/position.h"
#include "tests/fuzz/fuzz.h"

using namespace tidemill;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = text_of(data, size);
  if (const auto position = Position::decode(text)) CHECK(Position::decode(position->encode()) == *position);
  if (const auto token = Token::decode(text)) {
    const auto again = Token::decode(token->encode());
    CHECK(again && again->stream == token->stream && again->incarnation == token->incarnation &&
          again->epoch == token->epoch && again->position == token->position);
  }
  if (size < 28) return 0;
  const auto bytes = bytes_of(data, size);
  const Token made{StreamId(number_at<std::uint64_t>(bytes, 0)), Incarnation(number_at<std::uint64_t>(bytes, 8)),
                   Epoch(number_at<std::uint32_t>(bytes, 16)),
                   Position::through(Sequence(number_at<std::uint64_t>(bytes, 20)))};
  const auto back = Token::decode(made.encode());
  CHECK(back && back->stream == made.stream && back->position == made.position);
  return 0;
}
