// SPDX-License-Identifier: Apache-2.0
#include "kit/mail_bytes.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace {

using ::testing::HasSubstr;
using voxbus::kit::beyond_limits;
using voxbus::kit::mail_header;
using voxbus::kit::mail_id;
using voxbus::kit::MailDigest;
using voxbus::kit::sha256_hex;

TEST(MailId, IsTheDigestOfTheBytesWithCrlf) {
  EXPECT_EQ(mail_id("Subject: x\n\nbody\n"), sha256_hex("Subject: x\r\n\r\nbody\r\n"));
  EXPECT_EQ(mail_id("Subject: x\r\n\r\nbody\r\n"), sha256_hex("Subject: x\r\n\r\nbody\r\n"));
  EXPECT_EQ(mail_id("a: b\n\nlone\rreturn"), sha256_hex("a: b\r\n\r\nlone\rreturn\r\n"));
}

TEST(MailId, LeavesOutWhatMailboxesAddAndChange) {
  const std::string plain = "A: 1\nX-Other: 2\n\nHi\nFrom here on\n";
  for (const char* stored : {
           "From nora@example.org Mon Jan  5 10:00:00 2026\nA: 1\nX-Other: 2\n\nHi\n>From here "
           "on\n",
           "A: 1\nStatus: RO\nX-Status: A\nX-Other: 2\n\nHi\n>>From here on\n",
           "A: 1\nX-KEYWORDS: a\n b\n\tc\nX-Other: 2\nX-UID: 7\n\nHi\nFrom here on\n",
           "X-IMAPbase: 1 2\nX-IMAP: 3\nA: 1\nContent-Length: 99\nX-Other: 2\n\nHi\nFrom here on\n",
       }) {
    EXPECT_EQ(mail_id(stored), mail_id(plain)) << stored;
  }
}

TEST(MailId, KeepsWhatOnlyLooksLikeIt) {
  const std::string plain = "A: 1\n\nStatus: RO\n";
  EXPECT_NE(mail_id("A: 1\n\n"), mail_id(plain));
  EXPECT_NE(mail_id("A: 1\nStatus-Code: 2\n\nx\n"), mail_id("A: 1\n\nx\n"));
  EXPECT_NE(mail_id("A: 1\n\n>Fromage\n"), mail_id("A: 1\n\nFromage\n"));
  EXPECT_NE(mail_id("A: 1\n\n> x\n"), mail_id("A: 1\n\nx\n"));
}

TEST(MailId, IsTheSameInPiecesOfAnySize) {
  const std::string mail =
      "From x\r\nA: 1\r\nStatus: R\n O\r\nX-IMAPbase: 1\r\nB:\r\n c\r\n\r\n>>>From "
      "y\r\n>Fro\r\r\n>\r\nx\r";
  for (std::size_t size = 1; size < mail.size(); ++size) {
    MailDigest digest;
    for (std::size_t at = 0; at < mail.size(); at += size) digest.update(mail.substr(at, size));
    EXPECT_EQ(digest.hex(), mail_id(mail)) << size;
  }
}

TEST(CanonicalMail, HasNoMarksOfAStoreAndOneKindOfLineEnd) {
  using voxbus::kit::canonical_mail;
  EXPECT_EQ(canonical_mail("From x\nA: 1\r\nSTATUS: R\n O\nX-IMAPbase: 1\nB: 2\n 3\n\r\n"
                           "Status: in the body\r\nlast"),
            "A: 1\nB: 2\n 3\n\nStatus: in the body\nlast\n");
  EXPECT_EQ(canonical_mail("no colon\nA: 1"), "no colon\nA: 1\n");
  EXPECT_EQ(canonical_mail("\ra\r\r\n"), "\ra\r\r\n") << "a CR that ends no line is content";
  EXPECT_EQ(canonical_mail(""), "");
}

TEST(MailHeader, EndsWithTheFirstEmptyLine) {
  EXPECT_EQ(mail_header("A: 1\r\n\r\nbody"), "A: 1\r\n\r\n");
  EXPECT_EQ(mail_header("A: 1"), "A: 1");
}

