#pragma once

#include <cstdint>
#include <string_view>

namespace tidemill {

// Why a record was not taken. The numbers are stored in commits (RejectedRecord::code, for the answer to a retry):
// never change or reuse one. Names and messages depend on the number alone, so that a replayed answer is the same.
enum class Rejection : std::uint16_t {
  invalid_json = 1,
  not_an_object = 2,
  invalid_utf8 = 3,
  duplicate_name = 4,
  lone_surrogate = 5,
  too_deep = 6,
  integer_out_of_range = 7,    // beyond 64 bits
  number_out_of_range = 8,     // beyond a double
  record_too_large = 9,        // after white space was removed
  broken_array = 10,           // the array itself ends badly; nothing after the record before this index was read
  missing_partition_key = 11,  // no such field, or null, or empty
  invalid_partition_key = 12,  // an object, an array, or longer than 256 characters

  // CSV rows.
  csv_too_many_fields = 32,
  csv_too_few_fields = 33,
  csv_bad_quote = 34,      // text after a closing quote, or a quote that never closes
  csv_invalid_value = 35,  // not of the type that the stream declares for the column
};

// Stable, for answers, metrics and docs/errors.md: "duplicate_name". "unknown" for a number that is none of ours.
std::string_view rejection_name(Rejection code);
// A sentence for the producer: what is wrong and what to do.
std::string_view rejection_message(Rejection code);

}  // namespace tidemill
