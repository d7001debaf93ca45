// SPDX-License-Identifier: Apache-2.0
// /v1/consumers, but for …/fetch.
#include <algorithm>

#include "base/text.hpp"
#include "base/units.hpp"
#include "serve/core.hpp"
#include "serve/handlers.hpp"
#include "serve/problem.hpp"

namespace voxbus::serve {
namespace {

constexpr std::size_t kMostParkedShown = 100;

Answer json_answer(const json::value& value, unsigned status = 200) {
  Answer answer;
  answer.status = status;
  answer.body = json::serialize(value) + "\n";
  return answer;
}

Answer settled_answer(Core& core, const bus::Outcome<bus::Settled>& settled) {
  if (!settled) return problem(settled.error(), core.feed);
  return json_answer(json::object{{"floor", model::format(settled->floor)},
                                  {"in_flight", settled->in_flight},
                                  {"passed_over", settled->passed_over}});
}

std::optional<Answer> refuse_unknown(const json::object& body,
                                     std::initializer_list<std::string_view> known) {
  for (const auto& [key, value] : body) {
    const std::string_view name(key.data(), key.size());
    if (std::find(known.begin(), known.end(), name) == known.end())
      return bad_parameter(name, "unknown member '" + std::string(name) + "'");
  }
  return std::nullopt;
}

// None of these routes has a parameter but `update` of PUT.
std::optional<Answer> refuse_parameters(const Request& request, std::string_view known = {}) {
  for (const auto& [name, value] : request.target.parameters) {
    if (known.empty() || name != known)
      return bad_parameter(utf8_prefix(name, 64),
                           "unknown parameter '" + utf8_repaired(utf8_prefix(name, 64)) + "'");
  }
  return std::nullopt;
}

}  // namespace

Answer list_consumers(Core& core, const Request& request) {
  if (auto refusal = refuse_parameters(request)) return std::move(*refusal);
  return json_answer(json::object{{"consumers", core.consumers.list()}});
}

Answer put_consumer(Core& core, const Request& request) {
  if (auto refusal = refuse_doubled(request, {"update"})) return std::move(*refusal);
  if (auto refusal = refuse_parameters(request, "update")) return std::move(*refusal);
  const auto* update = request.target.parameter("update");
  if (update && *update != "1" && *update != "0")
    return bad_parameter("update", "update: 0 or 1 is expected");
  const auto body = read_json(request);
  if (body.refusal) return *body.refusal;
  const auto wanted = bus::read_consumer_request(body.object);
  if (!wanted) return problem(wanted.error(), core.feed);
  auto put = core.consumers.put(request.segment(2), *wanted, update && *update == "1");
  if (!put) return problem(put.error(), core.feed);
  return json_answer(put->consumer, put->created ? 201 : 200);
}

Answer show_consumer(Core& core, const Request& request) {
  if (auto refusal = refuse_parameters(request)) return std::move(*refusal);
  auto shown = core.consumers.show(request.segment(2));
  if (!shown) return problem(shown.error(), core.feed);
  return json_answer(*shown);
}

Answer delete_consumer(Core& core, const Request& request) {
  if (auto refusal = refuse_parameters(request)) return std::move(*refusal);
  const auto removed = core.consumers.remove(request.segment(2));
  if (!removed) return problem(removed.error(), core.feed);
  Answer answer;
  answer.status = 204;
  return answer;
}

Answer acknowledge(Core& core, const Request& request) {
  if (auto refusal = refuse_parameters(request)) return std::move(*refusal);
  const auto body = read_json(request);
  if (body.refusal) return *body.refusal;
  if (auto unknown =
          refuse_unknown(body.object, {"sequences", "through", "nack", "delay", "release"}))
    return *unknown;
  const auto& name = request.segment(2);
  const bool sequences = body.object.contains("sequences"),
             through = body.object.contains("through"), nack = body.object.contains("nack"),
             release = body.object.contains("release");
  if (sequences + through + nack + release != 1) {
    return bad_parameter("sequences", "give one of 'sequences', 'through', 'nack' and 'release'");
  }
  if (body.object.contains("delay") && !nack)
    return bad_parameter("delay", "delay: only what 'nack' gives back can wait");
  if (through) {
    const auto text = json::text_at(body.object, "through");
    const auto sequence = model::parse_sequence(text.value_or(""));
    if (!sequence) return bad_parameter("through", "through: " + sequence.error().message);
    return settled_answer(core, core.consumers.ack_through(name, *sequence));
  }
  const auto list = read_sequences(body.object, nack ? "nack" : release ? "release" : "sequences");
  if (list.refusal) return *list.refusal;
  if (release) return settled_answer(core, core.consumers.release(name, list.sequences));
  if (sequences) return settled_answer(core, core.consumers.ack(name, list.sequences));
  std::chrono::milliseconds delay{0};
  if (body.object.contains("delay")) {
    const auto text = json::text_at(body.object, "delay");
    const auto duration = parse_duration(text.value_or(""));
    if (!duration || *duration > std::chrono::hours(12))
      return bad_parameter("delay", "delay: a duration up to 12h is expected, such as 10s");
    delay = *duration;
  }
  return settled_answer(core, core.consumers.nack(name, list.sequences, delay));
}

Answer list_parked(Core& core, const Request& request) {
  if (auto refusal = refuse_parameters(request)) return std::move(*refusal);
  auto parked = core.consumers.parked(request.segment(2), kMostParkedShown);
  if (!parked) return problem(parked.error(), core.feed);
  return json_answer(*parked);
}

Answer redeliver_parked(Core& core, const Request& request) {
  if (auto refusal = refuse_parameters(request)) return std::move(*refusal);
  const auto body = read_json(request);
  if (body.refusal) return *body.refusal;
  if (auto unknown = refuse_unknown(body.object, {"sequences", "all"})) return *unknown;
  const auto* all = body.object.if_contains("all");
  if (all && !all->is_bool()) return bad_parameter("all", "all: true or false is expected");
  const bool everything = json::flag_at(body.object, "all");
  if (everything && body.object.contains("sequences"))
    return bad_parameter("sequences", "give one of 'sequences' and 'all'");
  std::optional<std::vector<model::Sequence>> which;
  if (!everything) {
    auto list = read_sequences(body.object, "sequences");
    if (list.refusal) return *list.refusal;
    which = std::move(list.sequences);
  }
  const auto count = core.consumers.redeliver_parked(request.segment(2), which);
  if (!count) return problem(count.error(), core.feed);
  return json_answer(json::object{{"redelivered", *count}});
}

}  // namespace voxbus::serve
