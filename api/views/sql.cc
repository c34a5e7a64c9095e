#include <array>

#include "api/errors/problem.h"
#include "api/json_input.h"
#include "api/media_type.h"
#include "api/streams/derived.h"
#include "api/views/change.h"
#include "api/views/sql_stream.h"
#include "api/views/view_routes.h"
#include "consumers/views/viewer.h"

namespace tidemill {
namespace {

constexpr std::size_t kPiece = 256 << 10;
constexpr std::size_t kRows = 1'000;  // of one step

// All of it in memory, for its length and its end are told at the beginning. A row of pieces, each paid for: one string
// would be copied as it grows, and held twice.
http::Response gather(views::QueryCursor& cursor, SqlWriter& writer, std::uint64_t bytes_max,
                      const http::Responder& responder) {
  http::Response response;
  response.content_type = writer.content_type();
  std::uint64_t made = 0;  // bytes in the pieces
  bool truncated = false;
  std::string out;
  writer.begin(out);
  for (;;) {
    const auto next = cursor.next(kRows);
    if (const auto* error = std::get_if<views::SqlError>(&next)) return sql_problem(*error);
    const auto rows = std::get<0>(next);
    if (rows.empty()) break;
    for (const views::Row& row : rows) {
      const std::size_t before = out.size();
      writer.row(out, row);
      if (made + out.size() > bytes_max) {
        out.resize(before);
        truncated = true;
        break;
      }
      if (out.size() < kPiece) continue;
      auto held = responder.reserve(out.size());
      if (!held) {
        response = {};  // before the answer is out: the next question may need it
        return problem(ErrorId::throttled, "Large answers under way take all the memory there is.");
      }
      made += out.size();
      out.shrink_to_fit();
      response.pieces.push_back({std::move(out), std::move(*held)});
      out = {};
      out.reserve(kPiece + kPiece / 8);
    }
    if (truncated) break;
  }
  writer.end(out, truncated || cursor.truncated());
  (response.pieces.empty() ? response.body : response.pieces.emplace_back().bytes) = std::move(out);
  return response;
}

// Whatever is wrong with the statement itself, an unknown view too, is one code.
ErrorId id_of(const views::SqlError& error) {
  if (error.code == "cancelled") return ErrorId::draining;
  const ErrorId id = error_id(error.code);
  const bool of_its_own = error.code == "internal" || id == ErrorId::query_timeout || id == ErrorId::damaged ||
                          id == ErrorId::invalid_parameter || id == ErrorId::not_read_only || id == ErrorId::at_ahead ||
                          id == ErrorId::history_gone || id == ErrorId::not_supported || id == ErrorId::throttled;
  return of_its_own ? id : ErrorId::invalid_sql;
}

}  // namespace

http::Response sql_problem(const views::SqlError& error) {
  return problem(id_of(error), error.message);
}

// To a statement that makes, changes, drops or explains a view: JSON, whatever was asked for.
static http::Response statement_answer(const views::SqlResult<views::StatementResult>& done) {
  if (const auto* error = std::get_if<views::SqlError>(&done)) return problem(error_id(error->code), error->message);
  http::Response response;
  response.content_type = kJson;
  JsonWriter json(response.body);
  write_statement(json, std::get<views::StatementResult>(done));
  response.body.push_back('\n');
  return response;
}

void ViewRoutes::sql(Call& call, http::Responder responder) {
  const OwnViews views = context_.views_of(*call.who);
  if (!views) return responder.send(problem(ErrorId::invalid_sql, "This server has no views."));
  static constexpr std::array<std::string_view, 3> kOffered{kJson, kNdjson, "text/csv"};
  const std::string_view type = negotiate(call.request, kOffered);
  if (type.empty()) {
    return responder.send(problem(ErrorId::not_acceptable, "This path gives " + std::string(call.route.gives) + "."));
  }
  const SqlShape shape = type == kOffered[0] ? SqlShape::json : type == kOffered[1] ? SqlShape::ndjson : SqlShape::csv;
  auto input = parse_sql_input(call.request.body);
  if (const auto* error = std::get_if<InputError>(&input)) {
    return responder.send(problem(ErrorId::invalid_body, error->message));
  }
  auto& asked = std::get<SqlInput>(input);
  if (const auto at = call.query.get("at")) {
    if (asked.at) return responder.send(problem(ErrorId::invalid_parameter, "`at` is given twice: once is enough."));
    asked.at = parse_at(*at);
    if (!asked.at) return responder.send(problem(ErrorId::invalid_parameter, kAtSentence));
  }
  // Before anybody looks into it.
  if (asked.sql.size() > views::kStatementBytesMax)
    return responder.send(problem(ErrorId::invalid_sql, views::kStatementTooLong));
  // Told apart before anything runs: who may only read may not change.
  const views::StatementText text = views::look_at(asked.sql);
  if (text.changes()) {
    if (context_.draining.load()) return responder.send(problem(ErrorId::draining));
    if (!asked.params.empty()) {
      return responder.send(problem(ErrorId::invalid_parameter, "A definition has no parameters: write the value."));
    }
    if (asked.at)
      return responder.send(
          problem(ErrorId::invalid_parameter, "`at` is for questions: what is defined now, is defined now."));
  }
  bool question = false;  // whatever the statement says
  if (auto refusal = refuse_touches(call, text, question)) return responder.send(std::move(*refusal));
  when_visible(
      call, std::move(responder), {}, {},
      [this, shape, question, views, who = call.who, in = std::get<SqlInput>(std::move(input))](http::Responder ready) {
        in_turn(context_.questions, who->tenant, std::move(ready),
                [this, shape, question, views, who, in](http::Responder r) {
                  if (!question && !in.at) {
                    if (auto done = answer_stream_statement(context_, *who, in.sql)) return r.send(std::move(*done));
                    if (const auto done = views->run(in.sql)) return r.send(statement_answer(*done));
                  }
                  answer_sql(*views, in, shape, *who, std::move(r));
                });
      });
}

// What a statement would touch is held against the key before anybody looks whether it is there.
std::optional<http::Response> ViewRoutes::refuse_touches(const Call& call, const views::StatementText& text,
                                                         bool& question) const {
  const Principal& who = *call.who;
  if (who.everything) return std::nullopt;
  // EXPLAIN SELECT ... FROM name, which may be a stream's (then it is explained as a definition) or a view's.
  if (const std::string& source = text.stream; !source.empty()) {
    // To a key that may not read the stream, or where there is none, it is a question about a view of that name.
    question = !who.may(Action::read, Thing::stream, source) || !context_.stream_of(who, source);
    if (question) return std::nullopt;
  }
  return refuse_touches(call, views::touches(text));
}

std::optional<http::Response> ViewRoutes::refuse_touches(const Call& call,
                                                         const std::vector<views::Touch>& touches) const {
  for (const views::Touch& touch : touches)
    if (!call.who->may(touch.action, touch.thing, touch.name))
      return forbid(context_, call, scope_text(touch.thing, touch.action, touch.name));
  if (call.route.changes()) return std::nullopt;  // the router has counted and noted it
  for (const views::Touch& touch : touches) {     // a statement that makes, alters or drops
    if (touch.action != Action::admin) continue;
    if (auto refusal = LimitGate(context_.limiter).change(*call.who, call.key, call.limited)) return refusal;
    if (!context_.audit || !call.key) continue;
    AuditRequest asked = audit_request(call);
    asked.name = touch.name;
    context_.audit->asked(asked);
  }
  return std::nullopt;
}

void ViewRoutes::answer_sql(views::Views& views, const SqlInput& in, SqlShape shape, const Principal& who,
                            http::Responder r) {
  views::QueryLimits limits = context_.limits()->sql;
  const auto bytes_max = limits.bytes_max;
  auto client = std::make_shared<SqlClient>();
  client->tenant = who.tenant;
  client->responder = std::move(r);
  http::Responder& responder = client->responder;
  limits.cancelled = [client] { return client->gone(); };
  if (shape != SqlShape::json) {
    limits.whole = true;
    limits.rows_max = limits.bytes_max = ~0ull;
  }
  const auto ask = [&] {
    return in.at ? views.query_at(in.sql, in.params, limits, *in.at) : views.query(in.sql, in.params, limits);
  };
  const auto query = [&] {
    if (who.everything) return ask();
    const views::Viewer viewer([&](std::string_view view) { return who.may(Action::query, Thing::view, view); });
    return ask();
  };
  auto started = query();
  if (const auto* error = std::get_if<views::SqlError>(&started)) return responder.send(sql_problem(*error));
  auto& cursor = std::get<0>(started);
  SqlWriter writer(shape, cursor->columns(), cursor->as_of(), cursor->point());
  if (!writer.refusal().empty()) {
    cursor.reset();
    return responder.send(problem(ErrorId::invalid_sql, writer.refusal()));
  }
  if (shape == SqlShape::json) {
    auto response = gather(*cursor, writer, bytes_max, responder);
    cursor.reset();  // its snapshot is not held for the client
    return responder.send(std::move(response));
  }
  std::make_shared<SqlStream>(context_, std::move(client), std::move(cursor), std::move(writer), sql_streams_)->work();
}

}  // namespace tidemill
