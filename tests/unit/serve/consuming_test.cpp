// SPDX-License-Identifier: Apache-2.0
// Durable consumers over HTTP.
#include <gmock/gmock.h>

#include <future>
#include <map>
#include <optional>
#include <thread>

#include "serve_fixture.hpp"

namespace voxbus::serve {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

class ConsumingOverHttp : public test::Serving {
 protected:
  void SetUp() override {
    Serving::SetUp();
    start();
  }
  test::Reply put(const std::string& name, const std::string& body, const std::string& query = "") {
    return ask("PUT", "/v1/consumers/" + name + query, body);
  }
  test::Reply fetch(const std::string& name, const std::string& body = "{}") {
    return post("/v1/consumers/" + name + "/fetch", body);
  }
  // Without waiting for the reply.
  test::Connection fetching(const std::string& name, const std::string& body) {
    auto connection = connect();
    connection.say(head("POST", "/v1/consumers/" + name + "/fetch",
                        "Content-Type: application/json\r\nContent-Length: " +
                            std::to_string(body.size()) + "\r\n") +
                   body);
    return connection;
  }
  test::Reply ack(const std::string& name, const std::string& body) {
    return post("/v1/consumers/" + name + "/ack", body);
  }
  static std::vector<std::string> sequences(const test::Reply& reply) {
    std::vector<std::string> out;
    for (const auto& event : reply.json().at("events").as_array())
      out.emplace_back(event.at("sequence").as_string());
    return out;
  }
  static std::string list(const std::vector<std::string>& all) {
    return json::serialize(json::array(all.begin(), all.end()));
  }
  std::string at(model::Position position) { return model::format(feed->at(position)); }
};

TEST_F(ConsumingOverHttp, FetchesAcknowledgesAndGoesOn) {
  journal.write_many(5);
  const auto made = put(
      "desk",
      R"({"from":"beginning","filter":{"kind":"mail"},"max_in_flight":100,"ack_within":"20s","max_deliver":3})");
  EXPECT_EQ(made.status, 201u);
  EXPECT_EQ(made.text("ack_within"), "20s");
  EXPECT_EQ(
      put("desk",
          R"({"filter":{"kind":["mail"]},"max_in_flight":100,"ack_within":"20s","max_deliver":3})")
          .status,
      200u);
  const auto fetched = fetch("desk", R"({"max":3})");
  EXPECT_EQ(fetched.status, 200u);
  EXPECT_THAT(sequences(fetched), ElementsAre(at(1), at(2), at(3)));
  EXPECT_EQ(fetched.json().at("deliveries").at(0).at("attempt").to_number<int>(), 1);
  const auto settled = ack("desk", R"({"sequences":)" + list(sequences(fetched)) + "}");
  EXPECT_EQ(settled.status, 200u);
  EXPECT_EQ(settled.text("floor"), at(3));
  EXPECT_THAT(sequences(fetch("desk")), ElementsAre(at(4), at(5)));
  EXPECT_EQ(ack("desk", R"({"through":")" + at(5) + R"("})").text("floor"), at(5));
  EXPECT_EQ(get("/v1/consumers/desk").json().at("lag").to_number<int>(), 0);
}

TEST_F(ConsumingOverHttp, RefusesAnotherFilterUnlessItIsToldToUpdate) {
  put("desk", R"({"filter":{"kind":"mail"}})");
  const auto other = put("desk", R"({"filter":{"kind":"call"}})");
  EXPECT_EQ(other.status, 409u);
  EXPECT_EQ(other.text("type"), "urn:voxbus:problem:conflict");
  EXPECT_EQ(put("desk", R"({"filter":{"kind":"call"}})", "?update=1").status, 200u);
  EXPECT_EQ(put("desk", R"({"ack_within":"1m"})").status, 409u);
  EXPECT_EQ(put("desk", "{}").text("ack_within"), "30s") << "what is left out stays";
}

TEST_F(ConsumingOverHttp, NamesWhatIsWrong) {
  EXPECT_EQ(put("Desk", "{}").text("parameter"), "name");
  EXPECT_EQ(put("desk", R"({"filter":{"kind":"mial"}})").text("parameter"), "filter");
  EXPECT_EQ(put("desk", R"({"from":"yesterday"})").text("parameter"), "from");
  EXPECT_EQ(fetch("desk").status, 404u);
  EXPECT_EQ(get("/v1/consumers/desk").status, 404u);
  put("desk", "{}");
  for (const auto* body : {R"({"max":0})", R"({"max":"x"})", R"({"wait":5})", R"({"wait":"61s"})",
                           R"({"member":""})", R"({"x":1})"}) {
    EXPECT_EQ(fetch("desk", body).status, 400u) << body;
  }
  for (const auto* body :
       {"{}", R"({"sequences":"0001.1"})", R"({"sequences":["x"]})",
        R"({"sequences":[],"through":"0001.1"})", R"({"nack":[],"delay":"1y"})",
        R"({"sequences":["0001.000000000000000009"]})",
        R"({"sequences":["0007.000000000000000001"]})", R"({"through":"0007.000000000000000001"})",
        R"({"nack":["0007.000000000000000001"]})", R"({"through":7})", R"({"seqences":[]})"}) {
    EXPECT_EQ(ack("desk", body).status, 400u) << body;
  }
  // A member that would mean nothing there is not passed over in silence.
  for (const auto* body : {R"({"sequences":[],"delay":"5s"})", R"({"release":[],"delay":"5s"})",
                           R"({"through":"0001.000000000000000000","delay":"5s"})"}) {
    EXPECT_EQ(ack("desk", body).text("parameter"), "delay") << body;
  }
  for (const auto* body : {"{}", R"({"all":true,"sequences":[]})", R"({"all":"yes"})",
                           R"({"all":"yes","sequences":[]})", R"({"all":false})"}) {
    EXPECT_EQ(post("/v1/consumers/desk/parked/redeliver", body).status, 400u) << body;
  }
}

TEST_F(ConsumingOverHttp, WaitsForEvents) {
  put("desk", "{}");
  auto waiting = fetching("desk", R"({"wait":"30s"})");
  journal.write({.text = "news"});
  const auto reply = waiting.reply();
  ASSERT_TRUE(reply);
  EXPECT_THAT(sequences(*reply), ElementsAre(at(1)));
  EXPECT_THAT(sequences(fetch("desk", R"({"wait":"10ms"})")), IsEmpty());
}

TEST_F(ConsumingOverHttp, WakesAWaitingMemberWhenAnotherGivesBack) {
  journal.write({.conversation = "a"});
  put("desk", R"({"from":"beginning","group":true})");
  EXPECT_THAT(sequences(fetch("desk", R"({"member":"one"})")), ElementsAre(at(1)));
  auto waiting = fetching("desk", R"({"wait":"30s","member":"two"})");
  EXPECT_EQ(ack("desk", R"({"nack":[")" + at(1) + R"("],"delay":"0s"})").status, 200u);
  const auto reply = waiting.reply();
  ASSERT_TRUE(reply);
  EXPECT_THAT(sequences(*reply), ElementsAre(at(1)));
  EXPECT_EQ(reply->json().at("deliveries").at(0).at("attempt").to_number<int>(), 2);
}

TEST_F(ConsumingOverHttp, WaitsNoLongerThanItIsAskedTo) {
  put("desk", "{}");
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_THAT(sequences(fetch("desk", R"({"wait":"300ms"})")), IsEmpty());
  const auto waited = std::chrono::steady_clock::now() - begun;
  EXPECT_GE(waited, 300ms);
  EXPECT_LT(waited, 5s);
}

TEST_F(ConsumingOverHttp, AStopEndsWhatWaits) {
  put("desk", "{}");
  auto pulling = connect();
  pulling.say(head("GET", "/v1/events?from=now&wait=60s"));
  auto leasing = fetching("desk", R"({"wait":"60s"})");
  // By then they most likely wait; one that is still on its way must end as well.
  for (int i = 0; i < 2; ++i) EXPECT_EQ(get("/v1/consumers/desk").status, 200u);
  const auto begun = std::chrono::steady_clock::now();
  stop();
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 5s);
  const test::Deadline deadline;
  EXPECT_TRUE(pulling.closes(deadline));
  EXPECT_TRUE(leasing.closes(deadline));
}

