// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/resource.h>

#include <chrono>
#include <ctime>

#include "../testing.hpp"
#include "base/text.hpp"
#include "intake/clean_text.hpp"
#include "intake/handles.hpp"
#include "intake/html_text.hpp"
#include "intake/normalise.hpp"
#include "intake/phone.hpp"
#include "model/interaction.hpp"
#include "model/limits.hpp"

namespace voxbus::intake {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

TEST(Phone, BecomesE164WhateverItsSpelling) {
  for (const auto* number :
       {"+1 202 555 0123", "(202) 555-0123", "2025550123", "1-202-555-0123", "001 202 555 0123 "}) {
    if (std::string_view(number).starts_with("00")) continue;  // 00 is not how the US dials abroad
    EXPECT_EQ(to_e164(number, "US"), "+12025550123") << number;
  }
  EXPECT_EQ(to_e164("0049 30 123456", "DE"), "+4930123456");
  EXPECT_EQ(to_e164("030 123456", "DE"), "+4930123456");
  EXPECT_EQ(to_e164("+442079460123", ""), "+442079460123");
}

TEST(Phone, IsNotGuessed) {
  for (const auto* number :
       {"", "anonymous", "101", "020 555 0123", "+1", "12025550123456789012"}) {
    EXPECT_EQ(to_e164(number, ""), std::nullopt) << number;
  }
}

TEST(Handles, HaveOneSpelling) {
  const Place us{"calls", "US"};
  const std::pair<const char*, const char*> kSame[] = {
      {"mailto:Nora@EXAMPLE.org", "mailto:nora@example.org"},
      {"Nora@Example.Org", "mailto:nora@example.org"},
      {" MAILTO:nora@example.org ", "mailto:nora@example.org"},
      {"mailto:nora@b\xC3\xBC"
       "cher.example",
       "mailto:nora@xn--bcher-kva.example"},
      {"tel:(202) 555-0123", "tel:+12025550123"},
      {"+1 202 555 0123", "tel:+12025550123"},
      {"tel:101", "tel:101;phone-context=calls"},
      {"X:12345", "x:12345"},
      {"discourse: nora ", "discourse:nora"}};
  for (const auto& [given, canonical] : kSame)
    EXPECT_EQ(canonical_handle(given, us), canonical) << given;
  // What is canonical stays as it is.
  for (const auto& [given, canonical] : kSame) {
    if (std::string_view(canonical).find("phone-context") != std::string_view::npos) continue;
    EXPECT_EQ(canonical_handle(canonical, us), canonical);
  }
}

TEST(Handles, AreNotMadeOfNothing) {
  for (const auto* text :
       {"", " ", "tel:anonymous", "tel:", "mailto:", "mailto:nora", "mailto:@example.org",
        "mailto:a b@example.org", "nora", ":x", "no scheme here: x"}) {
    EXPECT_EQ(canonical_handle(text, {"calls", "US"}), std::nullopt) << text;
  }
}

TEST(CleanText, DropsWhatMakesTextReadDifferently) {
  EXPECT_EQ(clean_text("a\xE2\x80\xAE"
                       "b\xE2\x81\xA6"
                       "c\xC2\x85"
                       "d\x07"
                       "e\xEF\xBB\xBF",
                       Lines::one),
            "abcde");
  EXPECT_EQ(clean_text("a\r\nb\rc\nd", Lines::many), "a\nb\nc\nd");
  EXPECT_EQ(clean_text("a\r\nb\tc", Lines::one), "a b c");
  EXPECT_EQ(clean_text("u\xCC\x88", Lines::one), "\xC3\xBC");  // NFC
  EXPECT_EQ(clean_text("a\xFF"
                       "b",
                       Lines::one),
            "a\xEF\xBF\xBD"
            "b");
  EXPECT_EQ(clean_text(std::string("a\0b", 3), Lines::one), "ab");
  EXPECT_EQ(clean_text("a\xE2\x80\xA8"
                       "b",
                       Lines::many),
            "a\nb");
}

TEST(Html, BecomesWhatAPersonWouldRead) {
  EXPECT_EQ(html_to_text("<p>Hello <b>you</b></p><p>Second&nbsp;line &amp; more</p>"),
            "Hello you\n\nSecond line & more");
  EXPECT_EQ(html_to_text("one<br>two<br><br>three"), "one\ntwo\n\nthree");
  EXPECT_EQ(html_to_text("<ul><li>a</li><li>b</li></ul>"), "- a\n- b");
  EXPECT_EQ(html_to_text("<a href='https://example.org/x'>here</a>"),
            "here <https://example.org/x>");
  EXPECT_EQ(
      html_to_text("<head><title>t</title></head><style>p{}</style><script>alert(1)</script>text"),
      "text");
  EXPECT_EQ(html_to_text("<p>never closed <i>really"), "never closed really");
}

// Of each half a megabyte and more; libxml2's parser took 22 s for the third and 10 s for the
// fourth.
TEST(Html, BombsCostNeitherTimeNorMemory) {
  const auto times = [](int count, const std::string& text) {
    std::string out;
    for (int i = 0; i < count; ++i) out += text;
    return out;
  };
  for (const auto& bomb :
       {times(1'000'000, "<div>") + "deep", times(200'000, "<b><i>") + times(200'000, "</b></i>"),
        times(80'000, "<span>") + times(80'000, "</div>"), "<p " + times(80'000, "a=b ") + ">x",
        times(200'000, "<a href='"), times(200'000, "<!--"), times(100'000, "&lt;&#x41;&nothing;"),
        "<!DOCTYPE x [<!ENTITY a \"" + times(100'000, "x") + "\">]>" + times(100'000, "&a;"),
        times(100'000, "<table><tr><td>"), times(100'000, "<blockquote>q")}) {
    rusage before{}, after{};
    ::getrusage(RUSAGE_SELF, &before);
    const auto begun = std::clock();
    (void)html_to_text(bomb);
    EXPECT_LT(std::clock() - begun, test::kSlowness * CLOCKS_PER_SEC) << bomb.substr(0, 40);
    ::getrusage(RUSAGE_SELF, &after);
    if (test::kSlowness == 1) {
      EXPECT_LT(after.ru_maxrss - before.ru_maxrss, 16 << 10) << bomb.substr(0, 40);
    }
  }
}

class NormaliserTest : public testing::Test {
 protected:
  json::object normalised(std::string_view record, std::string_view raw = "raw") {
    Offer offer;
    offer.native_id = "id-1";
    offer.record = record;
    offer.raw = raw;
    item = normaliser.normalise(offer);
    return json::parse(item.record)->get_object();
  }
  Normaliser normaliser{{.channel = "calls", .region = "US", .max_item = model::kMaxItem}};
  model::Item item;
};

// Built so, because g++ 12 warns of a std::string(3000, 'q') that it inlines (its bug 105329).
std::string repeated(char c, std::size_t count) {
  std::string out;
  out.append(count, c);
  return out;
}

TEST_F(NormaliserTest, MakesARecordThatPassesTheSecondCheck) {
  const auto record =
      normalised(R"({"kind":"mail","author":{"handle":"Nora@EXAMPLE.org","name":" Nora\u202e ",
    "addresses":["(202) 555-0123"]},"html":"<p>Hi<br>you</p>","title":"a\r\nb","surprise":7,"conversation":"c1"})");
  EXPECT_EQ(*json::text_at(record, "direction"), "inbound");
  EXPECT_EQ(*json::text_at(*json::object_at(record, "author"), "handle"),
            "mailto:nora@example.org");
  EXPECT_EQ(*json::text_at(record, "text"), "Hi\nyou");
  EXPECT_EQ(*json::text_at(record, "title"), "a b");
  EXPECT_EQ(json::object_at(record, "native")->at("surprise"), 7);
  ASSERT_TRUE(check_item(item));
  EXPECT_EQ(item.author, "mailto:nora@example.org");
  EXPECT_EQ(item.conversation, "c1");
}

TEST_F(NormaliserTest, QuarantinesWithRawAndReasonWhatItCannotRead) {
  for (const auto* broken : {"", "{", "[]", R"({"kind":"telegram"})", R"({"kind":"mail","text":5})",
                             "{\"kind\":\"mail\",\"text\":\"\xFF\"}"}) {
    const auto record = normalised(broken, "the bytes");
    EXPECT_TRUE(item.quarantined) << broken;
    EXPECT_TRUE(record.contains("reason"));
    EXPECT_EQ(item.raw, "the bytes");
    EXPECT_TRUE(check_item(item)) << check_item(item).error().message;
  }
}

TEST_F(NormaliserTest, CutsLongTextAndSaysSo) {
  const auto record =
      normalised(R"({"kind":"mail","text":")" + std::string(model::kMaxText + 5, 'x') + "\"}");
  EXPECT_EQ(json::text_at(record, "text")->size(), model::kMaxText);
  EXPECT_EQ(json::array_at(record, "truncated")->at(0), "text");
  EXPECT_TRUE(check_item(item));
}

