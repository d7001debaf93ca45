// SPDX-License-Identifier: Apache-2.0
//
// What a function of a plugin comes to: a value, or an Error that says whether trying again can
// help. Values only, no thread of their own; the standard library and nothing else.
#ifndef VOXBUS_RESULT_HPP
#define VOXBUS_RESULT_HPP

#include <chrono>
#include <exception>
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace voxbus {

// Why something failed, in words for an administrator: the object, the act and the remedy
// ("cannot open /var/log/calls.csv: permission denied"), never a secret or a customer's words.
struct [[nodiscard]] Error {
  enum class Kind {
    kRetry,     // may succeed later by itself: the host waits and calls again
    kPermanent  // stays so until a person changes something
  };
  Kind kind = Kind::kRetry;
  std::string message;
  std::chrono::milliseconds retry_after{0};  // the earliest sensible next try, 0 when unknown

  static Error retry(std::string message, std::chrono::milliseconds after = {}) {
    return {Kind::kRetry, std::move(message), after};
  }
  static Error permanent(std::string message) { return {Kind::kPermanent, std::move(message), {}}; }

  bool is_permanent() const { return kind == Kind::kPermanent; }
};

// An Error as an exception, for constructors and for code that would rather throw.
class Failure : public std::exception {
 public:
  explicit Failure(Error error) : error_{std::move(error)} {}
  const char* what() const noexcept override { return error_.message.c_str(); }
  const Error& error() const { return error_; }

 private:
  Error error_;
};

template<class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_{std::in_place_index<0>, std::move(value)} {}
  Result(Error error) : state_{std::in_place_index<1>, std::move(error)} {}

  bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }

  // The value; without one its Error is thrown as a Failure.
  T& value() & { return check(), std::get<0>(state_); }
  const T& value() const& { return check(), std::get<0>(state_); }
  T&& value() && { return check(), std::get<0>(std::move(state_)); }

  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  // Only when there is no value.
  const Error& error() const { return std::get<1>(state_); }

 private:
  void check() const {
    if (const auto* error = std::get_if<1>(&state_)) throw Failure{*error};
  }
  std::variant<T, Error> state_;
};

template<>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_{std::move(error)} {}

  bool has_value() const { return !error_; }
  explicit operator bool() const { return has_value(); }
  void value() const {
    if (error_) throw Failure{*error_};
  }
  const Error& error() const { return error_.value(); }

 private:
  std::optional<Error> error_;
};

}  // namespace voxbus

#endif  // VOXBUS_RESULT_HPP
