// SPDX-License-Identifier: Apache-2.0
// A channel that counts: brings item 1, 2, 3, … into a journal until it is killed, and writes to
// standard output, line by line, up to which number it was told that everything is durable. Started
// by kill_test.cpp.
//   journal_writer DIRECTORY SEED
#include <unistd.h>

#include <cstdio>
#include <deque>
#include <random>

#include "base/guarded.hpp"
#include "base/log.hpp"
#include "journal/journal.hpp"

namespace {

using namespace voxbus;
using namespace voxbus::journal;

constexpr std::size_t kInFlight = 6;

// Prints the cursor of each batch once it is committed.
class Acknowledger final : public ChannelSink {
 public:
  void submitted(std::uint64_t cursor) {
    waiting_.with([&](auto& cursors) { cursors.push_back(cursor); });
  }
  void committed(std::uint64_t, std::size_t batches, std::size_t, std::size_t) override {
    std::string line;
    waiting_.with([&](auto& cursors) {
      for (; batches > 0; --batches) {
        line = std::to_string(cursors.front()) + "\n";
        cursors.pop_front();
      }
    });
    waiting_.notify_all();
    if (::write(STDOUT_FILENO, line.data(), line.size()) < 0) ::_exit(3);
  }
  void wait_for_room() {
    waiting_.when([](const auto& cursors) { return cursors.size() < kInFlight; },
                  [](const auto&) {});
  }

 private:
  Guarded<std::deque<std::uint64_t>> waiting_;
};

model::Item item_of(std::uint64_t number) {
  model::Item item;
  item.native_id = "item-" + std::to_string(number);
  item.record = R"({"kind":"post","text":"number )" + std::to_string(number) + "\"}";
  item.author = "x:" + std::to_string(number % 5000);
  item.digest = sha256(item.native_id);
  if (number % 10 == 0) item.raw = std::string(number % 20'000, 'r');
  return item;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 3) return 2;
  log::set_level(log::level::err);
  Options options;
  options.directory = arguments[1];
  options.installation = "killed";
  options.wal_ceiling = 1u << 20;
  options.reserve_bytes = 1u << 20;
  options.on_fatal = [](const Error& error) {
    std::fprintf(stderr, "%s\n", error.message.c_str());
    ::_exit(4);
  };
  auto journal = Journal::open(options);
  if (!journal) {
    std::fprintf(stderr, "%s\n", journal.error().message.c_str());
    return 5;
  }
  Acknowledger sink;
  const auto channel = (*journal)->open_channel({"counter", "count", "o"}, {}, &sink);
  if (!channel) return 6;
  std::mt19937 random(static_cast<unsigned>(std::stoul(arguments[2])));
  std::uint64_t next = channel->cursor.empty() ? 1 : std::stoull(channel->cursor) + 1;
  for (;;) {
    sink.wait_for_room();
    model::Batch batch;
    // What overlaps with the batch before comes twice, as sources do it.
    const std::uint64_t from = next > 20 ? next - random() % 20 : next;
    const std::uint64_t to = next + random() % 40;
    for (auto number = from; number <= to; ++number) batch.items.push_back(item_of(number));
    batch.cursor = std::to_string(to);
    next = to + 1;
    sink.submitted(to);
    if ((*journal)->submit("counter", channel->lease, std::move(batch)) != Submit::taken) return 7;
  }
}