TEST_F(NormaliserTest, KeepsIdsApartThatAreTooLong) {
  const std::string longer(model::kMaxNativeId + 1, 'c');
  const auto one = normalised(R"({"kind":"mail","conversation":")" + longer + "a\"}");
  const auto other = normalised(R"({"kind":"mail","conversation":")" + longer + "b\"}");
  EXPECT_NE(*json::text_at(one, "conversation"), *json::text_at(other, "conversation"));
}

TEST_F(NormaliserTest, DigestIsOfWhatThePluginGave) {
  normalised(R"({"kind":"mail","text":"a"})");
  const auto first = item.digest;
  normalised(R"({"kind":"mail","text":"a"})");
  EXPECT_EQ(item.digest, first);
  normalised(R"({"kind":"mail","text":"b"})");
  EXPECT_NE(item.digest, first);
  normalised(R"({"kind":"mail","text":"a"})", "other raw");
  EXPECT_NE(item.digest, first);
}

TEST_F(NormaliserTest, KeepsOnlyTheBeginningOfWhatIsTooLarge) {
  Normaliser small{{.channel = "calls", .region = "", .max_item = 100'000}};
  Offer offer;
  const std::string raw(200'000, 'r');
  offer.native_id = "big";
  offer.record = R"({"kind":"mail"})";
  offer.raw = raw;
  const auto kept = small.normalise(offer);
  EXPECT_TRUE(kept.quarantined);
  EXPECT_LT(kept.raw.size(), offer.raw.size());
  EXPECT_NE(kept.record.find("raw_sha256"), std::string::npos);
}

TEST_F(NormaliserTest, AttachmentsAreNamedByTheirHash) {
  Offer offer;
  offer.native_id = "id";
  offer.record = R"({"kind":"mail"})";
  offer.attachments = {{"a.png", "image/png", "abc"}};
  item = normaliser.normalise(offer);
  EXPECT_NE(item.record.find("ba7816bf8f01cfea"), std::string::npos);
  EXPECT_TRUE(check_item(item));
}

TEST_F(NormaliserTest, AnAttachmentWithoutANameHasNoneWhetherItsBytesCameOrNot) {
  Offer offer;
  offer.native_id = "id";
  offer.record = R"({"kind":"mail","attachments":[{"type":"message/rfc822","name":""}]})";
  offer.attachments = {{"", "message/rfc822", "abc"}};
  item = normaliser.normalise(offer);
  EXPECT_EQ(item.record.find("\"name\""), std::string::npos) << item.record;
  EXPECT_TRUE(check_item(item));
}

// Whatever a plugin gives, what we make of it passes the daemon's check: else one odd message would
// stop its channel.
TEST_F(NormaliserTest, NeverMakesWhatTheSecondCheckRefuses) {
  const std::string longest(509, 'a');
  const auto long_id = repeated('q', 3000);
  std::string deep = "1";
  for (int i = 0; i < 14; ++i) deep = "{\"d\":" + deep + "}";
  for (const auto& record :
       {R"({"kind":"mail","author":{"handle":")" + longest.substr(0, 500) + R"(@b.example"}})",
        R"({"kind":"mail","quoted":[{"text":"x","native_id":")" + long_id + "\"}]}",
        std::string(R"({"kind":"call","call":{"disposition":"NO ANSWER"}})"),
        std::string(R"({"kind":"call","call":[]})"), R"({"kind":"mail","surprise":)" + deep + "}",
        std::string(R"({"kind":"mail","native":{"n":1e400}})")}) {
    normalised(record);
    EXPECT_TRUE(check_item(item)) << record.substr(0, 60) << ": " << item.record.substr(0, 200);
  }
  for (const auto microseconds_ : {INT64_MAX, INT64_MIN, INT64_MAX / 2}) {
    Offer offer;
    offer.native_id = "id";
    offer.record = R"({"kind":"mail"})";
    offer.occurred = TimePoint(microseconds(microseconds_));
    item = normaliser.normalise(offer);
    EXPECT_TRUE(item.quarantined);
    EXPECT_TRUE(check_item(item));
  }
}

TEST(SecondCheck, TurnsWhatItRefusesIntoQuarantineWithTheEvidence) {
  model::Item item;
  item.native_id = repeated('x', 5000);
  item.record = "{\"kind\":\"mail\",\n}";
  admit(item);
  EXPECT_TRUE(item.quarantined);
  EXPECT_EQ(item.raw, "{\"kind\":\"mail\",\n}");
  EXPECT_TRUE(check_item(item));
}

TEST_F(NormaliserTest, LinksMeetWhatTheyLinkTo) {
  Offer offer;
  offer.native_id = "id with\ttab";
  offer.record = R"({"kind":"mail"})";
  const auto target = normaliser.normalise(offer);
  const auto record = normalised(R"({"kind":"mail","in_reply_to":"id with\ttab"})");
  EXPECT_EQ(*json::text_at(record, "in_reply_to"), target.native_id);
}

TEST(SecondCheck, DoesNotTrustTheHost) {
  const auto check = [](std::string record, std::string id = "id") {
    model::Item item;
    item.native_id = std::move(id);
    item.record = std::move(record);
    return check_item(item);
  };
  const std::string good = R"({"kind":"mail","direction":"inbound","audience":"private"})";
  EXPECT_TRUE(check(good));
  EXPECT_FALSE(check(good, ""));
  EXPECT_FALSE(check(good, std::string(2000, 'x')));
  EXPECT_FALSE(check(good, "\xFF"));
  EXPECT_FALSE(check("[]"));
  EXPECT_FALSE(check(
      "{\"kind\":\"mail\",\"direction\":\"inbound\",\"audience\":\"private\",\n\"native\":{}}"));
  EXPECT_FALSE(check(" " + good));  // the sequencer writes before the first brace
  EXPECT_FALSE(check(R"({"kind":"mail","direction":"inbound","audience":"private","revision":1})"));
  EXPECT_FALSE(
      check(R"({"kind":"mail","direction":"inbound","audience":"private","channel":"other"})"));
}

// Each of these our own schema forbids, and a consumer may rely on it.
TEST(SecondCheck, ReadsOutWhatTheJournalNeeds) {
  model::Item item;
  item.native_id = "id";
  std::string blocks;
  for (const std::string id : {"a", "own", "b", "a", ""})
    blocks += R"({"text":"t","native_id":")" + id + "\"},";
  for (int i = 0; i < 200; ++i)
    blocks += R"({"text":"t","native_id":"n)" + std::to_string(i) + "\"},";
  item.record = R"({"kind":"mail","direction":"inbound","audience":"private","conversation":"c",)"
                R"("author":{"handle":"x:1"},"native":{"ids":{"message_id":"own"}},"quoted":[)" +
                blocks + R"({"text":"t"}]})";
  ASSERT_TRUE(check_item(item));
  EXPECT_EQ(item.author, "x:1");
  EXPECT_EQ(item.conversation, "c");
  EXPECT_EQ(item.message_id, "own");
  ASSERT_EQ(item.quoted_ids.size(), model::kMostQuotedIds);
  EXPECT_THAT(std::vector(item.quoted_ids.begin(), item.quoted_ids.begin() + 3),
              testing::ElementsAre("a", "b", "n0"));
}

