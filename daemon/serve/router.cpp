// SPDX-License-Identifier: Apache-2.0
#include "serve/router.hpp"

#include "serve/handlers.hpp"

namespace voxbus::serve {
namespace {

constexpr Route kRoutes[] = {
    {"GET", "/healthz", &answer_health, true},
    {"GET", "/readyz", &answer_ready, true},
    {"GET", "/v1/schemas", &list_schemas, true},
    {"GET", "/v1/schemas/{}", &show_schema, true},
    {"GET", "/v1/status", &show_status},
    {"GET", "/v1/plugins", &list_plugins},
    {"GET", "/v1/channels/{}", &show_channel},
    {"GET", "/v1/stream", &stream_events},
    {"GET", "/v1/events", &pull_events},
    {"GET", "/v1/events/{}", &show_event},
    {"GET", "/v1/events/{}/raw", &show_evidence},
    {"GET", "/v1/events/{}/files/{}", &show_file},
    {"GET", "/v1/quarantine", &list_quarantine},
    {"POST", "/v1/quarantine/{}/replay", &replay_quarantined},
    {"GET", "/v1/consumers", &list_consumers},
    {"PUT", "/v1/consumers/{}", &put_consumer},
    {"GET", "/v1/consumers/{}", &show_consumer},
    {"DELETE", "/v1/consumers/{}", &delete_consumer},
    {"POST", "/v1/consumers/{}/fetch", &fetch_events},
    {"POST", "/v1/consumers/{}/ack", &acknowledge},
    {"GET", "/v1/consumers/{}/parked", &list_parked},
    {"POST", "/v1/consumers/{}/parked/redeliver", &redeliver_parked},
};

bool matches(std::string_view pattern, const Target& target) {
  for (const auto& segment : target.path) {
    if (!pattern.starts_with('/')) return false;
    pattern.remove_prefix(1);
    const auto part = pattern.substr(0, pattern.find('/'));
    if (part != "{}" && part != segment) return false;
    pattern.remove_prefix(part.size());
  }
  return pattern.empty();
}

}  // namespace

std::span<const Route> routes() { return kRoutes; }

Router::Found Router::find(std::string_view method, const Target& target) const {
  Found found;
  const auto wanted = method == "HEAD" ? std::string_view("GET") : method;
  for (const auto& route : all_) {
    if (!matches(route.pattern, target)) continue;
    const bool streams = std::holds_alternative<StreamHandler>(route.handler);
    if (route.method == wanted && !(streams && method == "HEAD")) return {&route, {}};
    found.allowed += (found.allowed.empty() ? "" : ", ") + std::string(route.method);
    if (route.method == "GET" && !streams) found.allowed += ", HEAD";
  }
  return found;
}

}  // namespace voxbus::serve
