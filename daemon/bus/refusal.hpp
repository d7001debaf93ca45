// SPDX-License-Identifier: Apache-2.0
// Why the bus does not do what a consumer asks: a cause that a program can act on, and a sentence
// for its author. Plain values, any thread.
#pragma once

#include <boost/system/result.hpp>
#include <stdexcept>
#include <string>

#include "base/result.hpp"

namespace voxbus::bus {

struct Refusal {
  enum class Cause {
    invalid,      // the request makes no sense; `parameter` names the member
    not_found,    //
    conflict,     // it contradicts what is there
    gone,         // below retention
    too_many,     //
    unavailable,  // our own trouble: disk, journal
  };
  Cause cause = Cause::unavailable;
  std::string detail;
  std::string parameter;
};

[[noreturn]] inline void throw_exception_from_error(const Refusal& refusal,
                                                    const boost::source_location&) {
  throw std::runtime_error(refusal.detail);
}

template<class T>
class [[nodiscard]] Outcome : public boost::system::result<T, Refusal> {
 public:
  using boost::system::result<T, Refusal>::result;
};

[[nodiscard]] inline Refusal refuse(Refusal::Cause cause, std::string detail,
                                    std::string parameter = {}) {
  return {cause, std::move(detail), std::move(parameter)};
}
[[nodiscard]] inline Refusal unavailable(const Error& error) {
  return {Refusal::Cause::unavailable, error.message, {}};
}

}  // namespace voxbus::bus