TEST(SecondCheck, RefusesWhatTheSchemaForbids) {
  const auto fault = [](const std::string& more) {
    model::Item item;
    item.native_id = "id";
    item.record = R"({"kind":"mail","direction":"inbound","audience":"private",)" + more + "}";
    const auto checked = check_item(item);
    return checked ? std::string("none") : checked.error().message;
  };
  for (
      const std::string sound :
      {R"("author":{"handle":"x:1","name":"N","addresses":["tel:+1"],"profile":"https://p"})",
       R"("quoted":[{"depth":1,"at":0,"author":"a","text":"t","native_id":"i"}])",
       R"("attachments":[{"name":"n","type":"t","size":0,"url":"HTTP://u","sha256":"0000000000000000000000000000000000000000000000000000000000000000"}])",
       R"("call":{"direction":"inbound","disposition":"busy","waited_seconds":0,"talked_seconds":9})",
       R"("permalink":"https://example.org/1","language":"zh-Hans-CN")",
       R"("truncated":["text","quoted"],"native":{"a":{"b":1}},"text":"a\nb\tc")"}) {
    EXPECT_EQ(fault(sound), "none") << sound;
  }
  for (const std::string broken :
       {R"("author":{"addresses":"x"})",
        R"("author":{"profile":"javascript:alert"})",
        R"("permalink":"javascript:alert//https://example.org")",
        R"("permalink":"https://")",
        R"("attachments":[{"url":"data:text/html,x"}])",
        R"("language":"a language")",
        R"("language":"-de")",
        R"("author":{"handle":"x:1","age":7})",
        R"("author":{"handle":"x:\u202e1"})",
        R"("quoted":[{"text":"t","depth":-1}])",
        R"("quoted":[{"text":"t","depth":101}])",
        R"("quoted":[{"text":"t","at":-1}])",
        R"("quoted":[{"text":"t","at":1.5}])",
        R"("quoted":[{"depth":1}])",
        R"("quoted":[{"text":"t","interaction":"0123456789abcdef0123456789abcdef"}])",
        R"("quoted":[7])",
        R"("attachments":[1])",
        R"("attachments":[{"size":-1}])",
        R"("attachments":[{"sha256":"zz"}])",
        R"("attachments":[{"name":7}])",
        R"("call":{"waited_seconds":-1})",
        R"("call":{"talked_seconds":"x"})",
        R"("truncated":[1])",
        R"("truncated":["subject"])",
        R"("title":"turned \u202e around")",
        R"("title":"two\u2028lines")",
        R"("text":"a\u0085b")",
        R"("reason":"ours")",
        R"("surprise":7)",
        R"("kind":"call")",                          // a second kind
        R"("native":{"a":1,"b":{"x":1,"x":2}})"}) {  // deep inside as well
    EXPECT_NE(fault(broken), "none") << broken;
  }
}

