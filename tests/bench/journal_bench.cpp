// SPDX-License-Identifier: Apache-2.0
// The journal beside the obvious table in one run: how many interactions a second each makes
// durable with their cursors, in transactions of 64 and of 1,024, on the same disk and with the
// same settings for durability. The obvious table is clear text with UNIQUE(channel, native_id).
//   journal_bench [ITEMS [AUTHORS [DIRECTORY]]]      (200,000 and 20,000 below the working folder)
#include <sqlite3.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>

#include "base/guarded.hpp"
#include "base/json.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "journal/journal.hpp"

namespace {

using namespace voxbus;
using namespace voxbus::journal;
using Seconds = std::chrono::duration<double>;

struct Load {
  std::size_t items = 200'000;
  std::size_t authors = 20'000;
  std::filesystem::path directory = "bench-journal";
};

// Mails of some hundred bytes, with words that compress as words do.
std::vector<model::Item> make_items(const Load& load) {
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
    for (int word = 0; word < 60; ++word) {
      text += kWords[random() % std::size(kWords)];
      text += ' ';
    }
    item.record =
        R"({"kind":"mail","direction":"inbound","audience":"private","author":{"handle":)";
    json::append_string(item.record, item.author);
    item.record += R"(,"name":"A Customer"},"title":"About my order","text":)";
    json::append_string(item.record, text);
    item.record += '}';
    item.conversation = "thread " + std::to_string(random() % (load.items / 4));
    item.digest = sha256(item.record);
  }
  return items;
}

class Credit final : public ChannelSink {
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

double journal_rate(const Load& load, std::vector<model::Item> items, std::size_t group,
                    Stats& stats) {
  std::filesystem::remove_all(load.directory);
  Options options;
  options.directory = load.directory;
  options.installation = "bench";
  options.group_items = group;
  options.on_fatal = [](const Error& error) {
    std::fprintf(stderr, "%s\n", error.message.c_str());
    std::exit(1);
  };
  auto journal = Journal::open(options);
  if (!journal) {
    std::fprintf(stderr, "%s\n", journal.error().message.c_str());
    std::exit(1);
  }
  Credit credit;
  const auto channel = (*journal)->open_channel({"mail", "email", "o"}, {}, &credit);
  constexpr std::size_t kInFlight = 4;
  const auto start = std::chrono::steady_clock::now();
  std::size_t batches = 0;
  for (std::size_t at = 0; at < items.size(); at += group) {
    model::Batch batch;
    const auto end = std::min(at + group, items.size());
    batch.items.assign(std::make_move_iterator(items.begin() + static_cast<std::ptrdiff_t>(at)),
                       std::make_move_iterator(items.begin() + static_cast<std::ptrdiff_t>(end)));
    batch.cursor = std::to_string(end);
    if (batches >= kInFlight) credit.wait_for(batches - kInFlight + 1);
    if ((*journal)->submit("mail", channel->lease, std::move(batch)) != Submit::taken) std::exit(1);
    ++batches;
  }
  credit.wait_for(batches);
  const Seconds took = std::chrono::steady_clock::now() - start;
  stats = (*journal)->stats();
  return static_cast<double>(load.items) / took.count();
}

double table_rate(const Load& load, const std::vector<model::Item>& items, std::size_t group) {
  std::filesystem::remove_all(load.directory);
  std::filesystem::create_directories(load.directory);
  sqlite3* db = nullptr;
  const auto run = [&](const char* sql) {
    if (sqlite3_exec(db, sql, nullptr, nullptr, nullptr) != SQLITE_OK) {
      std::fprintf(stderr, "%s\n", sqlite3_errmsg(db));
      std::exit(1);
    }
  };
  sqlite3_open((load.directory / "table.db").c_str(), &db);
  run("PRAGMA page_size=8192; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; "
      "PRAGMA cache_size=-65536;"
      "CREATE TABLE interactions(position INTEGER PRIMARY KEY, channel TEXT NOT NULL, native_id "
      "TEXT "
      "NOT NULL, author TEXT, conversation TEXT, recorded INTEGER NOT NULL, body TEXT NOT NULL, "
      "UNIQUE(channel, native_id));"
      "CREATE TABLE cursors(channel TEXT PRIMARY KEY, cursor TEXT);");
  sqlite3_stmt *insert = nullptr, *cursor = nullptr;
  sqlite3_prepare_v2(db,
                     "INSERT OR IGNORE INTO interactions(channel, native_id, author, conversation, "
                     "recorded, body) VALUES('mail', ?1, ?2, ?3, ?4, ?5)",
                     -1, &insert, nullptr);
  sqlite3_prepare_v2(db, "INSERT OR REPLACE INTO cursors VALUES('mail', ?1)", -1, &cursor, nullptr);
  const auto text = [](sqlite3_stmt* statement, int at, const std::string& value) {
    sqlite3_bind_text(statement, at, value.data(), static_cast<int>(value.size()), SQLITE_STATIC);
  };
  const auto start = std::chrono::steady_clock::now();
  for (std::size_t at = 0; at < items.size(); at += group) {
    const auto end = std::min(at + group, items.size());
    run("BEGIN IMMEDIATE");
    for (std::size_t i = at; i < end; ++i) {
      text(insert, 1, items[i].native_id);
      text(insert, 2, items[i].author);
      text(insert, 3, items[i].conversation);
      sqlite3_bind_int64(insert, 4, static_cast<sqlite3_int64>(i));
      text(insert, 5, items[i].record);
      sqlite3_step(insert);
      sqlite3_reset(insert);
    }
    const auto place = std::to_string(end);
    text(cursor, 1, place);
    sqlite3_step(cursor);
    sqlite3_reset(cursor);
    run("COMMIT");
  }
  const Seconds took = std::chrono::steady_clock::now() - start;
  sqlite3_finalize(insert);
  sqlite3_finalize(cursor);
  sqlite3_close(db);
  return static_cast<double>(load.items) / took.count();
}

}  // namespace

int main(int count, char** arguments) {
  log::set_level(log::level::warn);
  Load load;
  if (count > 1) load.items = std::strtoul(arguments[1], nullptr, 10);
  if (count > 2) load.authors = std::strtoul(arguments[2], nullptr, 10);
  if (count > 3) load.directory = arguments[3];
  const auto items = make_items(load);
  std::printf("%zu items of %zu authors\n", load.items, load.authors);
  for (const std::size_t group : {64, 1024}) {
    Stats stats;
    const auto table = table_rate(load, items, group);
    const auto journal = journal_rate(load, items, group, stats);
    std::printf(
        "groups of %4zu: table %7.0f/s  journal %7.0f/s  ratio %.2f  (%llu transactions, the "
        "longest "
        "%.1f ms)\n",
        group, table, journal, journal / table, static_cast<unsigned long long>(stats.groups),
        static_cast<double>(stats.longest_commit.count()) / 1000);
  }
  std::filesystem::remove_all(load.directory);
  return 0;
}
