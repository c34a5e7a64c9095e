#pragma once

#include <boost/system/error_code.hpp>
#include <boost/system/result.hpp>
#include <utility>

namespace tidemill {

using ErrorCode = boost::system::error_code;

// What a call gives when the world may misbehave: a value, or the error code that says why there is none.
// Boost's result under a name that may not be dropped without a warning. Each folder documents one error enum
// (storage/base/errors.h, engine/errors.h, ...), made convertible to ErrorCode by Boost's is_error_code_enum.
// Log path and offset where the error is born, once; callers pass the code on.
template <class T = void>
class [[nodiscard]] Result : public boost::system::result<T> {
 public:
  using boost::system::result<T>::result;
  // Also where T could be made of an error code (Result<bool>), which Boost then refuses to guess.
  Result(const ErrorCode& error) : boost::system::result<T>(boost::system::in_place_error, error) {}
};

}  // namespace tidemill

// For the long chains of "go on only if that worked". `lhs` may declare a variable.
#define TIDEMILL_CONCAT_(a, b) a##b
#define TIDEMILL_CONCAT(a, b) TIDEMILL_CONCAT_(a, b)
#define RETURN_IF_ERROR(expr)                                             \
  do {                                                                    \
    if (auto tm_result_ = (expr); !tm_result_) return tm_result_.error(); \
  } while (0)
#define ASSIGN_OR_RETURN_(tmp, lhs, expr) \
  auto tmp = (expr);                      \
  if (!tmp) return tmp.error();           \
  lhs = std::move(*tmp)
#define ASSIGN_OR_RETURN(lhs, expr) ASSIGN_OR_RETURN_(TIDEMILL_CONCAT(tm_value_, __LINE__), lhs, expr)
