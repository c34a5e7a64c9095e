#include "engine/rejection.h"

namespace tidemill {

std::string_view rejection_name(Rejection code) {
  switch (code) {
    case Rejection::invalid_json:
      return "invalid_json";
    case Rejection::not_an_object:
      return "not_an_object";
    case Rejection::invalid_utf8:
      return "invalid_utf8";
    case Rejection::duplicate_name:
      return "duplicate_name";
    case Rejection::lone_surrogate:
      return "lone_surrogate";
    case Rejection::too_deep:
      return "too_deep";
    case Rejection::integer_out_of_range:
      return "integer_out_of_range";
    case Rejection::number_out_of_range:
      return "number_out_of_range";
    case Rejection::record_too_large:
      return "record_too_large";
    case Rejection::broken_array:
      return "broken_array";
    case Rejection::missing_partition_key:
      return "missing_partition_key";
    case Rejection::invalid_partition_key:
      return "invalid_partition_key";
    case Rejection::csv_too_many_fields:
      return "csv_too_many_fields";
    case Rejection::csv_too_few_fields:
      return "csv_too_few_fields";
    case Rejection::csv_bad_quote:
      return "csv_bad_quote";
    case Rejection::csv_invalid_value:
      return "csv_invalid_value";
  }
  return "unknown";
}

std::string_view rejection_message(Rejection code) {
  switch (code) {
    case Rejection::invalid_json:
      return "this is not JSON; check its quotes, commas and brackets";
    case Rejection::not_an_object:
      return "a record must be a JSON object, such as {\"name\":1}";
    case Rejection::invalid_utf8:
      return "the text is not valid UTF-8; convert it before sending";
    case Rejection::duplicate_name:
      return "a name occurs twice in one object; readers would disagree about its value, so send each name once";
    case Rejection::lone_surrogate:
      return "a \\u escape is half of a surrogate pair and stands for no character; send both halves or neither";
    case Rejection::too_deep:
      return "objects and arrays are nested more than 64 deep; flatten the record";
    case Rejection::integer_out_of_range:
      return "an integer does not fit 64 bits and would lose digits; send it as a string";
    case Rejection::number_out_of_range:
      return "a number is larger than a double can hold; send it as a string";
    case Rejection::record_too_large:
      return "the record is larger than this stream takes; split it or raise limits.record";
    case Rejection::broken_array:
      return "the array is not closed properly here; nothing from this index on was read, so send the rest again";
    case Rejection::missing_partition_key:
      return "no partition key: the stream's key field is missing, null or empty in this record, or the stream has "
             "none; "
             "set it, or name the key in the header Tidemill-Partition-Key";
    case Rejection::invalid_partition_key:
      return "the partition key must be a string, number or boolean of at most 256 characters";
    case Rejection::csv_too_many_fields:
      return "the row has more fields than the header; quote values that contain the delimiter";
    case Rejection::csv_too_few_fields:
      return "the row has fewer fields than the header; write missing values as empty fields";
    case Rejection::csv_bad_quote:
      return "a quoted value does not end properly; double each quote inside it";
    case Rejection::csv_invalid_value:
      return "a value is not of the type that the stream declares for its column";
  }
  return "the record was refused by a later version of the server";
}

}  // namespace tidemill
