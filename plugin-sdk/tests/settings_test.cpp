// SPDX-License-Identifier: Apache-2.0

#include "voxbus/settings.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "voxbus/manifest.hpp"

namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using voxbus::Json;
using voxbus::Size;

enum class Zone { kLocal, kUtc };

struct Everything {
  std::string file;
  std::string room = "lobby";
  std::uint16_t port = 25;
  double share = 0.5;
  bool quiet = false;
  std::chrono::seconds every = 30s;
  std::chrono::milliseconds settle = 250ms;
  Size limit = Size::mebibytes(4);
  std::filesystem::path folder;
  std::vector<std::string> names;
  Zone zone = Zone::kLocal;
  std::string colour = "red";
  std::optional<std::int64_t> from;
  std::string password;

  void fields(auto& field) {
    field.required("file", file, "Text file to follow").identity();
    field("room", room, "Where entries belong");
    field("port", port, "Port").minimum(1).maximum(1000);
    field("share", share, "A share");
    field("quiet", quiet, "Say less");
    field("every", every, "How often").minimum(1s);
    field("settle", settle, "How long");
    field("limit", limit, "How large").maximum(Size::gibibytes(1));
    field("folder", folder, "Where");
    field("names", names, "Which");
    field("zone", zone, "Clock").choices({{"local", Zone::kLocal}, {"utc", Zone::kUtc}});
    field("colour", colour, "Colour").choices({"red", "green"});
    field("from", from, "First");
    field("password", password, "Password").secret();
  }
  void check(voxbus::Problems& problems) const {
    if (!folder.empty() && folder.is_relative()) problems.add("'folder' must be absolute");
  }
};

std::vector<std::string> problems_with(const std::string& text) {
  Everything settings;
  return voxbus::read_settings(text, settings).list();
}

Json manifest() {
  Everything settings;
  voxbus::Fields fields;
  settings.fields(fields);
  return voxbus::make_manifest({.id = "org.example.all", .version = "1.2.3", .summary = "All"},
                               fields, {"probe/1"});
}

TEST(Settings, AreReadInEveryType) {
  Everything settings;
  const auto problems = voxbus::read_settings(
      R"({"file":"a","port":80,"share":1,"quiet":true,"every":"2m","settle":"1s","limit":"8KiB",
          "folder":"/tmp","names":["x","y"],"zone":"utc","colour":"green","from":-3,
          "password":"p"})",
      settings);
  EXPECT_THAT(problems.list(), ElementsAre());
  EXPECT_EQ(settings.room, "lobby");
  EXPECT_EQ(settings.port, 80);
  EXPECT_EQ(settings.share, 1.0);
  EXPECT_TRUE(settings.quiet);
  EXPECT_EQ(settings.every, 2min);
  EXPECT_EQ(settings.settle, 1s);
  EXPECT_EQ(settings.limit, Size::kibibytes(8));
  EXPECT_EQ(settings.folder, "/tmp");
  EXPECT_THAT(settings.names, ElementsAre("x", "y"));
  EXPECT_EQ(settings.zone, Zone::kUtc);
  EXPECT_EQ(settings.colour, "green");
  EXPECT_EQ(settings.from, -3);
}

TEST(Settings, TellAllProblemsAtOnce) {
  EXPECT_THAT(problems_with(R"({"fil":"a","port":70000,"every":30,"limit":"4MiBs","zone":"utcc",
                        "names":"x","quiet":"yes"})"),
              ElementsAre("unknown setting 'fil', did you mean 'file'?",
                          "setting 'port': the number is out of range",
                          "setting 'every': expected a duration with its unit, such as 30s",
                          "setting 'limit': expected a size with its unit, such as 4MiB",
                          "setting 'zone': expected one of local, utc (did you mean 'utc'?)",
                          "setting 'names': expected a list of texts",
                          "setting 'quiet': expected true or false",
                          "setting 'file' is missing (Text file to follow)"));
}

TEST(Settings, KeepTheirBounds) {
  EXPECT_THAT(
      problems_with(R"({"file":"a","port":0,"every":"0"})"),
      ElementsAre("setting 'port': below the minimum 1", "setting 'every': below the minimum 1s"));
  EXPECT_THAT(problems_with(R"({"file":"a","port":1001,"limit":"2GiB"})"),
              ElementsAre("setting 'port': above the maximum 1000",
                          "setting 'limit': above the maximum 1GiB"));
  EXPECT_THAT(problems_with(R"({"file":"a","every":"1500ms"})"),
              ElementsAre("setting 'every': the duration is finer than the setting can be"));
}

