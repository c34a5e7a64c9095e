#include "consumers/views/text_functions.h"

#include <sqlite3.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "consumers/views/pattern.h"
#include "consumers/views/sql_account.h"
#include "consumers/views/sqlite_cell.h"

namespace tidemill::views {
namespace {

constexpr std::uint64_t kStepsMax = 1u << 25;           // of one call: some tens of milliseconds
constexpr std::uint64_t kPatchProductMax = 1ull << 32;  // bytes times bytes; SQLite compares members, not bytes
constexpr std::uint64_t kPatchMembersMax = 10'000;      // of the patch: a tenth of a second

// False: the statement's time is over, and the function has failed.
bool may_go_on(sqlite3_context* context, std::uint64_t steps) {
  SqlAccount* const account = SqlAccount::here();
  if (account == nullptr || account->worked(steps)) return true;
  sqlite3_result_error_code(context, SQLITE_INTERRUPT);
  return false;
}

void too_long(sqlite3_context* context, const std::string& function) {
  const std::string message = function + "(): what it is given is too long";
  sqlite3_result_error(context, message.data(), static_cast<int>(message.size()));
}

std::string_view bytes_of(sqlite3_value* value) {
  const auto* data = static_cast<const char*>(sqlite3_value_blob(value));
  const auto size = static_cast<std::size_t>(sqlite3_value_bytes(value));
  return data == nullptr ? std::string_view() : std::string_view(data, size);
}

// As text; also of a BLOB. data() is nullptr for NULL.
std::string_view text_of(sqlite3_value* value) {
  const auto* data = reinterpret_cast<const char*>(sqlite3_value_text(value));
  if (data == nullptr) return {};
  return {data, static_cast<std::size_t>(sqlite3_value_bytes(value))};
}

std::size_t find_bytes(std::string_view text, std::string_view what) {
  // memmem's time is linear, std::string_view::find's is not.
  const void* const at = ::memmem(text.data(), text.size(), what.data(), what.size());
  return at == nullptr ? text.npos : static_cast<std::size_t>(static_cast<const char*>(at) - text.data());
}

bool continues(char c) {
  return (static_cast<unsigned char>(c) & 0xc0) == 0x80;
}

void instr_function(sqlite3_context* context, int, sqlite3_value** args) {
  const int of_text = sqlite3_value_type(args[0]);
  const int of_what = sqlite3_value_type(args[1]);
  if (of_text == SQLITE_NULL || of_what == SQLITE_NULL) return;
  const bool blobs = of_text == SQLITE_BLOB && of_what == SQLITE_BLOB;
  const std::string_view text = bytes_of(args[0]);
  const std::string_view what = bytes_of(args[1]);
  if (!may_go_on(context, text.size() + what.size())) return;
  if (what.empty()) return sqlite3_result_int(context, 1);
  if (what.size() > text.size()) return sqlite3_result_int(context, 0);
  if (!blobs && continues(what.front())) {
    // In text, SQLite looks at the beginning of each character only, and at the first byte.
    return sqlite3_result_int(context, text.starts_with(what) ? 1 : 0);
  }
  const std::size_t at = find_bytes(text, what);
  if (at == text.npos) return sqlite3_result_int(context, 0);
  if (blobs || at == 0) return sqlite3_result_int64(context, static_cast<sqlite3_int64>(at) + 1);
  const auto inside = std::count_if(text.begin() + 1, text.begin() + static_cast<std::ptrdiff_t>(at) + 1, continues);
  sqlite3_result_int64(context, static_cast<sqlite3_int64>(at) + 1 - inside);
}

void replace_function(sqlite3_context* context, int, sqlite3_value** args) {
  std::string_view text = text_of(args[0]);
  if (text.data() == nullptr) return;
  const std::string_view what = text_of(args[1]);
  if (what.data() == nullptr) return;
  if (what.data()[0] == 0) return sqlite3_result_value(context, args[0]);
  const std::string_view with = text_of(args[2]);
  if (with.data() == nullptr) return;
  if (!may_go_on(context, text.size() + what.size() + with.size())) return;
  const int most = sqlite3_limit(sqlite3_context_db_handle(context), SQLITE_LIMIT_LENGTH, -1);
  sqlite3_str* const out = sqlite3_str_new(nullptr);  // SQLite's memory, so that the account knows of it
  const auto append = [out](std::string_view part) {
    sqlite3_str_append(out, part.data(), static_cast<int>(part.size()));
  };
  while (what.size() <= text.size() && sqlite3_str_errcode(out) == SQLITE_OK && sqlite3_str_length(out) <= most) {
    const std::size_t at = find_bytes(text, what);
    if (at == text.npos) break;
    append(text.substr(0, at));
    append(with);
    text.remove_prefix(at + what.size());
  }
  append(text);
  const int error = sqlite3_str_errcode(out);
  const auto size = static_cast<std::size_t>(sqlite3_str_length(out));
  char* const made = sqlite3_str_finish(out);  // nullptr of what is empty, too
  if (error != SQLITE_OK) return sqlite3_result_error_code(context, error);
  if (!may_go_on(context, size)) return sqlite3_free(made);
  sqlite3_result_text64(context, made != nullptr ? made : "", size, made != nullptr ? sqlite3_free : SQLITE_STATIC,
                        SQLITE_UTF8);
}

enum Sides { kLeft = 1, kRight = 2 };

// trim(text, set): the set's characters in its order, the first that fits is taken away, as SQLite has it.
template <int sides>
void trim_function(sqlite3_context* context, int, sqlite3_value** args) {
  constexpr const char* kName = sides == kLeft ? "ltrim" : sides == kRight ? "rtrim" : "trim";
  if (sqlite3_value_type(args[0]) == SQLITE_NULL) return;
  std::string_view text = text_of(args[0]);
  const std::string_view given = text_of(args[1]);
  if (text.data() == nullptr || given.data() == nullptr) return;
  const std::string_view set(given.data());  // to the first zero byte
  std::uint64_t steps = set.size();
  // How long the character is that fits. They are told apart anew each time: a list of them takes many times the memory
  // of the set, and nobody's account would know of it.
  const auto fits = [&](auto&& stands) -> std::size_t {
    for (std::size_t at = 0; at < set.size() && steps <= kStepsMax;) {
      std::size_t end = at + 1;
      if (static_cast<unsigned char>(set[at]) >= 0xc0)
        while (end < set.size() && continues(set[end])) ++end;
      steps += end - at;
      if (stands(set.substr(at, end - at))) return end - at;
      at = end;
    }
    return 0;
  };
  if ((sides & kLeft) != 0)
    while (const std::size_t n = fits([&](std::string_view c) { return text.starts_with(c); })) text.remove_prefix(n);
  if ((sides & kRight) != 0)
    while (const std::size_t n = fits([&](std::string_view c) { return text.ends_with(c); })) text.remove_suffix(n);
  if (steps > kStepsMax) return too_long(context, kName);
  if (!may_go_on(context, steps + text.size())) return;
  sqlite3_result_text64(context, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
}

template <Patterns kind>
void pattern_function(sqlite3_context* context, int n, sqlite3_value** args) {
  constexpr const char* kTooComplex = "LIKE or GLOB pattern too complex";  // SQLite's words
  // As Debian builds SQLite: no BLOB is like anything.
  if (sqlite3_value_type(args[0]) == SQLITE_BLOB || sqlite3_value_type(args[1]) == SQLITE_BLOB)
    return sqlite3_result_int(context, 0);
  const int most = sqlite3_limit(sqlite3_context_db_handle(context), SQLITE_LIMIT_LIKE_PATTERN_LENGTH, -1);
  if (sqlite3_value_bytes(args[0]) > most) return sqlite3_result_error(context, kTooComplex, -1);
  std::uint32_t escape = 0;
  if (n == 3) {
    const unsigned char* at = sqlite3_value_text(args[2]);
    if (at == nullptr) return;
    escape = read_character(at);
    const unsigned char* behind = at;
    if (escape == 0 || read_character(behind) != 0)
      return sqlite3_result_error(context, "ESCAPE expression must be a single character", -1);
  }
  const unsigned char* const pattern = sqlite3_value_text(args[0]);
  const unsigned char* const text = sqlite3_value_text(args[1]);
  if (pattern == nullptr || text == nullptr) return;
  const PatternResult result = match_pattern(kind, pattern, text, escape, kStepsMax);
  if (!may_go_on(context, result.steps)) return;
  if (result.too_long) return sqlite3_result_error(context, kTooComplex, -1);
  sqlite3_result_int(context, result.matches ? 1 : 0);
}

// SQLite's own json_patch, which a connection that has ours cannot call any more: on one of its own, made when needed.
class JsonPatch {
 public:
  ~JsonPatch() {
    sqlite3_finalize(statement_);
    sqlite3_close_v2(db_);
  }
  void run(sqlite3_context* context, sqlite3_value** args) {
    if (statement_ == nullptr && !open()) return sqlite3_result_error_nomem(context);
    sqlite3_bind_value(statement_, 1, args[0]);
    sqlite3_bind_value(statement_, 2, args[1]);
    if (sqlite3_step(statement_) == SQLITE_ROW) {
      sqlite3_result_value(context, sqlite3_column_value(statement_, 0));
      if (sqlite3_column_type(statement_, 0) == SQLITE_TEXT) sqlite3_result_subtype(context, kJsonSubtype);
      sqlite3_reset(statement_);
    } else {
      sqlite3_result_error(context, sqlite3_errmsg(db_), -1);
      sqlite3_reset(statement_);
    }
    sqlite3_clear_bindings(statement_);
  }

 private:
  bool open() {
    constexpr int kFlags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    if (db_ == nullptr && sqlite3_open_v2(":memory:", &db_, kFlags, nullptr) != SQLITE_OK) {
      sqlite3_close_v2(db_);
      db_ = nullptr;
      return false;
    }
    return sqlite3_prepare_v3(db_, "SELECT json_patch(?, ?)", -1, SQLITE_PREPARE_PERSISTENT, &statement_, nullptr) ==
           SQLITE_OK;
  }
  sqlite3* db_ = nullptr;
  sqlite3_stmt* statement_ = nullptr;
};

// No JSON has more members than colons behind a quotation mark.
std::uint64_t members_most(std::string_view json) {
  std::uint64_t members = 0;
  char before = 0;
  for (const char c : json) {
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r') continue;
    members += c == ':' && before == '"';
    before = c;
  }
  return members;
}

void json_patch_function(sqlite3_context* context, int, sqlite3_value** args) {
  const auto product = static_cast<std::uint64_t>(sqlite3_value_bytes(args[0])) *
                       static_cast<std::uint64_t>(sqlite3_value_bytes(args[1]));
  // SQLite compares each member of the patch with each of the target, and for each that the target does not have it
  // goes through the whole patch once more.
  const std::uint64_t members = members_most(bytes_of(args[1]));
  if (product > kPatchProductMax || members > kPatchMembersMax) return too_long(context, "json_patch");
  if (!may_go_on(context, product / 16 + members * members)) return;
  static_cast<JsonPatch*>(sqlite3_user_data(context))->run(context, args);
}

}  // namespace

int register_text_functions(sqlite3* db) {
  constexpr int kFlags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS;
  struct {
    const char* name;
    int arguments;
    void (*function)(sqlite3_context*, int, sqlite3_value**);
  } const table[] = {{"instr", 2, instr_function},
                     {"replace", 3, replace_function},
                     {"trim", 2, trim_function<kLeft | kRight>},
                     {"ltrim", 2, trim_function<kLeft>},
                     {"rtrim", 2, trim_function<kRight>},
                     {"like", 2, pattern_function<Patterns::like>},
                     {"like", 3, pattern_function<Patterns::like>},
                     {"glob", 2, pattern_function<Patterns::glob>}};
  for (const auto& f : table) {
    const int rc =
        sqlite3_create_function_v2(db, f.name, f.arguments, kFlags, nullptr, f.function, nullptr, nullptr, nullptr);
    if (rc != SQLITE_OK) return rc;
  }
  return sqlite3_create_function_v2(db, "json_patch", 2, kFlags, new JsonPatch, json_patch_function, nullptr, nullptr,
                                    [](void* patch) { delete static_cast<JsonPatch*>(patch); });
}

}  // namespace tidemill::views
