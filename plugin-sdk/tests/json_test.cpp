// SPDX-License-Identifier: Apache-2.0

#include "voxbus/json.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace {

using voxbus::Json;
using voxbus::JsonWriter;

TEST(Json, ReadsAndWritesTheSameText) {
  const std::string text =
      R"({"a":[1,-2,3.5,true,false,null],"b":{"c":"\u0001\n\"\\ é"},"big":9223372036854775807})";
  const auto json = Json::parse(text);
  ASSERT_TRUE(json) << json.error().message;
  EXPECT_EQ(json->dump(), text);
  EXPECT_EQ(Json::parse(json->dump(true)).value(), *json);
}

TEST(Json, DecodesEscapesAndSurrogatePairs) {
  const auto json = Json::parse(R"("\ud83d\ude00\u00e9\/\b")");
  ASSERT_TRUE(json);
  EXPECT_EQ(*json->string(), "\xF0\x9F\x98\x80\xC3\xA9/\b");
}

class Refused : public ::testing::TestWithParam<const char*> {};

TEST_P(Refused, IsNoJson) { EXPECT_FALSE(Json::parse(GetParam())) << GetParam(); }

INSTANTIATE_TEST_SUITE_P(Json, Refused,
                         ::testing::Values("", " ", "{", "[1,]", "{\"a\":1,}", "01", "1.", "-",
                                           "+1", ".5", "1e", "nul", "truex", "\"", "\"\\x\"",
                                           "\"\n\"", "\"\\ud800\"", "\"\\udc00\"",
                                           "\"\\ud800\\u0041\"", "\"\\u12g4\"", "1 2", "{1:2}",
                                           "{\"a\" 1}", "[1 2]", "{\"a\":1,\"a\":2}", "\"\xff\"",
                                           "\"\xc0\x80\"", "\"\xed\xa0\x80\"", "1e999", "NaN",
                                           "'a'", "/**/1"));

TEST(Json, IsBoundedInDepthAndSize) {
  const std::string deep = std::string(65, '[') + std::string(65, ']');
  EXPECT_FALSE(Json::parse(deep + " "));
  EXPECT_TRUE(Json::parse(std::string(64, '[') + std::string(64, ']')));
  EXPECT_FALSE(Json::parse(std::string(1'000'000, '[')));
  EXPECT_FALSE(Json::parse("[1,2,3,4]", {.depth = 4, .size = 8}));
}

TEST(Json, KeepsWholeNumbersWholeAndLargeOnesAsReal) {
  EXPECT_EQ(*Json::parse("-9223372036854775808")->integer(),
            std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(*Json::parse("9223372036854775808")->real(), 9223372036854775808.0);
  EXPECT_EQ(Json{2.0}.dump(), "2.0");
  EXPECT_EQ(Json{std::numeric_limits<double>::infinity()}.dump(), "null");
}

TEST(Json, WritesBytesThatAreNotUtf8AsReplacementCharacters) {
  std::string out;
  JsonWriter{out}.value(std::string_view{"a\xFFz\0", 4});
  EXPECT_EQ(out, "\"a\xEF\xBF\xBDz\\u0000\"");
  EXPECT_TRUE(Json::parse(out));
}

TEST(Text, ClipsAtCodePoints) {
  EXPECT_EQ(voxbus::clip("ééé", 2), "éé");
  EXPECT_EQ(voxbus::clip("ab", 5), "ab");
}

TEST(Text, FindsTheWordThatWasMeant) {
  EXPECT_EQ(voxbus::nearest("sever", {"server", "user"}), "server");
  EXPECT_EQ(voxbus::nearest("fiel", {"room", "file"}), "file");
  EXPECT_EQ(voxbus::nearest("colour", {"room", "file"}), "");
}

}  // namespace
