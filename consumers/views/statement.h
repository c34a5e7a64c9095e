#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "consumers/views/tokenizer.h"

namespace tidemill::views {

struct OptionText {
  std::string text;  // without quotes
  std::size_t at = 0;
  bool operator==(const OptionText& other) const { return text == other.text; }
};
// When rows go, as WITH says it (expiry_options.h).
struct ExpiryText {
  std::optional<OptionText> ttl, window, size, retention;
  bool operator==(const ExpiryText&) const = default;
};

// What stands in front of a definition's SELECT:
//   CREATE [OR REPLACE] MATERIALIZED VIEW [IF NOT EXISTS] name [WITH (from = ..., ttl = ..., lineage = false)] AS
//   SELECT ALTER [MATERIALIZED] VIEW [IF EXISTS] name [WITH (...)] AS SELECT ... CREATE STREAM [IF NOT EXISTS] name
//   [WITH (from = ..., shards = ...)] AS SELECT ...
// or nothing. And the statements that have no SELECT: DROP [MATERIALIZED] VIEW [IF EXISTS] name, and DROP STREAM.
struct StatementHead {
  enum class Kind { select, create, alter, drop, create_stream, drop_stream };
  Kind kind = Kind::select;
  bool or_replace = false;
  bool if_exists = false;
  bool if_not_exists = false;
  std::string name;  // of the view or stream; empty for a bare SELECT
  std::string from;  // of WITH (from = ...), without quotes; empty: not said
  ExpiryText expiry;
  std::optional<bool> lineage;  // of WITH (lineage = ...)
  std::uint32_t shards = 0;     // of WITH (shards = ...); 0: not said
  std::size_t name_at = 0;      // offset of the name
  std::size_t name_end = 0;
  std::size_t body = 0;  // index of the token behind it
};

// Refuses what is none of them, with the place and what to write instead. A head without a name is a bare SELECT's.
SqlResult<StatementHead> read_head(std::string_view sql, std::span<const Token> tokens);

// What a text sent to the SQL door is about.
enum class StatementKind {
  question,        // for the executor, which refuses what does not only read
  change,          // CREATE ... VIEW, ALTER VIEW, DROP VIEW: changes what views there are
  stream,          // CREATE STREAM, DROP STREAM, and EXPLAIN of one
  explain,         // EXPLAIN CREATE ..., EXPLAIN ALTER ...: how a definition is kept up
  explain_select,  // EXPLAIN SELECT ...: of a definition if it reads a stream, else of a question
};
struct StatementText {
  StatementKind kind = StatementKind::question;
  std::string_view sql;    // without EXPLAIN, white space around and the semicolon
  std::string stream;      // explain_select: what stands behind its FROM
  bool explained = false;  // stream: behind EXPLAIN
  // Makes, alters or drops a view or stream.
  bool changes() const { return kind == StatementKind::change || (kind == StatementKind::stream && !explained); }
};
// Longer ones are refused before anybody looks into them.
inline constexpr std::size_t kStatementBytesMax = 100'000;
inline constexpr char kStatementTooLong[] = "The statement is longer than 100,000 bytes.";
// Never fails: what cannot be read is a question, and the executor says what is wrong with it.
StatementText look_at(std::string_view sql);

// Whether two definitions have the same SELECT: white space, comments and what stands in front make no other view.
bool same_select(std::string_view a, std::string_view b);

// The CREATE statement that makes the view which this ALTER or CREATE OR REPLACE makes: what is kept as its text.
std::string as_create(std::string_view sql, const StatementHead& head);

}  // namespace tidemill::views
