#pragma once

#include <span>
#include <string>
#include <vector>

#include "consumers/views/views.h"

namespace tidemill {

enum class SqlShape { json, ndjson, csv };

// A result as text: what stands before the rows, rows as they come, what stands after them.
class SqlWriter {
 public:
  // `point`: nullptr where the result is of the views as they are.
  SqlWriter(SqlShape shape, std::vector<views::Column> columns, const views::AsOf& as_of,
            const views::KeptPoint* point = nullptr);

  // Why the result cannot be written in this shape; empty: it can.
  const std::string& refusal() const { return refusal_; }
  void begin(std::string& out) const;
  void row(std::string& out, const views::Row& row);
  void end(std::string& out, bool truncated) const;

  std::string_view content_type() const;
  // Header lines with what the shape has no place for.
  std::string headers() const;

 private:
  SqlShape shape_;
  std::vector<views::Column> columns_;
  std::string as_of_;
  std::string point_;  // JSON; empty: none
  std::string refusal_;
  bool any_ = false;  // rows
};

}  // namespace tidemill
