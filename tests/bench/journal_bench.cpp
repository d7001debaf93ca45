// SPDX-License-Identifier: Apache-2.0
// The journal beside the obvious table and Redis Streams in one run: how many interactions a second
// each makes durable with their cursors and without doubles, in transactions of 64 and of 1,024, on
// the same disk and with the same settings for durability. The obvious table is clear text with
// UNIQUE(channel, native_id); the journal seals. Fails below the ratios that are promised.
//   journal_bench [ITEMS [AUTHORS [DIRECTORY]]]      (200,000 and 20,000 below the working folder)
#include <sqlite3.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "base/log.hpp"
#include "load.hpp"
#include "medians.hpp"
#include "redis_peer.hpp"

namespace {

using namespace voxbus;
using namespace voxbus::bench;
using journal::Stats;

constexpr int kRounds = 5;
constexpr double kLeastOf64 = 2.5;
constexpr double kLeastOf1024 = 1.6;

double journal_rate(const Load& load, std::vector<model::Item> items, std::size_t group,
                    Stats& stats) {
  std::filesystem::remove_all(load.directory);
  const auto journal = open_journal(load.directory, group);
  const double took = seconds_of([&] { write_all(*journal, std::move(items), group); });
  stats = journal->stats();
  return static_cast<double>(load.items) / took;
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
  const auto write = [&](std::size_t at) {
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
  };
  const double took = seconds_of([&] {
    for (std::size_t at = 0; at < items.size(); at += group) write(at);
  });
  sqlite3_finalize(insert);
  sqlite3_finalize(cursor);
  sqlite3_close(db);
  return static_cast<double>(load.items) / took;
}

}  // namespace

int main(int count, char** arguments) {
  log::set_level(log::level::warn);
  const auto load = read_arguments(count, arguments, {.directory = "bench-journal"});
  const auto items = make_items(load);
  const std::filesystem::path redis_folder = load.directory.string() + "-redis";
  const auto redis = RedisPeer::start(redis_folder);
  Verdict verdict;
  std::printf("%zu interactions of %zu bytes by %zu authors; medians of %d\n", load.items,
              items.front().record.size(), load.authors, kRounds);
  for (const std::size_t group : {64, 1024}) {
    Stats stats;
    std::vector<std::function<double()>> contenders = {
        [&] { return table_rate(load, items, group); },
        [&] { return journal_rate(load, items, group, stats); }};
    if (redis) contenders.emplace_back([&] { return redis->rate(items, group, in_flight(group)); });
    const auto rates = medians_of(kRounds, contenders);
    std::printf("groups of %zu, a second: table %.0f, journal %.0f%s\n", group, rates[0], rates[1],
                redis ? (", Redis " + std::to_string(std::lround(rates[2]))).c_str() : "");
    std::printf("  last run of the journal: %llu transactions, the longest %.1f ms\n",
                static_cast<unsigned long long>(stats.groups),
                static_cast<double>(stats.longest_commit.count()) / 1000);
    verdict.at_least("journal to the obvious table", rates[1] / rates[0],
                     group == 64 ? kLeastOf64 : kLeastOf1024);
    if (redis) {
      verdict.at_least("journal to Redis with the same guarantee", rates[1] / rates[2], 1);
    } else {
      verdict.missing("Redis: redis-server or libhiredis-dev is not installed");
    }
  }
  std::filesystem::remove_all(load.directory);
  std::filesystem::remove_all(redis_folder);
  return verdict.exit_code();
}
