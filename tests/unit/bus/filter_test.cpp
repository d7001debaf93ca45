// SPDX-License-Identifier: Apache-2.0
#include "bus/filter.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace voxbus::bus {
namespace {

using testing::HasSubstr;

model::Event event(const std::string& data, std::string type = std::string(model::type::kReceived),
                   std::string source = "urn:voxbus:test/channels/support") {
  model::Event event;
  event.source = std::move(source);
  event.type = std::move(type);
  event.body = R"({"time":"2026-11-22T10:00:00Z","data":)" + data + "}";
  return event;
}

bool matches(const Filter& filter, const model::Event& event) {
  const auto facets = read_facets(event.body);
  return filter.matches(event, [&]() -> const Facets& { return facets; });
}

Filter filter(std::initializer_list<std::pair<std::string_view, std::string_view>> parameters) {
  Filter made;
  for (const auto& [name, value] : parameters) {
    const auto added = made.add(name, value);
    EXPECT_TRUE(added) << (added ? "" : added.error().message);
  }
  return made;
}

const auto kMail =
    event(R"({"kind":"mail","direction":"inbound","audience":"private","language":"en-GB",
  "title":"Wrong tyre","text":"It does not fit.","historic":false,"author":{"handle":"mailto:nora@example.org","name":"Nora B"}})");
const auto kCall =
    event(R"({"kind":"call","direction":"outbound","audience":"private","historic":true})",
          std::string(model::type::kReceived), "urn:voxbus:test/channels/phones");

TEST(Filter, LetsEverythingPassWhenItAsksNothing) {
  EXPECT_TRUE(Filter().everything());
  EXPECT_TRUE(matches(Filter(), kMail));
  EXPECT_EQ(Filter().canonical(), "{}");
}

TEST(Filter, TakesAnyOfOneNameAndAllOfSeveralNames) {
  const auto wanted = filter({{"kind", "mail,call"}, {"direction", "inbound"}});
  EXPECT_TRUE(matches(wanted, kMail));
  EXPECT_FALSE(matches(wanted, kCall));
  EXPECT_TRUE(matches(filter({{"kind", "mail"}, {"kind", "call"}}), kCall));
}

TEST(Filter, TellsWhatIsPublicFromWhatIsPrivate) {
  const auto post = event(R"({"kind":"post","direction":"inbound","audience":"public"})");
  EXPECT_TRUE(matches(filter({{"audience", "public"}}), post));
  EXPECT_FALSE(matches(filter({{"audience", "private"}}), post));
  EXPECT_TRUE(matches(filter({{"audience", "private"}}), kMail));
  EXPECT_FALSE(matches(filter({{"audience", "public"}}), kMail));
  EXPECT_TRUE(matches(filter({{"audience", "public,private"}}), post));
}

TEST(Filter, KnowsTheChannelWithoutLookingInside) {
  const auto wanted = filter({{"channel", "support"}, {"type", "interaction.*"}});
  EXPECT_FALSE(wanted.needs_facets());
  EXPECT_TRUE(
      wanted.matches(kMail, []() -> const Facets& { throw std::logic_error("looked inside"); }));
  EXPECT_FALSE(matches(wanted, kCall));
}

TEST(Filter, ReadsShortAndWholeAndWildTypes) {
  const auto revised = event("{}", std::string(model::type::kRevised));
  const auto up = event("{}", std::string(model::type::kChannelUp));
  EXPECT_TRUE(matches(filter({{"type", "interaction.*"}}), revised));
  EXPECT_FALSE(matches(filter({{"type", "interaction.*"}}), up));
  EXPECT_TRUE(matches(filter({{"type", "interaction.revised"}}), revised));
  EXPECT_FALSE(matches(filter({{"type", "interaction.received"}}), revised));
  EXPECT_TRUE(matches(filter({{"type", "org.voxbus.channel.up.v1"}}), up));
  EXPECT_FALSE(matches(filter({{"type", "org.voxbus.channel.up.v2"}}), up));
  EXPECT_TRUE(matches(filter({{"type", "*"}}), up));
}

TEST(Filter, FindsALanguageByItsPrefixAndNotByItsLetters) {
  EXPECT_TRUE(matches(filter({{"language", "en"}}), kMail));
  EXPECT_TRUE(matches(filter({{"language", "EN-gb"}}), kMail));
  EXPECT_FALSE(matches(filter({{"language", "en-US"}}), kMail));
  EXPECT_FALSE(matches(filter({{"language", "e"}}), kMail));
}

