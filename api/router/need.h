#pragma once

#include <string>
#include <string_view>

#include "engine/keys/principal.h"

namespace tidemill {

// What a key must allow for a route. Made by name only, and a Route cannot be made without one: a route that nobody
// decided about does not compile.
class Need {
 public:
  // Anybody, also without a key.
  static constexpr Need nothing() { return {Kind::nothing, Thing::server, Action::see, {}}; }
  // Some key: what it is shown, or lets be done, the handler holds against its scopes.
  static constexpr Need some_key() { return {Kind::some_key, Thing::server, Action::see, {}}; }
  // The action on the stream or view that the path's first parameter names.
  static constexpr Need stream(Action action) { return {Kind::param, Thing::stream, action, {}}; }
  static constexpr Need view(Action action) { return {Kind::param, Thing::view, action, {}}; }
  static constexpr Need view(std::string_view name, Action action) { return {Kind::fixed, Thing::view, action, name}; }
  static constexpr Need server(Action action) { return {Kind::fixed, Thing::server, action, {}}; }
  static constexpr Need instance(Action action) { return {Kind::fixed, Thing::instance, action, {}}; }
  // server:admin, who is shown what is the tenant's own, or instance:read, who is shown all.
  static constexpr Need server_admin_or_instance_read() { return {Kind::either, Thing::server, Action::admin, {}}; }

  constexpr bool needs_key() const { return kind_ != Kind::nothing; }
  constexpr bool writes_records() const { return thing_ == Thing::stream && action_ == Action::write; }
  bool met_by(const Principal& who, std::string_view param) const {
    return kind_ == Kind::nothing || kind_ == Kind::some_key || who.may(action_, thing_, of(param)) ||
           (kind_ == Kind::either && who.may(Action::read, Thing::instance));
  }
  // For a sentence, the audit trail and the documents: a scope (stream:{stream}:write) where it is exactly one, else
  // words (any scope of the stream {stream}, or server:read).
  std::string text(std::string_view param) const;

  constexpr Thing thing() const { return thing_; }
  constexpr Action action() const { return action_; }
  constexpr bool names_a_thing() const { return kind_ == Kind::param || !name_.empty(); }
  constexpr bool is_one_scope() const {
    return kind_ == Kind::fixed || (kind_ == Kind::param && action_ != Action::see);
  }
  constexpr bool some() const { return kind_ == Kind::some_key; }

 private:
  enum class Kind : std::uint8_t { nothing, some_key, param, fixed, either };
  constexpr Need(Kind kind, Thing thing, Action action, std::string_view name)
      : kind_(kind), thing_(thing), action_(action), name_(name) {}
  constexpr std::string_view of(std::string_view param) const { return kind_ == Kind::param ? param : name_; }

  Kind kind_;
  Thing thing_;
  Action action_;
  std::string_view name_;
};

}  // namespace tidemill
