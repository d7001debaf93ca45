// SPDX-License-Identifier: Apache-2.0
#include "serve/accept.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "serve_fixture.hpp"

namespace voxbus::serve {
namespace {

using testing::HasSubstr;

constexpr std::string_view kOffers[] = {"application/cloudevents-batch+json",
                                        "application/x-ndjson", "application/json"};

std::string chosen(std::string_view accept) {
  const auto found = preferred(accept, kOffers);
  return found ? std::string(kOffers[*found]).substr(12) : "none";
}

TEST(Accept, TakesTheFirstOfferWhenAllIsAcceptable) {
  for (const auto* all : {"", "*/*", "application/*", "text/html, */*;q=0.1", "*/*;q=0.5"})
    EXPECT_EQ(chosen(all), "cloudevents-batch+json") << all;
}

TEST(Accept, TakesWhatWeighsMostAndIsNamedMostExactly) {
  EXPECT_EQ(chosen("application/x-ndjson"), "x-ndjson");
  EXPECT_EQ(chosen("Application/X-NDJSON"), "x-ndjson");
  EXPECT_EQ(chosen("application/x-ndjson, */*"), "x-ndjson");
  EXPECT_EQ(chosen("*/*, application/x-ndjson"), "x-ndjson");
  EXPECT_EQ(chosen("application/json, application/x-ndjson"), "x-ndjson");
  EXPECT_EQ(chosen("application/json, application/x-ndjson;q=0.9"), "json");
  EXPECT_EQ(chosen("application/x-ndjson;q=0.2, */*;q=0.1"), "x-ndjson");
  EXPECT_EQ(chosen("application/x-ndjson;q=0.001,application/*;q=0.002"), "cloudevents-batch+json");
  EXPECT_EQ(chosen("application/x-ndjson;charset=utf-8 ; q=1.000"), "x-ndjson");
  EXPECT_EQ(chosen("text/x;a=\"application/x-ndjson, \\\", \", application/json"), "json");
}

TEST(Accept, LeavesOutWhatWeighsNothing) {
  EXPECT_EQ(chosen("text/html, application/x-ndjson;q=0"), "none");
  EXPECT_EQ(chosen("*/*, application/x-ndjson;q=0"), "cloudevents-batch+json");
  EXPECT_EQ(chosen("*/*, application/cloudevents-batch+json;q=0.0"), "x-ndjson");
  EXPECT_EQ(chosen("application/*;q=0, application/json"), "json");
  EXPECT_EQ(chosen("text/html"), "none");
  EXPECT_EQ(chosen("text/*"), "none");
  EXPECT_EQ(chosen("x-ndjson/application"), "none");
}

TEST(Accept, PassesOverWhatIsNoMediaRange) {
  for (const auto* nonsense :
       {",", ";", "json", "*", "/", "a/", "/b", "*/json", "application/json;q=2",
        "application/json;q=x", "application/json;q=0.1234", "\"", ";q=1,,"})
    EXPECT_EQ(chosen(nonsense), "cloudevents-batch+json") << nonsense;
  EXPECT_EQ(chosen("json, application/x-ndjson"), "x-ndjson");
  EXPECT_EQ(chosen("\"\\"), "cloudevents-batch+json");
}

class Negotiating : public test::Serving {};

TEST_F(Negotiating, GivesTheFormThatIsWantedOr406) {
  start();
  journal.write_many(2);
  const auto form = [&](const std::string& headers) {
    const auto reply = get("/v1/events", headers);
    return std::to_string(reply.status) + " " + reply.headers.at("content-type");
  };
  EXPECT_EQ(form(""), "200 application/cloudevents-batch+json");
  EXPECT_EQ(form("Accept: application/json\r\n"), "200 application/json");
  EXPECT_EQ(form("Accept: text/html, application/x-ndjson;q=0, */*;q=0.1\r\n"),
            "200 application/cloudevents-batch+json");
  EXPECT_EQ(form("Accept: text/html\r\nAccept: application/x-ndjson\r\n"),
            "200 application/x-ndjson")
      << "two lines are one list";
  EXPECT_EQ(form("Accept: text/html, application/x-ndjson;q=0\r\n"),
            "406 application/problem+json");
  const auto refused = get("/v1/events", "Accept: text/html\r\n");
  EXPECT_EQ(refused.text("type"), "urn:voxbus:problem:not-acceptable");
  EXPECT_THAT(refused.text("detail"), HasSubstr("application/x-ndjson"));
}

TEST_F(Negotiating, RefusesAParameterThatSaysTwoThings) {
  start();
  journal.write_many(2);
  const std::pair<const char*, const char*> twice[] = {
      {"/v1/events?from=now&from=beginning", "from"},
      {"/v1/events?limit=1&limit=2", "limit"},
      {"/v1/events?wait=0s&limit=1&wait=0s", "wait"},
      {"/v1/stream?from=now&from=now", "from"}};
  for (const auto& [target, parameter] : twice) {
    const auto reply = get(target);
    EXPECT_EQ(reply.status, 400u) << target;
    EXPECT_EQ(reply.text("parameter"), parameter);
    EXPECT_THAT(reply.text("detail"), HasSubstr("once"));
  }
  EXPECT_EQ(ask("PUT", "/v1/consumers/a?update=0&update=1", "{}").text("parameter"), "update");
  EXPECT_EQ(get("/v1/events?kind=mail&kind=call&limit=1").status, 200u) << "any of several";
}

}  // namespace
}  // namespace voxbus::serve
