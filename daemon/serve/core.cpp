// SPDX-License-Identifier: Apache-2.0
#include "serve/core.hpp"

#include <boost/asio/post.hpp>

namespace voxbus::serve {
namespace {

constexpr int kQuietBeats = 10;

}  // namespace

Core::Core(Options the_options, journal::Journal& the_journal, bus::Feed& the_feed,
           bus::Consumers& the_consumers)
    : options(std::move(the_options)),
      clock(options.clock ? *options.clock : system_clock),
      journal(the_journal),
      feed(the_feed),
      consumers(the_consumers),
      started(clock.now()),
      access({options.listen, options.hosts, options.origins, options.tokens}),
      answers(options.answers_bytes) {}

void Core::listen_for_news() {
  quiet_beats_ = 0;
  if (subscribed_) return;
  subscribed_ = true;
  subscription_ = feed.subscribe([this] { asio::post(loop, [this] { news.ring(); }); });
}

void Core::rest_if_quiet() {
  if (!subscribed_ || news.has_waiters()) {
    quiet_beats_ = 0;
  } else if (++quiet_beats_ >= kQuietBeats) {
    subscription_.reset();
    subscribed_ = false;
  }
}

void Core::ring_consumer(const std::string& name) {
  const auto bell = consumer_bells.find(name);
  if (bell == consumer_bells.end()) return;
  if (bell->second.has_waiters())
    bell->second.ring();
  else
    consumer_bells.erase(bell);
}

}  // namespace voxbus::serve
