// SPDX-License-Identifier: Apache-2.0
// Errors as RFC 9457 documents: application/problem+json with type urn:voxbus:problem:<slug>,
// title, status, detail and what a program may need beside. Pure, any thread.
#pragma once

#include <string>
#include <string_view>

#include "base/json.hpp"
#include "bus/feed.hpp"
#include "bus/refusal.hpp"
#include "serve/http.hpp"

namespace voxbus::serve {

enum class Slug {
  bad_request,
  unauthorised,
  forbidden,
  not_found,
  method_not_allowed,
  not_acceptable,
  timeout,
  conflict,
  gone,
  too_large,
  header_too_large,
  unsupported_media,
  too_many,
  internal,
  not_implemented,
  unavailable,
};

[[nodiscard]] Answer problem(Slug slug, std::string_view detail, const json::object& further = {});
// 400 with the member "parameter".
[[nodiscard]] Answer bad_parameter(std::string_view parameter, std::string_view detail);
// 410 with the oldest sequence that is still held.
[[nodiscard]] Answer gone(const bus::Feed& feed);
[[nodiscard]] Answer problem(const bus::Refusal& refusal, const bus::Feed& feed);
// A failure of our own: 503 when waiting may help, else 500.
[[nodiscard]] Answer problem(const Error& error);

}  // namespace voxbus::serve
