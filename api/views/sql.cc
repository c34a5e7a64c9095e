#include <array>
#include <set>

#include "api/errors/problem.h"
#include "api/json_input.h"
#include "api/media_type.h"
#include "api/views/rows_json.h"
#include "api/views/view_routes.h"
#include "engine/json/writer.h"

namespace tidemill {
namespace {

enum class Shape { json, ndjson, csv };

// Writes a result as it comes, and stops the query where the answer would grow beyond its limit.
class Writer final : public views::QuerySink {
 public:
  Writer(Shape shape, std::uint64_t bytes_max, const http::Responder& responder)
      : shape_(shape), bytes_max_(bytes_max), responder_(responder) {}

  bool columns(const std::vector<views::Column>& columns, const views::AsOf& as_of) override {
    columns_ = columns;
    append_as_of(as_of_, as_of);
    if (shape_ == Shape::ndjson) {
      // Of an object with one name twice most readers keep one value and say nothing.
      std::set<std::string_view> names;
      for (const auto& c : columns) {
        if (names.insert(c.name).second) continue;
        refusal_ = "Two columns have the name " + c.name + ": give one another with AS, or ask for JSON or CSV.";
        return false;
      }
    }
    if (shape_ == Shape::json) {
      out_.append("{\"columns\":[");
      for (std::size_t i = 0; i < columns.size(); ++i) {
        if (i != 0) out_.push_back(',');
        append_json_string(out_, columns[i].name);
      }
      out_.append("],\"rows\":[");
    } else if (shape_ == Shape::csv) {
      for (std::size_t i = 0; i < columns.size(); ++i) {
        if (i != 0) out_.push_back(',');
        append_csv_field(out_, columns[i].name);
      }
      out_.append("\r\n");
    }
    return true;
  }

  bool row(const views::Row& row) override {
    const std::size_t before = out_.size();
    switch (shape_) {
      case Shape::json:
        if (rows_ != 0) out_.push_back(',');
        append_row_array(out_, row);
        break;
      case Shape::ndjson:
        append_row_object(out_, columns_, row);
        out_.push_back('\n');
        break;
      case Shape::csv:
        for (std::size_t i = 0; i < row.size(); ++i) {
          if (i != 0) out_.push_back(',');
          append_csv_value(out_, row[i]);
        }
        out_.append("\r\n");
        break;
    }
    if (made_ + out_.size() > bytes_max_) {
      out_.resize(before);
      cut_ = true;
      return false;
    }
    ++rows_;
    return out_.size() < kPiece || put_by();
  }

  // There was no memory to go on.
  bool full() const { return full_; }
  void forget() { pieces_.clear(); }
  // Why the result cannot be written; empty: it can.
  const std::string& refusal() const { return refusal_; }

  http::Response finish(bool truncated) {
    truncated = truncated || cut_;
    http::Response response;
    if (shape_ == Shape::json) {
      response.content_type = kJson;
      out_.append("],\"as_of\":").append(as_of_.empty() ? "null" : as_of_);
      if (truncated) out_.append(",\"truncated\":true");
      out_.append("}\n");
    } else {
      response.content_type = shape_ == Shape::csv ? kCsv : kNdjson;
      if (!as_of_.empty()) response.add_header("Tidemill-As-Of", as_of_);
      if (truncated) response.add_header("Tidemill-Truncated", "true");
    }
    response.pieces = std::move(pieces_);
    (response.pieces.empty() ? response.body : response.pieces.emplace_back().bytes) = std::move(out_);
    return response;
  }

 private:
  static constexpr std::size_t kPiece = 256 << 10;

  // A large answer is a row of pieces, each paid for: one string would be copied as it grows, and held twice.
  bool put_by() {
    auto held = responder_.reserve(out_.size());
    if (!held) {
      full_ = true;
      return false;
    }
    made_ += out_.size();
    out_.shrink_to_fit();
    pieces_.push_back({std::move(out_), std::move(*held)});
    out_ = {};
    out_.reserve(kPiece + kPiece / 8);
    return true;
  }

  const Shape shape_;
  const std::uint64_t bytes_max_;
  const http::Responder& responder_;
  std::vector<http::Piece> pieces_;
  std::uint64_t made_ = 0;  // bytes in them
  bool full_ = false;
  std::vector<views::Column> columns_;
  std::string as_of_;
  std::string out_;
  std::string refusal_;
  std::uint64_t rows_ = 0;
  bool cut_ = false;
};

}  // namespace

void ViewRoutes::sql(Call& call, http::Responder responder) {
  if (!context_.views) return responder.send(problem(ErrorId::invalid_sql, "This server has no views."));
  static constexpr std::array<std::string_view, 3> kOffered{kJson, kNdjson, "text/csv"};
  const std::string_view type = negotiate(call.request, kOffered);
  if (type.empty()) {
    return responder.send(problem(ErrorId::not_acceptable, "This path gives " + std::string(call.route.gives) + "."));
  }
  const Shape shape = type == kOffered[0] ? Shape::json : type == kOffered[1] ? Shape::ndjson : Shape::csv;
  auto input = parse_sql_input(call.request.body);
  if (const auto* error = std::get_if<InputError>(&input)) {
    return responder.send(problem(ErrorId::invalid_body, error->message));
  }
  when_visible(
      call, std::move(responder), {}, {},
      [this, shape, in = std::get<SqlInput>(std::move(input))](http::Responder ready) {
        on_worker(context_, std::move(ready), [&context = context_, shape, in](http::Responder r) {
          const auto limits = context.limits();
          Writer writer(shape, limits->sql.bytes_max, r);
          const auto end = context.views->query(in.sql, in.params, limits->sql, writer);
          if (const auto* error = std::get_if<views::SqlError>(&end)) {
            // Whatever is wrong with the statement itself, an unknown view too, is one code.
            ErrorId id = error_id(error->code);
            if (error->code != "internal" && id != ErrorId::query_timeout && id != ErrorId::damaged &&
                id != ErrorId::invalid_parameter && id != ErrorId::not_read_only) {
              id = ErrorId::invalid_sql;
            }
            return r.send(problem(id, error->message));
          }
          if (writer.full()) {
            writer.forget();  // before the answer is out: the next question may need it
            return r.send(problem(ErrorId::throttled, "Large answers under way take all the memory there is."));
          }
          if (!writer.refusal().empty()) return r.send(problem(ErrorId::invalid_sql, writer.refusal()));
          r.send(writer.finish(std::get<views::QueryEnd>(end).truncated));
        });
      });
}

}  // namespace tidemill
