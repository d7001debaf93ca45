// SPDX-License-Identifier: Apache-2.0
//
// What the settings refuse before anything is read.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "voxbus/testing.hpp"

extern "C" const voxbus_plugin voxbus_plugin_entry;

namespace {

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

}  // namespace