TEST(Settings, AreCheckedTogetherWhenEachIsRight) {
  EXPECT_THAT(problems_with(R"({"file":"a","folder":"tmp"})"),
              ElementsAre("'folder' must be absolute"));
}

TEST(Settings, RefuseWhatIsNoObjectAndTextsWithNul) {
  EXPECT_THAT(problems_with("[]"), ElementsAre("the settings are not a JSON object"));
  EXPECT_THAT(problems_with("{"), ElementsAre(HasSubstr("not a JSON object: JSON, byte 1")));
  EXPECT_THAT(problems_with(R"({"file":"a\u0000b"})"),
              ElementsAre("setting 'file': a NUL byte in the text"));
}

TEST(Settings, AppearInTheManifestAsTheyWereDescribed) {
  const Json described = manifest();
  EXPECT_EQ(described.text("name"), "all");
  const auto setting = [&](std::string_view name) {
    for (const Json& one : *described.find("settings")->array()) {
      if (one.text("name") == name) return one.dump();
    }
    return std::string{};
  };
  EXPECT_EQ(
      setting("file"),
      R"({"name":"file","type":"string","required":true,"help":"Text file to follow","identity":true})");
  EXPECT_EQ(
      setting("port"),
      R"({"name":"port","type":"integer","default":25,"minimum":1,"maximum":1000,"help":"Port"})");
  EXPECT_EQ(
      setting("every"),
      R"({"name":"every","type":"duration","default":"30s","minimum":"1s","help":"How often"})");
  EXPECT_EQ(
      setting("limit"),
      R"({"name":"limit","type":"size","default":"4MiB","maximum":"1GiB","help":"How large"})");
  EXPECT_EQ(setting("folder"), R"({"name":"folder","type":"path","help":"Where"})");
  EXPECT_EQ(setting("names"), R"({"name":"names","type":"list","help":"Which"})");
  EXPECT_EQ(
      setting("zone"),
      R"({"name":"zone","type":"choice","default":"local","choices":["local","utc"],"help":"Clock"})");
  EXPECT_EQ(
      setting("colour"),
      R"({"name":"colour","type":"choice","default":"red","choices":["red","green"],"help":"Colour"})");
  EXPECT_EQ(setting("from"), R"({"name":"from","type":"integer","help":"First"})");
  EXPECT_EQ(setting("password"),
            R"({"name":"password","type":"string","help":"Password","secret":true})");
}

TEST(Settings, BecomeAJsonSchema) {
  const Json schema = voxbus::settings_schema(manifest());
  EXPECT_EQ(schema.find("required")->dump(), R"(["file"])");
  const Json& properties = *schema.find("properties");
  EXPECT_EQ(properties.find("port")->dump(),
            R"({"type":"integer","minimum":1,"maximum":1000,"default":25,"description":"Port"})");
  EXPECT_EQ(properties.find("zone")->find("enum")->dump(), R"(["local","utc"])");
  EXPECT_EQ(properties.find("names")->dump(),
            R"({"type":"array","items":{"type":"string"},"description":"Which"})");
  EXPECT_EQ(properties.find("password")->find("writeOnly")->dump(), "true");
}

// What the SDK writes into a manifest the daemon has to read: `voxbus check` knows no `us`.
static_assert(voxbus::detail::is_whole_milliseconds<std::chrono::milliseconds>::value);
static_assert(voxbus::detail::is_whole_milliseconds<std::chrono::hours>::value);
static_assert(!voxbus::detail::is_whole_milliseconds<std::chrono::microseconds>::value);
static_assert(!voxbus::detail::is_whole_milliseconds<std::chrono::duration<double>>::value);
static_assert(
    !voxbus::detail::is_whole_milliseconds<std::chrono::duration<int, std::ratio<1, 60>>>::value);

TEST(Units, AreReadAndShown) {
  EXPECT_EQ(voxbus::parse_duration("90m"), 90min);
  EXPECT_EQ(voxbus::parse_duration("0"), 0s);
  EXPECT_FALSE(voxbus::parse_duration("90"));
  EXPECT_FALSE(voxbus::parse_duration("-1s"));
  EXPECT_FALSE(voxbus::parse_duration("1 s"));
  EXPECT_FALSE(voxbus::parse_duration("100us"));
  EXPECT_EQ(voxbus::show(1500ms), "1500ms");
  EXPECT_FALSE(voxbus::parse_duration("999999999999999d"));
  EXPECT_EQ(voxbus::show(90min), "90m");
  EXPECT_EQ(voxbus::parse_size("1kB")->bytes, 1000u);
  EXPECT_FALSE(voxbus::parse_size("99999999999999GiB"));
  EXPECT_EQ(voxbus::show(Size{1500}), "1500B");
}

}  // namespace
