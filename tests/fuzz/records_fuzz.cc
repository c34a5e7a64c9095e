// JSON records out of a body. What is taken is taken again, and has nothing more to minify.
#include "engine/json/record_parser.h"
#include "tests/fuzz/fuzz.h"

using namespace tidemill;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  static RecordParser parser;
  const std::string body(text_of(data + 1, size - 1));
  ParseOptions options;
  options.key_field = "id";
  if (data[0] & 2) options.request_key = "k";
  options.record_bytes_max = data[0] & 4 ? 100 : 1 << 20;
  options.records_max = 50;
  ParsedBody out, again;
  if (!parser.parse(body, data[0] & 1 ? BodyFormat::json : BodyFormat::ndjson, options, out)) return 0;
  for (const NewRecord& r : out.records) {
    CHECK(!parser.check(r.data));
    CHECK(r.data.find('\n') == std::string_view::npos);
    const std::string text(r.data);
    CHECK(parser.parse(text, BodyFormat::json, options, again));
    CHECK(again.records.size() == 1 && again.records[0].data == text && again.records[0].key == r.key);
  }
  return 0;
}