TEST(MailLimits, RefuseWhatIsBuiltToExhaustAParser) {
  std::string headers;
  for (int i = 0; i < 500'000; ++i) headers += "X: y\n";
  EXPECT_THAT(beyond_limits(headers), HasSubstr("more than 5000 headers"));
  std::string parts = "Content-Type: multipart/mixed; boundary=b\n\n";
  for (int i = 0; i < 100'000; ++i) parts += "--b\ncontent-TYPE : multipart/mixed; boundary=b\n\n";
  EXPECT_THAT(beyond_limits(parts), HasSubstr("more than 1000 parts"));
  std::string references = "References:";
  for (int i = 0; i < 1'000'000; ++i) references += "\n <a@b>";
  EXPECT_THAT(beyond_limits(references), HasSubstr("a header longer than 256 KiB"));
  EXPECT_THAT(beyond_limits("X: " + std::string(300'000, 'x')), HasSubstr("longer than 256 KiB"));
  std::string boundaries;
  for (int i = 0; i < 900; ++i) boundaries += "Content-Type: multipart/mixed; boundary=b\n\n--b\n";
  for (int i = 0; i < 300'000; ++i) boundaries += "--c\n";
  EXPECT_THAT(beyond_limits(boundaries), HasSubstr("too many parts and boundaries"));
}

std::string repeated(const std::string& piece, int count) {
  std::string out;
  while (count-- > 0) out += piece;
  return out;
}

// Traces, dumps and documents full of lines that would mean something in a header.
TEST(MailLimits, AllowWordsThatOnlyLookLikeParts) {
  const std::string plain = "Subject: trace\nContent-Type: text/plain\n\n";
  const std::string rows[] = {
      repeated("HTTP/1.1 200 OK\nContent-Type: application/json\n\n{}\n", 1'001),
      "--- dump ---\n" + repeated("    0000: ff ff\n", 60'000),
      repeated("---\nname: a\nkind: b\n", 3'000),
      repeated("--x\nContent-Type: multipart/mixed; boundary=x\n\n", 2'000)};
  for (const std::string& words : rows) {
    EXPECT_EQ(beyond_limits(plain + words), "") << words.substr(0, 40);
    EXPECT_EQ(
        beyond_limits("Content-Type: multipart/mixed; boundary=b\n\n--b\n\nsee below\n--b\n"
                      "Content-Type: text/plain; name=log\nContent-Transfer-Encoding: 8bit\n\n" +
                      words + "--b--\n"),
        "")
        << words.substr(0, 40);
  }
}

// However the boundary is written, the parser reads it, and so is it looked for.
TEST(MailLimits, FindPartsBehindEveryBoundaryThatTheParserReads) {
  for (const char* type :
       {"boundary=b", "boundary=\"b\"", "BOUNDARY = b", "boundary*=us-ascii''%62", "boundary*0=b",
        "x=y;\n boundary=b", "boundary=\"b \""}) {
    const std::string mail = std::string{"Content-Type: multipart/mixed; "} + type + "\n\n";
    EXPECT_THAT(beyond_limits(mail + repeated("--b\nContent-Type: a/b\n\n", 1'000)),
                HasSubstr("more than 1000 parts"))
        << type;
    EXPECT_THAT(beyond_limits(mail + repeated("--b \t\r\nX: y\n\n", 5'001)),
                HasSubstr("more than 5000 headers"))
        << type;
  }
  const std::string within =
      "Content-Type: multipart/mixed; boundary=b\n\n--b\nbad line\n"
      "Content-Type: multipart/mixed; boundary=c\n\n";
  EXPECT_THAT(beyond_limits(within + repeated("--c\nContent-Type: a/b\n\n", 1'000)),
              HasSubstr("more than 1000 parts"));
  // A mail in a mail has a header behind the header, and so has each part of a digest.
  EXPECT_THAT(beyond_limits(repeated("Content-Type: message/rfc822\n\n", 1'001)),
              HasSubstr("more than 1000 parts"));
  EXPECT_THAT(beyond_limits("Content-Type: multipart/digest; boundary=b\n\n" +
                            repeated("--b\n\nContent-Type: a/b\n\n", 1'000)),
              HasSubstr("more than 1000 parts"));
}

TEST(MailLimits, AllowOrdinaryLargeMails) {
  std::string mail = "Subject: patch\nContent-Type: text/plain\n\n";
  for (int i = 0; i < 200'000; ++i) mail += "--- a/file.cpp: old\n+++ b/file.cpp: new\n";
  EXPECT_EQ(beyond_limits(mail), "");
  EXPECT_EQ(
      beyond_limits("Subject: key\n\n-----BEGIN CERTIFICATE-----\n" + std::string(1'000'000, 'A')),
      "");
}

}  // namespace
