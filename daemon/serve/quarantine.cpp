// SPDX-License-Identifier: Apache-2.0
// /v1/quarantine: what channels brought and could not be read, and having it read anew.
#include <boost/asio/use_awaitable.hpp>
#include <charconv>

#include "serve/ask.hpp"
#include "serve/core.hpp"
#include "serve/handlers.hpp"
#include "serve/problem.hpp"
#include "serve/worker.hpp"

namespace voxbus::serve {
namespace {

constexpr std::size_t kMostShown = 1000;
constexpr std::size_t kAtOnce = 256;

Answer json_answer(const json::value& value) {
  Answer answer;
  answer.body = json::serialize(value) + "\n";
  return answer;
}

// The members of data that tell one quarantined thing from another; nothing when it was erased.
std::optional<json::object> data_of(const bus::Rendered& event) {
  auto parsed = json::parse(event.event().body);
  auto* body = parsed ? parsed->if_object() : nullptr;
  auto* data = body ? json::object_at(*body, "data") : nullptr;
  if (!data) return std::nullopt;
  return *data;
}

json::object shown(const bus::Quarantined& one, json::object data) {
  json::object out{{"sequence", model::format(one.event->event().sequence)},
                   {"recordedtime", format_rfc3339(one.event->event().recorded)},
                   {"standing", one.standing}};
  for (auto& member : data) out[member.key()] = std::move(member.value());
  return out;
}

struct Wanted {
  std::string channel;
  bool all = false;
  std::size_t limit = 100;
  model::Position after = 0;
  std::optional<Answer> refusal;
};

Wanted read_wanted(Core& core, const Request& request) {
  Wanted wanted;
  for (const auto& [name, value] : request.target.parameters) {
    if (name == "channel") {
      wanted.channel = value;
    } else if (name == "all") {
      wanted.all = value == "1";
      if (!wanted.all && value != "0") wanted.refusal = bad_parameter(name, "all: 0 or 1");
    } else if (name == "limit") {
      const auto* end = value.data() + value.size();
      const auto [stop, code] = std::from_chars(value.data(), end, wanted.limit);
      if (code != std::errc{} || stop != end || wanted.limit < 1 || wanted.limit > kMostShown)
        wanted.refusal = bad_parameter(name, "limit: a number from 1 to 1000 is expected");
    } else if (name == "after") {
      const auto sequence = model::parse_sequence(value);
      if (!sequence || core.feed.at(sequence->position) != *sequence)
        wanted.refusal = bad_parameter(name, "after: a sequence of this journal is expected");
      else
        wanted.after = sequence->position;
    } else {
      wanted.refusal =
          bad_parameter(name, "unknown parameter; known are channel, all, limit, after");
    }
    if (wanted.refusal) break;
  }
  return wanted;
}

// What is to be replayed, or why it cannot be.
struct Found {
  Replay replay;
  std::optional<Answer> refusal;
};

Answer superseded() {
  return json_answer(json::object{{"outcome", "superseded"},
                                  {"reason", "something newer of it is on the bus already"}});
}

Found find(Core& core, const Request& request) {
  Found found;
  const auto refuse = [&](Slug slug, std::string_view why) {
    found.refusal = problem(slug, why);
    return std::move(found);
  };
  const auto sequence = model::parse_sequence(request.segment(2));
  if (!sequence || sequence->position == 0 || sequence->position > core.feed.end().position ||
      core.feed.at(sequence->position) != *sequence)
    return refuse(Slug::not_found, "there is no such event");
  auto one = core.feed.quarantined(sequence->position - 1, 1);
  if (!one) {
    found.refusal = problem(one.error());
    return found;
  }
  if (one->empty() || one->front().event->position() != sequence->position)
    return refuse(Slug::conflict, "this event is not one of interaction.quarantined");
  if (!one->front().standing) {
    found.refusal = superseded();
    return found;
  }
  const auto data = data_of(*one->front().event);
  if (!data) return refuse(Slug::conflict, "it was erased");
  if (data->contains("raw_sha256"))
    return refuse(Slug::conflict,
                  "only the beginning of its bytes was kept: it was larger than max_item");
  auto raw = core.feed.evidence(sequence->position);
  if (!raw) return refuse(Slug::conflict, raw.error().message);
  found.replay.position = sequence->position;
  found.replay.channel = json::text_at(*data, "channel").value_or("");
  found.replay.native_id = json::text_at(*data, "native_id").value_or("");
  found.replay.raw = std::move(*raw);
  return found;
}

}  // namespace

Answer list_quarantine(Core& core, const Request& request) {
  if (auto refusal = refuse_doubled(request, {"channel", "all", "limit", "after"}))
    return std::move(*refusal);
  auto wanted = read_wanted(core, request);
  if (wanted.refusal) return std::move(*wanted.refusal);
  json::array items;
  bool at_end = false;
  while (items.size() < wanted.limit && !at_end) {
    auto some = core.feed.quarantined(wanted.after, kAtOnce);
    if (!some) return problem(some.error());
    at_end = some->size() < kAtOnce;
    for (const auto& one : *some) {
      if (items.size() == wanted.limit) {
        at_end = false;
        break;
      }
      wanted.after = one.event->position();
      if (!one.standing && !wanted.all) continue;
      auto data = data_of(*one.event).value_or(json::object{});
      if (!wanted.channel.empty() && json::text_at(data, "channel") != wanted.channel) continue;
      items.push_back(shown(one, std::move(data)));
    }
  }
  json::object out{{"items", std::move(items)}};
  if (!at_end) out["next"] = model::format(core.feed.at(wanted.after));
  return json_answer(out);
}

boost::asio::awaitable<Answer> replay_quarantined(Core& core, Request request) {
  const auto look = [&core, &request] { return find(core, request); };
  auto found = co_await on_worker(core.workers, look);
  if (found.refusal) co_return std::move(*found.refusal);
  if (!core.options.replay) co_return problem(Slug::not_implemented, "there are no channels here");
  Ask<Replayed> ask = [&core, &found](std::function<void(Replayed)> answer) {
    core.options.replay(std::move(found.replay), std::move(answer));
  };
  const auto answered = co_await answer_of<Replayed>(core, std::move(ask));
  if (!answered)
    co_return problem(Slug::unavailable,
                      "the channel is busy; what comes of it is on the bus later");
  const auto& replayed = *answered;
  switch (replayed.outcome) {
    case Replayed::Outcome::readable:
      co_return json_answer(json::object{{"outcome", "readable"}});
    case Replayed::Outcome::unreadable:
      co_return json_answer(json::object{{"outcome", "unreadable"}, {"reason", replayed.reason}});
    case Replayed::Outcome::not_now:
      break;
  }
  co_return problem(Slug::unavailable, replayed.reason);
}

}  // namespace voxbus::serve
