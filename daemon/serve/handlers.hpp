// SPDX-License-Identifier: Apache-2.0
// All handlers of the API, grouped by the file that has them; what each does is in the API's
// document. Which thread runs them says router.hpp.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <memory>

#include <optional>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "bus/filter.hpp"
#include "serve/http.hpp"

namespace voxbus::serve {

struct Core;
class Session;

// status_routes.cpp
[[nodiscard]] boost::asio::awaitable<Answer> answer_health(Core& core, Request request);
[[nodiscard]] Answer answer_ready(Core& core, const Request& request);
[[nodiscard]] Answer list_schemas(Core& core, const Request& request);
[[nodiscard]] Answer show_schema(Core& core, const Request& request);
[[nodiscard]] Answer show_status(Core& core, const Request& request);
[[nodiscard]] Answer list_plugins(Core& core, const Request& request);
[[nodiscard]] Answer show_channel(Core& core, const Request& request);

// event_routes.cpp
[[nodiscard]] boost::asio::awaitable<Answer> pull_events(Core& core, Request request);
[[nodiscard]] Answer show_event(Core& core, const Request& request);
[[nodiscard]] Answer show_evidence(Core& core, const Request& request);
[[nodiscard]] boost::asio::awaitable<Answer> show_file(Core& core, Request request);

// quarantine.cpp
[[nodiscard]] Answer list_quarantine(Core& core, const Request& request);
[[nodiscard]] boost::asio::awaitable<Answer> replay_quarantined(Core& core, Request request);

// stream.cpp
[[nodiscard]] boost::asio::awaitable<void> stream_events(std::shared_ptr<Session> session,
                                                         Request request);

// consumer_routes.cpp
[[nodiscard]] Answer list_consumers(Core& core, const Request& request);
[[nodiscard]] Answer put_consumer(Core& core, const Request& request);
[[nodiscard]] Answer show_consumer(Core& core, const Request& request);
[[nodiscard]] Answer delete_consumer(Core& core, const Request& request);
[[nodiscard]] Answer acknowledge(Core& core, const Request& request);
[[nodiscard]] Answer list_parked(Core& core, const Request& request);
[[nodiscard]] Answer redeliver_parked(Core& core, const Request& request);

// fetch.cpp
[[nodiscard]] boost::asio::awaitable<Answer> fetch_events(Core& core, Request request);

// --- what several of them need: parameters.cpp ---
// Everything but the filter's parameters must be among `others`, each of which may be given once.
// The refusal names the parameter.
struct FilterParameters {
  bus::Filter filter;
  std::optional<Answer> refusal;
};
[[nodiscard]] FilterParameters read_filter(const Request& request,
                                           std::initializer_list<std::string_view> others);
// 400 when one of them is given more than once.
[[nodiscard]] std::optional<Answer> refuse_doubled(const Request& request,
                                                   std::initializer_list<std::string_view> names);
// The body as a JSON object, or 400 or 415.
struct JsonBody {
  json::object object;
  std::optional<Answer> refusal;
};
[[nodiscard]] JsonBody read_json(const Request& request);
// A list of sequences under `member`.
struct SequenceList {
  std::vector<model::Sequence> sequences;
  std::optional<Answer> refusal;
};
[[nodiscard]] SequenceList read_sequences(const json::object& body, std::string_view member);

}  // namespace voxbus::serve
