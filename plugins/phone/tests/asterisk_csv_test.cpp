// SPDX-License-Identifier: Apache-2.0
#include "asterisk_csv.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "voxbus/record_check.hpp"

namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;
using voxbus::CallDirection;
using voxbus::Disposition;
using voxbus::Json;
using voxbus::kit::TimeZone;
using voxbus::phone::CallOptions;
using voxbus::phone::line_id;
using voxbus::phone::parse_call;
using voxbus::phone::ParsedCall;

// A line by its interesting columns; the rest is ordinary.
struct Line {
  std::string source = "12025550147", destination = "201", context = "from-trunk";
  std::string caller = "\"\"\"Nora\"\" <12025550147>\"";
  std::string start = "2026-01-05 10:00:00", answer = "2026-01-05 10:00:07",
              end = "2026-01-05 10:01:00";
  std::string duration = "60", billable = "53", disposition = "ANSWERED";
  std::string tail;

  std::string text() const {
    const auto quoted = [](const std::string& s) { return "\"" + s + "\""; };
    const auto time = [&](const std::string& s) { return s.empty() ? s : quoted(s); };
    return "\"\"," + quoted(source) + "," + quoted(destination) + "," + quoted(context) + "," +
           caller + ",\"PJSIP/trunk-00000001\",\"PJSIP/201-00000002\",\"Dial\",\"PJSIP/201,30\"," +
           time(start) + "," + time(answer) + "," + time(end) + "," + duration + "," + billable +
           "," + quoted(disposition) + ",\"DOCUMENTATION\"" + tail;
  }
};

ParsedCall parse(const Line& line, const CallOptions& options = {}) {
  auto call = parse_call(line.text(), options).value();
  EXPECT_THAT(voxbus::RecordCheck::check(Json::parse(call.record.json()).value()), IsEmpty());
  return call;
}

std::int64_t seconds(const ParsedCall& call) {
  return call.occurred_at.time_since_epoch().count() / 1'000'000;
}

CallOptions berlin() { return {.zone = TimeZone::load("Europe/Berlin").value()}; }

