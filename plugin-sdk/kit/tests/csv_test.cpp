// SPDX-License-Identifier: Apache-2.0
#include "kit/csv.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using voxbus::kit::parse_csv;

TEST(Csv, ReadsQuotedAndBareFields) {
  EXPECT_THAT(parse_csv(R"("a","b ""c"" d",12,,"")").value(),
              ElementsAre("a", "b \"c\" d", "12", "", ""));
  EXPECT_THAT(parse_csv("").value(), ElementsAre(""));
  EXPECT_THAT(parse_csv("a,\r").value(), ElementsAre("a", ""));
  EXPECT_THAT(parse_csv("\"a,b\"").value(), ElementsAre("a,b"));
}

TEST(Csv, RefusesWhatIsNoRecord) {
  EXPECT_THAT(parse_csv("\"a").error().message, HasSubstr("does not end"));
  EXPECT_THAT(parse_csv("\"a\"b").error().message, HasSubstr("after a closing quote"));
  EXPECT_THAT(parse_csv("a\"b").error().message, HasSubstr("inside a bare field"));
  EXPECT_THAT(parse_csv(std::string_view{"a\0b", 3}).error().message, HasSubstr("NUL"));
  EXPECT_THAT(parse_csv(std::string(300, ',')).error().message, HasSubstr("too many fields"));
}

}  // namespace
