// SPDX-License-Identifier: Apache-2.0
// HTTP that no decent client sends.
#include <gmock/gmock.h>

#include "serve_fixture.hpp"

namespace voxbus::serve {
namespace {

using namespace std::chrono_literals;
using test::Connection;

class Hostile : public test::Serving {
 protected:
  // Others are served as if nothing were.
  void expect_alive() { EXPECT_EQ(get("/healthz").status, 200u); }
};

TEST_F(Hostile, HeadersThatNeverEndAreCut) {
  start();
  auto connection = connect();
  connection.say("GET /healthz HTTP/1.1\r\nHost: localhost\r\n");
  const std::string line = "X-Filler: " + std::string(1000, 'x') + "\r\n";
  for (int i = 0; i < 1000 && connection.say(line); ++i) {
  }
  const auto reply = connection.reply();
  if (reply) {
    EXPECT_EQ(reply->status, 431u);
  }
  EXPECT_TRUE(connection.closes());
  expect_alive();
}

TEST_F(Hostile, AHeaderBelowTheLimitIsServedAndOneAboveIsNot) {
  start();
  EXPECT_EQ(get("/healthz", "X-Filler: " + std::string(15'000, 'x') + "\r\n").status, 200u);
  EXPECT_EQ(get("/healthz", "X-Filler: " + std::string(17'000, 'x') + "\r\n").status, 431u);
}

TEST_F(Hostile, TheProblemSaysTheStatusThatTheAnswerHas) {
  start();
  const auto header = get("/healthz", "X-Filler: " + std::string(17'000, 'x') + "\r\n");
  EXPECT_EQ(header.json().at("status").to_number<unsigned>(), 431u);
  EXPECT_EQ(header.text("type"), "urn:voxbus:problem:header-too-large");
  const auto body = get("/healthz", "Content-Length: 2000000\r\n");
  EXPECT_EQ(body.status, 413u);
  EXPECT_EQ(body.json().at("status").to_number<unsigned>(), 413u);
}

TEST_F(Hostile, TwoHostsAreRefusedEvenIfBothAreRight) {
  start();
  for (const auto* host : {"localhost", "evil.example.org"}) {
    auto connection = connect();
    connection.say(head("GET", "/healthz", "Host: " + std::string(host) + "\r\n"));
    const auto reply = connection.reply();
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->status, 400u) << host;
    EXPECT_TRUE(connection.closes());
  }
  auto local = connect_local();
  local.say("GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
  EXPECT_EQ(local.reply()->status, 400u);
}

// What follows the header would be a request if the body were not seen.
TEST_F(Hostile, ABodyWhoseEndIsInDoubtIsNeverReadAsTheNextRequest) {
  start();
  const std::string smuggled = head("DELETE", "/v1/consumers/kept");
  const std::string chunks = "0\r\n\r\n";
  struct Case {
    std::string headers;
    unsigned status;
  };
  for (const auto& [headers, status] : std::initializer_list<Case>{
           {"Transfer-Encoding: gzip\r\n", 400},
           {"Transfer-Encoding: identity\r\n", 400},
           {"Transfer-Encoding:\r\n", 400},
           {"Transfer-Encoding: xchunked\r\n", 400},
           {"Transfer-Encoding: chunked, gzip\r\n", 400},
           {"Transfer-Encoding: gzip, chunked\r\n", 501},
           {"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", 501},
           {"Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n", 400},
           {"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", 400},
           {"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", 400},
           {"Content-Length: 0\r\nTransfer-Encoding: gzip\r\n", 400},
           {"Transfer-Encoding: gzip\r\nContent-Length: 5\r\n", 400}}) {
    ASSERT_EQ(ask("PUT", "/v1/consumers/kept", "{}").status / 100, 2u);
    for (const auto* path : {"/v1/consumers/a", "/v1/nothing"}) {
      auto connection = connect();
      connection.say(head("PUT", path, "Content-Type: application/json\r\n" + headers) + chunks +
                     smuggled);
      const auto reply = connection.reply();
      ASSERT_TRUE(reply) << headers;
      EXPECT_EQ(reply->status, status) << headers;
      EXPECT_EQ(reply->json().at("status").to_number<unsigned>(), status) << headers;
      EXPECT_EQ(reply->headers.at("connection"), "close") << headers;
      EXPECT_FALSE(connection.reply()) << "a second answer after " << headers;
    }
    EXPECT_EQ(get("/v1/consumers/kept").status, 200u) << headers;
  }
  auto old = connect();
  old.say("PUT /v1/consumers/a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks);
  EXPECT_EQ(old.reply()->status, 400u);
}

TEST_F(Hostile, ChunkedAloneIsUnderstoodHoweverItIsWritten) {
  start();
  for (const auto* coding : {"chunked", "Chunked", "  chunked\t"}) {
    auto connection = connect();
    connection.say(head("PUT", "/v1/consumers/a",
                        "Content-Type: application/json\r\nTransfer-Encoding: " +
                            std::string(coding) + "\r\n") +
                   "2\r\n{}\r\n0\r\n\r\n" + head("GET", "/healthz"));
    EXPECT_EQ(connection.reply()->status / 100, 2u) << coding;
    EXPECT_EQ(connection.reply()->body, "ok\n") << coding;
  }
}

TEST_F(Hostile, BodiesThatNeverEndAreCut) {
  start();
  auto connection = connect();
  connection.say(head("PUT", "/v1/consumers/a",
                      "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n"));
  const std::string chunk = "10000\r\n" + std::string(65536, ' ') + "\r\n";
  for (int i = 0; i < 200 && connection.say(chunk); ++i) {
  }
  const auto reply = connection.reply();
  if (reply) {
    EXPECT_EQ(reply->status, 413u);
  }
  EXPECT_TRUE(connection.closes());
  expect_alive();
}

TEST_F(Hostile, ADeclaredBodyAboveTheLimitIsRefusedUnread) {
  start();
  auto connection = connect();
  connection.say(head("PUT", "/v1/consumers/a",
                      "Content-Type: application/json\r\nContent-Length: 2000000\r\n"));
  const auto reply = connection.reply();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 413u);
  EXPECT_EQ(reply->text("type"), "urn:voxbus:problem:too-large");
}

TEST_F(Hostile, StrangersSendNoBodies) {
  start();
  auto connection = connect();
  connection.say(
      "PUT /v1/consumers/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\nExpect: "
      "100-continue\r\n\r\n");
  const auto reply = connection.reply();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 401u) << "instead of 100 Continue";
  EXPECT_TRUE(connection.closes());
}

TEST_F(Hostile, AClientThatWaitsForContinueGetsIt) {
  start();
  auto connection = connect();
  connection.say(
      head("PUT", "/v1/consumers/a",
           "Content-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\n"));
  EXPECT_EQ(connection.reply()->status, 100u);
  connection.say("{}");
  EXPECT_EQ(connection.reply()->status, 201u);
}

TEST_F(Hostile, HalfARequestIsRefusedInTimeAndCut) {
  options.request_within = 300ms;
  start();
  auto header = connect(), body = connect(), silent = connect();
  header.say("GET /healthz HTTP/1.1\r\nHost: loc");
  body.say(
      head("PUT", "/v1/consumers/a", "Content-Type: application/json\r\nContent-Length: 10\r\n") +
      "{");
  const test::Deadline deadline;
  EXPECT_EQ(header.reply()->status, 408u);
  const auto late = body.reply();
  EXPECT_EQ(late->status, 408u);
  EXPECT_EQ(late->text("type"), "urn:voxbus:problem:timeout");
  EXPECT_TRUE(header.closes(deadline));
  EXPECT_TRUE(body.closes(deadline));
  EXPECT_TRUE(silent.closes(deadline));
  expect_alive();
}

TEST_F(Hostile, TheLimitOfOneRequestIsNoneOfTheNext) {
  options.request_within = 200ms;
  start();
  auto connection = connect();
  for (const auto* path : {"/nowhere", "/healthz", "/nowhere", "/healthz"}) {
    connection.say(head("GET", path));
    EXPECT_EQ(connection.reply()->status, std::string_view(path) == "/healthz" ? 200u : 404u);
    EXPECT_FALSE(connection.closes_within(250ms))
        << "longer than a request may take: this one is over";
  }
}

TEST_F(Hostile, TricklingBytesDoNotExtendTheLimit) {
  options.request_within = 300ms;
  start();
  auto connection = connect();
  connection.say("GET /healthz HTTP/1.1\r\n");
  const test::Deadline deadline;
  while (!connection.closes_within(20ms) && connection.say("X") && !deadline.passed()) {
  }
  EXPECT_FALSE(deadline.passed());
}

TEST_F(Hostile, IdleConnectionsAreClosedAfterTheirRequest) {
  options.idle_within = 200ms;
  start();
  auto connection = connect();
  connection.say(head("GET", "/healthz"));
  EXPECT_EQ(connection.reply()->status, 200u);
  EXPECT_TRUE(connection.closes());
}

TEST_F(Hostile, SilentConnectionsMakeRoomForOthers) {
  options.max_connections = 4;
  start();
  std::vector<Connection> silent;
  for (int i = 0; i < 40; ++i) silent.push_back(connect());
  expect_alive();
  expect_alive();
}

TEST_F(Hostile, ABusyServerStillServesItsUnixSocket) {
  options.max_connections = 2;
  start();
  std::vector<Connection> streams;
  for (int i = 0; i < 2; ++i) {
    streams.push_back(connect());
    streams.back().say(head("GET", "/v1/stream"));
    ASSERT_TRUE(streams.back().until("\n\n"));
  }
  auto refused = connect();
  refused.say(head("GET", "/healthz"));
  const auto reply = refused.reply();
  ASSERT_TRUE(reply) << "nobody is idle, so there is no room; but it is said";
  EXPECT_EQ(reply->status, 503u);
  EXPECT_EQ(reply->headers.at("retry-after"), "1");
  EXPECT_EQ(reply->headers.at("connection"), "close");
  EXPECT_EQ(reply->text("type"), "urn:voxbus:problem:unavailable");
  EXPECT_TRUE(refused.closes());
  auto local = connect_local();
  local.say("GET /v1/status HTTP/1.1\r\n\r\n");
  EXPECT_EQ(local.reply()->status, 200u);
}

TEST_F(Hostile, ThoseForWhomThereIsNoRoomCostNone) {
  options.max_connections = 2;
  start();
  std::vector<Connection> streams, refused;
  for (int i = 0; i < 2; ++i) {
    streams.push_back(connect());
    streams.back().say(head("GET", "/v1/stream"));
    ASSERT_TRUE(streams.back().until("\n\n"));
  }
  // More than are closed with care, and all of them keep their end open.
  for (int i = 0; i < 300; ++i) refused.push_back(connect());
  for (auto& one : refused) {
    const auto reply = one.reply();
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->status, 503u);
    ASSERT_TRUE(one.closes());
  }
  auto local = connect_local();
  local.say("GET /v1/status HTTP/1.1\r\n\r\n");
  EXPECT_EQ(local.reply()->json().at("connections").at("open").to_number<int>(), 3);
  journal.write({.text = "still served"});
  for (auto& stream : streams) EXPECT_TRUE(stream.until("still served"));
  // One that leaves makes room.
  refused.clear();
  streams.pop_back();
  journal.write({});
  unsigned status = 503;
  const test::Deadline deadline;
  while (status == 503 && !deadline.passed()) status = get("/healthz").status;
  EXPECT_EQ(status, 200u);
}

TEST_F(Hostile, AStopDoesNotWaitForThoseWhoWereTurnedAway) {
  options.max_connections = 1;
  start();
  auto stream = connect();
  stream.say(head("GET", "/v1/stream"));
  ASSERT_TRUE(stream.until("\n\n"));
  auto refused = connect();
  ASSERT_TRUE(refused.reply());
  const auto begun = std::chrono::steady_clock::now();
  stop();
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 1500ms);
}

TEST_F(Hostile, GarbageGetsOneAnswerAndTheEnd) {
  start();
  for (const auto* garbage :
       {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "hello\r\n\r\n", "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n", "GET / HTTP/1.1\r\nHost localhost\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"}) {
    auto connection = connect();
    connection.say(garbage);
    connection.end_sending();
    const auto reply = connection.reply();
    if (reply) {
      EXPECT_EQ(reply->status, 400u) << garbage;
    }
    ASSERT_TRUE(connection.closes()) << garbage;
  }
  expect_alive();
}

TEST_F(Hostile, BadTargetsAreNamed) {
  start();
  for (const auto* target : {"/%zz", "/%00", "/%ff", "/v1/events?from=%0a", "/v1/events?a=%",
                             "ftp://localhost/healthz", "*"}) {
    EXPECT_EQ(get(target).status, 400u) << target;
  }
  EXPECT_EQ(get("/" + std::string(100, '/')).status, 400u);
  EXPECT_EQ(get("//healthz").status, 404u);
  EXPECT_EQ(get("/healthz/").status, 200u);
  EXPECT_EQ(get("/../healthz").status, 404u);
}

TEST_F(Hostile, UnknownPathsAndMethodsGetProblems) {
  start();
  const auto missing = get("/v1/nothing");
  EXPECT_EQ(missing.status, 404u);
  EXPECT_EQ(missing.text("type"), "urn:voxbus:problem:not-found");
  const auto method = ask("DELETE", "/v1/events");
  EXPECT_EQ(method.status, 405u);
  EXPECT_EQ(method.headers.at("allow"), "GET, HEAD");
  EXPECT_EQ(ask("BREW", "/v1/events").status, 405u);
  EXPECT_EQ(ask("POST", "/v1/consumers/a").headers.at("allow"), "PUT, GET, HEAD, DELETE");
}

TEST_F(Hostile, PipelinedRequestsAreAnsweredInOrder) {
  start();
  auto connection = connect();
  std::string all;
  for (int i = 0; i < 20; ++i) all += head("GET", i % 2 ? "/healthz" : "/v1/nothing");
  connection.say(all);
  for (int i = 0; i < 20; ++i) {
    const auto reply = connection.reply();
    ASSERT_TRUE(reply) << i;
    EXPECT_EQ(reply->status, i % 2 ? 200u : 404u);
  }
}

TEST_F(Hostile, ConnectionsMayEndAfterAnyByte) {
  start();
  const auto whole =
      head("PUT", "/v1/consumers/a", "Content-Type: application/json\r\nContent-Length: 2\r\n") +
      "{}";
  for (std::size_t size = 0; size < whole.size(); size += 3) {
    auto connection = connect();
    connection.say(whole.substr(0, size));
  }
  expect_alive();
}

TEST_F(Hostile, HeadAnswersHaveNoBody) {
  start();
  auto connection = connect();
  connection.say(head("HEAD", "/v1/schemas/event.v1") + head("GET", "/healthz"));
  const auto reply = connection.reply(true);
  EXPECT_EQ(reply->status, 200u);
  EXPECT_NE(reply->headers.at("content-length"), "0");
  EXPECT_EQ(connection.reply()->body, "ok\n");
}

TEST_F(Hostile, OldClientsAreServedAndClosed) {
  start();
  auto connection = connect();
  connection.say("GET /healthz HTTP/1.0\r\n\r\n");
  EXPECT_EQ(connection.reply()->status, 200u);
  EXPECT_TRUE(connection.closes());
}

TEST_F(Hostile, AReaderThatStopsIsCutAndOthersGoOn) {
  options.write_within = 500ms;
  start();
  auto stuck = Connection::tcp(server->port(), 4096);
  stuck.say(head("GET", "/v1/stream?from=beginning"));
  auto reading = connect();
  reading.say(head("GET", "/v1/stream?from=beginning"));
  for (int i = 0; i < 100; ++i) {
    journal.write({.text = std::string(200'000, 'x')});
    ASSERT_TRUE(reading.until("\ndata: ")) << i;
  }
  // Only the reading one is left.
  int streams = 2;
  const test::Deadline deadline;
  while (streams != 1 && !deadline.passed()) {
    const auto status = get("/v1/status").json();
    streams = status.at("connections").at("streams").to_number<int>();
  }
  EXPECT_EQ(streams, 1);
}

TEST_F(Hostile, BodiesOfOtherTypesAreRefused) {
  start();
  auto connection = connect();
  connection.say(
      head("PUT", "/v1/consumers/a", "Content-Type: text/plain\r\nContent-Length: 2\r\n") + "{}");
  EXPECT_EQ(connection.reply()->status, 415u);
  for (const auto* body : {"[]", "{", "nul", "{\"a\":1}", "\"x\""})
    EXPECT_EQ(ask("PUT", "/v1/consumers/a", body).status, 400u) << body;
  EXPECT_EQ(ask("PUT", "/v1/consumers/a", std::string(50'000, '[')).status, 400u);
}

TEST_F(Hostile, AMemberThatIsGivenTwiceIsRefused) {
  start();
  for (const auto* body :
       {R"({"max_in_flight":1,"max_in_flight":2})", R"({"max_in_flight":2,"max_in_flight":2})",
        R"({"max_in_flight":2,"max_in_fligh\u0074":2})",
        R"({"filter":{"channel":["a"],"channel":["b"]}})"}) {
    const auto refused = ask("PUT", "/v1/consumers/a", body);
    EXPECT_EQ(refused.status, 400u) << body;
    EXPECT_NE(refused.body.find("twice"), std::string::npos) << refused.body;
  }
  EXPECT_EQ(get("/v1/consumers/a").status, 404u);
  EXPECT_EQ(ask("PUT", "/v1/consumers/a", R"({"max_in_flight":2})").status, 201u);
  for (const auto* path : {"/v1/consumers/a/ack", "/v1/consumers/a/fetch"}) {
    const auto refused = post(path, R"({"limit":1,"limit":1})");
    EXPECT_EQ(refused.status, 400u) << path;
    EXPECT_NE(refused.body.find("twice"), std::string::npos) << refused.body;
  }
}

}  // namespace
}  // namespace voxbus::serve
