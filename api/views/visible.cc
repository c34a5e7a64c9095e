#include "api/errors/problem.h"
#include "api/views/rows_json.h"
#include "api/views/view_routes.h"
#include "storage/seam/clock.h"

namespace tidemill {

void ViewRoutes::when_visible(Call& call, http::Responder responder, std::vector<std::string> names,
                              std::string stream_name, Then then) {
  const auto refuse = [&](ErrorId id, std::string_view detail = {}) { responder.send(problem(id, detail)); };
  if (context_.draining.load()) return refuse(ErrorId::draining);
  const auto wait = wait_of(call.query);
  if (!wait) return refuse(ErrorId::invalid_parameter, kWaitSentence);
  const OwnViews views = context_.views_of(*call.who);
  std::shared_ptr<Stream> stream;
  Position position;
  if (const auto after = call.query.get("after")) {
    const auto token = Token::decode(*after);
    if (!token) return refuse(ErrorId::invalid_token);
    stream = context_.stream_of(*call.who, *token);
    if (!stream) return refuse(ErrorId::token_gone);
    if (!stream_name.empty() && stream->name() != stream_name) {
      const bool known = call.who->may(Action::see, Thing::stream, stream->name());
      return refuse(ErrorId::invalid_token, "The token is of " +
                                                (known ? "stream " + stream->name() : "another stream") +
                                                ", the view reads " + stream_name + ".");
    }
    const auto resolved = context_.engine.resolve(*stream, *token);
    if (!resolved) return refuse(error_id(resolved.error()));
    position = *resolved;
    if (stream_name.empty()) names = views->reading(stream->name());
  }
  const MonotonicTime until = context_.env.clock.monotonic() + *wait;
  http::Loop& loop = responder.loop();
  auto shared = std::make_shared<http::Responder>(std::move(responder));
  Then reached = std::move(then);
  if (stream) {
    reached = [this, &loop, views, names, position, until, then = std::move(reached)](http::Responder r) {
      auto held = std::make_shared<http::Responder>(std::move(r));
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - context_.env.clock.monotonic());
      context_.waits.until_applied(loop, views, names, position, std::max(left, std::chrono::milliseconds(0)),
                                   [this, held, views, names, then](bool visible) {
                                     if (visible) return then(std::move(*held));
                                     if (context_.draining.load()) return held->send(problem(ErrorId::draining));
                                     // Of the view that is least far, which may have to be read from disk.
                                     on_worker(context_, std::move(*held), [views, names](http::Responder r) {
                                       std::optional<views::AsOf> least;
                                       for (const auto& name : names) {
                                         const auto at = views->as_of(name);
                                         if (at && *at && (!least || (*at)->position < least->position)) least = **at;
                                       }
                                       std::string members(",\"as_of\":");
                                       append_as_of(members, least.value_or(views::AsOf{}));
                                       r.send(problem(ErrorId::not_yet_visible, {}, members));
                                     });
                                   });
    };
  }
  when_ready(std::move(shared), views, names, until, std::move(reached));
}

// A row once shown is never shown older: after a start a view is not read until it is again where it was.
void ViewRoutes::when_ready(std::shared_ptr<http::Responder> responder, OwnViews views, std::vector<std::string> names,
                            MonotonicTime until, Then then) {
  bool ready = names.empty() ? views->ready() : true;
  for (const auto& name : names) {
    const auto info = views->find(name);
    if (info && !info->ready) ready = false;
  }
  if (ready) return then(std::move(*responder));
  if (context_.draining.load()) return responder->send(problem(ErrorId::draining));
  if (context_.env.clock.monotonic() >= until) return responder->send(problem(ErrorId::view_not_ready));
  http::Loop& loop = responder->loop();
  loop.post_after(std::chrono::milliseconds(10),
                  [this, responder = std::move(responder), views = std::move(views), names = std::move(names), until,
                   then = std::move(then)] { when_ready(responder, views, names, until, then); });
}

}  // namespace tidemill
