// SPDX-License-Identifier: Apache-2.0
//
// Recorded mails, delivered to a Maildir one by one, and what becomes of them.
#include <gtest/gtest.h>

#include "mail_folder.hpp"
#include "voxbus/golden.hpp"

namespace {

using voxbus::testing::golden_difference;
using voxbus::testing::golden_lines;

class EmailGolden : public voxbus::email::tests::MailFolder,
                    public ::testing::WithParamInterface<const char*> {};

TEST_P(EmailGolden, GivesTheRecordedResult) {
  const std::string base = std::string{GOLDEN} + "/" + GetParam();
  std::filesystem::create_directories(folder_ / "new");
  std::filesystem::create_directories(folder_ / "cur");
  std::filesystem::copy_file(base + ".eml", folder_ / "new" / "1.M1P1.host");
  age(folder_ / "new" / "1.M1P1.host");
  ASSERT_EQ(harness_.create(R"({"maildir":")" + folder_.string() + "\"}").status, VOXBUS_OK);
  EXPECT_EQ(golden_difference(base + ".jsonl", golden_lines(harness_.drain().items)), "");
}

INSTANTIATE_TEST_SUITE_P(Mails, EmailGolden,
                         ::testing::Values("plain", "reply", "html_only", "attachments",
                                           "mailing_list", "auto_reply", "bounce", "broken"));

}  // namespace
