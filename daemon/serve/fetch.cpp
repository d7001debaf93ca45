// SPDX-License-Identifier: Apache-2.0
// POST /v1/consumers/{}/fetch: leases events to a member, and waits for some when there are none.
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/units.hpp"
#include "serve/core.hpp"
#include "serve/handlers.hpp"
#include "serve/problem.hpp"
#include "serve/worker.hpp"

namespace voxbus::serve {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::int64_t kMostEvents = 10'000;
constexpr std::chrono::seconds kLongestWait{60};
constexpr std::chrono::seconds kLongestSearch{10};

struct FetchRequest {
  std::size_t max = 100;
  std::chrono::milliseconds wait{0};
  std::string member;
  std::optional<Answer> refusal;
};

FetchRequest read_request(const Request& request) {
  FetchRequest out;
  const auto body = read_json(request);
  if (body.refusal) {
    out.refusal = body.refusal;
    return out;
  }
  for (const auto& [key, value] : body.object) {
    const std::string_view name(key.data(), key.size());
    if (name == "max") {
      const auto number = json::integer_at(body.object, name);
      if (!number || *number < 1 || *number > kMostEvents)
        out.refusal = bad_parameter(name, "max: a number from 1 to 10000 is expected");
      else
        out.max = static_cast<std::size_t>(*number);
    } else if (name == "wait") {
      const auto duration = parse_duration(json::text_at(body.object, name).value_or(""));
      if (!duration || *duration > kLongestWait)
        out.refusal =
            bad_parameter(name, "wait: a duration from 0 to 60s is expected, such as 20s");
      else
        out.wait = *duration;
    } else if (name == "member") {
      const auto text = json::text_at(body.object, name);
      if (!text || text->empty() || text->size() > 128)
        out.refusal = bad_parameter(name, "member: a text of up to 128 bytes is expected");
      else
        out.member = *text;
    } else {
      out.refusal = bad_parameter(name, "unknown member; known are max, wait, member");
    }
    if (out.refusal) break;
  }
  return out;
}

std::string body_of(const bus::Fetched& fetched) {
  std::string events, deliveries;
  for (const auto& item : fetched.items) {
    const auto* comma = events.empty() ? "" : ",";
    events += comma + item.event->json();
    deliveries += comma;
    deliveries += "{\"sequence\":\"" + model::format(item.event->event().sequence) +
                  "\",\"attempt\":" + std::to_string(item.attempt) + "}";
  }
  return "{\"events\":[" + events + "],\"deliveries\":[" + deliveries + "],\"floor\":\"" +
         model::format(fetched.floor) + "\"}\n";
}

}  // namespace

boost::asio::awaitable<Answer> fetch_events(Core& core, Request request) {
  const auto wanted = read_request(request);
  if (wanted.refusal) co_return *wanted.refusal;
  const std::string name = request.segment(2);
  // Names come from clients: only what exists gets a bell.
  const auto exists = [&core, &name] { return core.consumers.show(name); };
  const auto shown = co_await on_worker(core.workers, exists);
  if (!shown) co_return problem(shown.error(), core.feed);

  const auto begun = SteadyClock::now();
  const auto deadline = begun + wanted.wait;
  const auto fetch = [&] {
    return core.consumers.fetch(name, wanted.member, wanted.max, core.options.answer_bytes);
  };
  BellWait news(co_await asio::this_coro::executor, core.news, &core.consumer_bells[name]);
  std::shared_ptr<Budget::Share> share;
  bus::Fetched fetched;
  for (;;) {
    if (wanted.wait.count() > 0) core.listen_for_news();
    news.note();
    share = core.answers.take(core.options.answer_bytes);
    if (!share) co_return problem(Slug::too_many, "too many answers are under way");
    auto outcome = co_await on_worker(core.workers, fetch);
    if (!outcome) co_return problem(outcome.error(), core.feed);
    fetched = std::move(*outcome);
    if (!fetched.items.empty()) break;
    const auto now = SteadyClock::now();
    if (fetched.more && now - begun < kLongestSearch) continue;
    if (now >= deadline || core.stopping) break;
    share.reset();
    (void)co_await news.wait(fetched.due ? std::min(deadline, *fetched.due) : deadline);
    // Events leased to somebody who has gone would only come back after ack_within.
    if (request.peer_closed()) break;
  }
  Answer answer;
  answer.body = body_of(fetched);
  if (share) share->shrink_to(answer.body.size());
  answer.reservation = std::move(share);
  if (!fetched.items.empty()) {
    std::vector<model::Position> positions;
    for (const auto& item : fetched.items) positions.push_back(item.event->position());
    answer.undelivered = [&core, name, positions = std::move(positions)] {
      core.consumers.undo(name, positions);
    };
  }
  co_return answer;
}

}  // namespace voxbus::serve
