#include "tools/cli/limits/limit_rows.h"

#include <nlohmann/json.hpp>
#include <string>

#include "tools/cli/commands.h"
#include "tools/cli/output.h"
#include "tools/cli/rows.h"

namespace tidemill::cli {
namespace {

using Json = nlohmann::ordered_json;

void add_rows(Json& rows, const Json& owner) {
  if (!owner.is_object()) return;
  const std::string of =
      owner.contains("key") ? "key " + owner.value("key", "") : "tenant " + owner.value("tenant", "");
  const Json limits = owner.value("limits", Json::object());
  const Json left = owner.value("left", Json::object());
  const auto row = [&](const std::string& what, const Json& most, const Json& rest) {
    rows.push_back({{"of", of}, {"limit", what}, {"most", most}, {"left", rest}});
  };
  for (const char* measure : {"requests", "records", "bytes"}) {
    const Json one = limits.value(measure, Json::object());
    const Json rest = left.value(measure, Json::object());
    const std::string name(measure);
    if (one.contains("per_second")) row(name + " a second", one["per_second"], Json());
    if (one.contains("burst")) row(name + " at once", one["burst"], rest.value("now", Json()));
    if (one.contains("per_day")) row(name + " a day", one["per_day"], rest.value("this_day", Json()));
    if (one.contains("per_month")) row(name + " a month", one["per_month"], rest.value("this_month", Json()));
  }
  for (const auto& [name, what] : {std::pair{"connections", "connections"}, std::pair{"streams", "streams"},
                                   std::pair{"disk_bytes", "bytes of disk"}})
    if (limits.contains(name)) row(what, limits[name], left.value(name, Json()));
}

}  // namespace

int say_limits(const Json& owners, bool with_left) {
  Json rows = Json::array();
  for (const Json& owner : owners) add_rows(rows, owner);
  if (!with_left)
    for (Json& row : rows) row.erase("left");
  print(rows.empty() ? "no limits\n" : table_of_objects(rows));
  return kOk;
}

}  // namespace tidemill::cli
