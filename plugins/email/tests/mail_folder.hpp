// SPDX-License-Identifier: Apache-2.0
//
// A folder for a test, and mails to put into it.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "voxbus/testing.hpp"

extern "C" const voxbus_plugin voxbus_plugin_entry;

namespace voxbus::email::tests {

inline std::string mail(const std::string& subject, const std::string& body = "Hello.\n") {
  return "From: Nora <nora@example.org>\nTo: support@example.org\nSubject: " + subject +
         "\nDate: Mon, 5 Jan 2026 10:00:00 +0000\nMessage-ID: <" + subject + "@example.org>\n\n" +
         body;
}

inline std::vector<std::string> titles(const voxbus::testing::Outcome& outcome) {
  std::vector<std::string> out;
  for (const auto& item : outcome.items) {
    const Json record = item.json();
    out.emplace_back(item.unreadable() ? "unreadable: " + std::string{record.text("reason")}
                                       : std::string{record.text("title")});
  }
  return out;
}

inline std::vector<std::string> sorted(std::vector<std::string> words) {
  std::sort(words.begin(), words.end());
  return words;
}

class MailFolder : public ::testing::Test {
 protected:
  MailFolder() {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  ~MailFolder() override { std::filesystem::remove_all(folder_); }

  static void put(const std::filesystem::path& file, const std::string& text) {
    std::ofstream{file, std::ios::app | std::ios::binary} << text;
  }
  // As if nobody had written to it for an hour, so that it counts as complete.
  static void age(const std::filesystem::path& file) {
    std::filesystem::last_write_time(
        file, std::filesystem::file_time_type::clock::now() - std::chrono::hours{1});
  }

  std::filesystem::path folder_ = ::testing::TempDir() + "mail-" + std::to_string(::getpid());
  voxbus::testing::Harness harness_{voxbus_plugin_entry};
};

}  // namespace voxbus::email::tests
