// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include <thread>

#include "serve_fixture.hpp"

namespace voxbus::serve {
namespace {

using namespace std::chrono_literals;
using test::Connection;

struct Block {
  std::string id, event, data;
  bool comment = false;
};

class Streaming : public test::Serving {
 protected:
  Connection open(const std::string& query, std::string_view further = "") {
    auto connection = connect();
    connection.say(head("GET", "/v1/stream" + query, further));
    const auto reply = connection.reply();
    if (!reply || reply->status != 200)
      throw std::runtime_error("no stream: " + (reply ? reply->body : "closed"));
    EXPECT_EQ(reply->headers.at("content-type"), "text/event-stream");
    return connection;
  }
  // The next block; throws when none comes.
  static Block next(Connection& connection, const test::Deadline& deadline = {}) {
    const auto text = connection.until("\n\n", deadline, "a block of the stream");
    if (!text) throw std::runtime_error("the stream ended");
    Block block;
    for (std::size_t at = 0; at < text->size();) {
      const auto end = text->find('\n', at);
      const auto line = text->substr(at, end - at);
      at = end + 1;
      if (line.starts_with(":")) block.comment = true;
      if (line.starts_with("id: ")) block.id = line.substr(4);
      if (line.starts_with("event: ")) block.event = line.substr(7);
      if (line.starts_with("data: ")) block.data = line.substr(6);
    }
    return block;
  }
  // The next block that carries an event; bookmarks move `id`.
  static Block next_event(Connection& connection, std::string* id = nullptr) {
    for (const test::Deadline deadline; !deadline.passed();) {
      auto block = next(connection, deadline);
      if (id && !block.id.empty()) *id = block.id;
      if (!block.data.empty()) return block;
    }
    throw test::did_not_come("no event came, only bookmarks");
  }
  static std::string text_of(const Block& block) {
    return std::string(json::parse(block.data)->at("data").at("text").as_string());
  }
  std::string sequence(model::Position position) { return model::format(feed->at(position)); }
};

TEST_F(Streaming, GivesEachEventWithItsSequenceTypeAndCloudEvent) {
  start();
  journal.write({.text = "one\ntwo"});
  auto stream = open("?from=beginning");
  const auto block = next_event(stream);
  EXPECT_EQ(block.id, sequence(1));
  EXPECT_EQ(block.event, "org.voxbus.interaction.received.v1");
  EXPECT_EQ(block.data, (*feed->event(1))->json());
  EXPECT_EQ(text_of(block), "one\ntwo");
}

TEST_F(Streaming, BeginsNowAndSaysWhereThatIs) {
  start();
  journal.write_many(3);
  auto stream = open("");
  const auto place = next(stream);
  EXPECT_EQ(place.id, sequence(3));
  EXPECT_TRUE(place.data.empty());
  journal.write({.text = "new"});
  EXPECT_EQ(text_of(next_event(stream)), "new");
}

TEST_F(Streaming, ResumesAfterTheLastEventId) {
  start();
  journal.write_many(10);
  auto stream = open("?from=beginning", "Last-Event-ID: " + sequence(7) + "\r\n");
  for (const auto* expected : {"7", "8", "9"}) EXPECT_EQ(text_of(next_event(stream)), expected);
}

TEST_F(Streaming, RefusesPlacesThatAreNone) {
  start();
  for (const auto* target : {"/v1/stream?from=yesterday", "/v1/stream?from=0042.000000000000000001",
                             "/v1/stream?kind=mial", "/v1/stream?fron=now"}) {
    const auto reply = get(target);
    EXPECT_EQ(reply.status, 400u) << target;
    EXPECT_FALSE(reply.text("parameter").empty()) << target;
  }
  EXPECT_EQ(get("/v1/stream", "Last-Event-ID: nonsense\r\n").text("parameter"), "Last-Event-ID");
}

TEST_F(Streaming, RefusesAPlaceBeyondTheEndEverywhere) {
  start();
  journal.write_many(3);
  const std::string beyond = "0001.999999999999999999";
  const std::pair<const char*, test::Reply> refused[] = {
      {"from", get("/v1/events?from=" + beyond)},
      {"from", get("/v1/stream?from=" + beyond)},
      {"Last-Event-ID", get("/v1/stream", "Last-Event-ID: " + beyond + "\r\n")},
      {"from", ask("PUT", "/v1/consumers/a", R"({"from":")" + beyond + R"("})")}};
  for (const auto& [parameter, reply] : refused) {
    EXPECT_EQ(reply.status, 400u) << parameter;
    EXPECT_EQ(reply.headers.at("content-type"), "application/problem+json");
    EXPECT_EQ(reply.text("parameter"), parameter);
    EXPECT_THAT(reply.text("detail"), testing::HasSubstr("another journal or a lost tail"));
    EXPECT_THAT(reply.text("detail"), testing::HasSubstr("now or beginning"));
  }
  EXPECT_EQ(get("/v1/consumers/a").status, 404u);
  EXPECT_EQ(get("/v1/events?from=" + sequence(3)).body, "[]");
}

TEST_F(Streaming, LosesAndDoublesNothingOverReconnections) {
  options.bookmark_every = 20ms;
  start();
  constexpr int kEvents = 900;
  const std::jthread writer([&] {
    for (int i = 0; i < kEvents; ++i)
      journal.write({.channel = i % 3 == 0 ? "support" : "noise", .text = std::to_string(i)});
  });
  std::vector<std::string> seen;
  std::string id;
  for (int round = 0; seen.size() < kEvents / 3; ++round) {
    auto stream =
        open("?from=beginning&channel=support", id.empty() ? "" : "Last-Event-ID: " + id + "\r\n");
    for (int i = 0; i < 1 + round % 57 && seen.size() < kEvents / 3; ++i) {
      const auto block = next_event(stream, &id);
      seen.push_back(text_of(block));
    }
  }
  for (int i = 0; i < kEvents / 3; ++i)
    ASSERT_EQ(seen[static_cast<std::size_t>(i)], std::to_string(3 * i));
}

TEST_F(Streaming, BookmarksMovePastWhatIsFilteredOut) {
  options.bookmark_every = 30ms;
  start();
  auto stream = open("?channel=rare");
  next(stream);
  journal.write_many(2000, {.channel = "noise"});
  std::string id;
  for (const test::Deadline deadline; id != sequence(2000);) {
    ASSERT_FALSE(deadline.passed()) << "the bookmarks end at " << id;
    const auto block = next(stream, deadline);
    EXPECT_TRUE(block.data.empty());
    if (!block.id.empty()) id = block.id;
  }
  auto resumed = open("?channel=rare", "Last-Event-ID: " + id + "\r\n");
  journal.write({.channel = "rare", .text = "at last"});
  EXPECT_EQ(text_of(next_event(resumed)), "at last");
}

TEST_F(Streaming, BeatsWhileNothingMoves) {
  options.bookmark_every = 20ms;
  start();
  auto stream = open("");
  next(stream);
  for (int i = 0; i < 3; ++i) {
    const auto beat = next(stream);
    EXPECT_TRUE(beat.comment);
    EXPECT_TRUE(beat.id.empty());
  }
}

TEST_F(Streaming, CarriesLargeEventsWhole) {
  start();
  const std::string large(250'000, 'y');
  journal.write({.text = large});
  journal.write({.text = "after"});
  auto stream = open("?from=beginning");
  EXPECT_EQ(text_of(next_event(stream)), large);
  EXPECT_EQ(text_of(next_event(stream)), "after");
}

TEST_F(Streaming, FiltersByWords) {
  start();
  auto stream = open("?text=tyre%20(size%7Cwidth)&kind=mail,call");
  next(stream);
  journal.write({.text = "nothing of it"});
  journal.write({.text = "Which TYRE SIZE?", .kind = "post"});
  journal.write({.text = "Which TYRE WIDTH?"});
  EXPECT_EQ(text_of(next_event(stream)), "Which TYRE WIDTH?");
}

TEST_F(Streaming, ServesManyReadersFromOneRing) {
  start();
  std::vector<Connection> streams;
  for (int i = 0; i < 100; ++i) {
    streams.push_back(open(""));
    next(streams.back());
  }
  journal.write_many(20);
  for (auto& stream : streams) {
    for (int i = 0; i < 20; ++i) ASSERT_EQ(text_of(next_event(stream)), std::to_string(i));
  }
}

TEST_F(Streaming, SaysWhatIsGoneAndWhereTheRestBegins) {
  consumers.reset();
  feed.reset();
  journal.write_many(4300);
  journal.drop_before(51);
  feed = std::make_unique<bus::Feed>(*journal);
  consumers = std::move(*bus::Consumers::open(journal.folder() / "positions", *feed, clock));
  start();
  const std::string old = sequence(10);
  for (const auto& reply :
       {get("/v1/stream", "Last-Event-ID: " + old + "\r\n"), get("/v1/stream?from=" + old),
        get("/v1/events?from=" + old), get("/v1/events/" + old),
        ask("PUT", "/v1/consumers/a", R"({"from":")" + old + R"("})")}) {
    EXPECT_EQ(reply.status, 410u);
    EXPECT_EQ(reply.text("type"), "urn:voxbus:problem:gone");
    EXPECT_EQ(reply.text("oldest"), sequence(51));
  }
  auto stream = open("?from=beginning");
  EXPECT_EQ(next_event(stream).id, sequence(51));
}

TEST_F(Streaming, EndsPromptlyWhenTheServerStops) {
  start();
  auto stream = open("");
  next(stream);
  const auto begun = std::chrono::steady_clock::now();
  stop();
  EXPECT_TRUE(stream.closes());
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 5s);
}

}  // namespace
}  // namespace voxbus::serve
