// SPDX-License-Identifier: Apache-2.0
// The border between the daemon and a channel's process: frames, sockets, memory files, the crash
// mark and the credit that bounds what is under way.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <future>
#include <random>
#include <thread>

#include "host/channel_socket.hpp"
#include "host/crash_mark.hpp"
#include "host/credit_outlet.hpp"
#include "host/wire.hpp"
#include "model/limits.hpp"

namespace voxbus::host {
namespace {

model::Batch sample(std::size_t raw_size = 10) {
  model::Batch batch;
  model::Item item;
  item.native_id = "id-1";
  item.version = 7;
  item.occurred = TimePoint(microseconds(1'700'000'000'000'123));
  item.withdrawn = true;
  item.digest.fill(9);
  item.record = R"({"kind":"mail"})";
  item.raw = std::string(raw_size, 'r');
  batch.items = {item, item};
  batch.items[1].version.reset();
  batch.items[1].quarantined = true;
  batch.items[1].reparsed = 42;
  batch.cursor = std::string("cursor\0with nul", 15);
  return batch;
}

TEST(Wire, ABatchComesBackAsItWas) {
  const auto back = decode<model::Batch>(encode(sample()));
  ASSERT_TRUE(back);
  ASSERT_EQ(back->items.size(), 2u);
  EXPECT_EQ(back->items[0].native_id, "id-1");
  EXPECT_EQ(back->items[0].version, 7u);
  EXPECT_EQ(back->items[0].occurred, sample().items[0].occurred);
  EXPECT_TRUE(back->items[0].withdrawn);
  EXPECT_EQ(back->items[0].digest, sample().items[0].digest);
  EXPECT_FALSE(back->items[1].version);
  EXPECT_TRUE(back->items[1].quarantined);
  EXPECT_FALSE(back->items[0].reparsed);
  EXPECT_EQ(back->items[1].reparsed, 42u);
  EXPECT_EQ(back->cursor, sample().cursor);
}

TEST(Wire, AStartComesBackAsItWas) {
  Start start{
      .channel = "c", .plugin = "p", .settings = "{}", .cursor = "x", .region = "US", .build = "b"};
  start.poison = {"one", "two"};
  start.max_item = 5;
  const auto back = decode<Start>(encode(start));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->poison, start.poison);
  EXPECT_EQ(back->max_item, 5u);
  EXPECT_EQ(back->region, "US");
}

TEST(Wire, WhatIsToBeReadAnewComesAsItWasSent) {
  const auto back = decode<Reread>(encode(Reread{7, "id", std::string("raw\0bytes", 9)}));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->position, 7u);
  EXPECT_EQ(back->native_id, "id");
  EXPECT_EQ(back->raw, std::string("raw\0bytes", 9));
}

TEST(Wire, WhatIsCutAnywhereIsRefused) {
  const auto whole = encode(sample());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(decode<model::Batch>(std::string_view(whole).substr(0, size))) << size;
  }
  EXPECT_FALSE(decode<model::Batch>(whole + "x"));
}

TEST(Wire, RandomBytesAreNeverTrusted) {
  std::mt19937 random(42);
  auto bytes = encode(sample());
  for (int round = 0; round < 20'000; ++round) {
    auto bent = bytes;
    bent[random() % bent.size()] = static_cast<char>(random());
    if (const auto decoded = decode<model::Batch>(bent)) {
      EXPECT_LE(decoded->items.size(), model::kMaxBatchItems);
    }
  }
}

TEST(Wire, HeadersOutsideTheirBoundsAreRefused) {
  const auto header = [](std::uint32_t length, std::uint8_t flags) {
    std::string bytes;
    append_header(bytes, {length, FrameType::batch, flags});
    return read_header(bytes);
  };
  EXPECT_TRUE(header(5, 0));
  EXPECT_FALSE(header(kInlineLimit + 1, 0));
  EXPECT_TRUE(header(kInlineLimit + 1, kInMemory));
  EXPECT_FALSE(header(kMaxPayload + 1, kInMemory));
  EXPECT_FALSE(header(5, 0x80));
}

class SocketTest : public testing::Test {
 protected:
  SocketTest() {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    host_end = ends[0];
    host = std::make_unique<ChannelSocket>(FileDescriptor(ends[0]), ChannelSocket::End::host);
    daemon = std::make_unique<ChannelSocket>(FileDescriptor(ends[1]), ChannelSocket::End::daemon);
  }
  Result<Frame> receive() {
    for (;;) {
      auto frame = daemon->next();
      if (!frame) return frame.error();
      if (*frame) return std::move(**frame);
      if (auto got = daemon->receive(); !got) return got.error();
    }
  }
  int host_end;
  std::unique_ptr<ChannelSocket> host, daemon;
};

TEST_F(SocketTest, CarriesFramesOfEverySizeInOrder) {
  const std::size_t sizes[] = {0,        1, 4096, 65'536, 65'537, kInlineLimit, kInlineLimit + 1,
                               10u << 20};
  std::thread sender([&] {
    for (const auto size : sizes) ASSERT_TRUE(host->send(FrameType::batch, std::string(size, 'x')));
  });
  for (const auto size : sizes) {
    const auto frame = receive();
    EXPECT_TRUE(frame) << size << ": " << (frame ? "" : frame.error().message);
    if (!frame) break;
    EXPECT_EQ(frame->payload.size(), size);
  }
  if (HasFailure()) daemon.reset();  // else the sender would wait for room
  sender.join();
}

// A large payload in the stream itself would be copied chunk by chunk on the daemon's loop.
TEST_F(SocketTest, SendsWhatIsLargerThanAMegabyteAsAMemoryFile) {
  for (const auto& [size, flags] : {std::pair<std::size_t, int>(1 << 20, 0),
                                    std::pair<std::size_t, int>((1 << 20) + 1, kInMemory)}) {
    std::thread sender(
        [&, size = size] { EXPECT_TRUE(host->send(FrameType::batch, std::string(size, 'x'))); });
    std::string head(kHeaderSize, '\0');
    EXPECT_EQ(::recv(daemon->descriptor(), head.data(), head.size(), MSG_PEEK | MSG_WAITALL),
              static_cast<ssize_t>(head.size()));
    const auto header = read_header(head);
    EXPECT_TRUE(header && header->length == size && header->flags == flags) << size;
    if (const auto frame = receive(); !frame || frame->payload.size() != size) {
      ADD_FAILURE() << size << " bytes did not arrive";
      daemon.reset();  // else the sender would wait for room
    }
    sender.join();
    if (!daemon) return;
  }
}

TEST_F(SocketTest, AMemoryFileThatIsNotSealedIsRefused) {
  FileDescriptor file(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(::ftruncate(file.get(), kInlineLimit + 1), 0);
  std::string head;
  append_header(head, {kInlineLimit + 1, FrameType::batch, kInMemory});
  iovec part{head.data(), head.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  auto* cmsg = CMSG_FIRSTHDR(&message);
  cmsg->cmsg_level = SOL_SOCKET;
  cmsg->cmsg_type = SCM_RIGHTS;
  cmsg->cmsg_len = CMSG_LEN(sizeof(int));
  const int fd = file.get();
  std::memcpy(CMSG_DATA(cmsg), &fd, sizeof fd);
  ASSERT_GT(::sendmsg(host_end, &message, 0), 0);
  const auto frame = receive();
  ASSERT_FALSE(frame);
  EXPECT_NE(frame.error().message.find("not sealed"), std::string::npos);
}

TEST_F(SocketTest, AHostThatStopsReadingNeverHoldsTheDaemonUp) {
  Status sent;
  for (int i = 0; i < 100'000 && sent; ++i)
    sent = daemon->send(FrameType::credit, std::string(1000, 'c'));
  EXPECT_FALSE(sent);
}

TEST_F(SocketTest, TheEndOfTheOtherSideIsSaid) {
  host.reset();
  EXPECT_FALSE(receive());
}

TEST(CrashMark, OutlivesWhoWroteIt) {
  auto mark = CrashMark::make();
  ASSERT_TRUE(mark);
  EXPECT_FALSE(mark->examined());
  {
    auto theirs =
        CrashMark::attach(FileDescriptor(::fcntl(mark->descriptor(), F_DUPFD_CLOEXEC, 0)));
    ASSERT_TRUE(theirs);
    theirs->examining("the record");
  }
  ASSERT_TRUE(mark->examined());
  EXPECT_EQ(mark->examined()->native_id, "the record");
  mark->idle();
  EXPECT_FALSE(mark->examined());
}

TEST(CrashMark, CannotBeShrunkUnderTheDaemon) {
  auto mark = CrashMark::make();
  ASSERT_TRUE(mark);
  EXPECT_NE(::ftruncate(mark->descriptor(), 0), 0);
}

// An outlet that keeps what was delivered, so that a test plays the daemon.
class KeepingOutlet final : public CreditOutlet {
 public:
  using CreditOutlet::CreditOutlet;
  void ready(const Ready&) override {}
  void probed(const Outcome&) override {}
  void log(const LogLine&) override {}
  std::vector<model::Batch> delivered;

 protected:
  void deliver(model::Batch batch) override { delivered.push_back(std::move(batch)); }
  void report(const Outcome&) override {}
  void report_reread(const Outcome&) override {}
};

model::Item item(std::size_t size = 100) {
  model::Item made;
  made.native_id = "id";
  made.record = std::string(size, 'r');
  return made;
}

TEST(Credit, WhatIsReadAnewLeavesBeforeItsAnswerAlsoWithoutCredit) {
  KeepingOutlet outlet(1);
  ASSERT_TRUE(outlet.emit(item()));
  outlet.polled({});
  ASSERT_EQ(outlet.delivered.size(), 1u);
  ASSERT_TRUE(outlet.emit(item()));
  outlet.polled({});
  ASSERT_EQ(outlet.delivered.size(), 1u) << "there is no credit";
  outlet.reread({});
  EXPECT_EQ(outlet.delivered.size(), 2u);
}

TEST(Credit, ALoneInteractionLeavesAtOnce) {
  KeepingOutlet outlet(1 << 20);
  ASSERT_TRUE(outlet.emit(item()));
  EXPECT_EQ(outlet.delivered.size(), 0u);
  ASSERT_TRUE(outlet.commit("1"));
  ASSERT_EQ(outlet.delivered.size(), 1u);
  EXPECT_EQ(outlet.delivered[0].cursor, "1");
}

TEST(Credit, BatchesGrowWhileOneIsUnderWay) {
  KeepingOutlet outlet(1 << 20);
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(outlet.emit(item()));
    ASSERT_TRUE(outlet.commit(std::to_string(i)));
  }
  ASSERT_EQ(outlet.delivered.size(), 1u);
  outlet.committed(1);
  ASSERT_EQ(outlet.delivered.size(), 2u);
  EXPECT_EQ(outlet.delivered[1].items.size(), 9u);
  EXPECT_EQ(outlet.delivered[1].cursor, "9");
}

TEST(Credit, BlocksWithoutCreditAndGoesOnWithIt) {
  KeepingOutlet outlet(100 << 10);
  std::atomic<int> emitted = 0;
  std::thread lane([&] {
    while (emitted < 5000 && outlet.emit(item(1000))) ++emitted;
  });
  // The daemon answers until all arrived; without an answer it would wait for ever, not grow.
  std::size_t most = 0;
  while (emitted < 5000) {
    outlet.committed(1);
    std::this_thread::yield();
  }
  lane.join();
  outlet.polled({});
  for (int i = 0; i < 100; ++i) outlet.committed(1);
  std::size_t items = 0;
  for (const auto& batch : outlet.delivered) {
    items += batch.items.size();
    most = std::max(most, batch.items.size());
  }
  EXPECT_EQ(items, 5000u);
  EXPECT_LE(most, 1024u);
}

TEST(Credit, IsNotExceededByWhatWaitsForItself) {
  KeepingOutlet outlet(100 << 10);
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(outlet.emit(item(1000)));
  ASSERT_TRUE(outlet.commit("1"));  // one batch always leaves, and this one uses up all
  ASSERT_TRUE(outlet.emit(item()));
  ASSERT_TRUE(outlet.commit("2"));
  outlet.polled({});
  EXPECT_EQ(outlet.delivered.size(), 1u);
  outlet.committed(1);
  EXPECT_EQ(outlet.delivered.size(), 2u);
}

TEST(Credit, HoldsALaneUpThatBringsMoreThanItsCredit) {
  KeepingOutlet outlet(100 << 10);
  auto lane = std::async(std::launch::async, [&] {
    for (int i = 0; i < 3000; ++i) {
      if (!outlet.emit(item(1000))) return false;
    }
    return true;
  });
  // Nobody gives credit. A lane that is not held up needs a few milliseconds for all of it.
  EXPECT_EQ(lane.wait_for(std::chrono::milliseconds(300)), std::future_status::timeout);
  outlet.stop();
  EXPECT_FALSE(lane.get());
  EXPECT_EQ(outlet.delivered.size(), 1u);
}

TEST(Credit, StopEndsAWait) {
  KeepingOutlet outlet(1);
  std::atomic<bool> ended = false;
  std::thread lane([&] {
    while (outlet.emit(item(200 << 10))) {
    }
    ended = true;
  });
  outlet.stop();
  lane.join();
  EXPECT_TRUE(ended);
  EXPECT_FALSE(outlet.commit("x"));
}

}  // namespace
}  // namespace voxbus::host
