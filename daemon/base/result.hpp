// SPDX-License-Identifier: Apache-2.0
// What a call that may fail gives back. An Error says in one sentence which act on which object
// failed, and whether waiting may help. Values, not exceptions, carry input, network, plugin and
// disk failures; any thread.
#pragma once

#include <boost/assert/source_location.hpp>
#include <boost/system/result.hpp>
#include <stdexcept>
#include <string>
#include <system_error>

namespace voxbus {

struct Error {
  enum class Kind {
    retry,      // may succeed later by itself: a busy server, a full disk
    permanent,  // stays until a person changes something
  };
  Kind kind = Kind::permanent;
  std::string message;  // "cannot open /x: permission denied", no full stop, never a secret
};

[[nodiscard]] inline Error retry(std::string message) {
  return {Error::Kind::retry, std::move(message)};
}
[[nodiscard]] inline Error permanent(std::string message) {
  return {Error::Kind::permanent, std::move(message)};
}
// "cannot ACT: strerror(code)"; interrupted, exhausted and full conditions are worth a retry.
[[nodiscard]] Error system_error(std::string_view act, int code);

// Reading the value of a failed result is a broken invariant; Boost asks for this by name.
[[noreturn]] inline void throw_exception_from_error(const Error& error,
                                                    const boost::source_location&) {
  throw std::runtime_error(error.message);
}

template<class T>
class [[nodiscard]] Result : public boost::system::result<T, Error> {
 public:
  using boost::system::result<T, Error>::result;
};

using Status = Result<void>;

}  // namespace voxbus

// Returns the error of `expression` from the enclosing function, else gives `name` its value.
#define VOXBUS_TRY(name, expression)                           \
  auto name##_result = (expression);                           \
  if (!name##_result) return std::move(name##_result).error(); \
  auto name = std::move(*name##_result)

#define VOXBUS_CHECK(expression)                                       \
  do {                                                                 \
    if (auto status_ = (expression); !status_) return status_.error(); \
  } while (false)
