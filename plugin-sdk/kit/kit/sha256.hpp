// SPDX-License-Identifier: Apache-2.0
//
// SHA-256 in pieces, for ids that are made from content. A value; one thread at a time.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace voxbus::kit {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void update(std::string_view bytes);
  // 64 lower-case hex digits; the digest is finished then.
  std::string hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string sha256_hex(std::string_view bytes);

}  // namespace voxbus::kit
