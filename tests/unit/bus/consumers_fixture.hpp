// SPDX-License-Identifier: Apache-2.0
// Consumers over a real journal and a clock that stands still, both closed, killed and opened again
// as a test wants it, and the few words in which a test speaks to one consumer. One thread.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "bus/consumers.hpp"
#include "bus_fixture.hpp"

namespace voxbus::test {

class Consuming : public ::testing::Test {
 protected:
  void SetUp() override { open(); }
  void open() {
    feed = std::make_unique<bus::Feed>(*journal);
    auto opened = bus::Consumers::open(journal.folder() / "positions", *feed, clock);
    ASSERT_TRUE(opened) << opened.error().message;
    consumers = std::move(*opened);
  }
  void close() {
    consumers.reset();
    feed.reset();
  }
  // As after a kill: what was not written stays unwritten.
  void crash_and_reopen() {
    keep_disk();
    cut_power_and_reopen();
  }
  // The disk as it is now is all that a power cut leaves.
  void keep_disk() {
    std::filesystem::copy(journal.folder() / "positions", journal.folder() / "copy",
                          std::filesystem::copy_options::recursive);
  }
  void cut_power_and_reopen() {
    close();
    std::filesystem::remove_all(journal.folder() / "positions");
    std::filesystem::rename(journal.folder() / "copy", journal.folder() / "positions");
    open();
  }

  void put(const std::string& name, const std::string& body = "{}", bool update = false) {
    const auto request = bus::read_consumer_request(json::parse(body)->get_object());
    ASSERT_TRUE(request) << request.error().detail;
    const auto done = consumers->put(name, *request, update);
    ASSERT_TRUE(done) << done.error().detail;
  }
  bus::Outcome<bus::Fetched> fetch(const std::string& name, std::size_t max = 100,
                                   const std::string& member = "") {
    return consumers->fetch(name, member, max, 8 << 20);
  }
  std::vector<model::Position> positions(const std::string& name, std::size_t max = 100,
                                         const std::string& member = "") {
    std::vector<model::Position> out;
    const auto fetched = fetch(name, max, member);
    EXPECT_TRUE(fetched) << (fetched ? "" : fetched.error().detail);
    if (!fetched) return out;
    for (const auto& item : fetched->items) out.push_back(item.event->position());
    return out;
  }
  bus::Outcome<bus::Settled> ack(const std::string& name, std::vector<model::Position> which) {
    std::vector<model::Sequence> sequences;
    for (const auto position : which) sequences.push_back(feed->at(position));
    return consumers->ack(name, sequences);
  }
  std::int64_t shown(const std::string& name, std::string_view member) {
    return *json::integer_at(*consumers->show(name), member);
  }

  ManualClock clock;
  BusJournal journal{&clock};
  std::unique_ptr<bus::Feed> feed;
  std::unique_ptr<bus::Consumers> consumers;
};

}  // namespace voxbus::test
