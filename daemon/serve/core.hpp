// SPDX-License-Identifier: Apache-2.0
// What all sessions and handlers share. Owned by the server and outlives them. Unless it says
// otherwise a member is used on the loop's thread alone.
#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <list>
#include <map>
#include <string>

#include "bus/consumers.hpp"
#include "bus/feed.hpp"
#include "journal/journal.hpp"
#include "serve/access.hpp"
#include "serve/bell.hpp"
#include "serve/budget.hpp"
#include "serve/options.hpp"
#include "serve/router.hpp"

namespace voxbus::serve {

class Session;

struct Core {
  Core(Options the_options, journal::Journal& the_journal, bus::Feed& the_feed,
       bus::Consumers& the_consumers);

  // Any thread.
  const Options options;
  const SystemClock system_clock;
  const Clock& clock;
  journal::Journal& journal;
  bus::Feed& feed;
  bus::Consumers& consumers;
  const TimePoint started;
  std::atomic<std::uint32_t> connections{0}, streams{0};

  asio::io_context loop{1};
  asio::thread_pool workers{2};

  Access access;
  Router router;
  Budget answers;
  Bell news;                                   // new events can be read
  std::map<std::string, Bell> consumer_bells;  // something of that consumer became free
  std::map<Session*, std::weak_ptr<Session>> sessions;
  std::list<Session*> idle;  // between requests, longest first
  std::uint32_t tcp_connections = 0, unix_connections = 0;
  bool stopping = false;

  // The feed reads ahead only while somebody listens: to be called before a wait for news.
  void listen_for_news();
  // Now and then: stops listening when nobody waits any more.
  void rest_if_quiet();
  void ring_consumer(const std::string& name);

 private:
  bus::Feed::Subscription subscription_;
  bool subscribed_ = false;
  int quiet_beats_ = 0;
};

}  // namespace voxbus::serve
