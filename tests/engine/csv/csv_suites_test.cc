// CSV files that others wrote to try out readers: https://github.com/max-mapper/csv-spectrum and the test data of
// frictionless-py. Neither is in the repository.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "engine/csv/objects.h"
#include "tests/support/test_data.h"

namespace tidemill::csv {
namespace {

std::string contents(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

struct Found {
  int rows = 0;
  int rejected = 0;
  bool readable = true;  // false: the encoding or the header is refused, and with it the file
  bool operator==(const Found&) const = default;
};

struct Read {
  Found found;
  nlohmann::json objects = nlohmann::json::array();
  bool sound = true;  // every object is JSON, and every refusal says why
};

// Reads the file in pieces, as `load` does: a reader that needs more gets what is left and `piece` bytes behind it.
Read read_all(const std::string& text, Encoding encoding, std::size_t piece) {
  Read read;
  ObjectReader reader({}, encoding, {});
  std::string_view input = std::string_view(text).substr(0, piece);
  std::size_t given = input.size();
  std::string object;
  for (;;) {
    object.clear();
    switch (reader.next(input, given == text.size(), object)) {
      case ObjectReader::Outcome::object: {
        ++read.found.rows;
        auto parsed = nlohmann::json::parse(object, nullptr, false);
        read.sound = read.sound && parsed.is_object();
        read.objects.push_back(std::move(parsed));
        break;
      }
      case ObjectReader::Outcome::rejected:
        ++read.found.rejected;
        read.sound = read.sound && object.empty() && !reader.error().message.empty();
        break;
      case ObjectReader::Outcome::failed:
        read.found.readable = false;
        read.sound = read.sound && !reader.error().message.empty();
        return read;
      case ObjectReader::Outcome::need_more: {
        if (given == text.size()) {
          read.sound = false;
          return read;
        }
        const std::size_t more = std::min(piece, text.size() - given);
        input = std::string_view(text).substr(given - input.size(), input.size() + more);
        given += more;
        break;
      }
      case ObjectReader::Outcome::end:
        read.sound = read.sound && input.empty();
        return read;
    }
  }
}

Read read_all(const std::string& text, std::size_t piece) {
  EncodingDetector detector;
  detector.add(text);
  const auto encoding = detector.result();
  if (encoding) return read_all(text, *encoding, piece);
  Read refused;
  refused.found.readable = false;
  return refused;
}

TEST(CsvSpectrum, EachFileGivesItsAnswer) {
  const auto folder = test_data("csv-spectrum");
  if (!folder) GTEST_SKIP() << "no csv-spectrum";
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(*folder + "/csvs")) {
    const std::string name = entry.path().stem().string();
    SCOPED_TRACE(name);
    auto wanted = nlohmann::json::parse(contents(*folder + "/json/" + name + ".json"), nullptr, false);
    if (wanted.is_object()) wanted = nlohmann::json::array({wanted});
    ASSERT_TRUE(wanted.is_array());
    // The suite's own slip: file and answer have different telephone numbers.
    if (name == "location_coordinates") wanted[0]["Contact Phone Number"] = "2095257564";
    for (auto& object : wanted) {
      for (auto& value : object) {
        if (value == "") value = nullptr;  // by our decision (engine/csv/objects.h)
      }
    }
    const std::string text = contents(entry.path());
    for (const std::size_t piece : {text.size(), std::size_t{1}, std::size_t{7}}) {
      const Read read = read_all(text, piece);
      EXPECT_TRUE(read.sound);
      EXPECT_EQ(read.objects, wanted);
    }
    ++files;
  }
  EXPECT_GE(files, 12);
}

// What is read of each file with the default dialect: rows, rows refused, and false where the whole file is.
const std::map<std::string, Found> kFrictionless{
    {"Table With Data.csv", {2, 0}},
    {"[table].csv", {2, 0}},
    {"accent.csv", {0, 2}},
    {"analysis-data.csv", {9, 0}},
    {"ascii-notvalid.csv", {1, 0}},
    {"ascii.csv", {1, 0}},
    {"blank-cells.csv", {5, 0}},
    {"blank-headers.csv", {0, 0, false}},
    {"blank-rows-multiple.csv", {13, 0}},
    {"blank-rows-no-fields.csv", {2, 0}},
    {"blank-rows.csv", {3, 0}},
    {"bom.csv", {2, 0}},
    {"capital-3.csv", {5, 0}},
    {"capital-invalid.csv", {0, 0, false}},
    {"capital-valid.csv", {5, 0}},
    {"capitals.csv", {5, 0}},
    {"chunk1.csv", {1, 0}},
    {"chunk2.csv", {1, 0}},
    {"chunk2.headless.csv", {0, 0}},
    {"chunk3.csv", {0, 0}},
    {"countries-cleaned.csv", {4, 0}},
    {"countries-truefalsevalues.csv", {2, 0}},
    {"countries.csv", {1, 5}},
    {"country-1.csv", {5, 0}},
    {"country-2.csv", {6, 0}},
    {"country-3.csv", {5, 0}},
    {"data.csv", {2, 0}},
    {"data2.csv", {3, 0}},
    {"defective-rows.csv", {0, 2}},
    {"delimiter.csv", {2, 0}},
    {"dialect.csv", {2, 0}},
    {"doublequote.csv", {5, 0}},
    {"duplicate-column.csv", {0, 0, false}},
    {"duplicate-headers.csv", {0, 0, false}},
    {"duplicate-rows.csv", {3, 0}},
    {"empty.csv", {0, 0, false}},
    {"encoding-issue-274.csv", {507, 0}},
    {"escaping.csv", {3, 0}},
    {"floats.csv", {5, 0}},
    {"invalid.csv", {0, 0, false}},
    {"issue-1004-data1.csv", {3, 2}},
    {"issue-1004-data2.csv", {0, 3}},
    {"issue-1009-comma.csv", {1, 0}},
    {"issue-1009-semicolon.csv", {1, 0}},
    {"issue-1066-largecellsize.csv", {19, 0}},
    {"issue-1066-largecellsizewithdeviation.csv", {19, 0}},
    {"issue-1066-smallcellsize.csv", {12, 0}},
    {"issue-1066-smallcellsizewithdeviation.csv", {12, 0}},
    {"issue-1100.csv", {2, 0}},
    {"issue-1105-timezone.csv", {2, 0}},
    {"issue-1109.csv", {3, 0}},
    {"issue-1138.csv", {0, 7}},
    {"issue-1232.csv", {5, 0}},
    {"issue-1341.csv", {99, 0}},
    {"issue-305.csv", {338, 0}},
    {"issue-493.csv", {9, 0}},
    {"issue-825.csv", {2, 0}},
    {"issue-833.csv", {3, 0}},
    {"issue-844.csv", {2, 0}},
    {"issue-991.csv", {1, 0}},
    {"latin1.csv", {2, 0}},
    {"leading-zeros.csv", {3, 0}},
    {"long.csv", {6, 0}},
    {"matrix-with-comment.csv", {0, 5}},
    {"matrix.csv", {4, 0}},
    {"nested-invalid.csv", {5, 0}},
    {"nested.csv", {4, 0}},
    {"numeric-labels.csv", {3, 0}},
    {"package-dialect-no-header.csv", {2, 0}},
    {"primary-file-types.csv", {2, 0}},
    {"schema-errors.csv", {3, 1}},
    {"skip-blank-at-the-end.csv", {1, 1}},
    {"skip-rows-before-headers.csv", {0, 3}},
    {"skip-rows.csv", {1, 3}},
    {"structure-errors.csv", {3, 1}},
    {"sync-schema.csv", {2, 0}},
    {"table-delimiter.csv", {2, 0}},
    {"table-infer-increase-limit.csv", {199, 0}},
    {"table-infer-iso-8859-7.csv", {4, 0}},
    {"table-infer-missing-values.csv", {7, 0}},
    {"table-infer-row-limit.csv", {11, 0}},
    {"table-infer-utf8.csv", {5, 0}},
    {"table-infer.csv", {4, 0}},
    {"table-limits.csv", {3, 0}},
    {"table-output.csv", {2, 0}},
    {"table-reverse.csv", {2, 0}},
    {"table-unicode-headers.csv", {2, 0}},
    {"table-with-accents.csv", {0, 638}},
    {"table.csv", {2, 0}},
    {"table_with_data.csv", {2, 0}},
    {"timezone-with-id.csv", {4, 0}},
    {"timezone.csv", {4, 0}},
    {"transform-groups.csv", {6, 0}},
    {"transform-pivot.csv", {12, 0}},
    {"transform.csv", {3, 0}},
    {"transpose.csv", {2, 0}},
    {"unique-field.csv", {9, 0}},
    {"vix.csv", {2, 0}},
    {"without-headers-extra.csv", {1, 1}},
    {"without-headers.csv", {2, 0}},
    {"without-rows.csv", {0, 0}},
    {"Таблица.csv", {2, 0}},
};

TEST(CsvFrictionless, EachFileIsReadToItsEnd) {
  const auto folder = test_data("csv-frictionless");
  if (!folder) GTEST_SKIP() << "no csv-frictionless";
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(*folder)) {
    if (entry.path().extension() != ".csv") continue;
    ++files;
    const std::string name = entry.path().filename().string();
    const std::string text = contents(entry.path());
    const Read whole = read_all(text, text.size());
    const Found& f = whole.found;
    EXPECT_TRUE(whole.sound) << name;
    const auto wanted = kFrictionless.find(name);
    const std::string line = "{\"" + name + "\", {" + std::to_string(f.rows) + ", " + std::to_string(f.rejected) +
                             (f.readable ? "" : ", false") + "}},";
    if (wanted == kFrictionless.end()) {
      ADD_FAILURE() << "not in the table: " << line;
      continue;
    }
    EXPECT_EQ(f, wanted->second) << line;
    // However it is cut.
    for (const std::size_t piece : {std::size_t{13}, std::size_t{4096}}) {
      const Read pieces = read_all(text, piece);
      EXPECT_TRUE(pieces.sound) << name;
      EXPECT_EQ(pieces.found, f) << name;
      EXPECT_EQ(pieces.objects, whole.objects) << name;
    }
  }
  EXPECT_EQ(files, kFrictionless.size());
}

}  // namespace
}  // namespace tidemill::csv
