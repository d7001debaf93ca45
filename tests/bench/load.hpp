// SPDX-License-Identifier: Apache-2.0
// What the benchmarks write: mails of a kilobyte, and how they wait until the journal has
// them. One thread.
#pragma once

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <vector>

#include "base/guarded.hpp"
#include "base/json.hpp"
#include "base/text.hpp"
#include "journal/journal.hpp"

namespace voxbus::bench {

struct Load {
  std::size_t items = 200'000;
  std::size_t authors = 20'000;
  std::filesystem::path directory;
};

// BENCH [ITEMS [AUTHORS [DIRECTORY]]]
inline Load read_arguments(int count, char** arguments, Load load) {
  if (count > 1) load.items = std::strtoul(arguments[1], nullptr, 10);
  if (count > 2) load.authors = std::strtoul(arguments[2], nullptr, 10);
  if (count > 3) load.directory = arguments[3];
  return load;
}

[[noreturn]] inline void give_up(const std::string& why) {
  std::fprintf(stderr, "%s\n", why.c_str());
  std::exit(1);
}

// With words that compress as words do.
inline std::vector<model::Item> make_items(const Load& load) {
  static constexpr const char* kWords[] = {
      "order",   "parcel",  "yesterday", "still",  "waiting", "for",   "the",   "refund", "please",
      "call",    "back",    "number",    "wrong",  "invoice", "thank", "you",   "again",  "broken",
      "screen",  "account", "locked",    "cannot", "sign",    "in",    "since", "Monday", "morning",
      "regards", "support", "delivery",  "late",   "second",  "time",  "this",  "week",   "help"};
  std::mt19937_64 random(7);
  std::vector<model::Item> items(load.items);
  for (auto& item : items) {
    item.native_id = to_hex(as_text(sha256(std::to_string(random()))));
    item.author = "mailto:customer" + std::to_string(random() % load.authors) + "@example.org";
    std::string text;
    for (int word = 0; word < 125; ++word) {
      text += kWords[random() % std::size(kWords)];
      text += ' ';
    }
    item.record =
        R"({"kind":"mail","direction":"inbound","audience":"private","author":{"handle":)";
    json::append_string(item.record, item.author);
    item.record += R"(,"name":"A Customer"},"title":"About my order","text":)";
    json::append_string(item.record, text);
    item.record += '}';
    item.conversation = "thread " + std::to_string(random() % (load.items / 4 + 1));
    item.digest = sha256(item.record);
  }
  return items;
}

class Credit final : public journal::ChannelSink {
 public:
  void committed(std::uint64_t, std::size_t batches, std::size_t, std::size_t) override {
    done_.with([&](std::size_t& done) { done += batches; });
    done_.notify_all();
  }
  void wait_for(std::size_t batches) {
    done_.when([&](const std::size_t& done) { return done >= batches; }, [](const std::size_t&) {});
  }

 private:
  Guarded<std::size_t> done_;
};

inline std::unique_ptr<journal::Journal> open_journal(const std::filesystem::path& directory,
                                                      std::size_t group) {
  journal::Options options;
  options.directory = directory;
  options.installation = "bench";
  options.group_items = group;
  options.on_fatal = [](const Error& error) { give_up(error.message); };
  auto journal = journal::Journal::open(options);
  if (!journal) give_up(journal.error().message);
  return std::move(*journal);
}

// Interactions that are under way at most, whatever they are written to.
inline std::size_t in_flight(std::size_t group) { return std::max<std::size_t>(4 * group, 4096); }

// Returns when all are durable.
inline void write_all(journal::Journal& journal, std::vector<model::Item> items,
                      std::size_t group) {
  const std::size_t most = in_flight(group) / group;  // batches
  Credit credit;
  const auto channel = journal.open_channel({"mail", "email", "o"}, {}, &credit);
  if (!channel) give_up(channel.error().message);
  std::size_t batches = 0;
  for (std::size_t at = 0; at < items.size(); at += group) {
    model::Batch batch;
    const auto end = std::min(at + group, items.size());
    batch.items.assign(std::make_move_iterator(items.begin() + static_cast<std::ptrdiff_t>(at)),
                       std::make_move_iterator(items.begin() + static_cast<std::ptrdiff_t>(end)));
    batch.cursor = std::to_string(end);
    if (batches >= most) credit.wait_for(batches - most + 1);
    if (journal.submit("mail", channel->lease, std::move(batch)) != journal::Submit::taken)
      give_up("the journal does not take it");
    ++batches;
  }
  credit.wait_for(batches);
  journal.close_channel("mail", channel->lease);
}

}  // namespace voxbus::bench
