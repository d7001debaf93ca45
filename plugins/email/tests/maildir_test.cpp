// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "kit/mail_bytes.hpp"
#include "mail_folder.hpp"
#include "tests/failing_memory.hpp"
#include "voxbus/contract.hpp"

namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using voxbus::email::tests::mail;
using voxbus::email::tests::MailFolder;
using voxbus::email::tests::sorted;
using voxbus::email::tests::titles;
using voxbus::kit::tests::FailingMemory;
using voxbus::testing::Harness;
using voxbus::testing::Outcome;

class Maildir : public MailFolder {
 protected:
  Maildir() { make(""); }

  void make(const std::string& name) {
    for (const char* part : {"tmp", "new", "cur"}) {
      std::filesystem::create_directories(folder_ / name / part);
    }
  }
  // As a delivery agent does: written in tmp, then moved to new.
  std::string deliver(const std::string& text, const std::string& where = "") {
    std::string name = std::to_string(1'767'607'200 + ++count_) + ".M1P1.host";
    put(folder_ / where / "tmp" / name, text);
    age(folder_ / where / "tmp" / name);
    std::filesystem::rename(folder_ / where / "tmp" / name, folder_ / where / "new" / name);
    return name;
  }
  void create(const std::string& more = "") {
    const Outcome made = harness_.create(R"({"maildir":")" + folder_.string() + "\"" + more + "}");
    ASSERT_EQ(made.status, VOXBUS_OK) << made.message;
  }

  int count_ = 0;
};

TEST_F(Maildir, BringsMailsInTheOrderOfTheirDelivery) {
  for (const char* subject : {"one", "two", "three"}) deliver(mail(subject));
  create();
  EXPECT_THAT(titles(harness_.drain()), ElementsAre("one", "two", "three"));
  EXPECT_THAT(titles(harness_.drain()), IsEmpty());
}

// As by cp, whose files are empty first.
TEST_F(Maildir, WaitsForMailsThatAreWrittenWhereTheyWillStay) {
  create();
  const auto file = [&](const char* subject) { return folder_ / "cur" / subject; };
  harness_.on_waiting([&](int turn) {
    for (const char* subject : {"one", "two", "three"}) {
      const std::string words = mail(subject);
      if (turn == 1) put(file(subject), "");
      if (turn == 4) put(file(subject), words.substr(0, 40));
      if (turn == 5) put(file(subject), words.substr(40));
    }
  });
  EXPECT_THAT(sorted(titles(harness_.poll())), ElementsAre("one", "three", "two"));
}

TEST_F(Maildir, BringsAMailThatGrewOnceMore) {
  const std::string words = mail("one", "half");
  put(folder_ / "new" / "slow", words);
  create();
  harness_.on_waiting([](int) {});
  EXPECT_THAT(titles(harness_.poll()), ElementsAre("one"));
  harness_.on_waiting([&](int turn) {
    if (turn == 1) put(folder_ / "new" / "slow", " and half");
  });
  Outcome again;
  for (int polls = 0; again.items.empty() && polls < 5; ++polls) again = harness_.poll();
  ASSERT_THAT(titles(again), ElementsAre("one"));
  EXPECT_EQ(again.items[0].json().text("text"), "half and half");
}

TEST_F(Maildir, BringsAMailThatGrewWhileNobodyLookedOnceMore) {
  const std::string words = mail("one", "half");
  put(folder_ / "new" / "slow", words);
  deliver(mail("whole"));
  create();
  harness_.on_waiting([](int) {});
  std::vector<std::string> brought;
  while (brought.size() < 2) {
    for (const auto& title : titles(harness_.poll())) brought.push_back(title);
  }
  EXPECT_THAT(sorted(brought), ElementsAre("one", "whole"));
  harness_.stop();
  put(folder_ / "new" / "slow", " and half");
  age(folder_ / "new" / "slow");  // nothing but the cursor says that it is worth a look
  const Outcome again = harness_.drain();
  ASSERT_THAT(titles(again), ElementsAre("one"));
  EXPECT_EQ(again.items[0].json().text("text"), "half and half");
  harness_.stop();
  EXPECT_THAT(titles(harness_.drain()), IsEmpty()) << "it is whole by now";
}

TEST_F(Maildir, BringsAMailThatWasClosedBeforeItWasReadNotAgain) {
  create();
  harness_.on_waiting([&](int turn) {
    if (turn == 1) put(folder_ / "new" / "quick", mail("one"));
  });
  EXPECT_THAT(titles(harness_.poll()), ElementsAre("one"));
  harness_.stop();
  EXPECT_THAT(titles(harness_.drain()), IsEmpty());
}