TEST(Filter, MatchesWordsInTitleTextNameAndHandleWithoutCase) {
  EXPECT_TRUE(matches(filter({{"text", "wrong TYRE"}}), kMail));
  EXPECT_TRUE(matches(filter({{"text", "not fit\\.$"}}), kMail));
  EXPECT_TRUE(matches(filter({{"text", "nora b"}}), kMail));
  EXPECT_TRUE(matches(filter({{"text", "@example\\.org$"}}), kMail));
  EXPECT_FALSE(matches(filter({{"text", "private"}}), kMail));
  EXPECT_TRUE(matches(filter({{"text", "absent"}, {"text", "fit, ?|tyre"}}), kMail));
}

TEST(Filter, TellsOldFromNew) {
  EXPECT_TRUE(matches(filter({{"historic", "true"}}), kCall));
  EXPECT_FALSE(matches(filter({{"historic", "true"}}), kMail));
  EXPECT_TRUE(
      matches(filter({{"historic", "false"}}), event("{}", std::string(model::type::kChannelUp))));
}

TEST(Filter, GivesTheSameTextHoweverItWasSpelt) {
  EXPECT_EQ(filter({{"kind", "mail,call"}, {"channel", "b"}, {"channel", "a"}}).canonical(),
            filter({{"channel", "a,b,a"}, {"kind", "call"}, {"kind", "mail"}}).canonical());
  const auto whole = filter({{"kind", "mail"},
                             {"type", "interaction.*"},
                             {"text", "a,b"},
                             {"historic", "false"},
                             {"language", "DE"}});
  const auto again = Filter::from_json(whole.to_json());
  ASSERT_TRUE(again);
  EXPECT_EQ(again->canonical(), whole.canonical());
  EXPECT_EQ(
      whole.canonical(),
      R"({"historic":false,"kind":["mail"],"language":["de"],"text":["a,b"],"type":["org.voxbus.interaction.*"]})");
}

TEST(Filter, NamesWhatItDoesNotUnderstandAndStaysAsItWas) {
  Filter made;
  const std::pair<const char*, const char*> bad[] = {
      {"kind", "mial"},      {"direction", "up"},    {"audience", ""},       {"channel", "Support"},
      {"type", "a*b"},       {"type", "*.received"}, {"text", "("},          {"text", ""},
      {"historic", "maybe"}, {"language", "e_n"},    {"kind", "mail,,call"}, {"colour", "blue"},
      {"channel", "a b"}};
  for (const auto& [name, value] : bad) {
    const auto added = made.add(name, value);
    ASSERT_FALSE(added) << name << '=' << value;
    EXPECT_FALSE(added.error().message.empty());
  }
  EXPECT_TRUE(made.everything());
  EXPECT_THAT(made.add("kind", "mial").error().message, HasSubstr("did you mean 'mail'?"));
}

TEST(Filter, RefusesPatternsThatCostTooMuch) {
  Filter made;
  EXPECT_FALSE(made.add("text", std::string(1025, 'a')));
  EXPECT_FALSE(made.add("text", "((a{100}){100}){100}"));
  EXPECT_FALSE(made.add("text", "(x{0,1000}y){0,900}"));
  for (int i = 0; i < 8; ++i) EXPECT_TRUE(made.add("text", "pattern" + std::to_string(i)));
  EXPECT_FALSE(made.add("text", "one too many"));
}

TEST(Filter, StaysLinearOnHostilePatterns) {
  const auto wanted = filter({{"text", "(a+)+$"}});
  const auto long_text = event(R"({"text":")" + std::string(200'000, 'a') + R"(!"})");
  EXPECT_FALSE(matches(wanted, long_text));
}

TEST(Filter, PassesOverErasedAndForeignBodies) {
  auto erased = event("{}");
  for (const auto* body : {"", "{}", "not json", "[]", R"({"data":7})"}) {
    erased.body = body;
    EXPECT_FALSE(matches(filter({{"kind", "mail"}}), erased)) << body;
    EXPECT_TRUE(matches(filter({{"channel", "support"}}), erased)) << body;
  }
}

TEST(Filter, ReadsJsonWrittenByHandAndRefusesOtherShapes) {
  const auto read = [](std::string_view text) {
    return Filter::from_json(json::parse(text)->get_object());
  };
  EXPECT_TRUE(read(R"({"channel":"a","kind":["mail","call"],"text":"x","historic":true})"));
  EXPECT_FALSE(read(R"({"channel":1})"));
  EXPECT_FALSE(read(R"({"kind":[1]})"));
  EXPECT_FALSE(read(R"({"kind":{"a":1}})"));
  EXPECT_FALSE(read(R"({"chanel":"a"})"));
}

}  // namespace
}  // namespace voxbus::bus
