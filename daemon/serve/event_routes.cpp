// SPDX-License-Identifier: Apache-2.0
// GET /v1/events, …/{sequence}, …/{sequence}/raw and …/{sequence}/files/{sha256}.
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <charconv>

#include "base/units.hpp"
#include "model/interaction.hpp"
#include "serve/accept.hpp"
#include "serve/ask.hpp"
#include "serve/core.hpp"
#include "serve/handlers.hpp"
#include "serve/problem.hpp"
#include "serve/worker.hpp"

namespace voxbus::serve {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::size_t kMostEvents = 10'000;
constexpr std::chrono::seconds kLongestWait{60};
// After so long without a match the position that was reached is worth more than going on.
constexpr std::chrono::seconds kLongestSearch{10};
constexpr int kPagesPerTurn = 4;  // before others get the worker

// The forms of a batch, in the order of our liking.
constexpr std::string_view kLines = "application/x-ndjson";
constexpr std::string_view kForms[] = {"application/cloudevents-batch+json", kLines,
                                       "application/json"};

// What a pull has so far. Filled on a worker, looked at between.
struct Pull {
  bus::Filter filter;
  std::string_view form;
  bool lines = false;  // NDJSON, else one JSON array
  std::size_t limit = 100;
  std::size_t max_bytes = 0;
  model::Position next = 0;

  std::string body;
  std::size_t count = 0;
  bool at_end = false;
  bool full = false;
  std::optional<Error> failed;

  void read(bus::Feed& feed);
};

void Pull::read(bus::Feed& feed) {
  for (int pages = 0; pages < kPagesPerTurn && !full && !at_end; ++pages) {
    bus::PageLimits limits;
    limits.events = limit - count;
    limits.bytes = std::min<std::size_t>(max_bytes - std::min(max_bytes, body.size()), 1 << 20);
    auto page = feed.page(next, filter, limits);
    if (!page) {
      // What was found before is given; the next request meets the error again.
      if (count == 0) failed = page.error();
      full = true;
      return;
    }
    at_end = page->at_end;
    for (const auto& event : page->events) {
      const auto& text = event->json();
      if (count > 0 && body.size() + text.size() > max_bytes) {
        full = true;
        return;
      }
      if (!lines) body += count == 0 ? '[' : ',';
      body += text;
      if (lines) body += '\n';
      ++count;
      next = event->position();
    }
    next = page->next;
    full = count >= limit || body.size() >= max_bytes;
  }
}

struct PullParameters {
  std::optional<Answer> refusal;
  std::chrono::milliseconds wait{0};
  std::string from = "beginning";
};

PullParameters read_parameters(const Request& request, Pull& pull) {
  PullParameters out;
  auto filter = read_filter(request, {"from", "limit", "wait"});
  if (filter.refusal) {
    out.refusal = std::move(filter.refusal);
    return out;
  }
  pull.filter = std::move(filter.filter);
  if (const auto* from = request.target.parameter("from")) out.from = *from;
  if (const auto* limit = request.target.parameter("limit")) {
    const auto end = limit->data() + limit->size();
    const auto [stop, code] = std::from_chars(limit->data(), end, pull.limit);
    if (code != std::errc{} || stop != end || pull.limit < 1 || pull.limit > kMostEvents) {
      out.refusal = bad_parameter("limit", "limit: a number from 1 to 10000 is expected");
    }
  }
  if (const auto* wait = request.target.parameter("wait")) {
    const auto duration = parse_duration(*wait);
    if (!duration || *duration > kLongestWait) {
      out.refusal =
          bad_parameter("wait", "wait: a duration from 0 to 60s is expected, such as 20s");
    } else {
      out.wait = *duration;
    }
  }
  const auto form = preferred(request.accept, kForms);
  if (!form && !out.refusal) {
    out.refusal = problem(Slug::not_acceptable,
                          "events come as application/cloudevents-batch+json (or application/json) "
                          "and as application/x-ndjson");
  }
  pull.form = kForms[form.value_or(0)];
  pull.lines = pull.form == kLines;
  return out;
}

// The event that a path names, or why there is none.
struct Named {
  bus::SharedEvent event;
  std::optional<Answer> refusal;
};

Named named_event(Core& core, const Request& request) {
  const auto sequence = model::parse_sequence(request.segment(2));
  if (!sequence) return {nullptr, problem(Slug::not_found, sequence.error().message)};
  if (sequence->position > 0 && sequence->position < core.journal.oldest())
    return {nullptr, gone(core.feed)};
  const auto missing = problem(Slug::not_found, "there is no event " + model::format(*sequence));
  if (core.feed.at(sequence->position) != *sequence ||
      sequence->position > core.feed.end().position)
    return {nullptr, missing};
  auto event = core.feed.event(sequence->position);
  if (!event)
    return {nullptr, event.error().kind == Error::Kind::retry ? problem(event.error()) : missing};
  return {std::move(*event), std::nullopt};
}

// A browser stores them and never shows them.
Answer foreign_bytes(std::string bytes) {
  Answer answer;
  answer.content_type = "application/octet-stream";
  answer.headers.emplace_back("Content-Disposition", "attachment");
  answer.headers.emplace_back("Content-Security-Policy", "default-src 'none'; sandbox");
  answer.body = std::move(bytes);
  return answer;
}

Answer no_evidence(const Error& error) {
  return error.kind == Error::Kind::retry
             ? problem(error)
             : problem(Slug::not_found, "no raw bytes are kept of this event");
}

struct Sought {
  FileWanted wanted;
  std::optional<Answer> refusal;
};

// Whether the event says that it had such a file, and the raw bytes that it is found in.
Sought look_for_file(Core& core, const Request& request) {
  Sought sought;
  auto named = named_event(core, request);
  if (named.refusal) return {{}, std::move(named.refusal)};
  const auto& sha256 = request.segment(4);
  const auto parsed = json::parse(named.event->event().body);
  const auto* body = parsed ? parsed->if_object() : nullptr;
  const auto* data = body ? json::object_at(*body, "data") : nullptr;
  const auto* files = data ? json::array_at(*data, "attachments") : nullptr;
  const bool has_it =
      files && std::any_of(files->begin(), files->end(), [&](const auto& file) {
        return file.is_object() && json::text_at(file.get_object(), "sha256") == sha256;
      });
  if (!has_it) return {{}, problem(Slug::not_found, "this event has no such attachment")};
  auto raw = core.feed.evidence(named.event->position());
  if (!raw) return {{}, no_evidence(raw.error())};
  sought.wanted = {
      named.event->position(), std::string(json::text_at(*data, "channel").value_or("")),
      std::string(json::text_at(*data, "native_id").value_or("")), std::move(*raw), sha256};
  return sought;
}

}  // namespace

