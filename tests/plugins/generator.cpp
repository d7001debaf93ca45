// SPDX-License-Identifier: Apache-2.0
//
// Makes interactions to order, the same ones each time: item i of a seed always has the same native
// id, author, words and time. The cursor is the index of the next one. For crash loops and
// benchmarks, therefore it speaks the ABI without a detour.

#include <charconv>
#include <chrono>
#include <string>

#include "voxbus/plugin.hpp"

namespace {

std::uint64_t mixed(std::uint64_t x) {  // splitmix64
  x += 0x9E3779B97F4A7C15ULL;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31);
}

void append(std::string& out, std::uint64_t number) {
  char digits[20];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
}

}  // namespace

class Generator final : public voxbus::Channel {
 public:
  static constexpr voxbus::About kAbout{.id = "org.voxbus.test.generator",
                                        .version = "1.0.0",
                                        .summary = "Makes interactions to order",
                                        .isolation = voxbus::Isolation::kProcessOrInline};
  struct Settings {
    std::string seed = "g", token;
    std::uint64_t count = 1000, rate = 0, people = 100, batch = 500;
    std::uint32_t size = 100, raw_size = 0, first_raw_size = 0, duplicates = 0;
    bool wait_at_end = false;
    std::int64_t first_time = 1'767'607'200;

    void fields(auto& field) {
      field("seed", seed, "Another seed makes other interactions").identity();
      field("count", count, "How many there are in all");
      field("rate", rate, "How many a second, 0: as fast as they are taken");
      field("size", size, "Bytes of text in each").maximum(64 << 20);
      field("raw_size", raw_size, "Raw bytes handed over with each").maximum(64 << 20);
      field("first_raw_size", first_raw_size, "The same with the very first, if more")
          .maximum(64 << 20);
      field("duplicates", duplicates, "Of a hundred, how many are followed by an earlier one again")
          .maximum(100);
      field("people", people, "How many different authors").minimum(1);
      field("batch", batch, "How many a cursor covers at once").minimum(1);
      field("wait_at_end", wait_at_end, "After the last, wait for stop instead of returning");
      field("first_time", first_time, "When the first happened, seconds since 1970; one a second");
      field("token", token, "Not used; must never be seen anywhere").secret();
    }
  };

  explicit Generator(Settings settings) : settings_{std::move(settings)} {
    while (words_.size() < settings_.size) words_ += "the quick brown fox jumps over it ";
    words_.resize(settings_.size);
    raw_.assign(std::max(settings_.raw_size, settings_.first_raw_size), 'r');
    for (const char c : settings_.seed) seed_ = mixed(seed_ ^ static_cast<unsigned char>(c));
  }

  voxbus::Result<voxbus::Batch> poll(const voxbus::Cursor& since,
                                     voxbus::Context& context) override {
    std::uint64_t next = 0;
    const char* end = since.bytes.data() + since.bytes.size();
    if (!since.empty() && std::from_chars(since.bytes.data(), end, next).ptr != end) {
      return voxbus::Error::permanent("the cursor was not made by this channel");
    }
    const std::uint64_t begin = next;
    const auto started = std::chrono::steady_clock::now();
    while (next < settings_.count) {
      const std::uint64_t until = std::min(settings_.count, next + settings_.batch);
      for (; next < until; ++next) {
        if (!emit(next, context)) return voxbus::Batch{};
        const std::uint64_t chance = mixed(seed_ ^ mixed(next));
        if (chance % 100 < settings_.duplicates &&
            !emit(next - std::min(next, chance / 100 % 1000), context)) {
          return voxbus::Batch{};
        }
        if (settings_.rate != 0) {
          const auto due =
              started + std::chrono::microseconds{(next + 1 - begin) * 1'000'000 / settings_.rate};
          const auto left = due - std::chrono::steady_clock::now();
          // Waits short enough for a cursor to be due soon, so that a slow rate shows at once.
          if (left > std::chrono::milliseconds{1}) {
            until_now(next + 1, context);
            if (!context.wait(std::chrono::ceil<std::chrono::milliseconds>(left))) {
              return voxbus::Batch{};
            }
          }
        }
      }
      if (!until_now(next, context)) return voxbus::Batch{};
    }
    if (settings_.wait_at_end) {
      while (context.wait(std::chrono::hours{1})) {
      }
    }
    return voxbus::Batch{};
  }

 private:
  bool until_now(std::uint64_t next, voxbus::Context& context) {
    return context.commit({std::to_string(next)});
  }

  bool emit(std::uint64_t index, voxbus::Context& context) {
    id_.assign(settings_.seed);
    id_ += '-';
    append(id_, index);
    const std::uint64_t person = mixed(index ^ seed_) % settings_.people;
    record_.assign(R"({"kind":"message","author":{"handle":"mailto:person)");
    append(record_, person);
    record_ += R"(@example.org","name":"Person )";
    append(record_, person);
    record_ += R"("},"conversation":"c)";
    append(record_, person);
    record_ += R"(","text":"number )";
    append(record_, index);
    record_ += ' ';
    record_ += words_;
    record_ += "\"}";
    voxbus_item item{};
    item.size = sizeof item;
    item.flags = VOXBUS_ITEM_HAS_OCCURRED;
    item.native_id = voxbus::detail::view(id_);
    item.occurred_at = (settings_.first_time + static_cast<std::int64_t>(index)) * 1'000'000;
    item.record = voxbus::detail::view(record_);
    const auto raw_size = index == 0 ? raw_.size() : settings_.raw_size;
    item.raw = voxbus::detail::view(std::string_view(raw_).substr(0, raw_size));
    return context.emit(item);
  }

  Settings settings_;
  std::uint64_t seed_ = 1;
  std::string words_;
  std::string raw_;
  std::string id_;
  std::string record_;
};

VOXBUS_PLUGIN(Generator);
