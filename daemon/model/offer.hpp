// SPDX-License-Identifier: Apache-2.0
// An item as a plugin gave it, before anybody looked at it: foreign bytes. Views, valid during the
// call they are passed to.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/time.hpp"

namespace voxbus::model {

struct Offer {
  std::string_view native_id;
  std::optional<std::uint64_t> version;
  std::optional<TimePoint> occurred;
  bool withdrawn = false;
  bool backfill = false;
  bool unreadable = false;  // the plugin itself could not read it; record holds {"reason": ...}
  std::string_view record;
  std::string_view raw;
  struct Attachment {
    std::string_view name, media, bytes;
  };
  std::vector<Attachment> attachments;

  [[nodiscard]] std::size_t weight() const {
    std::size_t sum = native_id.size() + record.size() + raw.size();
    for (const auto& file : attachments) sum += file.bytes.size();
    return sum;
  }
};

}  // namespace voxbus::model
