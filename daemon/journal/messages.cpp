// SPDX-License-Identifier: Apache-2.0
#include "journal/messages.hpp"

#include "model/interaction.hpp"
#include "model/limits.hpp"

namespace voxbus::journal {

Status Messages::begin_group(std::uint64_t group, std::uint64_t written,
                             const std::vector<Mac>& wanted) {
  while (!generations_.empty() && generations_.front().group <= written) generations_.pop_front();
  generations_.emplace_back().group = group;
  stored_.clear();
  if (wanted.empty()) return {};
  VOXBUS_TRY(found, index_.messages(wanted));
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (found[i]) stored_.emplace(wanted[i], *found[i]);
  }
  return {};
}

std::optional<Mac> Messages::event_of(const Mac& message) const {
  if (const auto found = stored_.find(message); found != stored_.end()) return found->second;
  for (const auto& generation : generations_) {
    if (const auto found = generation.events.find(message); found != generation.events.end())
      return found->second;
  }
  return std::nullopt;
}

bool Messages::claim(const Mac& message, const Mac& event) {
  if (event_of(message)) return false;
  generations_.back().events.emplace(message, event);
  return true;
}

std::string message_id_of_body(std::string_view body) {
  const auto parsed = json::parse(body, model::kMaxRecordDepth + 2);
  if (!parsed || !parsed->is_object()) return {};
  const auto* data = json::object_at(parsed->get_object(), "data");
  return data ? std::string(model::message_id_of(*data)) : std::string();
}

}  // namespace voxbus::journal
