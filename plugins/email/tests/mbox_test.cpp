// SPDX-License-Identifier: Apache-2.0
#include "mbox.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <thread>

#include "kit/mail_bytes.hpp"
#include "mail_folder.hpp"
#include "voxbus/contract.hpp"

namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using voxbus::email::is_envelope_line;
using voxbus::email::unquoted;
using voxbus::email::tests::mail;
using voxbus::email::tests::MailFolder;
using voxbus::email::tests::titles;
using voxbus::testing::Outcome;

constexpr std::uint64_t kNowhere = ~std::uint64_t{0};
std::uint64_t failing_reads_from = kNowhere;  // a disk's bad place, for pread below

constexpr const char* kEnvelope = "From nora@example.org Mon Jan  5 10:00:00 2026\n";

TEST(Envelope, IsALineWithADate) {
  EXPECT_TRUE(is_envelope_line("From nora@example.org Mon Jan  5 10:00:00 2026"));
  EXPECT_TRUE(is_envelope_line("From MAILER-DAEMON Mon Jan  5 10:00 2026\r"));
  EXPECT_TRUE(is_envelope_line("From - Mon Jan 05 10:00:00 2026 +0100"));
  EXPECT_TRUE(is_envelope_line("From a b c Mon Jan 5 9:00:00 CET 2026"));
  EXPECT_FALSE(is_envelope_line("From here on it is different"));
  EXPECT_FALSE(is_envelope_line("From 2026 on"));
  EXPECT_FALSE(is_envelope_line("from nora@example.org Mon Jan  5 10:00:00 2026"));
  EXPECT_FALSE(is_envelope_line("From " + std::string(2000, 'x') + " 10:00:00 2026"));
}

TEST(Quoting, IsTakenOffOnce) {
  EXPECT_EQ(unquoted("A: >From x\n\n>From a\n>>From b\n>Fro\n> From\n>From "),
            "A: >From x\n\nFrom a\n>From b\n>Fro\n> From\nFrom ");
}

class Mbox : public MailFolder {
 protected:
  void append(const std::string& text) { put(file_, text); }
  void append_mail(const std::string& subject, const std::string& body = "Hello.\n") {
    append(kEnvelope + mail(subject, body) + "\n");
  }
  void create(const std::string& more = "") {
    const Outcome made = harness_.create(R"({"mbox":")" + file_.string() + "\"" + more + "}");
    ASSERT_EQ(made.status, VOXBUS_OK) << made.message;
  }
  std::vector<std::string> read() {
    age(file_);
    return titles(harness_.drain());
  }

  std::filesystem::path file_ = folder_ / "support.mbox";
};

TEST_F(Mbox, FollowsAppendedMails) {
  append_mail("one");
  append_mail("two");
  create();
  EXPECT_THAT(read(), ElementsAre("one", "two"));
  EXPECT_THAT(read(), IsEmpty());
  append_mail("three");
  EXPECT_THAT(read(), ElementsAre("three"));
}

TEST_F(Mbox, SaysThatThereIsNoFileAndReadsItAsSoonAsThereIs) {
  create();
  EXPECT_THAT(harness_.drain().message, HasSubstr("there is no file " + file_.string()));
  append_mail("one");
  age(file_);
  const Outcome some = harness_.drain();
  EXPECT_THAT(titles(some), ElementsAre("one"));
  EXPECT_EQ(some.message, "");
}

TEST_F(Mbox, BringsNewMailWithinASecond) {
  append("");
  create();
  std::chrono::steady_clock::time_point written;
  std::chrono::steady_clock::time_point seen;
  harness_.on_emit([&](const auto&) { seen = std::chrono::steady_clock::now(); });
  harness_.on_waiting([&](int turn) {
    if (turn > 1) return;
    written = std::chrono::steady_clock::now();
    append_mail("now");
  });
  EXPECT_THAT(titles(harness_.poll()), ElementsAre("now"));
  EXPECT_LT(seen - written, 1s);
}

TEST_F(Mbox, GivesTheIdThatAMaildirGives) {
  append(std::string{kEnvelope} + "Status: RO\nX-Status: A\nContent-Length: 3\nX-UID: 5\n" +
         mail("one", ">From the start.\nBye\n") + "\n");
  create();
  age(file_);
  const Outcome outcome = harness_.drain();
  const std::string plain = mail("one", "From the start.\nBye\n");
  EXPECT_EQ(outcome.items.at(0).native_id, voxbus::kit::mail_id(plain));
  EXPECT_EQ(outcome.items.at(0).raw, plain);
  EXPECT_EQ(outcome.items.at(0).json().text("text"), "From the start.\nBye");
}

TEST_F(Mbox, DoesNotTakeWordsForTheBeginningOfAMail) {
  append_mail("one",
              "A list:\n\nFrom here on\nFrom nora@example.org Mon Jan  5 10:00:00 2026\nend\n");
  create();
  EXPECT_THAT(read(), ElementsAre("one"));
}

