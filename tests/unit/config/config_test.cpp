// SPDX-License-Identifier: Apache-2.0
// What the files of a configuration mean.
#include <gmock/gmock.h>

#include <cstdlib>

#include "base/posix.hpp"
#include "config_fixture.hpp"

namespace voxbus::config {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

TEST_F(ConfigurationTest, NothingAtAllIsHealthy) {
  Problems none;
  const auto defaults = load(folder / "absent", none);
  EXPECT_TRUE(none.empty());
  EXPECT_EQ(defaults.listen, "127.0.0.1:8420");
  EXPECT_TRUE(defaults.channels.empty());
}

TEST_F(ConfigurationTest, ReadsAChannelByItsManifest) {
  channel(
      "  server: imaps://mail.example.org\n  port: 993\n  every: 30s\n  password: {credential: "
      "mail}\n",
      "poll_every: 5s\nbegin: 2026-01-31\n");
  const auto& read = loaded();
  ASSERT_EQ(report(), "");
  const auto& support = read.channels.at(0);
  EXPECT_EQ(support.settings.values.at("port"), 993);
  EXPECT_EQ(support.settings.values.at("every"), "30s");
  EXPECT_FALSE(support.settings.values.contains("password"));
  EXPECT_EQ(support.settings.secrets.at(0).name, "mail");
  EXPECT_EQ(support.poll_every, std::chrono::seconds(5));
  EXPECT_EQ(support.begin.kind, Begin::Kind::date);
}

TEST_F(ConfigurationTest, SaysFileLineColumnCaretAndRemedy) {
  channel("  sever: imaps://mail.example.org\n");
  const auto text = report();
  EXPECT_THAT(text,
              HasSubstr("channels.d/support.yaml:4:3: unknown setting 'sever' for plugin 'email'\n"
                        "    4 |   sever: imaps://mail.example.org\n"
                        "      |   ^^^^^ did you mean 'server'?\n"));
  EXPECT_THAT(text, HasSubstr("setting 'server' is missing"));
}

TEST_F(ConfigurationTest, ShowsEveryProblemOfEveryFileAtOnce) {
  write("voxbus.yaml", "plugins: [" + (folder / "plugins").string() +
                           "]\nlisten: 8420\nlog_level: loud\nregoin: US\n");
  channel("  server: x\n  port: 70000\n  every: 30\n  mode: idel\n",
          "poll_every: 5\nbegin: soon\nisolation: inline\n");
  write("channels.d/two.yaml", "channel: Two Words\nplugin: emial\n");
  const auto text = report();
  for (const auto* expected :
       {"'listen' must be ADDRESS:PORT", "'log_level' must be one of", "did you mean 'region'?",
        "must be at most 65535", "'30' has no known unit", "did you mean 'idle'?",
        "'5' has no known unit", "'begin' must be now, all or a date",
        "does not permit isolation: inline", "a channel's name may hold",
        "did you mean 'email'?"}) {
    EXPECT_THAT(text, HasSubstr(expected));
  }
}

TEST_F(ConfigurationTest, AFaultInOneChannelLeavesTheOthers) {
  channel("  server: x\n");
  write("channels.d/broken.yaml", "channel: broken\nplugin: email\nsettings: {}\n");
  const auto& read = loaded();
  EXPECT_FALSE(problems.fatal());
  ASSERT_EQ(read.channels.size(), 2u);
  EXPECT_THAT(read.channels[0].faults, HasSubstr("'server' is missing"));
  EXPECT_EQ(read.channels[1].faults, "");
}

TEST_F(ConfigurationTest, AFaultInTheMainFileIsFatal) {
  write("voxbus.yaml", "listne: 127.0.0.1:1\n");
  loaded();
  EXPECT_TRUE(problems.fatal());
}

TEST_F(ConfigurationTest, ASecretNeverStandsInTheFile) {
  channel("  server: x\n  password: canary-secret\n");
  const auto text = report();
  EXPECT_THAT(text, HasSubstr("secret 'password' must not stand here itself"));
  EXPECT_THAT(text, testing::Not(HasSubstr("canary-secret")));
}

TEST_F(ConfigurationTest, AMisspeltOrDoubledSecretIsNotShownEither) {
  for (const auto* settings :
       {"  server: x\n  pasword: canary-secret\n", "  server: x\n  zzz: canary-secret\n",
        "  server: x\n  password: canary-secret\n  password: canary-secret\n",
        "  server: x\n  password: {canary-secret: [\n"}) {
    channel(settings);
    const auto text = report();
    EXPECT_NE(text, "");
    EXPECT_THAT(text, testing::Not(HasSubstr("canary-secret"))) << settings;
  }
}

TEST_F(ConfigurationTest, DurationsAndSizesHaveBounds) {
  channel("  server: x\n", "poll_every: 99999d\nstop_within: 1ms\nmemory: 1B\n");
  const auto text = report();
  for (const auto* key : {"'poll_every' must lie between", "'stop_within' must lie between",
                          "'memory' must lie between"}) {
    EXPECT_THAT(text, HasSubstr(key));
  }
}

TEST_F(ConfigurationTest, MemoryMustSufficeForTheLargestItems) {
  channel("  server: x\n", "memory: 128MiB\n");
  EXPECT_THAT(report(),
              HasSubstr("a memory of 128.0 MiB is too little for items of up to 32.0 MiB"));
  EXPECT_THAT(report(), HasSubstr("write 'memory: 384MiB' or more"));
  channel("  server: x\n", "memory: 384MiB\n");
  EXPECT_EQ(report(), "");
}

TEST_F(ConfigurationTest, AFolderThatCannotBeReadIsNotTakenForAnEmptyOne) {
  write("channels.d", "a file where a folder belongs");
  loaded();
  EXPECT_TRUE(problems.fatal());
}

TEST_F(ConfigurationTest, TheOriginDoesNotDependOnTheManifestsOrderOrOnSpeltOutDefaults) {
  const auto manifest = [&](const std::string& settings) {
    write("plugins/email.plugin.yaml",
          "id: a.b\nname: email\nabi: {major: 0, minor: 1}\nsettings:\n" + settings);
  };
  const std::string server = "  - {name: server, identity: true}\n",
                    user = "  - {name: user, identity: true, default: me}\n";
  const auto origin = [&](const std::string& settings) {
    channel(settings);
    return loaded().channels.at(0).settings.origin;
  };
  manifest(server + user);
  const auto first = origin("  server: a\n");
  EXPECT_EQ(origin("  server: a\n  user: me\n"), first);
  manifest(user + server);
  EXPECT_EQ(origin("  server: a\n"), first);
}

TEST_F(ConfigurationTest, SecretsComeFromCredentialsAndFiles) {
  write("secret", "s3cret\r\n");
  fs::permissions(folder / "secret", fs::perms(0600));
  EXPECT_EQ(*resolve({"password", SecretReference::From::file, (folder / "secret").string()}),
            "s3cret");
  fs::permissions(folder / "secret", fs::perms(0604));
  const auto read_by_all =
      resolve({"password", SecretReference::From::file, (folder / "secret").string()});
  ASSERT_FALSE(read_by_all);
  EXPECT_THAT(read_by_all.error().message,
              HasSubstr("by anybody: keep it in a file of its own, with chmod 600"));
  fs::permissions(folder / "secret", fs::perms(0640));
  ::setenv("CREDENTIALS_DIRECTORY", folder.c_str(), 1);
  EXPECT_EQ(*resolve({"password", SecretReference::From::credential, "secret"}), "s3cret");
  ::unsetenv("CREDENTIALS_DIRECTORY");
  EXPECT_FALSE(resolve({"password", SecretReference::From::credential, "secret"}));
}

TEST_F(ConfigurationTest, OnlyIdentitySettingsMakeTheOrigin) {
  const auto origin = [&](const std::string& settings) {
    channel(settings);
    return loaded().channels.at(0).settings.origin;
  };
  const auto first = origin("  server: a\n  user: u\n");
  EXPECT_EQ(origin("  server: a\n  user: u\n  port: 99\n  every: 5s\n"), first);
  EXPECT_NE(origin("  server: b\n  user: u\n"), first);
  EXPECT_NE(origin("  server: a\n  user: v\n"), first);
}

TEST_F(ConfigurationTest, ASecretsFileIsNamedFromTheRoot) {
  channel("  server: x\n  password: {file: secrets/mail}\n");
  EXPECT_THAT(report(), HasSubstr("support.yaml:5:20: a secret's file must be an absolute path"));
}

TEST_F(ConfigurationTest, AFileThatWouldNotBeReadIsTold) {
  write("channels.d/book.yml", "channel: book\n");
  EXPECT_THAT(report(),
              HasSubstr("book.yml: is not read\n        files of channels end with .yaml"));
  EXPECT_FALSE(problems.fatal());
}

TEST_F(ConfigurationTest, WithoutItsOwnFileTheDaemonDoesNotStart) {
  fs::rename(folder / "voxbus.yaml", folder / "voxbus.yml");
  EXPECT_THAT(report(), HasSubstr("voxbus.yml: is not read\n        call it voxbus.yaml"));
  EXPECT_TRUE(problems.fatal());
  fs::copy(folder / "voxbus.yml", folder / "voxbus.yaml");
  EXPECT_THAT(report(), HasSubstr("voxbus.yml: is not read"));
  EXPECT_FALSE(problems.fatal()) << "beside the one that is read it hinders nothing";
}

TEST_F(ConfigurationTest, AFileThatIsNotReadIsNoFaultOfTheChannelBesideIt) {
  channel("  server: a\n  user: u\n");
  write("channels.d/support.yml", "channel: support\n");
  EXPECT_EQ(loaded().channels.at(0).faults, "");
  EXPECT_THAT(report(), HasSubstr("support.yml: is not read"));
}

// A reload restarts what differs, and a mended plugin or another password does.
TEST_F(ConfigurationTest, AnotherLibraryOrSecretMakesAnotherChannel) {
  write("plugins/email.so", "one");
  write("secret", "s");
  channel("  server: x\n  password: {file: " + (folder / "secret").string() + "}\n");
  const auto first = loaded().channels.at(0);
  EXPECT_EQ(loaded().channels.at(0), first);
  write("plugins/next", "two");
  fs::rename(folder / "plugins/next", folder / "plugins/email.so");
  const auto second = loaded().channels.at(0);
  EXPECT_NE(second, first);
  write("secret", "longer");
  EXPECT_NE(loaded().channels.at(0), second);
}

TEST_F(ConfigurationTest, TwoFilesMayNotDescribeOneChannel) {
  channel("  server: x\n");
  write("channels.d/zwei.yaml", "channel: support\nplugin: email\nsettings: {server: y}\n");
  EXPECT_THAT(report(),
              HasSubstr("channels.d/zwei.yaml:1:10: channel 'support' is already described "
                        "in " +
                        (folder / "channels.d/support.yaml").string()));
}

TEST_F(ConfigurationTest, AFileThatSaysNoNameIsNoFaultOfTheChannelOfThatName) {
  write("channels.d/10-support.yaml",
        "channel: support\nplugin: email\nsettings: {server: x, user: u}\n");
  for (const auto* broken : {"channel: [\n", "plugin: email\nsettings: {server: x, user: u}\n"}) {
    write("channels.d/support.yaml", broken);
    write("channels.d/alone.yaml", broken);
    const auto channels = loaded().channels;
    ASSERT_EQ(channels.size(), 2u) << broken;
    EXPECT_EQ(channels[0].name, "support");
    EXPECT_EQ(channels[0].faults, "");
    EXPECT_EQ(channels[1].name, "alone");
    EXPECT_THAT(channels[1].faults, HasSubstr("alone.yaml"));
    EXPECT_THAT(report(), HasSubstr("/support.yaml:"));
  }
}

TEST_F(ConfigurationTest, ProblemsOfAFileStandInTheOrderOfItsLines) {
  write("voxbus.yaml",
        "regoin: US\nregion: Atlantis\nlog_level: loud\njournal: {queue: 1}\nlisten: 8420\n");
  write("channels.d/a.yaml", "channel: A\nbegin: soon\npoll_every: 5\nplugin: none\n");
  write("channels.d/b.yaml", "begin: soon\n");
  loaded();
  std::vector<std::pair<std::string, int>> places;
  for (const auto& problem : problems.list())
    places.emplace_back(fs::path(problem.file).filename(), problem.mark.line);
  EXPECT_THAT(places,
              ElementsAre(Pair("voxbus.yaml", 1), Pair("voxbus.yaml", 2), Pair("voxbus.yaml", 3),
                          Pair("voxbus.yaml", 4), Pair("voxbus.yaml", 5), Pair("a.yaml", 1),
                          Pair("a.yaml", 2), Pair("a.yaml", 3), Pair("a.yaml", 4),
                          Pair("b.yaml", 1), Pair("b.yaml", 1), Pair("b.yaml", 1)));
}

// A name never leaves the folders that voxbus.yaml names, nor says what is there.
TEST_F(ConfigurationTest, APluginIsNamedAndNotPointedTo) {
  write("elsewhere/email.plugin.yaml", "id: [\n");
  const auto absolute = (folder / "elsewhere/email").string();
  for (const auto& name : {std::string("../elsewhere/email"), std::string("./email"), absolute,
                           std::string("..") + absolute, std::string("\"email\\0\""),
                           std::string("'.email'"), std::string("sub/email")}) {
    write("channels.d/support.yaml", "channel: support\nplugin: " + name + "\n");
    EXPECT_THAT(report(), AllOf(HasSubstr("support.yaml:2:9: 'plugin' takes a plugin's name"),
                                testing::Not(HasSubstr("cannot be used")),
                                testing::Not(HasSubstr("no plugin"))))
        << name;
  }
}

TEST_F(ConfigurationTest, ABrokenManifestIsNotTakenForAMissingOne) {
  channel("  server: a\n");
  write("plugins/email.plugin.yaml", "id: [\n");
  const auto text = report();
  EXPECT_THAT(text, HasSubstr("the manifest of plugin 'email' cannot be used"));
  EXPECT_THAT(text, testing::Not(HasSubstr("no plugin 'email'")));
}

TEST_F(ConfigurationTest, APluginOfAnotherAbiIsRefusedBeforeItIsRun) {
  write("plugins/email.plugin.yaml",
        "id: org.voxbus.email\nname: email\nversion: 0.1.0\nabi: {major: 9, minor: 0}\n"
        "isolation: [process]\nsettings: []\n");
  channel("  {}\n");
  EXPECT_THAT(report(), HasSubstr("plugin 'email' speaks plugin ABI 9, this program 0"));
}

TEST_F(ConfigurationTest, RegionsHostsAndOriginsMustBeSuch) {
  const auto plugins = "plugins: [" + (folder / "plugins").string() + "]\n";
  for (const auto* right : {"region: DE", "hosts: [bus.example.org, '[::1]']",
                            "origins: ['https://desk.example.org:8443']"}) {
    write("voxbus.yaml", plugins + right + "\n");
    EXPECT_EQ(report(), "") << right;
  }
  for (const auto* wrong : {"region: ZZ", "region: de", "hosts: ['http://x/y']", "hosts: ['*']",
                            "origins: [nonsense]", "origins: ['https://x/y']"}) {
    write("voxbus.yaml", plugins + wrong + "\n");
    EXPECT_NE(report(), "") << wrong;
  }
}

TEST_F(ConfigurationTest, ListensOnAddressesAndLocalhost) {
  for (const auto* right :
       {"127.0.0.1:8420", "localhost:0", "0.0.0.0:65535", "'[::1]:8420'", "'[fe80::1%lo]:1'"}) {
    write("voxbus.yaml", std::string("listen: ") + right + "\n");
    EXPECT_EQ(report(), "") << right;
  }
  for (const auto* wrong :
       {"foo:bar", "127.0.0.1:99999", "'127.0.0.1:'", "127.0.0.1", ":8420", "'::1:8420'", "'[::1]'",
        "'[127.0.0.1]:1'", "bus.example.org:8420", "127.0.0.1:+1", "127.0.0.1:80a",
        "'[fe80::1%]:1'", "\"127.0.0.1\\0:1\"", "''", "8420", "[127.0.0.1, 1]"}) {
    write("voxbus.yaml", std::string("state: /var/lib/voxbus\nlisten: ") + wrong + "\n");
    EXPECT_THAT(report(), HasSubstr("voxbus.yaml:2:9: 'listen' ")) << wrong;
    EXPECT_TRUE(problems.fatal()) << wrong;
  }
}

TEST_F(ConfigurationTest, ASocketIsAnAbsolutePathThatTheKernelTakes) {
  const auto longest = "/" + std::string(106, 'x');
  write("voxbus.yaml", "socket: " + longest + "\n");
  EXPECT_EQ(report(), "");
  EXPECT_EQ(configuration.socket, longest);
  write("file", "");
  const auto file = (folder / "file").string();
  for (const auto& wrong : {std::string("rel/x.sock"), longest + "x", std::string("''"), file,
                            file + "/x.sock", folder.string(), folder.string() + "/new/",
                            std::string("\"/x\\0y\""), std::string("[/x]")}) {
    write("voxbus.yaml", "socket: " + wrong + "\n");
    EXPECT_THAT(report(), HasSubstr("voxbus.yaml:1:9: 'socket' ")) << wrong;
    EXPECT_TRUE(problems.fatal()) << wrong;
  }
}

TEST_F(ConfigurationTest, TheStateIsAFolderOfItsOwn) {
  write("file", "");
  for (const auto& right :
       {folder.string(), (folder / "not" / "yet").string(), (folder / "plugins" / "..").string()}) {
    write("voxbus.yaml", "state: " + right + "\n");
    EXPECT_EQ(report(), "") << right;
    EXPECT_EQ(configuration.state, right);
  }
  for (const auto& wrong :
       {std::string("/"), std::string("//"), std::string("/tmp/.."), std::string("rel"),
        std::string("''"), (folder / "file").string(), (folder / "file" / "below").string(),
        (folder / "plugins" / ".." / "file").string(), std::string("\"/x\\0y\"")}) {
    write("voxbus.yaml", "state: " + wrong + "\n");
    EXPECT_THAT(report(), HasSubstr("voxbus.yaml:1:8: 'state' ")) << wrong;
    EXPECT_TRUE(problems.fatal()) << wrong;
  }
}

TEST_F(ConfigurationTest, PluginFoldersAreAbsolutePathsAndEachWrongOneIsShown) {
  channel("  server: x\n  port: 70000\n");
  write("voxbus.yaml", "plugins: [" + (folder / "plugins").string() + ", rel, '']\n");
  const auto text = report();
  const auto column = [&](std::size_t after) {
    return "voxbus.yaml:1:" + std::to_string(12 + (folder / "plugins").string().size() + after);
  };
  EXPECT_THAT(text, HasSubstr(column(1) + ": 'plugins' must be an absolute path"));
  EXPECT_THAT(text, HasSubstr(column(6) + ": 'plugins' must be an absolute path"));
  EXPECT_TRUE(problems.fatal());
  EXPECT_THAT(text, HasSubstr("must be at most 65535")) << "what is right is used";
  write("voxbus.yaml", "plugins: rel\n");
  EXPECT_THAT(report(), testing::Not(HasSubstr("no plugin"))) << "nobody knows";
}

TEST_F(ConfigurationTest, ShowsTheFirstTwentyUnknownKeysAndCountsTheRest) {
  std::string text;
  for (int i = 0; i < 20; ++i) text += "zzz" + std::to_string(i) + ": 1\n";
  write("voxbus.yaml", text);
  EXPECT_THAT(report(), testing::Not(HasSubstr("more unknown")));
  EXPECT_EQ(problems.list().size(), 20u);
  write("voxbus.yaml", text + "zzz20: 1\nzzz21: 1\nzzz22: 1\n");
  EXPECT_THAT(report(), HasSubstr("voxbus.yaml:21:1: and 3 more unknown keys for voxbus.yaml\n"));
  EXPECT_EQ(problems.list().size(), 21u);
}

TEST_F(ConfigurationTest, WhatIsCountedOnlyMayHoldASecret) {
  std::string settings = "  server: x\n";
  for (int i = 0; i < 30; ++i) settings += "  zzz" + std::to_string(i) + ": canary-secret\n";
  channel(settings);
  const auto text = report();
  EXPECT_THAT(text, HasSubstr("and 10 more unknown settings for plugin 'email'"));
  EXPECT_THAT(text, testing::Not(HasSubstr("canary-secret")));
}

TEST_F(ConfigurationTest, NamesEachKnownKeyOnce) {
  channel("  server: a\n", "xyzzy: 1\n");
  const auto text = report();
  const auto known = text.substr(text.find("known are: "));
  EXPECT_EQ(known.find("begin"), known.rfind("begin")) << known;
}

TEST_F(ConfigurationTest, AManifestWithAnotherNameThanItsFileIsNotUsed) {
  write("plugins/phone.plugin.yaml", "id: x.y\nname: fone\nabi: {major: 0, minor: 1}\n");
  EXPECT_THAT(report(), HasSubstr("the manifest names plugin 'fone', its file 'phone'"));
  EXPECT_FALSE(problems.fatal());
  EXPECT_EQ(configuration.manifests.size(), 1u);
}

}  // namespace
}  // namespace voxbus::config
