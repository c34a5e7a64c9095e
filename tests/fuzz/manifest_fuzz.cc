// The archive's manifest, lines given their right checksums, or as the bytes are.
#include "consumers/archive/manifest.h"
#include "storage/base/hash.h"
#include "storage/base/text.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/sim_env.h"

using namespace tidemill;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const bool right = data[0] % 4 != 0;
  std::string text(text_of(data + 1, size - 1));
  const std::uint64_t salt = 0x1122334455667788;
  if (right) {
    std::string sealed;
    const std::string header = "0 tidemill-archive-manifest 1 7 a " + to_hex(salt);
    sealed += to_hex(xxh3(header, 0)) + " " + header + "\n";
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = std::min(text.find('\n', at), text.size());
      const std::string line = text.substr(at, end - at);
      sealed += to_hex(xxh3(line, salt)) + " " + line + "\n";
      if (const auto decoded = archive::decode(
              std::string_view(sealed).substr(sealed.size() - line.size() - 18, line.size() + 17), salt)) {
        const std::string again = archive::encode(decoded->number, decoded->line, salt);
        CHECK(archive::decode(std::string_view(again).substr(0, again.size() - 1), salt)->line == decoded->line);
      }
      at = end + 1;
    }
    text = sealed;
  }
  SimEnv sim(1);
  CHECK(sim.files.create_directory("/a"));
  {
    auto file = sim.files.open("/a/manifest", OpenMode::create);
    CHECK(file && (*file)->write_at(ByteOffset(0), std::as_bytes(std::span(text))));
  }
  StreamDefinition definition;
  definition.id = StreamId(7);
  definition.name = "a";
  auto opened = archive::Manifest::open(sim.env, "/a", definition, {{"s0000", kSequenceMax}, {"s0001", kSequenceMax}});
  if (!opened || !opened->manifest) return 0;
  CHECK(opened->manifest->append(archive::SeenLine{"s0000", Sequence(99)}));
  // What was appended is there, whatever stood before it.
  auto again = archive::Manifest::open(sim.env, "/a", definition, {{"s0000", kSequenceMax}, {"s0001", kSequenceMax}});
  CHECK(again && again->manifest);
  CHECK(again->manifest->found("s0000").through >= Sequence(99));
  return 0;
}
