// SPDX-License-Identifier: Apache-2.0
//
// What the settings refuse before anything is read.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "voxbus/testing.hpp"

extern "C" const voxbus_plugin voxbus_plugin_entry;

namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

std::string refusal(const std::string& settings) {
  voxbus::testing::Harness harness{voxbus_plugin_entry};
  const auto outcome = harness.create(settings);
  return outcome.status == VOXBUS_OK ? "" : outcome.message;
}

std::string with_address(const std::string& address) {
  return refusal(R"({"maildir":"/m","addresses":["a@example.org",")" + address + R"("]})");
}

TEST(Settings, TakeBareAddressesOnly) {
  for (const char* fine : {"support@example.org", "Support+shop@Example.ORG", "root@localhost",
                           "o'neill@example.org", "us@xn--bcher-kva.example"})
    EXPECT_EQ(with_address(fine), "") << fine;
  for (const char* wrong :
       {"Support <support@example.org>", "support@example.org ", " support@example.org",
        "@example.org", "example.org", "*@example.org", "", "support@", "a@b@c",
        "mailto:support@example.org", "support@example.org,shop@example.org",
        "support@.example.org", "support@example.org."})
    EXPECT_THAT(with_address(wrong),
                HasSubstr(std::string{"'"} + wrong + "' in 'addresses' is not a bare"))
        << wrong;
}

TEST(Settings, TakeTheNameOfAServerAlone) {
  const auto with_server = [](const char* kind, const std::string& host) {
    return refusal(std::string{R"({")"} + kind + R"(":")" + host +
                   R"(","user":"u","password":"p"})");
  };
  for (const char* kind : {"imap", "pop3"}) {
    for (const char* fine : {"mail.example.org", "localhost", "192.0.2.7", "2001:db8::7", "mail"})
      EXPECT_EQ(with_server(kind, fine), "") << fine;
    for (const char* wrong :
         {"mail.example.org:993", "imaps://mail.example.org", "mail.example.org/",
          "u@mail.example.org", "mail.example.org ", "[2001:db8::7]"})
      EXPECT_THAT(with_server(kind, wrong),
                  HasSubstr(std::string{"'"} + wrong + "' in '" + kind + "'"))
          << wrong;
  }
}

// A line break in either is a command of its own in POP3.
TEST(Settings, TakeNoLineBreakAndNoOtherControlInALogin) {
  const auto login = [](const char* kind, const std::string& user, const std::string& password) {
    return refusal(std::string{R"({")"} + kind + R"(":"localhost","user":")" + user +
                   R"(","password":")" + password + R"("})");
  };
  for (const char* kind : {"imap", "pop3"}) {
    EXPECT_EQ(login(kind, "a user", "pässword with \\\" and \\\\"), "");
    for (const char* control : {"\\r\\n", "\\n", "\\r", "\\t", "\\u001f", "\\u007f", "\\u0000"}) {
      const std::string word = std::string{"canary"} + control + "DELE 1";
      EXPECT_THAT(login(kind, word, "p"), HasSubstr("'user'")) << kind << control;
      EXPECT_THAT(login(kind, "u", word), AllOf(HasSubstr("'password'"), Not(HasSubstr("canary"))))
          << kind << control;
    }
  }
  EXPECT_THAT(login("pop3", "u\\r\\nDELE 1", "p"), HasSubstr("it is one line"));
  EXPECT_THAT(login("pop3", "u", "p\\nq"), HasSubstr("its file or credential is one line"));
}

TEST(Settings, RefuseWhatMeansNothingToTheSource) {
  for (const auto& [name, value] : std::map<std::string, std::string>{{"port", "993"},
                                                                      {"tls", R"("starttls")"},
                                                                      {"user", R"("u")"},
                                                                      {"password", R"("p")"},
                                                                      {"check_every", R"("5s")"}}) {
    EXPECT_EQ(refusal(R"({"maildir":"/m",")" + name + "\":" + value + "}"),
              "a Maildir has no '" + name + "'");
    EXPECT_EQ(refusal(R"({"mbox":"/m",")" + name + "\":" + value + "}"),
              "an mbox file has no '" + name + "'");
  }
  EXPECT_EQ(refusal(R"({"mbox":"/m","folders":["a"]})"), "an mbox file has no 'folders'");
  EXPECT_EQ(refusal(R"({"pop3":"localhost","user":"u","password":"p","folders":["a"]})"),
            "a POP3 account has no 'folders'");
  EXPECT_EQ(refusal(R"({"maildir":"/m","folders":["a"]})"), "");
  EXPECT_THAT(refusal(R"({"maildir":"/m","folders":["a",""]})"),
              HasSubstr("'folders' holds an empty name"));
  EXPECT_EQ(refusal(R"({"maildir":"/m","imap":"localhost","user":"u","password":"p"})"),
            "exactly one of 'maildir', 'mbox', 'imap' and 'pop3' is to be set");
}

TEST(Settings, TakeAuthoritiesThatCanBeRead) {
  const auto with_authorities = [](const std::string& file) {
    return refusal(R"({"imap":"localhost","user":"u","password":"p","authorities":")" + file +
                   R"("})");
  };
  EXPECT_THAT(with_authorities("/nonexistent.pem"),
              HasSubstr("'authorities': cannot read /nonexistent.pem"));
  EXPECT_THAT(with_authorities("/etc"), HasSubstr("'authorities': "));
  const auto empty = std::filesystem::temp_directory_path() /
                     ("voxbus-authorities-" + std::to_string(::getpid()) + ".pem");
  std::ofstream{empty} << "no certificate\n";
  EXPECT_THAT(with_authorities(empty), HasSubstr("holds no certificate in PEM"));
  std::filesystem::remove(empty);
}

}  // namespace
