// SPDX-License-Identifier: Apache-2.0
//
// The rooms that make a mail's bytes readable: charsets, headers, packed text, threads, marks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <iconv.h>

#include "kit/mail/charset.hpp"
#include "kit/mail/encoded_words.hpp"
#include "kit/mail/mail_marks.hpp"
#include "kit/mail/plain_text.hpp"
#include "kit/mail/threads.hpp"
#include "kit/mail_reader.hpp"
#include "kit/sha256.hpp"
#include "scaling.hpp"

namespace {

using namespace voxbus::kit::mail;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using voxbus::kit::read_mail;
using voxbus::kit::ReadMail;
using voxbus::kit::tests::growth;
using voxbus::kit::tests::kMostGrowth;

TEST(Charset, IsTheOneThatTheBytesHave) {
  EXPECT_EQ(decoded("caf\xE9", "iso-8859-1"), "café");
  EXPECT_EQ(decoded("caf\xC3\xA9", "iso-8859-1"), "café") << "valid UTF-8 is no accident";
  EXPECT_EQ(decoded("\x93so\x94", "ISO_8859-1"), "“so”");
  EXPECT_EQ(decoded("caf\xE9", "utf-8"), "café");
  EXPECT_EQ(decoded("gr\xC3\xBC\xC3\x9F\xFF", "utf-8"), "grüß\xEF\xBF\xBD") << "one broken byte";
  EXPECT_EQ(decoded("caf\xE9", "unknown-8bit"), "café");
  EXPECT_EQ(decoded("caf\xE9", "no-such-charset"), "café");
  EXPECT_EQ(decoded("\x1B$B$\"\x1B(B", "us-ascii"), "あ");
  EXPECT_EQ(decoded("\x1B$B-!\x1B(B", "iso-2022-jp"), "①")
      << "of Windows, in the name of the standard";
  EXPECT_EQ(decoded("\x81\x30\x81\x30", "gb2312"), "\xC2\x80") << "GB18030 in the name of GB2312";
  EXPECT_EQ(decoded("+AOk-", "utf-7"), "é");
  EXPECT_EQ(decoded("\xEF\xBB\xBFx", "windows-1252"), "x");
  EXPECT_EQ(decoded("\xCF\xF0", "windows-1251"), "Пр");
  EXPECT_EQ(decoded("x", std::string(10'000, 'c')), "x");
  EXPECT_EQ(html_charset("<html><META http-equiv=x content='text/html; CHARSET=Windows-1251'>"),
            "windows-1251");
}

// As iconv writes it.
std::string in(const char* charset, std::string text) {
  iconv_t converter = ::iconv_open(charset, "UTF-8");
  std::string out(text.size() * 4, '\0');
  char* from = text.data();
  char* to = out.data();
  std::size_t left = text.size(), room = out.size();
  EXPECT_NE(::iconv(converter, &from, &left, &to, &room), static_cast<std::size_t>(-1)) << charset;
  ::iconv_close(converter);
  out.resize(out.size() - room);
  return out;
}

struct Said {
  const char* charset;
  const char* guessed;
  const char* words;
};
// What nobody declares and the bytes tell.
const Said kTold[] = {
    {"koi8-r", "koi8-r", "NEW Привет, моя лампа сломалась вчера вечером"},
    {"windows-1251", "windows-1251", "NEW Привет, моя лампа сломалась вчера вечером"},
    {"gb18030", "gb18030", "NEW 你好，我的灯昨天晚上坏了，请帮忙"},
    {"big5", "big5", "你好，我的燈昨天晚上壞了，請幫忙"},
    {"shift_jis", "shift_jis", "NEW こんにちは、ランプが壊れました。助けてください"},
    {"euc-jp", "euc-jp", "NEW こんにちは、ランプが壊れました。助けてください"},
    {"euc-kr", "euc-kr", "NEW 안녕하세요 램프가 고장났습니다 도와주세요"}};

TEST(Charset, ThatNobodyDeclaresIsToldByTheBytesWhereTheyAreSure) {
  for (const Said& one : kTold) {
    for (const char* declared : {"", "us-ascii", "utf-8", "iso-8859-1", "no-such-charset"}) {
      const Decoded read = decode(in(one.charset, one.words), declared);
      EXPECT_EQ(read.text, one.words) << one.charset << " in the name of " << declared;
      EXPECT_EQ(read.guessed, one.guessed) << declared;
    }
    EXPECT_EQ(decode(in(one.charset, one.words), one.charset).guessed, "") << "declared";
  }
  const char* const czech = "Dobrý den, moje světlo je rozbité, řekněte prosím";
  EXPECT_EQ(decode(in("windows-1250", czech), "").text, czech);
  EXPECT_EQ(decode(in("windows-1250", czech), "").guessed, "iso-8859-2");
  const char* const polish = "Cześć, żarówka jest zepsuta, proszę pomóżcie";
  EXPECT_EQ(decode(in("iso-8859-2", polish), "").text, polish);
  EXPECT_EQ(decode("\x1B$B$\"\x1B(B", "").guessed, "iso-2022-jp");
  EXPECT_EQ(decode("caf\xC3\xA9", "").guessed, "") << "validity is no guess";
}

// Short and long, with and without words: Western mail stays what it is.
TEST(Charset, OfWesternMailIsNeverTakenForAnother) {
  for (const char* words :
       {"Grüße aus Köln",
        "für",
        "é",
        "ÄÖÜ",
        "ÄÖÜäöüß",
        "ÉÈÀÙ ÇÊ",
        "ÉÈÀÙÇÊÉÈÀÙÇÊ ÄÖÜÄÖÜ",
        "GRÜSSE",
        "Die Lampe ist dunkel, können Sie mir helfen? Schöne Grüße, Jörg Müller",
        "Où est ma lampe? Elle ne marche plus depuis hier soir, désolé de vous déranger.",
        "déjà vu à la fête, ça va être très gênant où ça",
        "Lampe 100 W – 20 °C … ½ Preis",
        "Ñandú. Mañana será otro día, ¿qué pasó con mi lámpara?",
        "§§ 1–3",
        "££££££££££££££££",
        "A lâmpada não está funcionando, obrigado pela atenção",
        "········································",
        "På lördag är lampan sönder, hälsningar Åsa",
        "«»«»«»«»«»«» ¯¯¯¯¯¯¯¯¯¯¯¯¯¯¯¯ ±±±±±±±±±±±±",
        "Þetta er lampinn minn, hann er bilaður",
        "“quoted” — and it’s 5 € please…",
        "Übergrößenträger",
        "Hyvää päivää, lamppu on rikki eikä syty enää, öljyä äiti",
        "Ça été là-bas où l’âme s’élève",
        "È così: la lampada è rotta, però c’è già un’altra. Perché non funziona più?"}) {
    const std::string bytes = in("windows-1252", words);
    for (const char* declared : {"", "iso-8859-1", "windows-1252"})
      EXPECT_EQ(decode(bytes, declared).text, words) << declared;
    EXPECT_EQ(decode(bytes, "").guessed, "windows-1252") << words;
    EXPECT_EQ(decode(bytes, "iso-8859-1").guessed, "");
    std::string often;
    for (int i = 0; i < 50; ++i) often += bytes + "\n";
    EXPECT_EQ(decode(often, "").guessed, "windows-1252") << words;
  }
}

TEST(Charset, OfRawBytesInAHeaderIsThatOfTheBody) {
  const auto read = [](const std::string& charset, const std::string& type,
                       const std::string& words, const std::string& body) {
    return read_mail("From: " + in(charset.c_str(), words) +
                         " <nora@example.org>\nSubject: " + in(charset.c_str(), words) + "\n" +
                         type + "\n" + in(charset.c_str(), body),
                     "id", {})
        .record;
  };
  for (const Said& one : {Said{"koi8-r", "", "Привет"}, Said{"windows-1251", "", "Привет"},
                          Said{"gb18030", "", "我的灯"}, Said{"shift_jis", "", "ランプが"}}) {
    const auto record =
        read(one.charset, std::string{"Content-Type: text/plain; charset="} + one.charset + "\n",
             one.words, "x");
    EXPECT_EQ(record.title, one.words) << one.charset;
    EXPECT_EQ(record.author.name, one.words) << one.charset;
    EXPECT_THAT(record.json(), Not(HasSubstr("charset_guessed")));
  }
  const auto guessed = read("koi8-r", "", "Привет", kTold[0].words);
  EXPECT_EQ(guessed.title, "Привет");
  EXPECT_THAT(guessed.json(), HasSubstr(R"("charset_guessed":"koi8-r")"));
  EXPECT_EQ(read("utf-8", "Content-Type: text/plain; charset=koi8-r\n", "Grüße", "x").title,
            "Grüße");
}

// The author must not be lost over the charset of a body.
TEST(Charset, OfABodyIsThatOfAHeaderOnlyWhereItCanBe) {
  const std::string headers =
      "From: \"Carol +AOQ- ~{abc~} D\\\\\" <carol+shop@example.org>\nSender: team@example.org\n"
      "Reply-To: carol+shop@example.org\nSubject: Re: C:\\tmp ~x +AGE-\n";
  for (const char* charset : {"utf-16", "utf-16le", "utf-16be", "utf-32", "cp037", "cp500",
                              "cp1026", "utf-7", "hz-gb-2312", "iso-2022-kr", "iso-2022-jp",
                              "shift_jis", "koi8-r", "gb18030", "no-such", "us-ascii"}) {
    const auto record = read_mail(headers + "Content-Type: text/plain; charset=" + charset +
                                      "\nContent-Transfer-Encoding: base64\n\n//54AA==\n",
                                  "id", {})
                            .record;
    EXPECT_EQ(record.author.handle, "mailto:carol+shop@example.org") << charset;
    EXPECT_EQ(record.author.name, "Carol +AOQ- ~{abc~} D\\") << charset;
    EXPECT_EQ(record.title, "Re: C:\\tmp ~x +AGE-") << charset;
    EXPECT_THAT(record.json(), HasSubstr(R"("reply_to":["carol+shop@example.org"])")) << charset;
    EXPECT_THAT(record.json(), HasSubstr(R"("sender":"team@example.org")")) << charset;
  }
  for (const char* charset : {"utf-16", "utf-16le", "cp037", "utf-7"}) {
    const auto record =
        read_mail(
            "From: J\xF6rg <joerg@example.org>\nSubject: Gr\xFC\xDF"
            "e\n"
            "Content-Type: text/plain; charset=" +
                std::string{charset} + "\nContent-Transfer-Encoding: base64\n\n//54AA==\n",
            "id", {})
            .record;
    EXPECT_EQ(record.author.handle, "mailto:joerg@example.org") << charset;
    EXPECT_EQ(record.author.name, "Jörg") << charset;
    EXPECT_EQ(record.title, "Grüße") << charset;
  }
}

TEST(EncodedWords, AreReadAsProgramsWriteThem) {
  EXPECT_EQ(decoded_header("=?utf-8?q?Gr=C3=BC=C3=9Fe?= =?UTF-8?B?IMO8YmVyYWxs?="),
            "Grüße überall");
  EXPECT_EQ(decoded_header("=?utf-8?b?w7w?= x"), "ü x") << "without padding";
  EXPECT_EQ(decoded_header("=?utf-8?q?=C3?= =?utf-8?q?=BC?="), "ü") << "a character cut in two";
  EXPECT_EQ(decoded_header("\"=?utf-8?q?N=C3=B6ra?=\""), "\"Nöra\"") << "in quotation marks";
  EXPECT_EQ(decoded_header("a=?utf-8?q?b?=c"), "abc") << "without blanks";
  EXPECT_EQ(decoded_header("=?utf-8?q?two words?="), "two words") << "blanks within";
  EXPECT_EQ(decoded_header("=?utf-8*en?q?x?="), "x");
  EXPECT_EQ(decoded_header("=?no-such?q?caf=E9?="), "café");
  EXPECT_EQ(decoded_header("caf\xE9"), "café");
  EXPECT_EQ(decoded_header("=?utf-8?x?a?= =?utf-8?q?half"), "=?utf-8?x?a?= =?utf-8?q?half");
  EXPECT_EQ(decoded_header(" a\r\n b\t c "), "a b c");
}

TEST(EncodedWords, BringNoLineBreakIntoAHeader) {
  EXPECT_EQ(decoded_header("=?utf-8?q?a=0D=0ABcc:_b=00c?="), "a Bcc: b c");
}

TEST(EncodedWords, WithoutEndAreLookedForOnce) {
  const auto beginnings = [](std::size_t count) {
    std::string out;
    while (count-- > 0) out += "=?u?q?a ";
    return out;
  };
  const std::string half = beginnings(20'000);
  const std::string twice = beginnings(80'000);
  EXPECT_LE(growth([&] { (void)decoded_header(half); }, [&] { (void)decoded_header(twice); }),
            kMostGrowth);
}

TEST(PlainText, GivesFilesOutThatWereWrittenIntoIt) {
  std::string text = "before\nbegin 644 cat.txt\n#0V%T\n`\nend\nafter\n";
  const auto files = take_inline_files(text, 8);
  ASSERT_THAT(files, SizeIs(1));
  EXPECT_EQ(files[0].name, "cat.txt");
  EXPECT_EQ(files[0].bytes, "Cat");
  EXPECT_EQ(text, "before\nafter\n");
  std::string yenc = "=ybegin line=128 size=3 name=cat.bin\n\x6D\x8B\x9E\n=yend size=3\nx\n";
  const auto binary = take_inline_files(yenc, 8);
  ASSERT_THAT(binary, SizeIs(1));
  EXPECT_EQ(binary[0].bytes, "Cat");
  EXPECT_EQ(yenc, "x\n");
  std::string prose = "begin 644 times\nand never end\n";
  EXPECT_THAT(take_inline_files(prose, 8), IsEmpty());
  EXPECT_EQ(prose, "begin 644 times\nand never end\n");
}

TEST(Threads, AreReadFromWhatHeadersHold) {
  EXPECT_THAT(message_ids(" <a@b>\n <c@d> <a@b> junk <e f@g>", 9),
              ElementsAre("a@b", "c@d", "ef@g"));
  EXPECT_THAT(message_ids("a@b", 9), ElementsAre("a@b"));
  EXPECT_THAT(message_ids("Your mail of Monday", 9), IsEmpty());
  EXPECT_THAT(message_ids("<a@b> <c@d> <e@f>", 2), ElementsAre("a@b", "e@f")) << "the last is kept";
  const Thread thread = read_thread({.message_id = "<me@x>",
                                     .in_reply_to = "<me@x> <b@x>",
                                     .references = "<me@x> <a@x> <m@x> <b@x> <me@x>"});
  EXPECT_EQ(thread.own, "me@x");
  EXPECT_EQ(thread.root, "a@x");
  EXPECT_EQ(thread.answered, "b@x");
  EXPECT_EQ(read_thread({.references = "<a@x> <b@x> <c@x>"}).answered, "c@x") << "the youngest";
}

TEST(Threads, OfOutlookHaveARootOfTheirOwn) {
  const std::string root = "AdQl4iYyvbhjmmSWTm2Rc3l0jHbWLw==";  // 22 bytes
  const Thread first = read_thread({.thread_index = root});
  EXPECT_THAT(first.outlook, SizeIs(44));
  EXPECT_FALSE(first.outlook_answer);
  const std::string headers = "From: a@b\nMessage-ID: <m@x>\nThread-Index: ";
  EXPECT_EQ(read_mail(headers + root + "\n\n", "id", {}).record.conversation, "m@x");
  const auto answer = read_mail(headers + "AdQl4iYyvbhjmmSWTm2Rc3l0jHbWLwAAAAAA\n\n", "id", {});
  EXPECT_EQ(answer.record.conversation, "thread-index:" + first.outlook);
  EXPECT_THAT(read_thread({.thread_index = "!"}).outlook, IsEmpty());
}

std::string native(const std::string& headers, const std::string& body = "x") {
  return read_mail("From: a@b\n" + headers + "\n" + body, "id", {}).record.json();
}

TEST(Marks, SayWhoAnswersAutomatically) {
  EXPECT_THAT(native("Auto-Submitted: auto-replied; owner=a\n"),
              HasSubstr(R"("automatic":{"kind":"reply","by":"Auto-Submitted"})"));
  EXPECT_THAT(native("Auto-Submitted: auto-generated\n"), HasSubstr(R"("kind":"generated")"));
  EXPECT_THAT(native("X-Autoreply: yes\n"), HasSubstr(R"("by":"X-Autoreply")"));
  EXPECT_THAT(native("Precedence: auto_reply\n"), HasSubstr(R"("by":"Precedence")"));
  EXPECT_THAT(native("Auto-Submitted: no\n"), Not(HasSubstr("\"automatic\"")));
  EXPECT_THAT(native("X-Autoreply: no\n"), Not(HasSubstr("\"automatic\"")));
  EXPECT_THAT(native("Subject: Out of office\n", "I am away."), Not(HasSubstr("\"automatic\"")));
}

TEST(Marks, SayTheLanguageThatAHeaderNames) {
  EXPECT_EQ(language_of("de"), "de");
  EXPECT_EQ(language_of(" EN-GB, fr (both)"), "en-GB");
  EXPECT_EQ(language_of("zh-Hant-TW"), "zh-Hant-TW");
  for (const std::string none :
       {"", "x", "german language", "d\xC3\xA9", "12-DE", "de-", "en_GB", "*"})
    EXPECT_EQ(language_of(none), "") << none;
  EXPECT_EQ(language_of("de-" + std::string(60, 'x')), "");
}

TEST(Marks, SayWhatIsAList) {
  EXPECT_THAT(native("List-Id: <l.example.org>\nList-Archive: <https://x>\n"),
              HasSubstr(R"("list_archive":"<https://x>","list":true)"));
  EXPECT_THAT(native("Precedence: bulk\n"), Not(HasSubstr("\"list\"")));
}

TEST(Marks, SayWhatAFilterTookForSpam) {
  EXPECT_THAT(native("X-Spam-Flag: YES\nX-Spam-Status: Yes, score=12.3 required=5.0\n"),
              HasSubstr(R"("spam":{"verdict":"spam","by":"X-Spam-Flag","score":"12.3"})"));
  EXPECT_THAT(native("X-Spam-Status: No, score=-1.9\n"),
              HasSubstr(R"("spam":{"verdict":"ham","by":"X-Spam-Status","score":"-1.9"})"));
  EXPECT_THAT(
      native("Authentication-Results: mx; spf=pass\nAuthentication-Results: mx2; dkim=fail\n"),
      HasSubstr(R"("authentication_results":["mx; spf=pass","mx2; dkim=fail"])"));
  EXPECT_THAT(native("", "Buy cheap pills"), Not(HasSubstr("\"spam\"")));
}

TEST(Marks, SayWhichRecipientsWereNotReached) {
  const std::string bounce =
      "Content-Type: multipart/report; report-type=delivery-status; "
      "boundary=b\n\n--b\n\nsorry\n--b\n"
      "Content-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.net\n\n"
      "Final-Recipient: rfc822; nora@example.org\nAction: failed\nStatus: 5.1.1\n"
      "Diagnostic-Code: smtp; 550 5.1.1\n no such user\n\n"
      "Final-Recipient: rfc822; ada@example.org\nAction: delayed\nStatus: 4.4.1\n--b--\n";
  const std::string json = read_mail("From: <>\n" + bounce, "id", {}).record.json();
  EXPECT_THAT(json,
              HasSubstr(R"("report":{"kind":"delivery","reporter":"mx.example.net","recipients":[)"
                        R"({"recipient":"nora@example.org","action":"failed","status":"5.1.1",)"
                        R"("diagnostic":"550 5.1.1 no such user"},)"
                        R"({"recipient":"ada@example.org","action":"delayed","status":"4.4.1"}])"));
  EXPECT_THAT(native("X-Failed-Recipients: a@x, b@x\n"),
              HasSubstr(R"("failed_recipients":["a@x","b@x"])"));
}

// A report names the mail that it is about in a field, or gives it back.
TEST(Marks, SayWhichMailAReportIsAbout) {
  const auto read = [](const std::string& fields, const std::string& third,
                       const std::string& headers = "") {
    return read_mail("From: mailer@example.net\nMessage-ID: <report@x>\n" + headers +
                         "Content-Type: multipart/report; boundary=b\n\n--b\n\nsorry\n--b\n"
                         "Content-Type: message/delivery-status\n\nReporting-MTA: dns; mx\n" +
                         fields + "\nFinal-Recipient: rfc822; a@x\nAction: failed\n" + third +
                         "\n--b--\n",
                     "id", {})
        .record;
  };
  const std::string whole =
      "\n--b\nContent-Type: message/rfc822\n\nFrom: us@x\nMessage-ID: <q1@x>\n"
      "References: <q0@x> <a0@x>\n\nwords\n";
  const std::string header =
      "\n--b\nContent-Type: text/rfc822-headers\n\nFrom: us@x\nMessage-ID: <q1@x>\n";
  for (const auto& record :
       {read("", whole), read("", header), read("X-Original-Message-ID: <q1@x>\n", ""),
        read("X-Original-Message-ID: <q1@x>\n", header)}) {
    EXPECT_THAT(record.json(), HasSubstr(R"("original":"q1@x")"));
    EXPECT_EQ(record.in_reply_to, "q1@x");
  }
  EXPECT_EQ(read("", whole).conversation, "q0@x") << "the thread of the mail";
  EXPECT_EQ(read("", header).conversation, "q1@x");
  EXPECT_EQ(read("", whole, "In-Reply-To: <other@x>\n").in_reply_to, "other@x");
  EXPECT_EQ(read("", "").conversation, "report@x");
  EXPECT_THAT(read("Original-Envelope-Id: E7\n", header).json(),
              HasSubstr(R"("original":"q1@x","envelope":"E7")"));
}

TEST(Protection, IsToldOfCiphersInTheWords) {
  const std::string cipher =
      "-----BEGIN PGP MESSAGE-----\n\nhQEMA\n=abcd\n-----END PGP MESSAGE-----\n";
  EXPECT_THAT(native("", cipher), HasSubstr(R"("protection":"encrypted")"));
  EXPECT_THAT(native("", "hello\n" + cipher), HasSubstr(R"("protection":"encrypted")"));
  for (const char* none : {"> -----BEGIN PGP MESSAGE-----\n> x\n> -----END PGP MESSAGE-----\n",
                           "-----BEGIN PGP MESSAGE----- is how it begins\n"})
    EXPECT_THAT(native("", none), Not(HasSubstr("protection")));
}

std::string text_of_alternatives(const std::string& plain, const std::string& html) {
  return read_mail("From: a@b\nContent-Type: multipart/alternative; boundary=b\n\n--b\n\n" + plain +
                       "\n--b\nContent-Type: text/html; charset=utf-8\n\n" + html + "\n--b--\n",
                   "id", {})
      .record.text;
}

TEST(Alternatives, AreReadFromHtmlWhereThePlainTextIsOnlyAPartOfIt) {
  EXPECT_EQ(text_of_alternatives("Order 4711",
                                 "<p>Order 4711</p><p>The second paragraph with the "
                                 "real complaint.</p>"),
            "Order 4711\n\nThe second paragraph with the real complaint.");
  EXPECT_THAT(
      text_of_alternatives("Autumn news! Read on: https://shop.example.org/n/17?u=3",
                           "<h1>Autumn news!</h1><p><a href='https://shop.example.org/n/17'>"
                           "Read on</a></p><p>Our lamps are back, in five colours, and "
                           "with a warranty of ten years.</p>"),
      HasSubstr("in five colours"));
  EXPECT_THAT(
      text_of_alternatives("訂單 4711", "<p>訂單 4711</p><p>燈到的時候已經壞了,請問怎麼辦?</p>"),
      HasSubstr("請問怎麼辦"));
}

TEST(Alternatives, AreReadFromThePlainTextWhereTheHtmlSaysTheSame) {
  // Links, alternative texts and other clothes are no words of its own.
  EXPECT_EQ(
      text_of_alternatives("Yes, please. *Both* lamps.", "<p>Yes, please. <b>Both</b> lamps.</p>"),
      "Yes, please. *Both* lamps.");
  // A signature that only the plain text marks.
  EXPECT_EQ(
      text_of_alternatives("Yes, please.\n-- \nCarol Danvers\nHead of Sales, Lamps and Bulbs\n"
                           "Phone 0123 456789",
                           "<p>Yes, please.</p><p>Carol Danvers<br>Head of Sales, Lamps and "
                           "Bulbs<br>Phone 0123 456789</p>"),
      "Yes, please.");
  // Not the same words: another one's text, or a template's.
  EXPECT_EQ(text_of_alternatives("My order 4711 is late.",
                                 "<p>Dear team, order 4711 has not arrived, it is late by now, and "
                                 "I would like to know where it is.</p>"),
            "My order 4711 is late.");
  // Of what it quotes by attribution nothing is its own.
  EXPECT_EQ(
      text_of_alternatives("Yes, please.\n\nOn Mon, 5 Jan 2026 at 10:00, Nora <n@example.org> "
                           "wrote:\n> Do you want both of the lamps that we have left here?",
                           "<p>Yes, please.</p><p>On Mon, 5 Jan 2026 at 10:00, Nora "
                           "&lt;n@example.org&gt; wrote:</p><p>&gt; Do you want both of the "
                           "lamps that we have left here?</p>"),
      "Yes, please.");
  // A disclaimer stands behind words that are no mere title.
  const std::string words(350, 'w');
  EXPECT_EQ(text_of_alternatives(words, "<p>" + words + "</p><p>" + std::string(900, 'd') + "</p>"),
            words);
}

const std::string kWithFiles =
    "From: a@b\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nwords\n"
    "--b\nContent-Type: application/pdf; name=a.pdf\nContent-Transfer-Encoding: base64\n\nYWJj\n"
    "--b\nContent-Type: image/png; name=b.png\n\npixels\n--b--\n";

TEST(Files, ComeWithTheirBytesOnlyWhereAskedFor) {
  EXPECT_THAT(read_mail(kWithFiles, "id", {}).attachments, IsEmpty());
  const ReadMail some = read_mail(kWithFiles, "id", {.keep = {.types = {"Application/PDF"}}});
  ASSERT_THAT(some.attachments, SizeIs(1));
  EXPECT_EQ(some.attachments[0].name, "a.pdf");
  EXPECT_EQ(some.attachments[0].bytes, "abc");
  ASSERT_THAT(some.record.attachments, SizeIs(1)) << "the host names those that are handed over";
  EXPECT_EQ(some.record.attachments[0].name, "b.png");
  EXPECT_THAT(read_mail(kWithFiles, "id", {.keep = {.types = {"image/*"}}}).attachments, SizeIs(1));
  EXPECT_THAT(read_mail(kWithFiles, "id", {.keep = {.types = {"*"}}}).attachments, SizeIs(2));
  EXPECT_THAT(read_mail(kWithFiles, "id", {.keep = {.types = {"*"}, .most_bytes = 5}}).attachments,
              SizeIs(1));
  EXPECT_THAT(
      read_mail(kWithFiles, "id", {.keep = {.types = {"*"}, .most_bytes_together = 5}}).attachments,
      SizeIs(1));
}

TEST(Files, OfOutlookAndOfCiphersAreKeptAsTheyAre) {
  const auto read = [](const std::string& type, const std::string& more = "") {
    return read_mail("From: a@b\nContent-Type: " + type + "\n" + more + "\nbytes\n", "id", {})
        .record;
  };
  EXPECT_EQ(read("application/ms-tnef; name=winmail.dat").attachments.at(0).name, "winmail.dat");
  EXPECT_EQ(read("text/calendar; method=REQUEST").attachments.at(0).type, "text/calendar");
  const auto smime = read("application/pkcs7-mime; smime-type=enveloped-data");
  EXPECT_EQ(smime.attachments.at(0).type, "application/pkcs7-mime");
  EXPECT_THAT(smime.json(), HasSubstr(R"("protection":"encrypted")"));
}

TEST(QuotedIds, NameTheMailThatIsAnswered) {
  const auto read = [](const std::string& headers, const std::string& body) {
    return read_mail("From: a@b\n" + headers + "\n" + body, "id", {}).record.quoted;
  };
  const auto one = read("In-Reply-To: <1@x>\n", "Ada wrote:\n> a\n>> b\nyes\n> c\n");
  ASSERT_THAT(one, SizeIs(3));
  EXPECT_EQ(one[0].native_id, "1@x");
  EXPECT_EQ(one[1].native_id, "") << "of an older mail nothing is said";
  EXPECT_EQ(one[2].native_id, "1@x");
  const auto two = read("In-Reply-To: <1@x>\n", "Ada wrote:\n> a\n\nBob wrote:\n> b\n");
  EXPECT_EQ(two.at(0).native_id + two.at(1).native_id, "") << "which of them is not said";
  const auto both = read("In-Reply-To: <1@x> <2@x>\n", "Ada wrote:\n> a\n\nBob wrote:\n> b\n");
  EXPECT_EQ(both.at(0).native_id + " " + both.at(1).native_id, "1@x 2@x");
  const auto forward =
      read("In-Reply-To: <1@x>\n", "Begin forwarded message:\n\nFrom: Ada\nSubject: x\n\nwords\n");
  EXPECT_EQ(forward.at(0).native_id, "") << "a forwarded mail is not what is answered";
}

TEST(Author, IsShownButNoHandleWhereAnArchiveCutTheAddress) {
  const auto author = [](const std::string& from) {
    return read_mail("From: " + from + "\n\nx", "id", {}).record.author;
  };
  EXPECT_EQ(author("Nora <nora...@example.org>").handle, "");
  EXPECT_EQ(author("Nora <nora...@example.org>").name, "Nora");
  EXPECT_EQ(author("nora...@example.org").name, "nora...@example.org");
  EXPECT_EQ(author("\"x:4711\" <nora@example.org>").handle, "mailto:nora@example.org");
  EXPECT_EQ(author("\"ada@example.org\" <nora@example.org>").handle, "mailto:nora@example.org");
  EXPECT_THAT(author("\"ada@example.org\" <nora@example.org>").addresses, IsEmpty());
  EXPECT_EQ(author("\"=?utf-8?q?N=C3=B6ra?=\" <nora@example.org>").name, "Nöra");
}

}  // namespace
