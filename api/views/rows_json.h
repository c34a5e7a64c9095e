#pragma once

#include <string>

#include "consumers/views/views.h"

namespace tidemill {

void append_value(std::string& out, const views::Value& value);  // JSON
void append_row_object(std::string& out, const std::vector<views::Column>& columns, const views::Row& row);
void append_row_array(std::string& out, const views::Row& row);
void append_csv_field(std::string& out, std::string_view text);
void append_csv_value(std::string& out, const views::Value& value);
void append_as_of(std::string& out, const views::AsOf& as_of);  // {"sequence","time","token"}

}  // namespace tidemill