// As by programs that write beside it and then let the new file take its place.
TEST_F(Maildir, BringsAMailThatTookTheNameOfAnother) {
  const std::string name = deliver(mail("one", "half"));
  create();
  EXPECT_THAT(titles(harness_.poll()), ElementsAre("one"));
  harness_.on_waiting([&](int turn) {
    if (turn == 2) harness_.stop();  // nothing came
    if (turn != 1) return;
    put(folder_ / "new" / ".part", mail("one", "half and half"));
    age(folder_ / "new" / ".part");
    std::filesystem::rename(folder_ / "new" / ".part", folder_ / "new" / name);
  });
  const Outcome again = harness_.poll();
  ASSERT_THAT(titles(again), ElementsAre("one"));
  EXPECT_EQ(again.items[0].json().text("text"), "half and half");
}

TEST_F(Maildir, SaysWhichFolderIsMissingAndReadsTheOthers) {
  make(".Sales");
  deliver(mail("one"), ".Sales");
  create(R"(, "folders": ["Sales", "Slaes"])");
  const Outcome first = harness_.drain();
  EXPECT_THAT(titles(first), ElementsAre("one"));
  EXPECT_THAT(first.message, HasSubstr("there is no folder 'Slaes'"));
  EXPECT_THAT(first.message, HasSubstr("only Sales"));
  make(".Slaes");
  deliver(mail("two"), ".Slaes");
  EXPECT_THAT(titles(harness_.drain()), ElementsAre("two"));
}

