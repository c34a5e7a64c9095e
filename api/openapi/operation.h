#pragma once

#include <array>
#include <cstddef>
#include <initializer_list>
#include <span>
#include <string_view>

#include "api/errors/catalogue.h"

namespace tidemill {

// The problems that an operation can answer with, beside those that follow from its route (api/openapi/document.cc).
struct Problems {
  std::array<ErrorId, 32> list{};
  std::size_t count = 0;

  constexpr Problems() = default;
  constexpr Problems(std::initializer_list<ErrorId> ids) {  // NOLINT: written as {a, b}
    for (const ErrorId id : ids) list[count++] = id;
  }
  constexpr Problems operator+(const Problems& more) const {
    Problems all = *this;
    for (std::size_t i = 0; i < more.count; ++i) all.list[all.count++] = more.list[i];
    return all;
  }
  constexpr std::span<const ErrorId> ids() const { return {list.data(), count}; }
};

// What the route table does not say of an operation and the OpenAPI document needs. The schemas that it names are in
// api/openapi/schemas.
struct Operation {
  std::string_view label;    // the route's: operationId, and the label in metrics
  std::string_view tag;      // what it is listed under
  std::string_view summary;  // a line of plain text
  std::string_view body;     // schema of the body where it is JSON; empty: it takes none
  std::string_view answers;  // "200 Stream, 201 Stream"; a status alone has no JSON
  std::string_view headers;  // of the request, that it looks at: "Idempotency-Key, Last-Event-ID"
  Problems problems;
};

}  // namespace tidemill
