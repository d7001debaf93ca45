// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "base/json.hpp"
#include "model/event.hpp"
#include "model/interaction.hpp"
#include "model/schemas.hpp"

namespace voxbus::model {
namespace {

TEST(Sequence, IsOrderedAsText) {
  const Sequence order[] = {{1, 9}, {1, 10}, {1, 999'999'999}, {2, 1}, {10, 1}};
  for (std::size_t i = 0; i + 1 < std::size(order); ++i) {
    EXPECT_LT(format(order[i]), format(order[i + 1]));
    EXPECT_EQ(*parse_sequence(format(order[i])), order[i]);
  }
  for (const auto* text : {"", "1", ".", "1.", ".1", "1.x", "1.2.3", "-1.2", "99999999999.1"}) {
    EXPECT_FALSE(parse_sequence(text)) << text;
  }
}

Event sample() {
  Event event;
  event.sequence = {1, 42};
  event.id.fill(0xab);
  event.source = "urn:voxbus:demo/channels/mail";
  event.type = type::kReceived;
  event.recorded = *parse_rfc3339("2026-11-22T10:00:00Z");
  event.body = R"({"time":"2026-11-22T09:59:00Z","data":{"text":"a \"b\""}})";
  return event;
}

TEST(Event, BecomesACloudEvent) {
  const auto parsed = json::parse(to_cloudevent(sample()));
  ASSERT_TRUE(parsed);
  const auto& event = parsed->get_object();
  EXPECT_EQ(*json::text_at(event, "specversion"), "1.0");
  EXPECT_EQ(*json::text_at(event, "id"), "abababababababababababababababab");
  EXPECT_EQ(*json::text_at(event, "sequence"), "0001.000000000000000042");
  EXPECT_EQ(*json::text_at(event, "time"), "2026-11-22T09:59:00Z");
  EXPECT_EQ(*json::text_at(*json::object_at(event, "data"), "text"), "a \"b\"");
  for (const auto& member : event) {  // CloudEvents 1.0: [a-z0-9], at most 20 characters
    EXPECT_LE(member.key().size(), 20u);
    EXPECT_EQ(std::string(member.key()).find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789"),
              std::string::npos);
  }
}

TEST(Event, WithoutABodyIsStillWhole) {
  for (const auto* body : {"", "{}"}) {
    auto event = sample();
    event.body = body;
    const auto parsed = json::parse(to_cloudevent(event));
    ASSERT_TRUE(parsed) << body;
    EXPECT_FALSE(parsed->get_object().contains("data"));
  }
}

json::object record(std::string_view text) { return json::parse(text)->get_object(); }

TEST(InteractionCheck, PassesAProperRecord) {
  EXPECT_TRUE(check_interaction(record(R"({"kind":"mail","direction":"inbound","audience":"private",
    "author":{"handle":"mailto:nora@example.org","addresses":["tel:+12025550123"]},
    "text":"two\nlines","occurred_at":"2026-11-22T09:59:00Z","quoted":[{"text":"x"}]})")));
}

TEST(InteractionCheck, NamesTheMemberThatIsWrong) {
  const std::pair<const char*, const char*> kWrong[] = {
      {R"({"direction":"inbound","audience":"private"})", "kind"},
      {R"({"kind":"telegram","direction":"inbound","audience":"private"})", "kind"},
      {R"({"kind":"mail","direction":"up","audience":"private"})", "direction"},
      {R"({"kind":"mail","direction":"inbound","audience":"private","text":5})", "text"},
      {R"({"kind":"mail","direction":"inbound","audience":"private","title":"a\nb"})", "title"},
      {R"({"kind":"mail","direction":"inbound","audience":"private","text":"\u0007"})", "text"},
      {R"({"kind":"mail","direction":"inbound","audience":"private","author":[]})", "author"},
      {R"({"kind":"mail","direction":"inbound","audience":"private","author":{"handle":"nora"}})",
       "author.handle"},
      {R"({"kind":"mail","direction":"inbound","audience":"private","occurred_at":"noon"})",
       "occurred_at"},
      {R"({"kind":"mail","direction":"inbound","audience":"private","quoted":[1]})", "quoted"},
      {R"({"kind":"call","direction":"inbound","audience":"private","call":{"disposition":"lost"}})",
       "disposition"}};
  for (const auto& [text, member] : kWrong) {
    const auto checked = check_interaction(record(text));
    ASSERT_FALSE(checked) << text;
    EXPECT_NE(checked.error().message.find(member), std::string::npos) << checked.error().message;
  }
}

TEST(Schemas, AreAllValidJsonAndNamedByTheirId) {
  EXPECT_GE(schemas().size(), 5u);
  for (const auto& schema : schemas()) {
    const auto parsed = json::parse(schema.text);
    ASSERT_TRUE(parsed) << schema.name;
    EXPECT_EQ(*json::text_at(parsed->get_object(), "$id"),
              "urn:voxbus:schema:" + std::string(schema.name));
  }
}

}  // namespace
}  // namespace voxbus::model