boost::asio::awaitable<Answer> pull_events(Core& core, Request request) {
  Pull pull;
  auto parameters = read_parameters(request, pull);
  if (parameters.refusal) co_return std::move(*parameters.refusal);
  const auto resolve = [&core, &parameters] { return core.feed.resolve(parameters.from); };
  const auto start = co_await on_worker(core.workers, resolve);
  if (start.outcome == bus::Start::Outcome::gone) co_return gone(core.feed);
  if (start.outcome == bus::Start::Outcome::invalid)
    co_return bad_parameter("from", "from: " + start.problem);
  if (start.outcome == bus::Start::Outcome::failed)
    co_return problem(Slug::unavailable, start.problem);
  pull.next = start.after;
  pull.max_bytes = core.options.answer_bytes;

  const auto begun = SteadyClock::now();
  const auto deadline = begun + parameters.wait;
  const auto read = [&core, &pull] {
    pull.read(core.feed);
    return true;
  };
  BellWait news(co_await asio::this_coro::executor, core.news);
  std::shared_ptr<Budget::Share> share;
  for (;;) {
    if (parameters.wait.count() > 0) core.listen_for_news();
    news.note();
    share = core.answers.take(pull.max_bytes);
    if (!share) co_return problem(Slug::too_many, "too many answers are under way");
    co_await on_worker(core.workers, read);
    if (pull.count > 0 || pull.full) break;
    const auto now = SteadyClock::now();
    if (!pull.at_end && now - begun < kLongestSearch) continue;
    if (!pull.at_end || now >= deadline || core.stopping) break;
    share.reset();
    pull.at_end = false;
    (void)co_await news.wait(deadline);
    if (request.peer_closed()) break;
  }
  if (pull.failed) co_return problem(*pull.failed);
  if (!pull.lines) pull.body += pull.count == 0 ? "[]" : "]";
  if (share) share->shrink_to(pull.body.size());
  Answer answer;
  answer.content_type = pull.form;
  answer.headers = {{"Voxbus-Next", model::format(core.feed.at(pull.next))},
                    {"Voxbus-End", model::format(core.feed.end())}};
  answer.body = std::move(pull.body);
  answer.reservation = std::move(share);
  co_return answer;
}

Answer show_event(Core& core, const Request& request) {
  auto named = named_event(core, request);
  if (named.refusal) return std::move(*named.refusal);
  Answer answer;
  answer.content_type = "application/cloudevents+json";
  answer.body = named.event->json();
  return answer;
}

Answer show_evidence(Core& core, const Request& request) {
  auto named = named_event(core, request);
  if (named.refusal) return std::move(*named.refusal);
  auto bytes = core.feed.evidence(named.event->position());
  return bytes ? foreign_bytes(std::move(*bytes)) : no_evidence(bytes.error());
}

asio::awaitable<Answer> show_file(Core& core, Request request) {
  const auto look = [&core, &request] { return look_for_file(core, request); };
  auto sought = co_await on_worker(core.workers, look);
  if (sought.refusal) co_return std::move(*sought.refusal);
  if (!core.options.find_file)
    co_return problem(Slug::not_implemented, "there are no channels here");
  Ask<FileFound> ask = [&core, &sought](std::function<void(FileFound)> answer) {
    core.options.find_file(std::move(sought.wanted), std::move(answer));
  };
  auto found = co_await answer_of<FileFound>(core, std::move(ask));
  if (!found) co_return problem(Slug::unavailable, "the channel is busy; ask again later");
  switch (found->outcome) {
    case FileFound::Outcome::found:
      co_return foreign_bytes(std::move(found->bytes));
    case FileFound::Outcome::none:
      co_return problem(Slug::not_found,
                        found->reason + "; which files a channel hands over its settings say, as " +
                            "'attachments' and 'max_attachment' of email");
    case FileFound::Outcome::not_now:
      break;
  }
  co_return problem(Slug::unavailable, found->reason);
}

}  // namespace voxbus::serve