TEST_F(Maildir, OneFileThatCannotBeOpenedHoldsUpNoOther) {
  const int blocked = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);  // open(2) says ENXIO
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string place = (folder_ / "new" / "1767607200.M1P1.blocked").string();
  ASSERT_LT(place.size(), sizeof address.sun_path);
  place.copy(address.sun_path, place.size());
  ASSERT_EQ(::bind(blocked, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  create();
  EXPECT_THAT(harness_.drain().message, HasSubstr("1767607200.M1P1.blocked"));
  // It waits, and what comes is brought at once.
  const std::jthread sender([this] {
    std::this_thread::yield();
    deliver(mail("one"));
  });
  const Outcome next = harness_.poll();
  EXPECT_THAT(titles(next), ElementsAre("one")) << next.message;
  ::close(blocked);
}

TEST_F(Maildir, NamesAMailByItsBytes) {
  deliver(mail("one"));
  create();
  const Outcome outcome = harness_.drain();
  EXPECT_EQ(outcome.items.at(0).native_id, voxbus::kit::mail_id(mail("one")));
  EXPECT_EQ(outcome.items.at(0).raw, mail("one"));
}

TEST_F(Maildir, BringsNewMailWithinASecond) {
  create();
  std::chrono::steady_clock::time_point written;
  std::chrono::steady_clock::time_point seen;
  harness_.on_emit([&](const auto&) { seen = std::chrono::steady_clock::now(); });
  harness_.on_waiting([&](int turn) {
    if (turn > 1) return;
    written = std::chrono::steady_clock::now();
    deliver(mail("now"));
  });
  EXPECT_THAT(titles(harness_.poll()), ElementsAre("now"));
  EXPECT_LT(seen - written, 1s);
}

TEST_F(Maildir, NoticesAFolderThatIsMadeWhileItWaits) {
  create();
  harness_.on_waiting([&](int turn) {
    if (turn > 1) return;
    make(".Sales");
    deliver(mail("in sales"), ".Sales");
  });
  EXPECT_THAT(titles(harness_.poll()), ElementsAre("in sales"));
}

TEST_F(Maildir, NoticesThatItWasMovedAwayAndMadeAnew) {
  create();
  const std::filesystem::path aside = folder_.string() + ".old";
  std::filesystem::remove_all(aside);
  std::vector<std::string> came;
  for (int round = 0; round < 2; ++round) {
    harness_.on_waiting([&](int turn) {
      if (turn > 1) return;
      if (round == 0) {
        std::filesystem::rename(folder_, aside);
        make("");
      }
      deliver(mail("round " + std::to_string(round)));
    });
    for (std::string& title : titles(harness_.poll())) came.push_back(std::move(title));
  }
  std::filesystem::remove_all(aside);
  EXPECT_THAT(came, ElementsAre("round 0", "round 1"));
}

TEST_F(Maildir, SetsNoFlagAndMovesNothing) {
  const std::string name = deliver(mail("one"));
  struct stat before {};
  ASSERT_EQ(::stat((folder_ / "new" / name).c_str(), &before), 0);
  create();
  (void)harness_.drain();
  struct stat after {};
  ASSERT_EQ(::stat((folder_ / "new" / name).c_str(), &after), 0);
  EXPECT_EQ(before.st_ctim.tv_nsec, after.st_ctim.tv_nsec);
  EXPECT_TRUE(std::filesystem::is_empty(folder_ / "cur"));
  EXPECT_TRUE(std::filesystem::is_empty(folder_ / "tmp"));
}

TEST_F(Maildir, BringsAMovedAndFlaggedMailOnlyOnce) {
  const std::string one = deliver(mail("one"));
  const std::string two = deliver(mail("two"));
  std::filesystem::rename(folder_ / "new" / one, folder_ / "cur" / (one + ":2,"));
  create();
  EXPECT_THAT(titles(harness_.drain()), ElementsAre("one", "two"));
  std::filesystem::rename(folder_ / "cur" / (one + ":2,"), folder_ / "cur" / (one + ":2,RS"));
  std::filesystem::rename(folder_ / "new" / two, folder_ / "cur" / (two + ":2,S"));
  EXPECT_THAT(titles(harness_.drain()), IsEmpty());
  // While it is watched as well.
  harness_.on_waiting([&](int turn) {
    if (turn == 1) {
      std::filesystem::rename(folder_ / "cur" / (two + ":2,S"), folder_ / "cur" / (two + ":2,ST"));
    } else {
      harness_.stop();
    }
  });
  EXPECT_THAT(titles(harness_.poll()), IsEmpty());
}

TEST_F(Maildir, LosesNoMailThatMovesWhileItIsRead) {
  std::vector<std::string> names;
  for (int i = 0; i < 600; ++i) names.push_back(deliver(mail("m" + std::to_string(i))));
  create();
  // After the first mail of the first batch, another client looks into the mailbox.
  harness_.on_emit([&](const auto&) {
    if (!std::filesystem::exists(folder_ / "new" / names.back())) return;
    for (const auto& name : names) {
      std::filesystem::rename(folder_ / "new" / name, folder_ / "cur" / (name + ":2,S"));
    }
  });
  const Outcome all = harness_.drain();
  std::set<std::string> different;
  for (const auto& item : all.items) different.insert(item.native_id);
  EXPECT_EQ(different.size(), 600u);
}

TEST_F(Maildir, SkipsNothingThatArrivesWithAnOlderTimeAndName) {
  deliver(mail("one"));
  create();
  const auto restore = [&](const std::string& subject) {
    const auto file = folder_ / "cur" / ("100." + subject + ".host:2,S");
    put(folder_ / "tmp" / subject, mail(subject));
    const timespec old[] = {{100, 0}, {100, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, (folder_ / "tmp" / subject).c_str(), old, 0), 0);
    std::filesystem::rename(folder_ / "tmp" / subject, file);
  };
  EXPECT_THAT(titles(harness_.poll()), ElementsAre("one"));
  harness_.on_waiting([&](int turn) {
    if (turn == 1) restore("while-running");
  });
  EXPECT_THAT(titles(harness_.poll()), ElementsAre("while-running"));
  harness_.stop();
  restore("while-stopped");
  EXPECT_THAT(titles(harness_.drain()), ::testing::Contains("while-stopped"));
}

TEST_F(Maildir, ReadsSubfoldersAndOnlyTheOnesThatAreWanted) {
  make(".Sales");
  make(".Sales.Orders");
  deliver(mail("inbox"));
  deliver(mail("sales"), ".Sales");
  deliver(mail("orders"), ".Sales.Orders");
  create();
  EXPECT_THAT(sorted(titles(harness_.drain())), ElementsAre("inbox", "orders", "sales"));
  harness_.set_cursor("");
  create(R"(,"folders":["INBOX","Sales.Orders"])");
  EXPECT_THAT(sorted(titles(harness_.drain())), ElementsAre("inbox", "orders"));
}

TEST_F(Maildir, BringsABacklogInBatchesAndGoesOnExactlyAfterEveryStop) {
  for (int i = 0; i < 5000; ++i) deliver(mail("m" + std::to_string(i)));
  create();
  std::multiset<std::string> seen;
  for (int round = 0; round < 7; ++round) {
    harness_.stop_after_items(700);
    const Outcome outcome = harness_.drain();
    for (const auto& item : outcome.items) seen.insert(item.native_id);
  }
  harness_.stop_after_items(1'000'000);
  for (const auto& item : harness_.drain().items) seen.insert(item.native_id);
  EXPECT_EQ(std::set<std::string>(seen.begin(), seen.end()).size(), 5000u);
  EXPECT_EQ(seen.size(), 5000u);
}

TEST_F(Maildir, QuarantinesAMailAboveTheLimitWithItsHeader) {
  deliver(mail("large", std::string(200'000, 'x') + "\n"));
  deliver(mail("small"));
  create(R"(,"max_item":"100KiB")");
  const Outcome outcome = harness_.drain();
  EXPECT_THAT(titles(outcome), ElementsAre(HasSubstr("larger than max_item"), "small"));
  EXPECT_EQ(outcome.items[0].native_id,
            voxbus::kit::mail_id(mail("large", std::string(200'000, 'x') + "\n")));
  EXPECT_THAT(outcome.items[0].raw, HasSubstr("Subject: large"));
  EXPECT_LT(outcome.items[0].raw.size(), 1000u);
}

TEST_F(Maildir, StaysSmallOverAMailOfHundredsOfMegabytes) {
  const std::string name = deliver(mail("huge"));
  std::filesystem::resize_file(folder_ / "new" / name, 300 << 20);
  age(folder_ / "new" / name);
  create();
  EXPECT_LT(voxbus::testing::memory_growth([&] {
              EXPECT_THAT(titles(harness_.drain()), ElementsAre(HasSubstr("larger than max_item")));
            }),
            16u << 20);
}

TEST_F(Maildir, QuarantinesHostileMailsAndGoesOn) {
  deliver("");
  deliver(std::string(100'000, '\0'));
  deliver("\xFF\xFE\xFD");
  deliver("Subject: " + std::string(400'000, 'x'));
  deliver(mail("after"));
  create();
  const auto all = titles(harness_.drain());
  ASSERT_EQ(all.size(), 5u);
  EXPECT_EQ(all.back(), "after");
  EXPECT_THAT(all[0], HasSubstr("unreadable: empty"));
  EXPECT_THAT(all[3], HasSubstr("a header longer than"));
}

TEST_F(Maildir, PassesOverAMailThatTheHostHasQuarantined) {
  deliver(mail("kills"));
  deliver(mail("next"));
  create();
  harness_.quarantine(voxbus::kit::mail_id(mail("kills")));
  EXPECT_THAT(titles(harness_.drain()), ElementsAre("next"));
  EXPECT_THAT(titles(harness_.drain()), IsEmpty());
}

TEST_F(Maildir, TakesNoLinkAndNoPipeForAMail) {
  std::filesystem::create_symlink("/etc/passwd", folder_ / "new" / "1.link");
  ASSERT_EQ(::mkfifo((folder_ / "new" / "2.pipe").c_str(), 0600), 0);
  std::filesystem::create_directory(folder_ / "new" / "3.folder");
  put(folder_ / "new" / ".hidden", mail("hidden"));
  deliver(mail("real"));
  create();
  EXPECT_THAT(titles(harness_.drain()), ElementsAre("real"));
}

TEST_F(Maildir, MarksOurOwnMailAsOutbound) {
  deliver(mail("ours"));
  create(R"(,"addresses":["Nora@example.org"])");
  EXPECT_EQ(harness_.drain().items.at(0).json().text("direction"), "outbound");
}

TEST_F(Maildir, SaysWhatIsNoMaildir) {
  std::filesystem::remove_all(folder_ / "new");
  std::filesystem::remove_all(folder_ / "cur");
  create();
  const Outcome outcome = harness_.drain();
  EXPECT_EQ(outcome.status, VOXBUS_RETRY);
  EXPECT_THAT(outcome.message, HasSubstr("is not a Maildir"));
}

TEST_F(Maildir, EndsItsWaitWithin200MillisecondsOfStop) {
  create();
  EXPECT_LT(voxbus::testing::time_to_stop(harness_), 200ms);
}

TEST_F(Maildir, RefusesACursorFromAnotherSource) {
  create();
  harness_.set_cursor("mbox1 1 2 3 4");
  EXPECT_EQ(harness_.poll().status, VOXBUS_PERMANENT);
}

TEST_F(Maildir, HandsFilesOverOnlyWhereConfigured) {
  const std::string with_file =
      "From: nora@example.org\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nsee\n"
      "--b\nContent-Type: image/png; name=lamp.png\n\npixels\n--b--\n";
  deliver(with_file);
  create();
  const Outcome named = harness_.drain();
  ASSERT_EQ(named.items.size(), 1u);
  EXPECT_TRUE(named.items[0].attachments.empty());
  EXPECT_THAT(named.items[0].record, HasSubstr(R"("name":"lamp.png")"));
  Harness keeping{voxbus_plugin_entry};
  ASSERT_EQ(keeping.create(R"({"maildir":")" + folder_.string() + R"(","attachments":["image/*"]})")
                .status,
            VOXBUS_OK);
  const Outcome kept = keeping.drain();
  ASSERT_EQ(kept.items.size(), 1u);
  ASSERT_EQ(kept.items[0].attachments.size(), 1u);
  EXPECT_EQ(kept.items[0].attachments[0].bytes, "pixels");
  EXPECT_THAT(keeping.create(R"({"maildir":"/a","attachments":["png"]})").message,
              HasSubstr("'png' in 'attachments' is not a type"));
}

TEST_F(Maildir, WantsExactlyOneSource) {
  const auto message = [&](const char* settings) { return harness_.create(settings).message; };
  EXPECT_THAT(message("{}"), HasSubstr("exactly one of 'maildir', 'mbox', 'imap' and 'pop3'"));
  EXPECT_THAT(message(R"({"maildir":"/a","mbox":"/b"})"), HasSubstr("exactly one of"));
  EXPECT_THAT(message(R"({"maildir":"a"})"), HasSubstr("not an absolute path"));
  EXPECT_THAT(message(R"({"mbox":"/a","folders":["x"]})"),
              HasSubstr("an mbox file has no 'folders'"));
}

TEST_F(Maildir, ReadsAnewWhatItOnceHandedOverWhole) {
  ASSERT_EQ(harness_.create(R"({"maildir":")" + folder_.string() + "\"}").status, VOXBUS_OK);
  const std::string bytes = mail("one");
  const Outcome anew = harness_.reread(voxbus::kit::mail_id(bytes), bytes);
  EXPECT_THAT(titles(anew), ElementsAre("one"));
  // Of what was too large its head alone was kept: that would be another mail.
  const Outcome head = harness_.reread(voxbus::kit::mail_id(bytes + "more"), bytes);
  EXPECT_EQ(head.status, VOXBUS_PERMANENT);
  EXPECT_THAT(head.message, HasSubstr("only a part"));
}

TEST_F(Maildir, DoesTheSameFromItsFile) {
  deliver(mail("one"));
  const auto loaded = Harness::load(EMAIL_SO);
  EXPECT_EQ(loaded->describe().find("isolation")->dump(), R"(["process"])");
  ASSERT_EQ(loaded->create(R"({"maildir":")" + folder_.string() + "\"}").status, VOXBUS_OK);
  EXPECT_THAT(titles(loaded->drain()), ElementsAre("one"));
}

// Wherever memory runs out in a poll, also after it had waited: what it had taken up is not lost.
TEST_F(Maildir, APollThatRunsOutOfMemoryLosesNoMail) {
  int failures = 0;
  for (long allocations = 0;; allocations += 3) {
    std::filesystem::remove_all(folder_);
    make("");
    FailingMemory memory{voxbus_plugin_entry};
    Harness harness{memory.entry()};
    ASSERT_EQ(harness.create(R"({"maildir":")" + folder_.string() + "\"}").status, VOXBUS_OK);
    deliver(mail("before"));
    ASSERT_THAT(titles(harness.drain()), ElementsAre("before"));
    auto deliver_three = [&, done = false]() mutable {
      if (std::exchange(done, true)) return;
      const FailingMemory::Counting not_ours{false};
      for (const char* subject : {"one", "two", "three"}) deliver(mail(subject));
    };
    harness.on_waiting([&](int) { deliver_three(); });
    FailingMemory::let_succeed(allocations);
    const Outcome interrupted = harness.poll();
    if (!FailingMemory::failed()) break;
    ++failures;
    auto brought = titles(interrupted);
    deliver_three();  // where it failed before it waited
    const Outcome rest = harness.drain();
    for (auto& title : titles(rest)) brought.push_back(std::move(title));
    EXPECT_THAT(sorted(brought), ElementsAre("one", "three", "two"))
        << "after " << allocations << " allocations: " << interrupted.status << ' '
        << interrupted.message << ", then " << rest.status << ' ' << rest.message;
  }
  EXPECT_GT(failures, 20);
}

}  // namespace
