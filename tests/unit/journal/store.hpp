// SPDX-License-Identifier: Apache-2.0
// The language in which the journal's tests are written: a store in a folder of its own, items in a
// few words, and events as short lines ("revised a/2"). One per test.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/guarded.hpp"
#include "journal/journal.hpp"
#include "journal/reader.hpp"
#include "journal/verify.hpp"
#include "unit/testing.hpp"

namespace voxbus::journal {

class ManualClock final : public Clock {
 public:
  [[nodiscard]] TimePoint now() const override {
    return now_.with([](const TimePoint& now) { return now; });
  }
  [[nodiscard]] std::chrono::steady_clock::time_point steady() const override {
    return std::chrono::steady_clock::now();
  }
  void set(TimePoint now) {
    now_.with([&](TimePoint& value) { value = now; });
  }
  void advance(microseconds by) {
    now_.with([&](TimePoint& value) { value += by; });
  }

 private:
  Guarded<TimePoint> now_{std::chrono::sys_days{std::chrono::year{2026} / 11 / 22}};
};

// An item in a few words: post("a").says("hello").by("mailto:nora@example.org").version(3).
class ItemWords {
 public:
  explicit ItemWords(std::string native_id);
  ItemWords& says(std::string_view text);
  ItemWords& by(std::string handle);
  ItemWords& in(std::string conversation);
  ItemWords& version(std::uint64_t version);
  ItemWords& at(TimePoint occurred);
  ItemWords& raw(std::string bytes);
  ItemWords& message(std::string id);                      // instead of words, as quotes()
  ItemWords& quotes(const std::vector<std::string>& ids);  // one block each
  ItemWords& withdrawn();
  ItemWords& backfill();
  ItemWords& quarantined(std::string_view reason);
  ItemWords& digest_of(std::string_view what);  // instead of everything above
  operator model::Item() const;                 // NOLINT(google-explicit-constructor)

 private:
  model::Item item_;
  std::string digested_;
};
[[nodiscard]] ItemWords post(std::string native_id);

// Waits for commits.
class CountingSink final : public ChannelSink {
 public:
  struct Count {
    std::size_t batches = 0, items = 0, bytes = 0;
  };
  void committed(std::uint64_t lease, std::size_t batches, std::size_t items,
                 std::size_t bytes) override;
  void wait_for_batches(std::size_t batches);
  // False when they did not come in time.
  [[nodiscard]] bool batches_within(std::size_t batches, milliseconds limit);
  [[nodiscard]] Count count() const;

 private:
  mutable Guarded<Count> count_;
};

class Store;

// A channel that is open.
class Line {
 public:
  Line(Store& store, std::string name, std::string plugin, std::string origin, Begin begin);
  ~Line() { close(); }
  Line(Line&&) = default;
  // Submits one batch and waits until it is committed.
  void brings(std::vector<model::Item> items, std::optional<std::string> cursor = {});
  // Without waiting.
  [[nodiscard]] Submit submit(std::vector<model::Item> items,
                              std::optional<std::string> cursor = {});
  void settle();  // until all that was submitted is committed
  void close();
  [[nodiscard]] const Opening& opening() const { return opening_; }
  CountingSink& sink() { return *sink_; }

 private:
  Store& store_;
  std::string name_;
  std::unique_ptr<CountingSink> sink_;
  Opening opening_;
  std::size_t submitted_ = 0;
  int life_ = 0;  // of the store, when this was opened
};

class Store {
 public:
  enum class Place { memory, disk };
  explicit Store(Place place = Place::memory);
  ~Store();

  Options options;  // changed before open()
  ManualClock clock;

  Journal& open();
  [[nodiscard]] int life() const { return life_; }  // how often it was opened
  [[nodiscard]] bool is_open() const { return journal_ != nullptr; }
  // What open() says when it must fail.
  [[nodiscard]] std::string refusal();
  void close() {
    reader_.reset();
    journal_.reset();
  }
  Journal& reopen() {
    close();
    return open();
  }
  [[nodiscard]] Journal& journal() { return *journal_; }
  [[nodiscard]] std::filesystem::path folder() const { return options.directory; }
  [[nodiscard]] std::filesystem::path file(std::string_view name) const {
    return options.directory / name;
  }
  Line channel(std::string name = "mail", Begin begin = {Begin::Kind::all, {}},
               std::string plugin = "email", std::string origin = "origin-1");

  Reader& reader();
  [[nodiscard]] std::vector<model::Event> events(model::Position after = 0);
  // "received a/1", "revised a/2 historic", "channel.up".
  [[nodiscard]] std::vector<std::string> lines();
  [[nodiscard]] ChannelStats channel_stats(const std::string& name = "mail");
  // verify() of the folder.
  [[nodiscard]] Report report();
  void expect_whole();
  // The errors that on_fatal was called with.
  [[nodiscard]] std::vector<std::string> fatal() const;

 private:
  test::Folder temporary_;
  int life_ = 0;
  Guarded<std::vector<std::string>> fatal_;
  std::unique_ptr<Journal> journal_;
  std::unique_ptr<Reader> reader_;
};

[[nodiscard]] std::string line_of(const model::Event& event);
[[nodiscard]] std::string bytes_of(const std::filesystem::path& file);
void write_bytes(const std::filesystem::path& file, std::string_view bytes);
// Every regular file below a folder.
[[nodiscard]] std::vector<std::filesystem::path> files_below(const std::filesystem::path& folder);
// As a kill would leave it: the files of a journal that is open, copied.
void copy_folder(const std::filesystem::path& from, const std::filesystem::path& to);

}  // namespace voxbus::journal