TEST_F(ConsumingOverHttp, WakesWhenALeaseRunsOut) {
  journal.write({});
  put("desk", R"({"from":"beginning","ack_within":"200ms"})");
  EXPECT_EQ(sequences(fetch("desk")).size(), 1u);
  const auto again = fetch("desk", R"({"wait":"30s"})");
  EXPECT_THAT(sequences(again), ElementsAre(at(1)));
}

TEST_F(ConsumingOverHttp, GivesBackWhatWasNotLookedAtWithoutCountingIt) {
  journal.write_many(3);
  put("desk", R"({"from":"beginning","max_deliver":1})");
  const auto got = sequences(fetch("desk"));
  const auto settled = ack("desk", R"({"release":)" + list(got) + "}");
  EXPECT_EQ(settled.status, 200u);
  EXPECT_EQ(settled.json().at("in_flight").to_number<int>(), 0);
  const auto again = fetch("desk");
  EXPECT_EQ(sequences(again), got) << "at once, and not parked";
  EXPECT_EQ(again.json().at("deliveries").at(0).at("attempt").to_number<int>(), 1);
  ack("desk", R"({"sequences":)" + list(got) + "}");
  EXPECT_EQ(ack("desk", R"({"release":)" + list(got) + "}").status, 200u);
  EXPECT_THAT(sequences(fetch("desk")), IsEmpty()) << "what is settled stays so";
  EXPECT_EQ(ack("desk", R"({"release":[],"nack":[]})").status, 400u);
}

