// SPDX-License-Identifier: Apache-2.0
// A real journal in a folder of its own, for the tests of the bus and the server: write() says a
// few words on a channel and returns once they are durable. One thread.
#pragma once

#include <sqlite3.h>

#include <filesystem>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "../testing.hpp"
#include "base/crypto.hpp"
#include "base/guarded.hpp"
#include "base/json.hpp"
#include "journal/journal.hpp"

namespace voxbus::test {

struct Words {
  std::string channel = "support";
  std::string text = "hello";
  std::string kind = "mail";
  std::string author = "mailto:nora@example.org";
  std::string name = "Nora";
  std::string title;
  std::string direction = "inbound";
  std::string audience = "private";
  std::string language;
  std::string conversation;
  bool historic = false;
  std::string native_id;  // empty: a new one
};

class BusJournal {
 public:
  explicit BusJournal(const Clock* clock = nullptr,
                      std::size_t queue_bytes = journal::Options().queue_bytes)
      : clock_(clock), queue_bytes_(queue_bytes) {
    open();
  }

  void open() {
    journal::Options options;
    options.directory = folder_.path() / "journal";
    options.installation = "test";
    options.clock = clock_;
    options.queue_bytes = queue_bytes_;
    auto opened = journal::Journal::open(std::move(options));
    if (!opened) throw std::runtime_error(opened.error().message);
    journal_ = std::move(*opened);
  }
  void close() {
    leases_.clear();
    journal_.reset();
  }
  // The journal's file as it is, to come back with another one's witness: its tail is lost then.
  void remember() {
    close();
    std::filesystem::copy_file(folder_.path() / "journal" / "journal.db",
                               folder_.path() / "earlier.db",
                               std::filesystem::copy_options::overwrite_existing);
    open();
  }
  void lose_what_came_since() {
    close();
    for (const auto* part : {"journal.db-wal", "journal.db-shm"})
      std::filesystem::remove(folder_.path() / "journal" / part);
    std::filesystem::copy_file(folder_.path() / "earlier.db",
                               folder_.path() / "journal" / "journal.db",
                               std::filesystem::copy_options::overwrite_existing);
    open();
  }
  // The journal's whole folder as it is, to be put back later as from a backup: nothing in it then
  // knows that it ever went further.
  void back_up() {
    close();
    std::filesystem::copy(folder_.path() / "journal", folder_.path() / "backup",
                          std::filesystem::copy_options::recursive);
    // As a snapshot of the file system: the journal does not see that it is a copy.
    std::filesystem::remove(folder_.path() / "backup" / "place");
    open();
  }
  void put_back() {
    close();
    std::filesystem::remove_all(folder_.path() / "journal");
    std::filesystem::rename(folder_.path() / "backup", folder_.path() / "journal");
    open();
  }
  // A new epoch behind the end, as one begins for a journal that was put back.
  void begin_epoch(model::Epoch epoch) {
    const auto first = end() + 1;
    close();
    change("INSERT INTO epochs VALUES(" + std::to_string(epoch) + ", " + std::to_string(first) +
           ", 0, 'put back')");
    open();
  }
  // As retention will: rows below `position` are gone. More than 4,096 must be left, so that the
  // journal does not look for them at its opening.
  void drop_before(model::Position position) {
    close();
    change("DELETE FROM entries WHERE position < " + std::to_string(position) +
           "; DELETE FROM evidence WHERE position < " + std::to_string(position));
    open();
  }
  [[nodiscard]] journal::Journal& operator*() { return *journal_; }
  [[nodiscard]] journal::Journal* operator->() { return journal_.get(); }
  [[nodiscard]] const std::filesystem::path& folder() const { return folder_.path(); }

  void write(const Words& words) { write_batch({words}); }
  // All in one batch; they must be of one channel.
  void write_batch(const std::vector<Words>& all) {
    model::Batch batch;
    for (const auto& words : all) batch.items.push_back(item_of(words));
    const auto& channel = all.front().channel;
    const auto lease = lease_of(channel);
    const auto before = sink_.batches();
    if (journal_->submit(channel, lease, std::move(batch)) != journal::Submit::taken)
      throw std::runtime_error("not taken");
    sink_.wait_for(before + 1);
  }
  // `count` events with the texts "0", "1", ...
  void write_many(std::size_t count, Words words = {}) {
    std::vector<Words> all;
    for (std::size_t i = 0; i < count; ++i) {
      words.text = std::to_string(i);
      all.push_back(words);
      if (all.size() == 500 || i + 1 == count) write_batch(std::exchange(all, {}));
    }
  }
  [[nodiscard]] model::Position end() const { return journal_->end().position; }

 private:
  void change(const std::string& sql) {
    sqlite3* db = nullptr;
    const bool done =
        sqlite3_open((folder_.path() / "journal" / "journal.db").c_str(), &db) == SQLITE_OK &&
        sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK;
    sqlite3_close(db);
    if (!done) throw std::runtime_error("the journal cannot be changed");
  }

  class Sink final : public journal::ChannelSink {
   public:
    void committed(std::uint64_t, std::size_t batches, std::size_t, std::size_t) override {
      count_.with([&](auto& count) { count += batches; });
      count_.notify_all();
    }
    [[nodiscard]] std::size_t batches() const {
      return count_.with([](const auto& count) { return count; });
    }
    void wait_for(std::size_t wanted) {
      const bool came = count_.when_for(
          kPatience, [&](const auto& count) { return count >= wanted; },
          [](const auto&, bool holds) { return holds; });
      if (!came) throw std::runtime_error("the journal did not commit in time");
    }

   private:
    Guarded<std::size_t> count_{0u};
  };

  std::uint64_t lease_of(const std::string& channel) {
    if (const auto known = leases_.find(channel); known != leases_.end()) return known->second;
    const auto opening = journal_->open_channel({channel, "test", "origin"},
                                                {journal::Begin::Kind::all, {}}, &sink_);
    if (!opening) throw std::runtime_error(opening.error().message);
    return leases_[channel] = opening->lease;
  }

  model::Item item_of(const Words& words) {
    model::Item item;
    item.native_id = words.native_id.empty() ? "n" + std::to_string(++count_) : words.native_id;
    item.digest = sha256(item.native_id + words.text);
    item.backfill = words.historic;
    item.author = words.author;
    item.conversation = words.conversation;
    json::object record{{"kind", words.kind},
                        {"direction", words.direction},
                        {"audience", words.audience},
                        {"author", json::object{{"handle", words.author}, {"name", words.name}}},
                        {"text", words.text}};
    if (!words.title.empty()) record["title"] = words.title;
    if (!words.language.empty()) record["language"] = words.language;
    if (!words.conversation.empty()) record["conversation"] = words.conversation;
    item.record = json::serialize(record);
    item.raw = "raw of " + item.native_id;
    return item;
  }

  const Clock* clock_;
  const std::size_t queue_bytes_;
  Folder folder_;
  Sink sink_;
  std::unique_ptr<journal::Journal> journal_;
  std::map<std::string, std::uint64_t> leases_;
  std::uint64_t count_ = 0;
};

}  // namespace voxbus::test