TEST_F(Mbox, DoesNotBelieveContentLength) {
  append(std::string{kEnvelope} + "Content-Length: 100000\n" + mail("one") + "\n");
  append_mail("two");
  create();
  EXPECT_THAT(read(), ElementsAre("one", "two"));
}

std::string with_crlf(const std::string& text) {
  std::string out;
  for (const char c : text) out += c == '\n' ? "\r\n" : std::string{c};
  return out;
}

TEST_F(Mbox, ReadsTheSameMailsWhenMarksAndLineEndsAreRewritten) {
  append_mail("one");
  append_mail("two");
  create();
  age(file_);
  const Outcome before = harness_.drain();
  std::filesystem::remove(file_);
  append(std::string{kEnvelope} + "Status: RO\n" + mail("one") + "\n" +
         with_crlf(kEnvelope + ("Status: O\n" + mail("two")) + "\n"));
  age(file_);
  const Outcome after = harness_.drain();
  ASSERT_EQ(after.items.size(), 2u);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(after.items[i].native_id, before.items[i].native_id);
    EXPECT_EQ(after.items[i].raw, before.items[i].raw);
    EXPECT_EQ(after.items[i].record, before.items[i].record);
  }
}

TEST_F(Mbox, LosesNothingWhenAnotherClientCompacts) {
  for (const char* subject : {"one", "two", "three"}) append_mail(subject);
  create();
  EXPECT_THAT(read(), ElementsAre("one", "two", "three"));
  std::filesystem::remove(file_);
  append_mail("three");
  append_mail("four");
  append_mail("five, long enough to end behind where three ended", std::string(2000, 'x') + "\n");
  const auto all = read();
  EXPECT_THAT(all, ::testing::IsSupersetOf({"four", "three"}));
  EXPECT_EQ(all.size(), 3u);
  std::filesystem::resize_file(file_, 0);
  EXPECT_THAT(read(), IsEmpty());
  append_mail("six");
  EXPECT_THAT(read(), ElementsAre("six"));
}

TEST_F(Mbox, WaitsForAMailThatIsStillBeingWritten) {
  append_mail("one");
  create();
  EXPECT_THAT(read(), ElementsAre("one"));
  append(kEnvelope + mail("two").substr(0, 60));
  // Just written: not complete yet, and stop comes with the first wait.
  EXPECT_THAT(titles(harness_.drain()), IsEmpty());
  append(mail("two").substr(60) + "\n");
  EXPECT_THAT(read(), ElementsAre("two"));
}

TEST_F(Mbox, BringsAMailAgainThatGrewAfterItWasTaken) {
  append(kEnvelope + mail("one", "first half\n"));
  create();
  EXPECT_THAT(read(), ElementsAre("one"));
  append("second half\n\n");
  append_mail("two");
  age(file_);
  const Outcome outcome = harness_.drain();
  EXPECT_THAT(titles(outcome), ElementsAre("one", "two"));
  EXPECT_EQ(outcome.items[0].json().text("text"), "first half\nsecond half");
}

// A mail program's lock, by fcntl (of a file description: it holds against us too) or by dot-lock.
class LockedMbox : public Mbox, public ::testing::WithParamInterface<const char*> {
 protected:
  void lock() {
    if (GetParam() == std::string{"dot"}) return put(dot_lock_, "");
    fd_ = ::open(file_.c_str(), O_RDWR | O_CLOEXEC);
    struct flock whole {};
    whole.l_type = F_WRLCK;
    ASSERT_EQ(::fcntl(fd_, F_OFD_SETLK, &whole), 0);
  }
  void unlock() {
    if (fd_ >= 0) ::close(fd_);
    std::filesystem::remove(dot_lock_);
  }

 private:
  std::filesystem::path dot_lock_ = folder_ / "support.mbox.lock";
  int fd_ = -1;
};

TEST_P(LockedMbox, IsReadWhenTheLockIsGone) {
  append_mail("one");
  lock();
  create();
  EXPECT_THAT(read(), IsEmpty());
  unlock();
  EXPECT_THAT(read(), ElementsAre("one"));
}

// Mails are moved down over the deleted ones first, and the file is cut at the end.
TEST_P(LockedMbox, IsNotReadWhileMailsAreDeletedFromItsMiddle) {
  std::vector<std::string> mails;
  for (std::size_t i = 0; i < 6; ++i) {
    std::string body;
    for (std::size_t line = 0; line < 40 + 7 * i; ++line)
      body += "body " + std::to_string(i) + "\n";
    mails.push_back(kEnvelope + mail("subject " + std::to_string(i), body) + "\n");
    append(mails.back());
  }
  create();
  EXPECT_EQ(read().size(), 6u);
  lock();
  const std::string left = mails[0] + mails[4] + mails[5];
  const int fd = ::open(file_.c_str(), O_WRONLY | O_CLOEXEC);
  ASSERT_EQ(::pwrite(fd, left.data(), left.size(), 0), static_cast<ssize_t>(left.size()));
  EXPECT_THAT(read(), IsEmpty());
  ASSERT_EQ(::ftruncate(fd, static_cast<off_t>(left.size())), 0);
  ::close(fd);
  unlock();
  age(file_);
  const Outcome outcome = harness_.drain();
  ASSERT_THAT(titles(outcome), ElementsAre("subject 0", "subject 4", "subject 5"));
  EXPECT_THAT(outcome.items[2].json().text("text"), Not(HasSubstr("body 4")));
}
INSTANTIATE_TEST_SUITE_P(Locks, LockedMbox, ::testing::Values("fcntl", "dot"),
                         [](const auto& one) { return one.param; });