TEST_F(NormaliserTest, KeepsThePlaceOfAQuoteAmongWordsThatItCleans) {
  // A control character, a CR before its LF, an e with a combining accent: each is shorter after.
  const auto record = normalised(
      R"({"kind":"mail","text":"a\u0007b\r\n\ncafe\u0301\n\nend","quoted":[)"
      R"({"text":"q","at":6},{"text":"r","at":14},{"text":"s","at":17},{"text":"t","at":999}]})");
  ASSERT_FALSE(item.quarantined) << item.record;
  const std::string text{record.at("text").get_string()};
  ASSERT_EQ(text, "ab\n\ncaf\xC3\xA9\n\nend");
  const auto& quoted = record.at("quoted").get_array();
  const auto behind = [&](std::size_t i) {
    return text.substr(static_cast<std::size_t>(quoted[i].at("at").as_int64()));
  };
  EXPECT_EQ(behind(0), "caf\xC3\xA9\n\nend");
  EXPECT_EQ(behind(1), "end");
  EXPECT_EQ(behind(2), "");
  EXPECT_EQ(behind(3), "");
}

TEST_F(NormaliserTest, CutsAQuoteThatIsTooLongAndNothingFollowsIt) {
  const std::string first(model::kMaxText / 2, 'a');
  const std::string second = std::string(model::kMaxText / 2 - 1, 'b') + "\xC3\xA9" + "tail";
  const auto record = normalised(R"({"kind":"mail","quoted":[{"text":")" + first +
                                 R"("},{"text":")" + second + R"("},{"text":"c"}]})");
  ASSERT_FALSE(item.quarantined) << item.record.substr(0, 200);
  const auto& quoted = record.at("quoted").get_array();
  ASSERT_EQ(quoted.size(), 2u);
  EXPECT_EQ(quoted[0].at("text").as_string().size(), first.size());
  EXPECT_EQ(quoted[1].at("text").as_string(), std::string(model::kMaxText / 2 - 1, 'b'));
  EXPECT_EQ(json::serialize(record.at("truncated")), R"(["quoted"])");
}

