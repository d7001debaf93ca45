// SPDX-License-Identifier: Apache-2.0
// The file of consumers' positions, <state>/positions/positions.db: SQLite, WAL,
// synchronous=NORMAL. What was written survives a kill; after a power cut an acknowledgement may be
// lost, which only delivers again. A file that is damaged is set aside and a new one begun: the
// consumers are gone, the daemon lives. Owned by Consumers; any thread, one at a time inside.
//
//   consumers: id, name, created (RFC 3339), spec (JSON), epoch, head, floor, open
//   parked:    consumer, position, attempts, since (RFC 3339)
//
// `open` is a list of base-128 numbers, lowest group first: for each entry the distance of its
// position from the one before, its attempts, its key. Positions 7 and 9, delivered once and twice,
// without keys: 07 01 00 02 02 00.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "bus/consumer_state.hpp"

namespace voxbus::bus {

struct StoredConsumer {
  std::int64_t id = 0;
  std::string name;
  std::string created;
  std::string spec;
  model::Epoch epoch = 0;  // of the head
  ConsumerState::Snapshot state;
};

struct ParkedEvent {
  model::Position position = 0;
  std::uint32_t attempts = 0;
  std::string since;
};

class Positions {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Positions>> open(
      const std::filesystem::path& directory);
  ~Positions();

  // There was no file, or an empty one.
  [[nodiscard]] bool is_new() const;
  [[nodiscard]] Result<std::vector<StoredConsumer>> load();
  // Gives its id.
  [[nodiscard]] Result<std::int64_t> insert(const StoredConsumer& consumer);
  [[nodiscard]] Status change_spec(std::int64_t id, const std::string& spec);
  // One transaction: the state, what is newly parked and what is parked no more. Nothing happens
  // when the consumer was removed.
  [[nodiscard]] Status save(std::int64_t id, model::Epoch epoch,
                            const ConsumerState::Snapshot& state,
                            const std::vector<ParkedEvent>& parked,
                            const std::vector<model::Position>& taken_up);
  [[nodiscard]] Status remove(std::int64_t id);
  // Ascending, after `after`.
  [[nodiscard]] Result<std::vector<ParkedEvent>> parked(std::int64_t id, model::Position after,
                                                        std::size_t max);
  [[nodiscard]] Result<std::uint64_t> parked_count(std::int64_t id);
  [[nodiscard]] Result<bool> is_parked(std::int64_t id, model::Position position);
  // After a journal lost its tail.
  [[nodiscard]] Status forget_parked_after(std::int64_t id, model::Position position);

 private:
  struct Parts;
  explicit Positions(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

// The highest sequence that the consumers kept below `directory` were given, as their file says it,
// for a journal that is about to be opened: when it ends before that, it is an older copy that was
// put back, and must begin a new epoch so that no sequence names two events. Nothing when there is
// no file, no consumer, or nothing that can be believed. Changes nothing but what SQLite mends
// after a kill; no Positions may be open. A caller should take the epoch from it rather than the
// position: the file carries no seals.
[[nodiscard]] std::optional<model::Sequence> highest_told(const std::filesystem::path& directory);

[[nodiscard]] std::string encode_open(const std::vector<ConsumerState::Open>& open);
[[nodiscard]] Result<std::vector<ConsumerState::Open>> decode_open(std::string_view bytes);

}  // namespace voxbus::bus
