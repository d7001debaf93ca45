// SPDX-License-Identifier: Apache-2.0
//
// What a fuzz target demands beyond not crashing.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string_view>

inline std::string_view bytes_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

inline void demand(bool holds, const char* what) {
  if (holds) return;
  std::cerr << "does not hold: " << what << "\n";
  std::abort();
}
