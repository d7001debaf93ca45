// SPDX-License-Identifier: Apache-2.0
// The daemon's log: one line per event on standard error, with the syslog level prefix that
// journald understands when it reads us, else with a time for people. Any thread.
#pragma once

#include <spdlog/spdlog.h>

#include <string_view>

namespace voxbus {

namespace log = spdlog;

// `level`: trace, debug, info, warning, error. Called once, first thing in main.
void start_logging(std::string_view program, std::string_view level);

}  // namespace voxbus