TEST(AsteriskCsv, ReadsAnAnsweredCall) {
  const ParsedCall call = parse({});
  EXPECT_EQ(call.record.author.handle, "tel:12025550147");
  EXPECT_EQ(call.record.author.name, "Nora");
  EXPECT_EQ(call.record.call->direction, CallDirection::kInbound);
  EXPECT_EQ(call.record.call->disposition, Disposition::kAnswered);
  EXPECT_EQ(call.record.call->waited_seconds, 7);
  EXPECT_EQ(call.record.call->talked_seconds, 53);
  EXPECT_EQ(seconds(call), 1'767'607'200);
}

TEST(AsteriskCsv, CountsAnUnansweredCallAsWaiting) {
  const ParsedCall call =
      parse({.answer = "", .duration = "25", .billable = "0", .disposition = "NO ANSWER"});
  EXPECT_EQ(call.record.call->disposition, Disposition::kNoAnswer);
  EXPECT_EQ(call.record.call->waited_seconds, 25);
  EXPECT_EQ(call.record.call->talked_seconds, 0);
}

TEST(AsteriskCsv, KnowsEveryDisposition) {
  const auto of = [](const char* word) {
    return parse({.disposition = word}).record.call->disposition;
  };
  EXPECT_EQ(of("BUSY"), Disposition::kBusy);
  EXPECT_EQ(of("FAILED"), Disposition::kFailed);
  EXPECT_EQ(of("CONGESTION"), Disposition::kCongestion);
  EXPECT_EQ(of("UNKNOWN"), std::nullopt);
  EXPECT_THAT(parse({.disposition = "UNKNOWN"}).record.json(),
              HasSubstr(R"("disposition":"UNKNOWN")"));
}

TEST(AsteriskCsv, NamesALineByWhatItsColumnsHold) {
  const std::string sixteen = Line{}.text();
  EXPECT_EQ(parse({}).native_id, line_id(sixteen));
  EXPECT_EQ(parse({}).record.conversation, line_id(sixteen));
  const ParsedCall eighteen = parse({.tail = ",\"1767607200.5\",\"vip\""});
  EXPECT_THAT(eighteen.native_id, StartsWith("1767607200.5/"));
  EXPECT_EQ(eighteen.record.conversation, "1767607200.5");
  const ParsedCall full = parse({.tail = ",\"1767607200.5\",\"\",\"\",\"1767607200.1\",17"});
  EXPECT_EQ(full.native_id, "1767607200.5/17");
  EXPECT_EQ(full.record.conversation, "1767607200.1");
  const ParsedCall nineteen = parse({.tail = ",\"\",\"1767607200.1\",18"});
  EXPECT_EQ(nineteen.record.conversation, "1767607200.1");
  const ParsedCall seventeen = parse({.tail = ",\"pbx-1767607200.1\""});
  EXPECT_EQ(seventeen.record.conversation, "pbx-1767607200.1");
  EXPECT_THAT(parse({.tail = ",\"a remark\""}).native_id, StartsWith("line:"));
}

TEST(AsteriskCsv, KeepsLegsOfOneUniqueIdApart) {
  const ParsedCall one = parse({.destination = "201", .tail = ",\"1767607200.5\",\"\""});
  const ParsedCall two = parse({.destination = "202", .tail = ",\"1767607200.5\",\"\""});
  EXPECT_NE(one.native_id, two.native_id);
  EXPECT_EQ(one.record.conversation, two.record.conversation);
}

TEST(AsteriskCsv, JudgesTheDirectionByNumbersUnlessAContextSaysIt) {
  const auto of = [](const char* source, const char* destination, const CallOptions& options = {}) {
    const ParsedCall call = parse({.source = source, .destination = destination}, options);
    return std::pair{call.record.call->direction, call.record.direction};
  };
  using D = CallDirection;
  EXPECT_EQ(of("12025550147", "201"), (std::pair{D::kInbound, voxbus::Direction::kInbound}));
  EXPECT_EQ(of("", "s"), (std::pair{D::kInbound, voxbus::Direction::kInbound}));
  EXPECT_EQ(of("201", "12025550147"), (std::pair{D::kOutbound, voxbus::Direction::kOutbound}));
  EXPECT_EQ(of("201", "202"), (std::pair{D::kInternal, voxbus::Direction::kOutbound}));
  EXPECT_EQ(of("201", "202", {.inbound_contexts = {"from-trunk"}}).first, D::kInbound);
  EXPECT_EQ(of("12025550147", "201", {.outbound_contexts = {"from-trunk"}}).first, D::kOutbound);
  EXPECT_EQ(of("12025550147", "202", {.extension_digits = 11}).first, D::kInternal);
}

TEST(AsteriskCsv, GivesTheCallerAHandleAsTheFileHasIt) {
  const auto of = [](const char* source) { return parse({.source = source}).record.author.handle; };
  EXPECT_EQ(of("+12025550147"), "tel:+12025550147");
  EXPECT_EQ(of("(202) 555-0147"), "tel:(202) 555-0147");
  EXPECT_EQ(of("201"), "ext:201");
  EXPECT_EQ(of("alice"), "sip:alice");
  EXPECT_EQ(of("Anonymous"), "");
  EXPECT_EQ(of(""), "");
}

TEST(AsteriskCsv, TellsTheHourThatComesTwiceApart) {
  // Clocks in Berlin were put back from 03:00 to 02:00 on 25 October 2026, 01:00 UTC.
  Line line{.start = "2026-10-25 02:30:00",
            .answer = "",
            .end = "2026-10-25 02:40:00",
            .duration = "600",
            .billable = "0",
            .disposition = "NO ANSWER"};
  const std::int64_t first = 1'792'888'200;
  EXPECT_EQ(seconds(parse(line, berlin())), first);
  line.tail = ",\"1792891801.7\",\"\"";
  EXPECT_EQ(seconds(parse(line, berlin())), first + 3600);
  line.tail = "";
  line.end = "2026-10-25 03:10:00";  // 40 minutes later only in the second hour
  line.duration = "2400";
  EXPECT_EQ(seconds(parse(line, berlin())), first + 3600);
  line.end = "2026-10-25 02:10:00";  // 40 minutes later only from the first into the second
  EXPECT_EQ(seconds(parse(line, berlin())), first);
}

TEST(AsteriskCsv, CountsSecondsAcrossAClockChange) {
  const ParsedCall call = parse({.start = "2026-10-25 02:59:50",
                                 .answer = "2026-10-25 02:00:10",
                                 .end = "2026-10-25 02:01:00",
                                 .duration = "70",
                                 .billable = "50"},
                                berlin());
  EXPECT_EQ(call.record.call->waited_seconds, 20);
}

TEST(AsteriskCsv, SaysWhyALineIsNoCall) {
  const auto why = [](const std::string& line) { return parse_call(line, {}).error().message; };
  EXPECT_THAT(why("hello"), HasSubstr("1 columns where 16 to 21"));
  EXPECT_THAT(why(Line{.start = "yesterday"}.text()), HasSubstr("start is not a time"));
  EXPECT_THAT(why(Line{.start = "2026-02-30 10:00:00"}.text()), HasSubstr("start is not a time"));
  EXPECT_THAT(why(Line{.start = ""}.text()), HasSubstr("start is not a time"));
  EXPECT_THAT(why(Line{.duration = "-1"}.text()), HasSubstr("not a number of seconds"));
  EXPECT_THAT(why(Line{.billable = "5s"}.text()), HasSubstr("not a number of seconds"));
  EXPECT_THAT(why(Line{.caller = "\"a"}.text()), HasSubstr("not a line of comma-separated values"));
  EXPECT_THAT(why(std::string("a\0b", 3)), HasSubstr("NUL"));
  EXPECT_THAT(why(Line{.tail = ",1,2,3,4,5,6"}.text()), HasSubstr("22 columns"));
}

TEST(AsteriskCsv, MakesAFittingRecordOfHostileFields) {
  const ParsedCall call = parse({.source = "\xFF\xFE",
                                 .destination = std::string(3000, '9'),
                                 .caller = "\"\xFF\"",
                                 .disposition = "\xC0",
                                 .tail = ",\"" + std::string(2000, 'u') + "\",\"\xFF\""});
  EXPECT_TRUE(voxbus::is_utf8(call.record.json()));
  EXPECT_LE(call.native_id.size(), 1024u);
}

}  // namespace
