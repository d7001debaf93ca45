// SPDX-License-Identifier: Apache-2.0
// The daemon's state as the API shows it (GET /v1/status, /v1/plugins). Pure, any thread.
#pragma once

#include <vector>

#include "base/json.hpp"
#include "config/configuration.hpp"
#include "host/channel_state.hpp"
#include "journal/journal.hpp"

namespace voxbus::app {

[[nodiscard]] json::array channels_json(const std::vector<host::ChannelStatus>& channels,
                                        const journal::Stats& stats);
[[nodiscard]] json::object journal_json(const journal::Stats& stats);
[[nodiscard]] json::array plugins_json(const std::vector<config::Manifest>& manifests,
                                       const config::Problems& problems);

}  // namespace voxbus::app
