// SPDX-License-Identifier: Apache-2.0
#include "kit/time_zone.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using voxbus::kit::days_from_civil;
using voxbus::kit::TimeZone;

std::int64_t at(int year, unsigned month, unsigned day, int hour, int minute = 0) {
  return days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60;
}

// A file with one type, UTC, no changes, and that rule at its end.
std::string only_rule(const std::string& rule) {
  const std::string header = std::string{"TZif2"} + std::string(15, '\0') + std::string(12, '\0') +
                             std::string(4, '\0') + std::string{"\0\0\0\1\0\0\0\4", 8};
  const std::string block = std::string(6, '\0') + std::string{"UTC\0", 4};
  return header + block + header + block + "\n" + rule + "\n";
}

TEST(TimeZone, KnowsBothMomentsOfAnHourThatComesTwice) {
  const auto berlin = TimeZone::load("Europe/Berlin").value();
  EXPECT_THAT(berlin.moments(at(2026, 10, 25, 2, 30)),
              ElementsAre(at(2026, 10, 25, 0, 30), at(2026, 10, 25, 1, 30)));
  EXPECT_THAT(berlin.moments(at(2026, 10, 25, 3, 0)), ElementsAre(at(2026, 10, 25, 2, 0)));
  EXPECT_THAT(berlin.moments(at(2026, 7, 1, 12)), ElementsAre(at(2026, 7, 1, 10)));
}

TEST(TimeZone, MovesAnHourThatNeverCame) {
  const auto berlin = TimeZone::load("Europe/Berlin").value();
  EXPECT_THAT(berlin.moments(at(2026, 3, 29, 2, 30)), ElementsAre(at(2026, 3, 29, 1, 30)));
}

TEST(TimeZone, FollowsTheRuleBeyondTheTable) {
  const auto york = TimeZone::load("America/New_York").value();
  EXPECT_THAT(york.moments(at(2060, 7, 1, 12)), ElementsAre(at(2060, 7, 1, 16)));
  EXPECT_THAT(york.moments(at(2060, 12, 1, 12)), ElementsAre(at(2060, 12, 1, 17)));
}

TEST(TimeZone, ReadsEveryFormOfARule) {
  const auto months = TimeZone::parse(only_rule("CET-1CEST,M3.5.0,M10.5.0/3")).value();
  EXPECT_THAT(months.moments(at(2026, 7, 1, 12)), ElementsAre(at(2026, 7, 1, 10)));
  EXPECT_THAT(months.moments(at(2026, 12, 1, 12)), ElementsAre(at(2026, 12, 1, 11)));
  const auto days = TimeZone::parse(only_rule("<-03>3<-02>,J60/-1,300/24")).value();
  EXPECT_EQ(days.offset_at(at(2026, 5, 1, 0)), -7200);
  EXPECT_EQ(days.offset_at(at(2026, 12, 1, 0)), -10800);
  EXPECT_EQ(TimeZone::parse(only_rule("<+0530>-5:30")).value().offset_at(0), 19800);
}

TEST(TimeZone, RefusesNamesThatAreNone) {
  EXPECT_THAT(TimeZone::load("Europe/Atlantis").error().message, HasSubstr("no time zone"));
  EXPECT_FALSE(TimeZone::load("../../etc/passwd"));
  EXPECT_FALSE(TimeZone::load("/etc/localtime"));
  EXPECT_TRUE(TimeZone::load("UTC").value().moments(5) == std::vector<std::int64_t>{5});
  EXPECT_TRUE(TimeZone::load("local"));
}

TEST(TimeZone, SurvivesEveryTruncationOfAFile) {
  std::ifstream file{"/usr/share/zoneinfo/Europe/Berlin", std::ios::binary};
  const std::string whole{std::istreambuf_iterator<char>{file}, {}};
  ASSERT_GT(whole.size(), 100u);
  for (std::size_t size = 0; size < whole.size() - 40; ++size) {
    const auto zone = TimeZone::parse(std::string_view{whole}.substr(0, size));
    if (zone) {
      EXPECT_LE(std::abs(zone->offset_at(0)), 86400);
    }
  }
  EXPECT_FALSE(TimeZone::parse(std::string_view{whole}.substr(0, 60)));
}

}  // namespace
