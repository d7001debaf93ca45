// SPDX-License-Identifier: Apache-2.0
//
// Golden files: what a plugin makes of recorded input, one JSON object per item and line, kept in
// the repository and read by people when it changes. Set VOXBUS_WRITE_GOLDEN=1 to write them anew.
#ifndef VOXBUS_GOLDEN_HPP
#define VOXBUS_GOLDEN_HPP

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "voxbus/testing.hpp"

namespace voxbus::testing {

// The items as the lines of a golden file. Raw bytes are left out: the input stands beside it.
inline std::string golden_lines(const std::vector<Seen>& items) {
  std::string out;
  for (const Seen& item : items) {
    JsonWriter writer{out};
    writer.begin_object().key("native_id").value(item.native_id);
    if (item.flags & VOXBUS_ITEM_HAS_OCCURRED) writer.key("occurred_at").value(item.occurred_at);
    if (item.flags & VOXBUS_ITEM_HAS_VERSION) writer.key("version").value(item.version);
    if (item.withdrawn()) writer.key("withdrawn").value(true);
    if (item.unreadable()) writer.key("unreadable").value(true);
    writer.key("record").raw(item.record).end_object();
    out += '\n';
  }
  return out;
}

// An empty string when the file holds exactly that, else the first line that differs.
inline std::string golden_difference(const std::string& path, const std::string& actual) {
  if (const char* write = std::getenv("VOXBUS_WRITE_GOLDEN"); write && *write == '1') {
    std::ofstream{path, std::ios::binary} << actual;
  }
  std::ifstream file{path, std::ios::binary};
  if (!file) return "there is no " + path;
  const std::string expected{std::istreambuf_iterator<char>{file}, {}};
  if (expected == actual) return {};
  std::istringstream one{expected};
  std::istringstream two{actual};
  std::string wanted;
  std::string got;
  for (int number = 1;; ++number) {
    const bool more_wanted = static_cast<bool>(std::getline(one, wanted));
    const bool more_got = static_cast<bool>(std::getline(two, got));
    if (!more_wanted) wanted = "(nothing)";
    if (!more_got) got = "(nothing)";
    if (wanted != got || !(more_wanted || more_got)) {
      return path + ":" + std::to_string(number) + "\n  expected " + wanted + "\n  got      " + got;
    }
  }
}

}  // namespace voxbus::testing

#endif  // VOXBUS_GOLDEN_HPP