TEST_F(Mbox, AnUnreadablePlaceOfTheDiskIsAnErrorAndNotTheEnd) {
  append_mail("one");
  append_mail("two");
  create();
  age(file_);
  failing_reads_from = std::filesystem::file_size(file_) - 20;
  const Outcome outcome = harness_.drain();
  EXPECT_THAT(titles(outcome), ElementsAre("one")) << "what stands before it is brought";
  const Outcome again = harness_.poll();
  EXPECT_EQ(again.status, VOXBUS_RETRY);
  EXPECT_THAT(again.message, HasSubstr("support.mbox: cannot read it: Input/output error"));
  failing_reads_from = kNowhere;
  EXPECT_THAT(read(), ElementsAre("two"));
}

TEST_F(Mbox, IgnoresALockThatWasLeftBehind) {
  append_mail("one");
  put(folder_ / "support.mbox.lock", "");
  std::filesystem::last_write_time(folder_ / "support.mbox.lock",
                                   std::filesystem::file_time_type::clock::now() - 1h);
  create();
  EXPECT_THAT(read(), ElementsAre("one"));
}

TEST_F(Mbox, PassesOverTheNoteOfAnImapServer) {
  append(std::string{kEnvelope} +
         "From: Mail System Internal Data <MAILER-DAEMON@host>\n"
         "Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\nX-IMAP: 1 2\n\ninternal\n\n");
  append_mail("one");
  create();
  EXPECT_THAT(read(), ElementsAre("one"));
}

TEST_F(Mbox, QuarantinesAMailAboveTheLimitAndReadsTheNext) {
  append_mail("large", std::string(500'000, 'x') + "\n");
  append_mail("small");
  create(R"(,"max_item":"100KiB")");
  EXPECT_THAT(read(), ElementsAre(HasSubstr("larger than max_item"), "small"));
}

TEST_F(Mbox, StaysSmallOverALineOfHundredsOfMegabytes) {
  append_mail("one");
  append(kEnvelope + mail("huge"));
  std::filesystem::resize_file(file_, 300 << 20);
  append("\n\n");
  append_mail("two");
  create(R"(,"max_item":"1MiB")");
  EXPECT_LT(voxbus::testing::memory_growth([&] {
              EXPECT_THAT(read(), ElementsAre("one", HasSubstr("larger than max_item"), "two"));
            }),
            16u << 20);
}

TEST_F(Mbox, LosesAndDoublesNothingWhenStoppedAgainAndAgain) {
  for (int i = 0; i < 1200; ++i) append_mail("m" + std::to_string(i));
  create();
  age(file_);
  const auto ids = voxbus::testing::ids_over_many_stops(harness_, 1200, 100, 200);
  EXPECT_EQ(ids.size(), 1200u);
  EXPECT_EQ(std::set<std::string>(ids.begin(), ids.end()).size(), 1200u);
}

TEST_F(Mbox, WritesNothing) {
  append_mail("one");
  age(file_);
  struct stat before {};
  ASSERT_EQ(::stat(file_.c_str(), &before), 0);
  create();
  (void)harness_.drain();
  struct stat after {};
  ASSERT_EQ(::stat(file_.c_str(), &after), 0);
  EXPECT_EQ(before.st_ctim.tv_nsec, after.st_ctim.tv_nsec);
  EXPECT_EQ(before.st_mtim.tv_sec, after.st_mtim.tv_sec);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator{folder_}, {}), 1);
}

TEST_F(Mbox, SaysWhatIsNoMbox) {
  append("hello\nworld\n");
  create();
  age(file_);
  EXPECT_THAT(harness_.drain().message, HasSubstr("is not an mbox"));
  harness_.set_cursor("maildir1");
  EXPECT_EQ(harness_.poll().status, VOXBUS_PERMANENT);
}

TEST_F(Mbox, EndsItsWaitWithin200MillisecondsOfStop) {
  append_mail("one");
  create();
  EXPECT_THAT(read(), ElementsAre("one"));
  EXPECT_LT(voxbus::testing::time_to_stop(harness_), 200ms);
}

}  // namespace

// Stands before the system's, for the whole program.
extern "C" ssize_t pread(int fd, void* out, std::size_t size, off_t from) {
  const auto at = static_cast<std::uint64_t>(from);
  if (at + size > failing_reads_from) {
    if (at >= failing_reads_from) {
      errno = EIO;
      return -1;
    }
    size = failing_reads_from - at;
  }
  return ::syscall(SYS_pread64, fd, out, size, from);
}
