// SPDX-License-Identifier: Apache-2.0
// GET /v1/stream: server-sent events (WHATWG HTML, "Server-sent events"). A block with an id and no
// data moves the client's position without an event: a bookmark.
#include <boost/asio/use_awaitable.hpp>

#include "serve/handlers.hpp"
#include "serve/problem.hpp"
#include "serve/session.hpp"
#include "serve/worker.hpp"

namespace voxbus::serve {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

// What one session holds of events at a time.
constexpr bus::PageLimits kPage{
    .events = 256, .bytes = 64 << 10, .scan_events = 1024, .scan_bytes = 1 << 20};
constexpr std::size_t kBuffer = 48 << 10;

class Stream {
 public:
  Stream(std::shared_ptr<Session> session, bus::Filter filter, model::Position after)
      : session_(std::move(session)),
        core_(session_->core()),
        filter_(std::move(filter)),
        position_(after),
        told_(after),
        wait_(session_->executor(), core_.news) {
    session_->set_wait(&wait_);
    ++core_.streams;
  }
  ~Stream() {
    session_->set_wait(nullptr);
    --core_.streams;
  }

  [[nodiscard]] asio::awaitable<void> run();

 private:
  [[nodiscard]] asio::awaitable<Result<bus::Page>> next_page();
  [[nodiscard]] asio::awaitable<bool> write(const bus::Page& page);
  [[nodiscard]] asio::awaitable<bool> bookmark();

  std::shared_ptr<Session> session_;
  Core& core_;
  const bus::Filter filter_;
  model::Position position_;  // looked at
  model::Position told_;      // as the client knows it
  SteadyTime wrote_at_{};
  BellWait wait_;
};

asio::awaitable<Result<bus::Page>> Stream::next_page() {
  // Patterns over long texts would keep the loop from everybody else.
  if (!filter_.needs_words()) {
    if (auto page = core_.feed.recent(position_, filter_, kPage)) co_return std::move(*page);
  }
  const auto read = [this] { return core_.feed.page(position_, filter_, kPage); };
  co_return co_await on_worker(core_.workers, read);
}

// Blocks are gathered up to one piece; a large event goes out from where it is, uncopied.
asio::awaitable<bool> Stream::write(const bus::Page& page) {
  std::string out;
  for (const auto& event : page.events) {
    const auto& row = event->event();
    const auto& text = event->json();
    out += "id: " + model::format(row.sequence) + "\nevent: " + row.type + "\ndata: ";
    if (text.size() < kBuffer) {
      out += text;
    } else {
      if (!co_await session_->send(out) || !co_await session_->send(text)) co_return false;
      out.clear();
    }
    out += "\n\n";
    if (out.size() >= kBuffer) {
      if (!co_await session_->send(out)) co_return false;
      out.clear();
    }
    told_ = event->position();
  }
  if (!out.empty() && !co_await session_->send(out)) co_return false;
  wrote_at_ = std::chrono::steady_clock::now();
  co_return true;
}

asio::awaitable<bool> Stream::bookmark() {
  std::string text = ": \n\n";
  if (position_ != told_) text = "id: " + model::format(core_.feed.at(position_)) + "\n\n";
  told_ = position_;
  wrote_at_ = std::chrono::steady_clock::now();
  co_return co_await session_->send(text);
}

asio::awaitable<void> Stream::run() {
  if (!co_await session_->send_stream_header("text/event-stream")) co_return;
  // Where it begins, so that a client that is cut off before its first event misses nothing.
  const auto first = "id: " + model::format(core_.feed.at(position_)) + "\n\n";
  if (!co_await session_->send(first)) co_return;
  wrote_at_ = std::chrono::steady_clock::now();
  while (!session_->closed()) {
    core_.listen_for_news();
    wait_.note();
    // Retention may overtake a slow reader: ending makes it come back and be told 410.
    if (position_ + 1 < core_.journal.oldest()) co_return;
    const auto page = co_await next_page();
    if (!page) co_return;
    if (!page->events.empty() && !co_await write(*page)) co_return;
    position_ = page->next;
    const auto due = wrote_at_ + core_.options.bookmark_every;
    if (page->at_end) {
      (void)co_await wait_.wait(due);
      if (session_->peer_closed()) co_return;
    }
    if (std::chrono::steady_clock::now() >= due && !co_await bookmark()) co_return;
  }
}

}  // namespace

asio::awaitable<void> stream_events(std::shared_ptr<Session> session, Request request) {
  auto& core = session->core();
  auto parameters = read_filter(request, {"from"});
  if (parameters.refusal) {
    (void)co_await session->send(std::move(*parameters.refusal), false, false);
    co_return;
  }
  std::string from = "now";
  std::string named = "from";
  if (const auto* given = request.target.parameter("from")) from = *given;
  if (!request.last_event_id.empty()) {
    from = request.last_event_id;
    named = "Last-Event-ID";
  }
  const auto resolve = [&core, &from] { return core.feed.resolve(from); };
  const auto start = co_await on_worker(core.workers, resolve);
  if (start.outcome != bus::Start::Outcome::found) {
    auto answer = start.outcome == bus::Start::Outcome::gone ? gone(core.feed)
                  : start.outcome == bus::Start::Outcome::failed
                      ? problem(Slug::unavailable, start.problem)
                      : bad_parameter(named, start.problem);
    (void)co_await session->send(std::move(answer), false, false);
    co_return;
  }
  Stream stream(session, std::move(parameters.filter), start.after);
  co_await stream.run();
}

}  // namespace voxbus::serve
