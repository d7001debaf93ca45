// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <re2/re2.h>

#include <set>
#include <thread>

#include "model/schemas.hpp"
#include "schema_check.hpp"
#include "serve_fixture.hpp"

namespace voxbus::serve {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

class Pulling : public test::Serving {
 protected:
  static std::vector<std::string> texts(const test::Reply& reply) {
    std::vector<std::string> out;
    for (const auto& event : reply.json().as_array())
      out.emplace_back(event.at("data").at("text").as_string());
    return out;
  }
};

TEST_F(Pulling, GivesABatchFromTheBeginningAndSaysWhereToGoOn) {
  start();
  journal.write_many(5);
  const auto first = get("/v1/events?limit=3");
  EXPECT_EQ(first.status, 200u);
  EXPECT_EQ(first.headers.at("content-type"), "application/cloudevents-batch+json");
  EXPECT_THAT(texts(first), ElementsAre("0", "1", "2"));
  EXPECT_EQ(first.headers.at("voxbus-end"), model::format(feed->at(5)));
  const auto second = get("/v1/events?from=" + first.headers.at("voxbus-next"));
  EXPECT_THAT(texts(second), ElementsAre("3", "4"));
  EXPECT_EQ(second.headers.at("voxbus-next"), second.headers.at("voxbus-end"));
  EXPECT_EQ(get("/v1/events?from=" + second.headers.at("voxbus-next")).body, "[]");
}

TEST_F(Pulling, GivesLinesWhenAskedForThem) {
  start();
  journal.write_many(3);
  const auto reply = get("/v1/events", "Accept: application/x-ndjson\r\n");
  EXPECT_EQ(reply.headers.at("content-type"), "application/x-ndjson");
  EXPECT_EQ(std::count(reply.body.begin(), reply.body.end(), '\n'), 3);
  EXPECT_THAT(reply.body, testing::EndsWith("}\n"));
  EXPECT_EQ(get("/v1/events?from=now", "Accept: application/x-ndjson\r\n").body, "");
}

TEST_F(Pulling, PassesOverWhatIsFilteredOut) {
  start();
  journal.write_many(5000, {.channel = "noise"});
  journal.write({.channel = "rare", .text = "found"});
  const auto reply = get("/v1/events?channel=rare");
  EXPECT_THAT(texts(reply), ElementsAre("found"));
  journal.write_many(100, {.channel = "noise"});
  const auto nothing = get("/v1/events?channel=rare&from=" + reply.headers.at("voxbus-next"));
  EXPECT_EQ(nothing.body, "[]");
  EXPECT_EQ(nothing.headers.at("voxbus-next"), model::format(feed->at(5101)));
}

TEST_F(Pulling, WaitsForNewsAndNoLonger) {
  start();
  auto waiting = connect();
  waiting.say(head("GET", "/v1/events?from=now&wait=30s"));
  // It is asked again at the same time, which shows that waiting keeps nobody else.
  EXPECT_EQ(get("/v1/events?from=now&wait=10ms").body, "[]");
  journal.write({.text = "news"});
  const auto reply = waiting.reply();
  ASSERT_TRUE(reply);
  // The request may have come after the event; then it waits for the next one.
  if (reply->body != "[]") {
    EXPECT_THAT(texts(*reply), ElementsAre("news"));
  }
}

TEST_F(Pulling, WakesForEveryEventWhileItIsWaitedFor) {
  start();
  const std::jthread writer([&] {
    for (int i = 0; i < 300; ++i) journal.write({.text = std::to_string(i)});
  });
  std::string from = "beginning";
  std::vector<std::string> seen;
  while (seen.size() < 300) {
    const auto reply = get("/v1/events?wait=5s&limit=7&from=" + from);
    ASSERT_EQ(reply.status, 200u);
    const auto got = texts(reply);
    ASSERT_FALSE(got.empty()) << "a wait of 5 s ended with nothing";
    seen.insert(seen.end(), got.begin(), got.end());
    from = reply.headers.at("voxbus-next");
  }
  for (std::size_t i = 0; i < seen.size(); ++i) EXPECT_EQ(seen[i], std::to_string(i));
}

TEST_F(Pulling, BoundsTheBytesOfAnAnswer) {
  options.answer_bytes = 300'000;
  start();
  for (int i = 0; i < 10; ++i) journal.write({.text = std::string(100'000, 'x')});
  journal.write({.text = std::string(250'000, 'z')});
  std::string from = "beginning";
  std::size_t seen = 0;
  for (int pages = 0; pages < 20 && seen < 11; ++pages) {
    const auto reply = get("/v1/events?from=" + from);
    EXPECT_LE(reply.body.size(), 300'010u);
    seen += texts(reply).size();
    from = reply.headers.at("voxbus-next");
  }
  EXPECT_EQ(seen, 11u);
}

TEST_F(Pulling, RefusesWhenAnswersUnderWayTakeAllTheMemoryThereIs) {
  options.answers_bytes = 4 << 20;  // less than one answer may need
  start();
  const auto reply = get("/v1/events");
  EXPECT_EQ(reply.status, 429u);
  EXPECT_EQ(reply.headers.at("retry-after"), "1");
}

TEST_F(Pulling, NamesTheParameterThatIsWrong) {
  start();
  const std::pair<const char*, const char*> bad[] = {
      {"limit=0", "limit"},        {"limit=10001", "limit"}, {"limit=x", "limit"},
      {"limit=", "limit"},         {"wait=5", "wait"},       {"wait=61s", "wait"},
      {"from=x", "from"},          {"kind=mial", "kind"},    {"text=(", "text"},
      {"colour=blue", "colour"},   {"type=*x", "type"},      {"channel=A", "channel"},
      {"historic=no", "historic"}, {"language=", "language"}};
  for (const auto& [query, parameter] : bad) {
    const auto reply = get("/v1/events?" + std::string(query));
    EXPECT_EQ(reply.status, 400u) << query;
    EXPECT_EQ(reply.text("parameter"), parameter) << query;
    EXPECT_EQ(reply.text("type"), "urn:voxbus:problem:bad-request");
  }
  EXPECT_THAT(get("/v1/events?chanel=a").text("detail"), HasSubstr("did you mean 'channel'?"));
}

TEST_F(Pulling, GivesOneEventAndItsRawBytes) {
  start();
  journal.write({.text = "words", .native_id = "m1"});
  const auto path = "/v1/events/" + model::format(feed->at(1));
  const auto event = get(path);
  EXPECT_EQ(event.headers.at("content-type"), "application/cloudevents+json");
  EXPECT_EQ(event.body, (*feed->event(1))->json());
  const auto raw = get(path + "/raw");
  EXPECT_EQ(raw.body, "raw of m1");
  EXPECT_EQ(raw.headers.at("content-type"), "application/octet-stream");
  EXPECT_EQ(raw.headers.at("content-disposition"), "attachment");
  EXPECT_EQ(raw.headers.at("x-content-type-options"), "nosniff");
  for (const auto* missing : {"0001.000000000000000002", "0001.000000000000000000",
                              "0002.000000000000000001", "x", "0001.99999999999999999999"}) {
    EXPECT_EQ(get("/v1/events/" + std::string(missing)).status, 404u) << missing;
    EXPECT_EQ(get("/v1/events/" + std::string(missing) + "/raw").status, 404u) << missing;
  }
}

TEST_F(Pulling, EmitsOnlyWhatCloudEventsAndOurSchemasAllow) {
  start();
  journal.write({.text = "a mail",
                 .title = "Subject",
                 .language = "en",
                 .conversation = "t1",
                 .native_id = "one"});
  journal.write({.text = "changed", .native_id = "one"});
  journal.write({.channel = "calls", .kind = "call", .author = "tel:+12025550101"});
  journal.write({.text = "old \"quoted\" \\ \x01 \xE2\x80\xA8 words", .historic = true});
  const auto appended =
      journal->append({.source = "channels/support",
                       .type = std::string(model::type::kChannelUp),
                       .schema = "channel.v1",
                       .data = R"({"channel":"support","plugin":"email","state":"up"})"});
  ASSERT_TRUE(appended);
  const auto reply = get("/v1/events");
  const auto events = reply.json();
  ASSERT_EQ(events.as_array().size(), 5u);
  std::set<std::string> ids;
  std::string before;
  for (const auto& event : events.as_array()) {
    EXPECT_EQ(test::schema_fault("event.v1", event), "") << json::serialize(event);
    const auto& object = event.as_object();
    for (const auto& [name, value] : object) {
      const std::string_view attribute(name.data(), name.size());
      if (attribute == "data") continue;
      EXPECT_TRUE(re2::RE2::FullMatch(std::string(attribute), "[a-z0-9]{1,20}")) << attribute;
      EXPECT_TRUE(value.is_string()) << attribute;
      EXPECT_FALSE(value.as_string().empty()) << attribute;
    }
    ids.emplace(object.at("id").as_string());
    const std::string sequence(object.at("sequence").as_string());
    EXPECT_GT(sequence, before) << "ordered as text";
    before = sequence;
    const std::string schema(object.at("dataschema").as_string());
    ASSERT_THAT(schema, testing::StartsWith("urn:voxbus:schema:"));
    EXPECT_EQ(test::schema_fault(schema.substr(18), object.at("data")), "")
        << json::serialize(event);
  }
  EXPECT_EQ(ids.size(), 5u);
}

TEST(SchemaCheck, FindsFaults) {
  const auto fault = [](std::string_view schema, std::string_view text) {
    return test::schema_fault(schema, *json::parse(text));
  };
  EXPECT_NE(fault("event.v1", "{}"), "");
  EXPECT_NE(
      fault(
          "event.v1",
          R"({"specversion":"0.3","id":"0","source":"x","type":"y","sequence":"1","recordedtime":"now"})"),
      "");
  EXPECT_NE(fault("channel.v1", R"({"channel":"a","plugin":"b","state":"sideways"})"), "");
  EXPECT_EQ(fault("channel.v1", R"({"channel":"a","plugin":"b","state":"up"})"), "");
  EXPECT_NE(fault("clock.v1", R"({"from":"2026-11-22T00:00:00Z"})"), "");
  EXPECT_EQ(fault("clock.v1", R"({"from":"2026-11-22T00:00:00Z","to":"2026-11-21T21:00:00Z"})"),
            "");
}

TEST_F(Pulling, ServesItsSchemas) {
  start();
  const auto list = get("/v1/schemas").json();
  EXPECT_EQ(list.at("schemas").as_array().size(), model::schemas().size());
  for (const auto& schema : model::schemas()) {
    const auto reply = get("/v1/schemas/" + std::string(schema.name));
    EXPECT_EQ(reply.headers.at("content-type"), "application/schema+json");
    EXPECT_EQ(reply.text("$id"), "urn:voxbus:schema:" + std::string(schema.name));
  }
  EXPECT_EQ(get("/v1/schemas/nothing.v1").status, 404u);
}

TEST_F(Pulling, ShowsTheStateOfEverything) {
  options.status = [] {
    json::array channels;
    channels.push_back(json::object{{"name", "support"}, {"state", "up"}});
    json::object status;
    status["channels"] = std::move(channels);
    return status;
  };
  options.plugins = [] {
    json::array plugins;
    plugins.push_back(json::object{{"name", "email"}});
    return plugins;
  };
  start();
  journal.write({});
  ask("PUT", "/v1/consumers/desk", R"({"from":"beginning"})");
  const auto status = get("/v1/status").json();
  EXPECT_EQ(status.at("installation").as_string(), "test");
  EXPECT_EQ(status.at("version").as_string(), "1.2.3");
  EXPECT_EQ(status.at("end").as_string(), model::format(feed->at(1)));
  EXPECT_EQ(status.at("oldest").as_string(), model::format(feed->at(1)));
  EXPECT_EQ(status.at("consumers").at(0).at("lag").to_number<int>(), 1);
  EXPECT_GE(status.at("connections").at("open").to_number<int>(), 1);
  EXPECT_EQ(get("/v1/channels/support").text("state"), "up");
  EXPECT_EQ(get("/v1/channels/other").status, 404u);
  EXPECT_EQ(get("/v1/plugins").json().at("plugins").at(0).at("name").as_string(), "email");
}

TEST_F(Pulling, IsReadyWhenTheDaemonSaysSo) {
  Guarded<std::optional<std::string>> why;
  options.not_ready = [&] { return why.with([](const auto& reason) { return reason; }); };
  start();
  EXPECT_EQ(get("/readyz").status, 200u);
  why.with([](auto& reason) { reason = "the moon is full"; });
  const auto reply = get("/readyz");
  EXPECT_EQ(reply.status, 503u);
  EXPECT_EQ(reply.text("detail"), "the moon is full");
  EXPECT_EQ(get("/healthz").status, 200u);
}

TEST_F(Pulling, SurvivesHandlersThatThrow) {
  options.status = []() -> json::object { throw std::runtime_error("secret words"); };
  start();
  const auto reply = get("/v1/status");
  EXPECT_EQ(reply.status, 500u);
  EXPECT_THAT(reply.body, testing::Not(HasSubstr("secret words")));
  EXPECT_EQ(get("/healthz").status, 200u);
}

TEST_F(Pulling, ShowsThatItsLoopTurns) {
  start();
  const auto before = server->last_turn();
  const test::Deadline deadline;
  while (server->last_turn() == before && !deadline.passed()) get("/healthz");
  EXPECT_GT(server->last_turn(), before);
}

}  // namespace
}  // namespace voxbus::serve
