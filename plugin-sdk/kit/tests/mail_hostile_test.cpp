// SPDX-License-Identifier: Apache-2.0
//
// Mails that were built to exhaust a reader: twice the input takes at most 2.2 times as long, and
// memory stays within a small multiple of it.
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "kit/mail/html_reader.hpp"
#include "kit/mail/quotes.hpp"
#include "kit/mail_reader.hpp"
#include "scaling.hpp"

namespace {

using voxbus::kit::read_mail;
using voxbus::kit::tests::growth;
using voxbus::kit::tests::kMemoryScale;
using voxbus::kit::tests::memory_of;

std::string repeated(const std::string& piece, std::size_t count) {
  std::string out;
  out.reserve(piece.size() * count);
  for (std::size_t i = 0; i < count; ++i) out += piece;
  return out;
}

struct Row {
  const char* name;
  const char* type;  // of the body; nullptr: `piece` belongs into the header named by `before`
  std::string before;
  std::string piece;
  std::size_t count;  // of the smaller mail
  std::string after;
};

std::string mail_of(const Row& row, std::size_t count) {
  const std::string words = row.before + repeated(row.piece, count) + row.after;
  if (!row.type) return "From: a@example.org\n" + words + "\n\nend\n";
  return "From: a@example.org\nContent-Type: " + std::string{row.type} + "\n\n" + words + "\n";
}

const std::vector<Row>& rows() {
  static const char* const kPlain = "text/plain; charset=utf-8";
  static const char* const kFlowed = "text/plain; charset=utf-8; format=flowed";
  static const char* const kHtml = "text/html; charset=utf-8";
  static const std::vector<Row> kRows{
      {"one line of arrows", kPlain, "", ">", 1'000'000, ""},
      {"lines of ever other depth", kPlain, "", "> a\n>> b\n", 30'000, ""},
      {"own words between quotes", kPlain, "", "> a\nb\n", 30'000, ""},
      {"lines of a hundred arrows", kPlain, "", std::string(100, '>') + " a\n", 10'000, ""},
      {"one long line", kPlain, "", "word ", 1'000'000, ""},
      {"one long line without a blank", kPlain, "", "wwwww", 1'000'000, ""},
      {"one long quoted line", kPlain, "> ", "word ", 400'000, ""},
      {"one long line of glued marks", kPlain, "> ", "four words and more. > ", 40'000, ""},
      {"beginnings of attributions", kPlain, "", "On Mon, 5 Jan 2026 at 10:00 Nora\n", 30'000, ""},
      {"attributions", kPlain, "", "On Mon, 5 Jan 2026, Nora <n@example.org> wrote:\n", 10'000, ""},
      {"forwarded mails that end", kPlain, "",
       "== Forwarded message ==\nFrom: A <a@b.c>\nSubject: x\n\nw\n== End forwarded message ==\n",
       10'000, ""},
      {"forwarded mails in each other", kPlain, "",
       "== Forwarded message ==\nFrom: A <a@b.c>\nSubject: x\n\nw\n", 10'000, ""},
      {"headers of forms", kPlain, "", "From: a\nDate: b\nSubject: c\n\n", 20'000, ""},
      {"bare marks of signatures", kPlain, "", "--\na\n", 40'000, ""},
      {"initials before marks", kPlain, "", "NO> a\n\n", 40'000, ""},
      {"names with particles", kPlain, "",
       "On 1/5/26 10:00, van den van den van den van den van den Berg wrote:\n> a\n", 20'000, ""},
      {"attributions with quotes", kPlain, "", "Nora wrote:\n> a\n", 40'000, ""},
      {"an attribution in one line for ever", kPlain, "On Mon, 5 Jan 2026 ", "Nora: ", 200'000,
       "wrote:"},
      {"colons", kPlain, "", ": : :\n", 100'000, ""},
      {"headers of quoted mails", kPlain, "", "From: a\n", 100'000, ""},
      {"whole headers of quoted mails", kPlain, "", "From: a\nSent: b\nTo: c\nSubject: d\n\n",
       20'000, ""},
      {"announcements", kPlain, "", "-----Original Message-----\n", 30'000, ""},
      {"rules", kPlain, "", "____________\n", 80'000, ""},
      {"signatures", kPlain, "", "-- \n", 60'000, ""},
      {"lines of devices", kPlain, "", "Sent from my iPhone\n\n", 50'000, ""},
      {"footers", kPlain, "", "____________\nmailing list\n", 40'000, ""},
      {"empty lines", kPlain, "", "\n", 60'000, ""},
      {"beginnings of files", kPlain, "", "begin 644 a\n", 60'000, ""},
      {"files", kPlain, "", "begin 644 a\n`\nend\n", 20'000, ""},
      {"beginnings of files of the other kind", kPlain, "", "=ybegin line=1 size=1 name=a\n",
       20'000, ""},
      {"beginnings of signed texts", kPlain, "", "-----BEGIN PGP SIGNED MESSAGE-----\n\n", 20'000,
       ""},
      {"soft breaks", kFlowed, "", "> a \n", 60'000, ""},
      {"soft breaks of own words", kFlowed, "", "a \n", 150'000, ""},
      {"blockquotes inside each other", kHtml, "", "<blockquote>a", 80'000, ""},
      {"blockquotes beside each other", kHtml, "", "<blockquote>a</blockquote>b", 30'000, ""},
      {"blockquotes that name a mail", kHtml, "", "<blockquote cite='mid:a@b'>a</blockquote>",
       30'000, ""},
      {"elements of two kinds", kHtml, "", "<span hidden></div>", 60'000, ""},
      {"ends without beginnings", kHtml, repeated("<span hidden>", 1000), "</div>", 150'000, ""},
      {"attributes", kHtml, "<p ", "a='b' ", 200'000, ">x"},
      {"tags that do not end", kHtml, "", "<a b=\"", 150'000, ""},
      {"tags that only begin", kHtml, "", "<a ", 300'000, ""},
      {"brackets", kHtml, "", "<", 1'000'000, ""},
      {"comments that do not end", kHtml, "", "<!--", 250'000, ""},
      {"comments that end as tags do", kHtml, "", "<!-- >", 150'000, ""},
      {"ampersands", kHtml, "", "&", 1'000'000, ""},
      {"unknown names of characters", kHtml, "", "&abcdefghij;", 60'000, ""},
      {"lists", kHtml, "", "<ol><li>", 60'000, ""},
      {"cells", kHtml, "<table>", "<tr><td>a<td>", 60'000, ""},
      {"links", kHtml, "", "<a href='https://example.org/'>", 30'000, ""},
      {"styles that do not end", kHtml, "", "<style>", 100'000, ""},
      {"marks of signatures", kHtml, "", "<div class=gmail_signature>a", 30'000, ""},
      {"marks of attributions", kHtml, "", "<div class=gmail_attr>a</div>", 30'000, ""},
      {"encoded words", nullptr, "Subject: ", "=?utf-8?q?=41?= ", 8'000, ""},
      {"beginnings of encoded words", nullptr, "Subject: ", "=?utf-8?q?", 12'000, ""},
      {"references", nullptr, "References: ", "<a@b> ", 20'000, ""},
      {"brackets of references", nullptr, "References: ", "<", 120'000, ""},
      {"pieces of a parameter", nullptr, "Content-Type: text/plain", "; n*1*=x", 14'000, ""},
      // GMime makes an object of each: beyond this many the processor's cache is measured.
      {"recipients", nullptr, "To: ", "a@b, ", 4'000, ""},
      {"comments in a name", nullptr, "Sender: ", "(((a@b,", 17'000, ""},
      {"bytes of no charset that is named", "text/plain", "", "\xF0\xD2\xC9\xD7\xC5\xD4 ", 100'000,
       ""},
      {"lines of bytes of no charset", "text/plain", "", "\xF0\xD2\xC9\xD7\xC5\xD4\n", 40'000, ""},
      {"lines that would be boundaries", "multipart/mixed; boundary=b", "--b\n\n", "--c\n", 100'000,
       ""},
      {"comments among recipients", nullptr, "To: ", "(((a@b,", 17'000, ""}};
  return kRows;
}

std::ostream& operator<<(std::ostream& out, const Row& row) { return out << row.name; }

class HostileMail : public ::testing::TestWithParam<Row> {};

TEST_P(HostileMail, TakesTwiceAsLongForTwiceAsMuch) {
  const std::string half = mail_of(GetParam(), GetParam().count / 2);
  const std::string twice = mail_of(GetParam(), 2 * GetParam().count);
  EXPECT_FALSE(read_mail(twice, "id", {}).unreadable);
  EXPECT_LE(
      growth([&] { (void)read_mail(half, "id", {}); }, [&] { (void)read_mail(twice, "id", {}); }),
      voxbus::kit::tests::kMostGrowth)
      << GetParam().name;
}

INSTANTIATE_TEST_SUITE_P(Rows, HostileMail, ::testing::ValuesIn(rows()),
                         [](const ::testing::TestParamInfo<Row>& row) {
                           std::string name;
                           for (const char c : std::string{row.param.name})
                             name += c == ' ' ? '_' : c;
                           return name;
                         });

// What the reader refuses is refused at the cost of one look at it.
TEST(HostileMailBeyondLimits, IsRefusedInLinearTime) {
  const std::pair<const char*, std::string> kRows[] = {
      {"nested parts", "Content-Type: multipart/mixed; boundary=b\n\n--b\n"},
      {"headers", "X: y\n"},
  };
  for (const auto& [name, piece] : kRows) {
    const std::string half = "From: a@b\n" + repeated(piece, 125'000);
    const std::string twice = "From: a@b\n" + repeated(piece, 500'000);
    EXPECT_TRUE(read_mail(twice, "id", {}).unreadable) << name;
    EXPECT_LE(
        growth([&] { (void)read_mail(half, "id", {}); }, [&] { (void)read_mail(twice, "id", {}); }),
        voxbus::kit::tests::kMostGrowth)
        << name;
  }
  const std::string pieces = "From: a@b\nContent-Type: text/plain" + repeated("; n*1*=x", 500'000);
  EXPECT_TRUE(read_mail(pieces + "\n\n", "id", {}).unreadable);
  const std::string ids = "From: a@b\nReferences: " + repeated("<a@b> ", 1'000'000);
  EXPECT_TRUE(read_mail(ids + "\n\n", "id", {}).unreadable);
}

// GMime looks for the end of each anew: 30,000 took it seven seconds.
TEST(HostileMailBeyondLimits, EncodedWordsWithoutEndAreRefused) {
  for (const char* header : {"Subject: ", "From: ", "To: "}) {
    const std::string mail = header + repeated("=?u?q?a ", 30'000) + "\n\nend\n";
    EXPECT_EQ(read_mail(mail, "id", {}).unreadable, "encoded words without end in a header")
        << header;
    const std::string folded = header + repeated("=?u?q?a\n ", 20'000) + "?=\n\nend\n";
    EXPECT_TRUE(read_mail(folded, "id", {}).unreadable) << header;
    const std::string few = header + repeated("=?u?q?a ", 900) + "\n\nend\n";
    const double begin = voxbus::kit::tests::cpu_seconds();
    EXPECT_FALSE(read_mail(few, "id", {}).unreadable) << header;
    EXPECT_LT(voxbus::kit::tests::cpu_seconds() - begin, 1) << header;
  }
}

// GMime looks for an address from each comma anew: 85,000 took it thirty seconds.
TEST(HostileMailBeyondLimits, PeopleWithoutAddressesAreRefused) {
  for (const char* header : {"From: ", "Sender: ", "to: ", "CC: ", "Reply-To: ", "Bcc: "}) {
    const std::string mail = header + repeated("a, ", 85'000) + "\n\nend\n";
    EXPECT_EQ(read_mail(mail, "id", {}).unreadable,
              "too many people without an address in a header")
        << header;
    const std::string folded = header + repeated("a,\n ", 50'000) + "<a@b>\n\nend\n";
    EXPECT_TRUE(read_mail(folded, "id", {}).unreadable) << header;
    const std::string few = header + repeated("a, ", 3'000) + "\n\nend\n";
    const double begin = voxbus::kit::tests::cpu_seconds();
    EXPECT_FALSE(read_mail(few, "id", {}).unreadable) << header;
    EXPECT_LT(voxbus::kit::tests::cpu_seconds() - begin, 2) << header;
    const std::string many = header + repeated("Falk, Nora <n@example.org>, ", 9'000) + "\n\nend\n";
    EXPECT_FALSE(read_mail(many, "id", {}).unreadable) << header;
  }
  EXPECT_FALSE(
      read_mail("Keywords: " + repeated("a, ", 85'000) + "\n\nend\n", "id", {}).unreadable);
}

TEST(HostileMailMemory, StaysWithinASmallMultipleOfTheMail) {
  const std::pair<const char*, std::string> kMails[] = {
      {"text/plain", repeated("\n", 10'000'000)},
      {"text/plain", repeated("> a\n", 2'500'000)},
      {"text/plain", repeated("w", 10'000'000)},
      {"text/plain", repeated(">", 10'000'000)},
      {"text/html", repeated("<blockquote>", 1'000'000)},
      {"text/html", repeated("<p>a", 2'500'000)},
      {"text/html", repeated("<ol><li>", 1'000'000)},
  };
  for (const auto& [type, words] : kMails) {
    const std::string mail = std::string{"From: a@b\nContent-Type: "} + type + "\n\n" + words;
    EXPECT_LT(memory_of([&] { (void)read_mail(mail, "id", {}); }),
              kMemoryScale * (mail.size() * 4 + (64u << 20)))
        << type << " " << words.substr(0, 12);
  }
}

}  // namespace
