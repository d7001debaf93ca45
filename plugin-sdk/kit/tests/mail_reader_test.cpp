// SPDX-License-Identifier: Apache-2.0
#include "kit/mail_reader.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>

#include "voxbus/record_check.hpp"

namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using voxbus::Json;
using voxbus::kit::MailOptions;
using voxbus::kit::read_mail;
using voxbus::kit::ReadMail;

ReadMail read(const std::string& mail, const MailOptions& options = {}) {
  ReadMail result = read_mail(mail, "the-id", options);
  if (!result.unreadable) {
    EXPECT_THAT(voxbus::RecordCheck::check(Json::parse(result.record.json()).value()), IsEmpty());
  }
  return result;
}

TEST(MailReader, ReadsAnOrdinaryMail) {
  const ReadMail mail = read(
      "Received: from a by b; Mon, 5 Jan 2026 10:00:02 +0000\r\n"
      "From: =?utf-8?q?Nora_=C3=98rsted?= <Nora@Example.org>, ada@example.org\r\n"
      "To: Support <support@example.org>, team: a@example.org, b@example.org;\r\n"
      "Subject: =?utf-8?b?TGFtcCDwn5ih?=\r\n"
      "Date: Mon, 5 Jan 2026 11:00:00 +0100\r\n"
      "Message-ID: <m1@example.org>\r\n"
      "In-Reply-To: <m0@example.org>\r\n"
      "References: <first@example.org> <m0@example.org>\r\n"
      "Auto-Submitted: no\r\nList-Id: <list.example.org>\r\n"
      "\r\nMy lamp is dark.\r\n");
  ASSERT_FALSE(mail.unreadable);
  EXPECT_EQ(mail.record.author.handle, "mailto:Nora@Example.org");
  EXPECT_EQ(mail.record.author.name, "Nora Ørsted");
  EXPECT_THAT(mail.record.author.addresses, IsEmpty());
  EXPECT_EQ(mail.record.title, "Lamp 😡");
  EXPECT_EQ(mail.record.text, "My lamp is dark.");
  EXPECT_EQ(mail.record.conversation, "first@example.org");
  EXPECT_EQ(mail.record.in_reply_to, "m0@example.org");
  EXPECT_EQ(mail.occurred_at->time_since_epoch(), std::chrono::seconds{1'767'607'200});
  EXPECT_THAT(
      mail.record.json(),
      HasSubstr(
          R"("native":{"ids":{"message_id":"m1@example.org"},"also_from":["ada@example.org"],)"
          R"("to":["support@example.org","a@example.org","b@example.org"],"auto_submitted":"no","list_id":)"));
}

// Whoever writes two names into From must not become the second of them, nor the second him.
TEST(MailReader, HasOneAuthorWhateverIsNamedBesides) {
  const auto author = [](const std::string& headers) { return read(headers + "\nx").record; };
  for (const char* headers :
       {"From: Nora <nora@example.org>, Ada <ada@example.net>\n",
        "From: Nora <nora@example.org>\nFrom: Ada <ada@example.net>\n",
        "From: team: Nora <nora@example.org>, ada@example.net;\nSender: bob@example.com\n"}) {
    const auto record = author(headers);
    EXPECT_EQ(record.author.handle, "mailto:nora@example.org") << headers;
    EXPECT_EQ(record.author.name, "Nora") << headers;
    EXPECT_THAT(record.author.addresses, IsEmpty()) << headers;
  }
  const auto two = author("From: nora@example.org, ada@example.net\nSender: B <bob@example.com>\n");
  EXPECT_THAT(two.json(),
              HasSubstr(R"("also_from":["ada@example.net"],"sender":"bob@example.com")"));
  EXPECT_THAT(author("From: a@b.example\nSender: a@b.example\n").json(), Not(HasSubstr("sender")));
  for (const char* broken :
       {"nora...@example.org", "Nora <nora...@example.org>", "Nora <>", "nora.@example.org",
        "\"a@b.example, x\" <>", "Nora <no ra@example.org>"})
    EXPECT_EQ(author(std::string{"From: "} + broken + ", ada@example.net\n").author.handle, "")
        << broken << ": nobody else becomes the author";
  EXPECT_EQ(author("From: Falk, Nora <nora@example.org>\n").author.handle,
            "mailto:nora@example.org");
  EXPECT_EQ(author("Sender: bob@example.com, eve@example.com\n").author.handle,
            "mailto:bob@example.com");
  const ReadMail ours =
      read("From: nora@example.org, us@example.net\n\nx", {.own_addresses = {"us@example.net"}});
  EXPECT_EQ(ours.record.direction, voxbus::Direction::kInbound) << "the author is not ours";
}

TEST(MailReader, ReadsMailWithOtherLineEndsAndAMarkBeforeIt) {
  const std::string lines =
      "From: Nora <nora@example.org>\nSubject: dark\nTo: us@example.net\n\nIt is dark.\n> Is it?\n";
  std::string returns = lines;
  std::replace(returns.begin(), returns.end(), '\n', '\r');
  // As canonical_mail() leaves it.
  for (const std::string& mail : {"\xEF\xBB\xBF" + lines, returns, returns + "\n"}) {
    const ReadMail one = read(mail);
    EXPECT_EQ(one.record.author.handle, "mailto:nora@example.org");
    EXPECT_EQ(one.record.title, "dark");
    EXPECT_EQ(one.record.text, "It is dark.");
    EXPECT_EQ(one.record.quoted.size(), 1u);
  }
  EXPECT_THAT(*read("Subject: a\rFrom: eve@example.org\nFrom: nora@example.org\n\nx\n").unreadable,
              HasSubstr("end with CR alone"));
  EXPECT_FALSE(read("Subject: a\r\r\nFrom: nora@example.org\r\n\r\nx\ry\n").unreadable);
}

// Which mail each block repeats; "-" where the mail does not say.
std::vector<std::string> repeats(const std::string& headers, const std::string& words) {
  std::vector<std::string> out;
  for (const auto& quoted : read("From: a@example.org\n" + headers + "\n" + words).record.quoted)
    out.push_back(quoted.native_id.empty() ? "-" : quoted.native_id);
  return out;
}

TEST(MailReader, NamesTheMailThatAQuoteRepeats) {
  const std::string one = "In-Reply-To: <q1@example.org>\n";
  const std::string two = "In-Reply-To: <q1@example.org> <q2@example.org>\n";
  const std::string nora = "Nora wrote:\n> Is it dark?\n";
  const std::string ada = "Ada wrote:\n> Is it lit?\n";
  EXPECT_THAT(repeats(one, nora + "\nYes.\n"), ElementsAre("q1@example.org"));
  EXPECT_THAT(repeats(one, nora + "\nYes.\n> And now?\n\nNo.\n"),
              ElementsAre("q1@example.org", "q1@example.org"));
  EXPECT_THAT(repeats(one, "> Is it dark?\n>> Was it?\n\nYes.\n"),
              ElementsAre("q1@example.org", "-"));
  EXPECT_THAT(repeats(two, nora + "\nYes.\n\n" + ada + "\nNo.\n"),
              ElementsAre("q1@example.org", "q2@example.org"));
  // Which of the two is answered nobody says.
  EXPECT_THAT(repeats(one, nora + "\nYes.\n\n" + ada + "\nNo.\n"), ElementsAre("-", "-"));
  EXPECT_THAT(repeats(two, nora + "\nYes.\n"), ElementsAre("q1@example.org"));
  EXPECT_THAT(repeats("", nora + "\nYes.\n"), ElementsAre("-"));
}

// Who forwards a mail in an answer does not answer the forwarded one.
TEST(MailReader, NamesNoMailForWhatIsForwarded) {
  const std::string forwarded =
      "-------- Forwarded Message --------\nFrom: Nora <nora@example.org>\nSubject: Dark\n"
      "Date: Mon, 5 Jan 2026 10:00:00 +0000\n\nIt is dark.\n";
  EXPECT_THAT(repeats("In-Reply-To: <q1@example.org>\n", "See below.\n\n" + forwarded),
              Each(std::string{"-"}));
  EXPECT_THAT(repeats("In-Reply-To: <q1@example.org>\n",
                      "Ada wrote:\n> Is it lit?\n\nSee below.\n\n" + forwarded),
              ElementsAre("q1@example.org", "-"));
}

TEST(MailReader, PrefersPlainTextAndNamesTheFiles) {
  const ReadMail mail = read(
      "From: a@example.org\nContent-Type: multipart/mixed; boundary=m\n\n"
      "--m\nContent-Type: multipart/alternative; boundary=a\n\n"
      "--a\nContent-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: "
      "quoted-printable\n\n"
      "Gr=FC=DFe\n--a\nContent-Type: text/html\n\n<p>html</p>\n--a--\n"
      "--m\nContent-Type: application/pdf; name=\"bill.pdf\"\nContent-Transfer-Encoding: base64\n"
      "Content-Disposition: attachment; filename=\"bill.pdf\"\n\nYWJj\n"
      "--m\nContent-Type: text/plain\n\nfooter\n--m--\n");
  EXPECT_EQ(mail.record.text, "Grüße\nfooter");
  EXPECT_EQ(mail.record.html, "");
  ASSERT_EQ(mail.record.attachments.size(), 1u);
  EXPECT_EQ(mail.record.attachments[0].name, "bill.pdf");
  EXPECT_EQ(mail.record.attachments[0].type, "application/pdf");
  EXPECT_EQ(mail.record.attachments[0].size, 3u);
  EXPECT_EQ(mail.record.attachments[0].sha256,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(MailReader, ReadsAnHtmlBodyBesideAPlainOne) {
  const ReadMail mail = read(
      "From: a@example.org\nContent-Type: multipart/mixed; boundary=m\n\n"
      "--m\nContent-Type: text/html\n\n<p>words</p>\n"
      "--m\nContent-Type: text/plain\n\n<list>\n--m--\n");
  EXPECT_EQ(mail.record.text, "words\n<list>");
  EXPECT_EQ(mail.record.html, "");
}

TEST(MailReader, KeepsAForwardedMailAsAFile) {
  const ReadMail mail = read(
      "From: a@example.org\nContent-Type: multipart/mixed; boundary=m\n\n"
      "--m\n\nsee below\n--m\nContent-Type: message/rfc822\n\nFrom: "
      "b@example.org\n\ninner\n--m--\n");
  EXPECT_EQ(mail.record.text, "see below");
  ASSERT_EQ(mail.record.attachments.size(), 1u);
  EXPECT_EQ(mail.record.attachments[0].type, "message/rfc822");
}

TEST(MailReader, FindsTheConversationWithWhatThereIs) {
  EXPECT_EQ(read("From: a@b\nMessage-ID: <m>\nIn-Reply-To: <r>\n\n").record.conversation, "r");
  EXPECT_EQ(read("From: a@b\nMessage-ID: <m@x>\n\n").record.conversation, "m@x");
  EXPECT_EQ(read("From: a@b\n\n").record.conversation, "the-id");
  EXPECT_EQ(read("From: a@b\nMessage-ID: <m@x>\nReferences: <m@x>\n\n").record.conversation, "m@x");
  const std::string longest(5000, 'l');
  EXPECT_THAT(read("From: a@b\nMessage-ID: <" + longest + "@x>\n\n").record.conversation,
              ::testing::StartsWith("sha256:"));
}

TEST(MailReader, MarksMailFromOurOwnAddressesAsOutbound) {
  EXPECT_EQ(read("From: Support@Example.org\n\n", {.own_addresses = {"support@example.ORG"}})
                .record.direction,
            voxbus::Direction::kOutbound);
}

TEST(MailReader, TrustsTheReceivedHeaderOverAFarAwayDate) {
  const ReadMail forged = read(
      "Received: from a by b; Mon, 5 Jan 2026 10:00:00 +0000\nFrom: a@b\n"
      "Date: Thu, 1 Jan 1998 00:00:00 +0000\n\nx\n");
  EXPECT_EQ(forged.occurred_at->time_since_epoch(), std::chrono::seconds{1'767'607'200});
  EXPECT_FALSE(read("From: a@b\nDate: never\n\nx\n").occurred_at);
}

TEST(MailReader, ReadsWhateverTheCharsetClaims) {
  const auto text = [](const std::string& type, const std::string& body) {
    return read("From: a@b\nContent-Type: text/plain" + type + "\n\n" + body).record.text;
  };
  EXPECT_EQ(text("; charset=no-such", "caf\xC3\xA9"), "café");
  EXPECT_EQ(text("", "caf\xE9"), "café");
  EXPECT_EQ(text("; charset=utf-8", "caf\xE9"), "café");
  EXPECT_EQ(text("; charset=utf-16be", std::string("\0h\0i", 4)), "hi");
  EXPECT_EQ(text("", std::string("a\0b", 3)), std::string("a\0b", 3));
}

TEST(MailReader, SurvivesHostileHeaders) {
  const ReadMail mail = read("From: \xFF\xFE <\x01@\xFF>\nSubject: a\x01\xFF z\nMessage-ID: <>\n" +
                             std::string("X: \0\n", 5) + "Content-Type: \xFF/;;;=\"\n\n\xFF\xFE");
  EXPECT_FALSE(mail.unreadable);
  EXPECT_TRUE(voxbus::is_utf8(mail.record.json()));
  EXPECT_EQ(mail.record.author.handle, "");
}

TEST(MailReader, LosesNoWordsBehindANul) {
  const ReadMail mail =
      read(std::string("From: a\0b <x@y.example>\nSubject: one\0two\n\nbody\0end", 50));
  ASSERT_FALSE(mail.unreadable);
  EXPECT_EQ(mail.record.author.handle, "mailto:x@y.example");
  EXPECT_EQ(mail.record.title, "one two");
}

TEST(MailReader, SaysWhyAMailIsUnreadable) {
  EXPECT_EQ(read("").unreadable, "empty");
  EXPECT_EQ(read("From x\n").unreadable, "empty");
  EXPECT_THAT(*read(std::string(1'000'000, 'x')).unreadable, HasSubstr("no header"));
  EXPECT_THAT(*read(std::string(100'000, '\0')).unreadable, HasSubstr("not a mail"));
}

// Work must grow with the input, not with its square: each of these stays under the limits of
// beyond_limits() and is as large as they allow.
TEST(MailReader, StaysLinearAtItsLimits) {
  std::string nested = "From: a@b\n";
  for (int i = 0; i < 990; ++i) {
    nested += "Content-Type: multipart/mixed; boundary=b" + std::to_string(i) + "\n\n--b" +
              std::to_string(i) + "\n";
  }
  std::string messages = "From: a@b\n";
  for (int i = 0; i < 990; ++i) messages += "Content-Type: message/rfc822\n\n";
  std::string pieces = "From: a@b\nContent-Type: text/plain";
  for (int i = 0; pieces.size() < 250'000; ++i) pieces += "; n*" + std::to_string(i) + "=x";
  std::string ids = "From: a@b\nReferences:";
  while (ids.size() < 250'000) ids += " <a@b>";
  std::string people = "From: a@b\nTo: ";
  while (people.size() < 250'000) people += "(((a@b,";
  std::string words = "From: a@b\nSubject: ";
  while (words.size() < 250'000) words += "=?utf-8?q?=41?= ";
  const auto begin = std::chrono::steady_clock::now();
  for (const std::string& mail : {nested, messages, pieces, ids, people, words}) {
    (void)read(mail + "\n\nend\n");
    const auto took = std::chrono::steady_clock::now() - begin;
    EXPECT_LT(took, std::chrono::seconds{10}) << mail.substr(0, 60);
  }
}

}  // namespace
