// SPDX-License-Identifier: Apache-2.0
#include "imap/reader.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "../../../plugin-sdk/kit/tests/scaling.hpp"

namespace {

using namespace voxbus::email::imap;
using namespace std::string_literals;
using voxbus::kit::tests::growth;
using voxbus::kit::tests::kMemoryScale;
using voxbus::kit::tests::memory_of;

std::string shown(const Value& value) {
  switch (value.kind) {
    case Value::Kind::kNil:
      return "NIL";
    case Value::Kind::kAtom:
      return value.text;
    case Value::Kind::kString:
      return '"' + value.text + '"';
    case Value::Kind::kList:
      break;
  }
  std::string out = "(";
  for (const Value& item : value.items) out += (out.size() > 1 ? " " : "") + shown(item);
  return out + ")";
}

// A response in one line, so that a test can say what it expects.
std::string shown(const Response& response) {
  std::string out = response.kind == Response::Kind::kContinuation ? "+"
                    : response.kind == Response::Kind::kTagged     ? response.tag
                                                                   : "*";
  if (response.number) out += " " + std::to_string(*response.number);
  if (!response.name.empty()) out += " " + response.name;
  if (!response.code.empty()) out += " [" + response.code + "]";
  for (const Value& value : response.values) out += " " + shown(value);
  if (!response.text.empty()) out += " <" + response.text + ">";
  return out;
}

// All that the bytes hold, fed in pieces of that size, and how it ended.
std::vector<std::string> read(std::string_view bytes, std::size_t piece = std::string_view::npos,
                              Limits limits = {}) {
  Reader reader{limits};
  std::vector<std::string> out;
  for (std::size_t at = 0; at < bytes.size();) {
    const auto some = bytes.substr(at, piece);
    at += some.size();
    reader.feed(some);
    for (;;) {
      auto response = reader.next();
      if (!response) {
        out.push_back("! " + response.error().message);
        return out;
      }
      if (!*response) break;
      out.push_back(shown(**response));
    }
  }
  if (reader.has_bytes()) out.push_back("...");
  return out;
}

std::string one(std::string_view bytes, Limits limits = {}) {
  const auto all = read(bytes, std::string_view::npos, limits);
  return all.size() == 1 ? all[0] : std::to_string(all.size()) + " responses";
}

bool is_broken(std::string_view bytes, Limits limits = {}) {
  return one(bytes, limits).starts_with("! the mail server breaks the IMAP protocol");
}

// What a server may say, each with what is to be read of it.
const std::vector<std::pair<std::string, std::string>> kGood = {
    {"* OK ready\r\n", "* OK <ready>"},
    {"* OK\r\n", "* OK"},
    {"* ok [CAPABILITY IMAP4rev1 AUTH=PLAIN] hello {5}\r\n",
     "* OK [CAPABILITY] IMAP4rev1 AUTH=PLAIN <hello {5}>"},
    {"* PREAUTH you are nora\r\n", "* PREAUTH <you are nora>"},
    {"* BYE Autologout\r\n", "* BYE <Autologout>"},
    {"* BAD what?\r\n", "* BAD <what?>"},
    {"* OK [UIDVALIDITY 3857529045] UIDs valid\r\n", "* OK [UIDVALIDITY] 3857529045 <UIDs valid>"},
    {"* OK [uidnext 4392]\r\n", "* OK [UIDNEXT] 4392"},
    {"* OK [PERMANENTFLAGS (\\Deleted \\Seen \\*)] Limited\r\n",
     "* OK [PERMANENTFLAGS] (\\Deleted \\Seen \\*) <Limited>"},
    {"* OK [BADCHARSET (((((] odd\r\n", "* OK [BADCHARSET] <odd>"},
    {"* CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED\r\n",
     "* CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED"},
    {"* 172 EXISTS\r\n", "* 172 EXISTS"},
    {"* 1 recent\r\n", "* 1 RECENT"},
    {"* 44 EXPUNGE\r\n", "* 44 EXPUNGE"},
    {"* FLAGS (\\Answered $Forwarded)\r\n", "* FLAGS (\\Answered $Forwarded)"},
    {"* FLAGS ()\r\n", "* FLAGS ()"},
    {"* SEARCH\r\n", "* SEARCH"},
    {"* SEARCH 2 3 4294967295\r\n", "* SEARCH 2 3 4294967295"},
    {"* SEARCH 2 3 \r\n", "* SEARCH 2 3"},
    {"* LIST (\\HasNoChildren) \"/\" INBOX\r\n", "* LIST (\\HasNoChildren) \"/\" INBOX"},
    {"* LIST (\\Noselect) NIL \"a \\\"b\\\" \\\\c\"\r\n",
     "* LIST (\\Noselect) NIL \"a \"b\" \\c\""},
    {"* LIST () \"/\" {7}\r\nShop (1\r\n", "* LIST () \"/\" \"Shop (1\""},
    {"* LIST () \"/\" [Gmail]/Sent\r\n", "* LIST () \"/\" [Gmail]/Sent"},
    {"* STATUS old[er (UIDVALIDITY 5 UIDNEXT 6)\r\n", "* STATUS old[er (UIDVALIDITY 5 UIDNEXT 6)"},
    {"* STATUS a]b (UIDNEXT 6)\r\n", "* STATUS a]b (UIDNEXT 6)"},
    {"* STATUS \"\" (MESSAGES 0)\r\n", "* STATUS \"\" (MESSAGES 0)"},
    {"* 12 FETCH (UID 7 RFC822.SIZE 44827)\r\n", "* 12 FETCH (UID 7 RFC822.SIZE 44827)"},
    {"* 1 FETCH (UID 7 BODY[] {12}\r\nSubject: )\r\n)\r\n",
     "* 1 FETCH (UID 7 BODY[] \"Subject: )\r\n\")"},
    {"* 1 FETCH (BODY[] {4}\r\na\r\n\n UID 7)\r\n", "* 1 FETCH (BODY[] \"a\r\n\n\" UID 7)"},
    {"* 1 FETCH (BODY[] {0}\r\n UID 7)\r\n", "* 1 FETCH (BODY[] \"\" UID 7)"},
    {"* 1 FETCH (BODY[] \"\" UID 7)\r\n", "* 1 FETCH (BODY[] \"\" UID 7)"},
    {"* 1 FETCH (BODY[] NIL UID 7)\r\n", "* 1 FETCH (BODY[] NIL UID 7)"},
    {"* 1 FETCH (BODY[]<0> {3}\r\nabc UID 7)\r\n", "* 1 FETCH (BODY[]<0> \"abc\" UID 7)"},
    {"* 1 FETCH (BINARY[1] ~{3}\r\na\0c UID 7)\r\n"s, "* 1 FETCH (BINARY[1] \"a\0c\" UID 7)"s},
    {"* 1 FETCH (BODY[] {3+}\r\nabc UID 7)\r\n", "* 1 FETCH (BODY[] \"abc\" UID 7)"},
    {"* 1 FETCH (BODY[HEADER.FIELDS (TO \"A B\")] {2}\r\nx\n)\r\n",
     "* 1 FETCH (BODY[HEADER.FIELDS (TO \"A B\")] \"x\n\")"},
    {"* 1 FETCH (ENVELOPE (({1}\r\n( {2}\r\n)\") NIL {0}\r\n))\r\n",
     "* 1 FETCH (ENVELOPE ((\"(\" \")\"\") NIL \"\"))"},
    {"* X {2}\r\n\r\n\r\n", "* X \"\r\n\""},
    {"* X {2}\nab\n", "* X \"ab\""},
    {"* ESEARCH (TAG \"v4\") UID ALL 2,10:11\r\n", "* ESEARCH (TAG \"v4\") UID ALL 2,10:11"},
    {"* 99999999999999999999 EXISTS\r\n", "* 99999999999999999999 EXISTS"},
    {"+ idling\r\n", "+ <idling>"},
    {"+ \r\n", "+"},
    {"+\r\n", "+"},
    {"+OK {9}\r\n", "+ <OK {9}>"},
    {"v7 OK done\r\n", "v7 OK <done>"},
    {"v7 NO [UNAVAILABLE] later {12}\r\n", "v7 NO [UNAVAILABLE] <later {12}>"},
    {"v7 BAD\r\n", "v7 BAD"},
};

TEST(ImapReader, ReadsEveryKindOfResponse) {
  for (const auto& [bytes, expected] : kGood) {
    EXPECT_EQ(one(bytes), expected) << bytes;
  }
}

TEST(ImapReader, KnowsWordsInAnyCaseAndNumbersOnlyAsDigits) {
  EXPECT_TRUE((Value{Value::Kind::kAtom, "uIdNext", {}}.is_atom("UIDNEXT")));
  EXPECT_FALSE((Value{Value::Kind::kString, "UIDNEXT", {}}.is_atom("UIDNEXT")));
  EXPECT_EQ((Value{Value::Kind::kAtom, "18446744073709551615", {}}.number()), UINT64_MAX);
  for (const char* text : {"", "18446744073709551616", "-1", "+1", " 1", "1x", "0x1"})
    EXPECT_FALSE((Value{Value::Kind::kAtom, text, {}}.number())) << text;
  EXPECT_FALSE((Value{Value::Kind::kList, "1", {}}.number()));
}

TEST(ImapReader, GivesTheSameWhateverThePiecesAre) {
  std::string all;
  std::vector<std::string> expected;
  for (const auto& [bytes, unused] : kGood) {
    all += bytes;
    expected.push_back(one(bytes));
  }
  EXPECT_EQ(read(all), expected);
  for (std::size_t piece = 1; piece < 40; ++piece) EXPECT_EQ(read(all, piece), expected) << piece;
}

TEST(ImapReader, WaitsForTheRestWhereverItIsCut) {
  for (const auto& [bytes, unused] : kGood) {
    const auto whole = one(bytes);
    for (std::size_t cut = 1; cut < bytes.size(); ++cut) {
      Reader reader;
      reader.feed(std::string_view{bytes}.substr(0, cut));
      auto none = reader.next();
      ASSERT_TRUE(none.has_value()) << bytes << " at " << cut;
      ASSERT_FALSE(none->has_value()) << bytes << " at " << cut;
      EXPECT_TRUE(reader.has_bytes());
      reader.feed(std::string_view{bytes}.substr(cut));
      auto response = reader.next();
      ASSERT_TRUE(response.has_value() && response->has_value()) << bytes << " at " << cut;
      EXPECT_EQ(shown(**response), whole);
      EXPECT_FALSE(reader.has_bytes());
    }
  }
}

TEST(ImapReader, RefusesWhatBreaksTheGrammar) {
  for (const char* bytes : {"\r\n",
                            " OK\r\n",
                            "v1 DONE\r\n",
                            "v1\r\n",
                            "* X (a\r\n",
                            "* X a)\r\n",
                            "* X (a))\r\n",
                            "* X \"a\r\n",
                            "* X \"a\\\r\n",
                            "* X {3}abc\r\n",
                            "* X {3} \r\n",
                            "* X {a}\r\n",
                            "* X {-1}\r\nabc\r\n",
                            "* X {}\r\n",
                            "* X {3\r\n",
                            "* X foo{3}\r\nabc\r\n",
                            "* X {5}{3}\r\nabc\r\n",
                            "* X \"{3}\r\nabc\r\n",
                            "* OK [UNFINISHED 5\r\n",
                            "* 1 FETCH (BODY[ {3}\r\nabc\r\n",
                            "* X (a\rb)\r\n"})
    EXPECT_TRUE(is_broken(bytes)) << bytes << " gives " << one(bytes);
}

TEST(ImapReader, TellsAStatusByItsOwnLineOnly) {
  // What follows the line break may be there already or not.
  EXPECT_EQ(read("v1{5}\r\n* OK \r\n"), read("v1{5}\r\n* OK \r\n", 1));
}

TEST(ImapReader, CountsToNoLiteralThatNobodyTakes) {
  for (const char* size : {"34603009", "4294967295", "4294967296", "18446744073709551615",
                           "18446744073709551616", "99999999999999999999"}) {
    const std::string bytes = "* 1 FETCH (BODY[] {" + std::string{size} + "}\r\n";
    EXPECT_TRUE(is_broken(bytes)) << size;
    EXPECT_NE(one(bytes).find(size), std::string::npos) << "the words name it";
    // At once, and not after waiting for it.
    EXPECT_TRUE(is_broken("* 1 FETCH (BODY[] {" + std::string{size} + "+}\r\n"));
  }
  EXPECT_EQ(one("* 1 FETCH (BODY[] {34603008}\r\n"), "...");
}

TEST(ImapReader, HoldsEachOfItsLimits) {
  const Limits few{.literal = 100, .response = 210, .line = 80, .depth = 3, .values = 8};
  const auto literal = [](std::size_t size) {
    return "{" + std::to_string(size) + "}\r\n" + std::string(size, 'x');
  };
  EXPECT_FALSE(is_broken("* X " + literal(100) + "\r\n", few));
  EXPECT_TRUE(is_broken("* X " + literal(101) + "\r\n", few));
  EXPECT_FALSE(is_broken("* X " + literal(90) + " " + literal(90) + "\r\n", few));
  EXPECT_TRUE(is_broken("* X " + literal(100) + " " + literal(100) + "\r\n", few));
  EXPECT_FALSE(is_broken("* OK " + std::string(70, 'x') + "\r\n", few));
  EXPECT_TRUE(is_broken("* OK " + std::string(80, 'x') + "\r\n", few));
  EXPECT_TRUE(is_broken("* OK " + std::string(80, 'x'), few)) << "before its end is there";
  EXPECT_TRUE(is_broken("* X " + std::string(30, 'x') + literal(1) + std::string(30, ' ') +
                            literal(1) + std::string(30, ' ') + "\r\n",
                        few))
      << "the lines of a response count together";
  EXPECT_FALSE(is_broken("* X (((())))\r\n", few));
  EXPECT_TRUE(is_broken("* X ((((()))))\r\n", few));
  EXPECT_FALSE(is_broken("* X 1 2 3 4 5 6 7 8\r\n", few));
  EXPECT_TRUE(is_broken("* X 1 2 3 4 5 6 7 8 9\r\n", few));
  EXPECT_TRUE(is_broken("* X (1 2 3 4) (5 6 7)\r\n", few)) << "lists and what is in them";
}

TEST(ImapReader, TakesOtherLimitsFromTheNextResponseOn) {
  Reader reader{{.literal = 10, .response = 100, .line = 100}};
  reader.feed("* OK ready\r\n");
  ASSERT_TRUE(reader.next().has_value());
  reader.set_limits({.literal = 1000, .response = 2000, .line = 100});
  reader.feed("* X {500}\r\n");
  EXPECT_TRUE(reader.next().has_value());
}

TEST(ImapReader, TakesTwiceAsLongForTwiceAsMuch) {
  constexpr std::size_t kLarge = 400'000;
  const auto repeated = [](const std::string& part, std::size_t size) {
    std::string out;
    while (out.size() < size) out += part;
    return out;
  };
  const std::vector<std::pair<std::string, std::function<std::string(std::size_t)>>> kinds = {
      {"many responses", [&](auto size) { return repeated("* 5 EXISTS\r\n", size); }},
      {"one long line", [&](auto size) { return "* SEARCH" + repeated(" 1", size / 2) + "\r\n"; }},
      {"one word", [&](auto size) { return "* X " + std::string(size, 'x') + "\r\n"; }},
      {"brackets", [&](auto size) { return "* X " + repeated("BODY[", size) + "\r\n"; }},
      {"small literals", [&](auto size) { return "* X" + repeated(" {1}\r\nx", size) + "\r\n"; }},
      {"lists", [&](auto size) { return "* X (" + repeated("() ", size / 2) + ")\r\n"; }},
      {"open quotes", [&](auto size) { return "* X " + repeated("\"", size / 2) + "\r\n"; }},
      {"braces", [&](auto size) { return "* X (" + repeated("{", size) + ")\r\n"; }},
      {"one literal", [&](auto size) {
         return "* X {" + std::to_string(size) + "}\r\n" + std::string(size, 'x') + "\r\n";
       }}};
  for (const auto& [name, make] : kinds) {
    const auto half = make(kLarge), four = make(4 * kLarge);
    for (const std::size_t piece : {std::size_t{64}, std::string::npos}) {
      const Limits wide{.line = 8 << 20, .values = 4'000'000};
      EXPECT_LE(
          growth([&] { (void)read(half, piece, wide); }, [&] { (void)read(four, piece, wide); }),
          voxbus::kit::tests::kMostGrowth)
          << name << " in pieces of " << piece;
    }
  }
}

TEST(ImapReader, HoldsALargeMailOnceAndGivesItsMemoryBack) {
  const std::size_t size = 32 << 20;
  const std::string mail(1 << 20, 'x');
  const auto large = [&](Reader& reader) {
    reader.feed("* 1 FETCH (BODY[] {" + std::to_string(size) + "}\r\n");
    EXPECT_TRUE(reader.next().has_value());
    for (std::size_t at = 0; at < size; at += mail.size()) {
      reader.feed(mail);
      EXPECT_TRUE(reader.next().has_value());
    }
    reader.feed(")\r\n");
    const auto response = reader.next();
    EXPECT_TRUE(response && *response);
  };
  // Its bytes as they came, and as the value that is given away.
  EXPECT_LT(memory_of([&] {
              Reader reader;
              large(reader);
            }),
            kMemoryScale * ((2 * size) + (8u << 20)));
  Reader reader;
  large(reader);
  reader.feed("* 1 EXISTS\r\n");
  EXPECT_TRUE(reader.next().has_value());
  EXPECT_LT(reader.held(), 2u << 20);
}

}  // namespace
