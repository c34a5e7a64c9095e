#include "tools/cli/limits/local_limits.h"

#include <nlohmann/json.hpp>

#include "engine/json/writer.h"
#include "tools/cli/limits/limit_rows.h"
#include "tools/cli/limits/limit_words.h"
#include "tools/cli/output.h"
#include "tools/cli/remote.h"

namespace tidemill::cli {
namespace {

using Json = nlohmann::ordered_json;

// Holds the directory's lock as long as it lives.
struct Local {
  std::unique_ptr<LocalKeys> keys;
  std::unique_ptr<Limiter> limiter;
  ~Local() {
    if (limiter) limiter->close();
    limiter.reset();  // before what it works on
  }
};

// false: it has been said what is wrong.
bool open(const LimitsOptions& options, const char* command, Local& local) {
  std::string error;
  local.keys = LocalKeys::open(options.data, LocalKeys::Missing::refuse, error);
  if (!local.keys) return wrong_use(command, error), false;
  // Quotas are read from the usage by the server that enforces them.
  auto limiter = Limiter::open(local.keys->env(), local.keys->engine().system(), {local.keys->background()});
  if (!limiter) {
    wrong_use(command, "the limits in " + options.data + " cannot be read: " + limiter.error().message());
    return false;
  }
  local.limiter = std::move(*limiter);
  return true;
}

bool open(const LimitsOptions& options, const char* command, const LimitOwner& owner, Local& local) {
  if (!open(options, command, local)) return false;
  if (!owner.key || local.keys->keys().find(*owner.key)) return true;
  wrong_use(command, "there is no key '" + options.key + "' in " + options.data +
                         "; `tidemill keys list --data DIR` shows them");
  return false;
}

Json json_of(const LimitSet* limits) {
  std::string text;
  JsonWriter json(text);
  write_limits(json, limits ? *limits : LimitSet());
  return Json::parse(text);
}

Json owner_row(const LimitOwner& owner, const LimitSet* limits) {
  Json row;
  owner.key ? row["key"] = to_text(*owner.key) : row["tenant"] = owner.tenant;
  row["limits"] = json_of(limits);
  return row;
}

int say(const Local& local, const LimitOwner& owner) {
  return say_limits(Json::array({owner_row(owner, local.limiter->find(owner).get())}), false);
}

}  // namespace

int limits_set_local(const LimitsOptions& options, const LimitOwner& owner) {
  Local local;
  if (!open(options, "limits set", owner, local)) return kWrongUse;
  // What is not said stays as it is.
  Json limits = json_of(local.limiter->find(owner).get());
  if (const std::string wrong = change_limits(options, limits); !wrong.empty()) return wrong_use("limits set", wrong);
  const auto parsed = parse_limits(limits.dump(), !owner.key);
  if (const auto* wrong = std::get_if<std::string>(&parsed)) return wrong_use("limits set", *wrong);
  const auto& wanted = std::get<LimitSet>(parsed);
  const auto done = wanted.empty() ? local.limiter->remove(owner, {}) : local.limiter->set(owner, wanted, {});
  if (!done) return wrong_use("limits set", "the limits were not set: " + done.error().message());
  return say(local, owner);
}

int limits_show_local(const LimitsOptions& options, const LimitOwner& owner) {
  Local local;
  return open(options, "limits show", owner, local) ? say(local, owner) : kWrongUse;
}

int limits_list_local(const LimitsOptions& options) {
  Local local;
  if (!open(options, "limits list", local)) return kWrongUse;
  Json owners = Json::array();
  for (const auto& [tenant, limits] : local.limiter->tenants())
    owners.push_back(owner_row({std::nullopt, tenant}, limits.get()));
  for (const auto& [key, limits] : local.limiter->keys(std::nullopt, ~std::size_t{0}))
    owners.push_back(owner_row({key, {}}, limits.get()));
  return say_limits(owners, false);
}

int limits_remove_local(const LimitsOptions& options, const LimitOwner& owner) {
  Local local;
  if (!open(options, "limits remove", owner, local)) return kWrongUse;
  if (const auto done = local.limiter->remove(owner, {}); !done)
    return wrong_use("limits remove", "the limits were not removed: " + done.error().message());
  print("no limits\n");
  return kOk;
}

}  // namespace tidemill::cli
