// A view's definition, from any text: tokens, and the split into two statements.
#include "consumers/views/definition.h"
#include "consumers/views/sqlite.h"
#include "consumers/views/tokenizer.h"
#include "tests/fuzz/fuzz.h"

using namespace tidemill;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  views::configure_sqlite();
  const std::string_view sql = text_of(data, size);
  const auto tokens = views::tokenize(sql);
  if (const auto* all = std::get_if<0>(&tokens)) {
    std::size_t at = 0;
    for (const views::Token& token : *all) {
      CHECK(token.offset >= at && sql.substr(token.offset, token.text.size()) == token.text);
      at = token.offset + token.text.size();
      if (token.is_name()) (void)token.name();
    }
  }
  const auto made = views::split(sql, {});
  if (const auto* error = std::get_if<views::SqlError>(&made)) CHECK(!error->code.empty() && !error->message.empty());
  return 0;
}
