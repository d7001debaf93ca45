// SPDX-License-Identifier: Apache-2.0
// Reads committed events in order, by position. Made by Journal::reader(), owned by its caller,
// used by one thread at a time, gone before the journal. No read transaction stays open between
// calls or longer than it takes to copy a few megabytes, so that checkpoints always get through.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/time.hpp"
#include "model/event.hpp"

namespace voxbus::journal {

struct ReaderContext;

class Reader {
 public:
  explicit Reader(std::shared_ptr<const ReaderContext> context);
  ~Reader();
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  // Events after `after`, ascending: at most `max_count`, and no further one once their bodies
  // reach `max_bytes` (so at least one, if there is one). Positions that a salvage could not bring
  // back are passed over; an unexpected hole, a row that was altered or an end before the journal's
  // end is an error, never a silent end: the journal then calls on_fatal and the next start
  // salvages. An event whose body was erased or fell to retention has an empty body.
  [[nodiscard]] Result<std::vector<model::Event>> read(model::Position after, std::size_t max_count,
                                                       std::size_t max_bytes);
  // One event. Error::permanent when there is none at this position.
  [[nodiscard]] Result<model::Event> at(model::Position position);
  // The raw bytes kept beside the event; an error when none are kept or they were erased.
  [[nodiscard]] Result<std::string> evidence(model::Position position);
  // Whether nothing newer of the same native id is stored, a moment ago at the latest.
  [[nodiscard]] Result<bool> is_latest(model::Position position);
  // Events of one type after `after`. Fast for every type but the ordinary interactions, which are
  // found by reading along.
  [[nodiscard]] Result<std::vector<model::Event>> of_type(std::string_view type,
                                                          model::Position after, std::size_t max);
  // The first position recorded at or after `time`; the end + 1 when there is none.
  [[nodiscard]] Result<model::Position> first_since(TimePoint time);

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace voxbus::journal
