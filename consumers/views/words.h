#pragma once

#include <string_view>

namespace tidemill::views {

// What the splitter knows about words. Lower case for functions, any case for keywords.
bool is_expression_keyword(std::string_view word);  // CASE, AND, NULL ...: neither a column nor a function
bool is_aggregate(std::string_view function);       // supported ones; min and max only with one argument
std::string_view aggregate_arguments(std::string_view function);  // as a sentence says them: "x", or "x, by"
// Calls of one kind of state over the same arguments need it only once: stddev and variance. Empty: it is its own.
std::string_view aggregate_state(std::string_view function);
// Aggregates that people try: what to write instead. Empty: not one of them.
std::string_view unsupported_aggregate(std::string_view function);
bool is_window_function(std::string_view function);
bool is_time_function(std::string_view function);    // date, time, datetime ...: allowed over timestamp(x) only
bool is_random_function(std::string_view function);  // gives something else each time
// Deterministic scalar functions that a definition may call.
bool is_scalar_function(std::string_view function);
// Result type of a scalar function; "any" if it depends.
std::string_view function_type(std::string_view function);
std::string_view nearest_function(std::string_view function);  // for "did you mean"; empty: none is near

}  // namespace tidemill::views