TEST_F(NormaliserTest, LeavesOutWhatHasNoMeaning) {
  const auto record = normalised(
      R"({"kind":"mail","quoted":[{"text":"q","depth":-3,"at":-1},{"text":"r","depth":5000}],
          "attachments":[{"name":"a","size":-5,"sha256":"zz"}],"call":{"waited_seconds":-1}})");
  ASSERT_FALSE(item.quarantined) << item.record;
  EXPECT_TRUE(check_item(item)) << item.record;
  const auto& quoted = record.at("quoted").get_array();
  EXPECT_EQ(json::serialize(quoted[0]), R"({"text":"q"})");
  EXPECT_EQ(json::serialize(quoted[1]), R"({"depth":100,"text":"r"})");
  EXPECT_EQ(json::serialize(record.at("attachments")), R"([{"name":"a"}])");
}

// A link that runs something in the reader's page is none.
TEST_F(NormaliserTest, KeepsOnlyLinksToPagesAndLanguagesThatAreSome) {
  const auto with = [&](const std::string& link, const std::string& language) {
    const auto record =
        normalised(R"({"kind":"post","author":{"name":"N","profile":")" + link +
                   R"("},"attachments":[{"name":"a","url":")" + link + R"("}],"permalink":")" +
                   link + R"(","language":")" + language + R"("})");
    EXPECT_TRUE(check_item(item)) << item.record;
    return json::serialize(record);
  };
  EXPECT_THAT(with("Https://example.org/1", "pt-BR"),
              AllOf(HasSubstr(R"("profile":"Https://example.org/1")"),
                    HasSubstr(R"("url":"Https://example.org/1")"),
                    HasSubstr(R"("permalink":"Https://example.org/1")"),
                    HasSubstr(R"("language":"pt-BR")")));
  for (const char* bad :
       {"javascript:alert(1)", "data:text/html,x", "/1", "http://", "java\\u0000script:https://"}) {
    EXPECT_THAT(with(bad, "no language"),
                AllOf(Not(HasSubstr("profile")), Not(HasSubstr("url")), Not(HasSubstr("permalink")),
                      Not(HasSubstr(R"("language")"))))
        << bad;
  }
}

TEST_F(NormaliserTest, SaysOfCutEvidenceHowLargeItWasOnce) {
  Offer offer;
  offer.native_id = "large";
  offer.record = R"({"kind":"mail"})";
  const std::string bytes(40 << 20, 'r');
  offer.raw = bytes;
  item = normaliser.normalise(offer);
  ASSERT_TRUE(item.quarantined);
  EXPECT_EQ(item.raw.size(), 64u << 10);
  const auto parsed = json::parse(item.record);
  EXPECT_EQ(json::integer_at(parsed->get_object(), "raw_size"), 40 << 20);
  EXPECT_EQ(json::text_at(parsed->get_object(), "raw_sha256")->size(), 64u);
  EXPECT_FALSE(json::has_repeated_keys(item.record, *parsed));
}

}  // namespace
}  // namespace voxbus::intake
