// CSV into JSON objects: the same whether the bytes come at once or in pieces, and what comes out is a record.
#include "engine/csv/objects.h"
#include "engine/json/record_parser.h"
#include "tests/fuzz/fuzz.h"

using namespace tidemill;

namespace {

struct Read {
  std::vector<std::string> said;
  std::vector<std::string> objects;
};

Read read(std::string_view all, std::size_t piece, csv::Encoding encoding) {
  Read out;
  csv::Dialect dialect;
  dialect.row_bytes_max = 300;
  dialect.fields_max = 20;
  csv::ObjectReader reader(dialect, encoding, {{"n", FieldType::integer}, {"x", FieldType::number}});
  std::string held;
  for (std::size_t come = 0;;) {
    const std::size_t take = std::min(piece, all.size() - come);
    held.append(all.substr(come, take));
    come += take;
    const bool last = come == all.size();
    std::string_view input = held;
    for (;;) {
      std::string object;
      const auto outcome = reader.next(input, last, object);
      if (outcome == csv::ObjectReader::Outcome::need_more) break;
      if (outcome == csv::ObjectReader::Outcome::object) out.objects.push_back(object);
      if (outcome == csv::ObjectReader::Outcome::rejected) {
        object = "rejected " + std::to_string(static_cast<int>(reader.error().code)) + " " + reader.error().message;
      }
      if (outcome == csv::ObjectReader::Outcome::end || outcome == csv::ObjectReader::Outcome::failed) {
        out.said.push_back(outcome == csv::ObjectReader::Outcome::end ? "end" : "failed " + reader.error().message);
        return out;
      }
      out.said.push_back(std::to_string(reader.row().line) + " " + object);
    }
    CHECK(!last);
    held.erase(0, held.size() - input.size());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const auto encoding = data[0] & 1 ? csv::Encoding::windows_1252 : csv::Encoding::utf8;
  const std::string_view text = text_of(data + 2, size - 2);
  const Read whole = read(text, text.size() + 1, encoding);
  CHECK(read(text, 1 + data[1] % 40, encoding).said == whole.said);
  static RecordParser parser;
  for (const std::string& object : whole.objects) {
    const auto refused = parser.check(object);
    CHECK(!refused || *refused == Rejection::duplicate_name);
  }
  csv::EncodingDetector detector;
  detector.add(text);
  (void)detector.result();
  return 0;
}
