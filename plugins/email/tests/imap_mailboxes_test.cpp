// SPDX-License-Identifier: Apache-2.0
#include "imap/mailboxes.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace {

using namespace voxbus::email::imap;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<Listed> listed(const std::vector<std::string>& names) {
  std::vector<Listed> out;
  for (const std::string& name : names) out.push_back({name, {}, "."});
  return out;
}

TEST(ImapMailboxes, OfJunkTrashAndDraftsAreLeftOutByTheServersMarks) {
  auto all = listed({"Shop", "INBOX", "Mess", "Bin 2", "Half", "All", "Gone", "Old"});
  all[2].attributes = {"\\HASNOCHILDREN", "\\JUNK"};
  all[3].attributes = {"\\TRASH"};
  all[4].attributes = {"\\DRAFTS"};
  all[5].attributes = {"\\ALL"};
  all[6].attributes = {"\\NONEXISTENT"};
  all[7].attributes = {"\\NOSELECT"};
  EXPECT_THAT(chosen(all, {}).names, ElementsAre("INBOX", "Shop"));
  EXPECT_THAT(chosen(all, {"Mess"}).names, ElementsAre("Mess")) << "whoever names it wants it";
}

TEST(ImapMailboxes, AreLeftOutByNameWhereNoneOfTheirKindIsMarked) {
  auto all = listed({"INBOX", "Spam", "INBOX.Trash", "Entw&APw-rfe", "papierkorb", "Junk E-mail",
                     "Deleted Items", "INBOX.Drafts", "Spam reports", "Customers.Spam", "Sent"});
  EXPECT_THAT(chosen(all, {}).names,
              ElementsAre("INBOX", "Spam reports", "Customers.Spam", "Sent"));
  all.push_back({"Mess", {"\\JUNK"}, "."});
  EXPECT_THAT(chosen(all, {}).names,
              ElementsAre("INBOX", "Spam", "Junk E-mail", "Spam reports", "Customers.Spam", "Sent"))
      << "the server said which one is junk";
  EXPECT_THAT(chosen(listed({"Spam"}), {"Spam"}).names, ElementsAre("Spam"));
}

TEST(ImapMailboxes, OfSentMailAreToldByTheServersMarkOnly) {
  auto all = listed({"INBOX", "Sent", "Gesendet"});
  EXPECT_THAT(chosen(all, {}).sent, IsEmpty());
  all[2].attributes = {"\\SENT"};
  EXPECT_THAT(chosen(all, {}).sent, ElementsAre("Gesendet"));
  EXPECT_THAT(chosen(all, {"INBOX"}).sent, IsEmpty());
}

TEST(ImapMailboxes, ThatAreWantedAndMissingAreTold) {
  const auto some = chosen(listed({"INBOX", "K&APY-ln"}), {"Köln", "Nowhere"});
  EXPECT_THAT(some.names, ElementsAre("K&APY-ln"));
  EXPECT_THAT(some.missing, ElementsAre("Nowhere"));
}

// RFC 9051, 5.1.
TEST(ImapMailboxes, OfInboxAreMeantInAnyCaseAndNoOthers) {
  for (const char* name : {"INBOX", "inbox", "Inbox"}) {
    const auto some = chosen(listed({"INBOX", "Shop"}), {name});
    EXPECT_THAT(some.names, ElementsAre("INBOX")) << name;
    EXPECT_THAT(some.missing, IsEmpty()) << name;
  }
  EXPECT_THAT(chosen(listed({"INBOX", "Shop"}), {"shop"}).missing, ElementsAre("shop"));
}

}  // namespace
