// SPDX-License-Identifier: Apache-2.0
// What follows the method in a request: path segments and parameters, decoded. Pure, any thread.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace voxbus::serve {

struct Parameter {
  std::string name, value;
};

struct Target {
  std::string authority;          // of absolute form: whom the request is for, whatever Host says
  std::vector<std::string> path;  // "/v1/events" is {"v1", "events"}
  std::vector<Parameter> parameters;

  // The value of the first parameter of that name; null when there is none.
  [[nodiscard]] const std::string* parameter(std::string_view name) const;
  // The first of `names` that is given more than once; null when none is.
  [[nodiscard]] const std::string* doubled(std::initializer_list<std::string_view> names) const;
};

// Origin form ("/v1/events?limit=5") or absolute form ("http://localhost/v1/events", RFC
// 9112 3.2.2; who names a user in it is refused, RFC 9110 4.2.4), at most 32 segments and 256
// parameters, percent-encoded UTF-8 without control characters. In values a plus sign is a space.
[[nodiscard]] Result<Target> parse_target(std::string_view text);

// For one segment or value: everything but letters, digits and -._~ is percent-encoded.
[[nodiscard]] std::string percent_encoded(std::string_view text);

}  // namespace voxbus::serve