TEST_F(ConsumingOverHttp, ParksAndTakesUpAgain) {
  journal.write_many(2);
  put("desk", R"({"from":"beginning","max_deliver":1})");
  fetch("desk");
  EXPECT_EQ(ack("desk", R"({"nack":[")" + at(1) + R"(",")" + at(2) + R"("]})").text("floor"),
            at(2));
  const auto parked = get("/v1/consumers/desk/parked").json();
  ASSERT_EQ(parked.at("parked").as_array().size(), 2u);
  EXPECT_EQ(parked.at("parked").at(0).at("event").at("sequence").as_string(), at(1));
  EXPECT_EQ(post("/v1/consumers/desk/parked/redeliver", R"({"sequences":[")" + at(2) + R"("]})")
                .json()
                .at("redelivered")
                .to_number<int>(),
            1);
  EXPECT_THAT(sequences(fetch("desk")), ElementsAre(at(2)));
  EXPECT_EQ(post("/v1/consumers/desk/parked/redeliver", R"({"all":true})")
                .json()
                .at("redelivered")
                .to_number<int>(),
            1);
  EXPECT_THAT(sequences(fetch("desk")), ElementsAre(at(1)));
}

TEST_F(ConsumingOverHttp, ListsAndDeletes) {
  put("b", "{}");
  put("a", "{}");
  const auto list = get("/v1/consumers").json();
  EXPECT_EQ(list.at("consumers").at(0).at("name").as_string(), "a");
  EXPECT_EQ(list.at("consumers").as_array().size(), 2u);
  EXPECT_EQ(ask("DELETE", "/v1/consumers/a").status, 204u);
  EXPECT_EQ(ask("DELETE", "/v1/consumers/a").status, 404u);
  EXPECT_EQ(get("/v1/consumers").json().at("consumers").as_array().size(), 1u);
}

TEST_F(ConsumingOverHttp, AGroupSharesEverythingOnceAndEachConversationInOrder) {
  constexpr int kEvents = 600, kConversations = 12;
  put("desk", R"({"from":"beginning","group":true,"max_in_flight":50})");
  const std::jthread writer([&] {
    for (int i = 0; i < kEvents; ++i)
      journal.write(
          {.text = std::to_string(i), .conversation = "c" + std::to_string(i % kConversations)});
  });
  Guarded<std::vector<int>> handled;
  // Until all is handled, or nothing has come to anybody for so long that nothing will.
  const auto work = [&](const std::string& member) {
    std::size_t known = 0;
    for (std::optional<test::Deadline> news{std::in_place}; known < kEvents && !news->passed();) {
      const auto reply = fetch("desk", R"({"max":20,"wait":"200ms","member":")" + member + R"("})");
      for (const auto& event : reply.json().at("events").as_array()) {
        handled.with([&](auto& all) {
          all.push_back(std::stoi(std::string(event.at("data").at("text").as_string())));
        });
      }
      if (const auto got = sequences(reply); !got.empty())
        ack("desk", R"({"sequences":)" + list(got) + "}");
      const auto now = handled.with([](const auto& all) { return all.size(); });
      if (now > known) news.emplace();
      known = now;
    }
  };
  std::vector<std::future<void>> members;
  for (const auto* member : {"m0", "m1", "m2"})
    members.push_back(std::async(std::launch::async, work, member));
  for (auto& member : members) member.get();
  const auto all = handled.with([](const auto& seen) { return seen; });
  EXPECT_EQ(all.size(), static_cast<std::size_t>(kEvents)) << "each once";
  std::map<int, int> last;
  for (const int event : all) {
    const auto [known, first] = last.try_emplace(event % kConversations, event);
    if (first) continue;
    EXPECT_LT(known->second, event) << "conversation " << event % kConversations;
    known->second = event;
  }
}

}  // namespace
}  // namespace voxbus::serve
