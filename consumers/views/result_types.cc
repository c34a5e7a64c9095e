#include "consumers/views/result_types.h"

#include <algorithm>

#include "consumers/views/words.h"

namespace tidemill::views {

std::string ResultTypes::of(const Parts& parts) const {
  return infer_type(parts, [this](const Part& part) -> std::string {
    if (part.kind == Part::Kind::lookup) {
      for (const Column& c : lookups_[part.index].columns)
        if (c.name == part.text) return c.type == "json" ? "text" : c.type;  // as SQL sees it
    }
    const std::string& field = part.text;
    if (field == "_sequence" || field == "_shard") return "integer";
    if (field == "_time" || field == "_key") return "text";
    if (field == "data") return "json";
    auto it = fields_.find(field);
    if (it == fields_.end()) return "any";
    return it->second == FieldType::integer ? "integer" : (it->second == FieldType::number ? "real" : "text");
  });
}

std::string ResultTypes::of(const AggregateDraft& aggregate) const {
  if (aggregate.function == "count" || aggregate.function == "approx_count_distinct") return "integer";
  if (aggregate.function == "avg" || !aggregate_state(aggregate.function).empty()) return "real";
  if (gives_json(aggregate)) return "json";
  std::string type = of(aggregate.arguments[0]);
  if (aggregate.function == "sum") return type == "integer" ? "integer" : "real";
  return type == "json" ? "text" : type;  // min, last, arg_max and their kin keep JSON as the text it is
}

bool always_text(const Parts& parts) {
  return infer_type(parts, [](const Part& part) -> std::string {
           const bool text = part.kind == Part::Kind::column && (part.text == "_time" || part.text == "_key");
           return text ? "text" : "any";
         }) == "text";
}

bool always_text(const AggregateDraft& aggregate) {
  static constexpr std::string_view kOneOfThem[] = {"min", "max", "first", "last", "arg_min", "arg_max"};
  return std::find(std::begin(kOneOfThem), std::end(kOneOfThem), aggregate.function) != std::end(kOneOfThem) &&
         always_text(aggregate.arguments[0]);
}

bool gives_json(const AggregateDraft& aggregate) {
  return aggregate.function == "collect" || aggregate.function == "map";
}

}  // namespace tidemill::views
