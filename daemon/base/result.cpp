// SPDX-License-Identifier: Apache-2.0
#include "base/result.hpp"

#include <cerrno>

namespace voxbus {

Error system_error(std::string_view act, int code) {
  const bool passing = code == EINTR || code == EAGAIN || code == ENOSPC || code == EDQUOT ||
                       code == EMFILE || code == ENFILE || code == ENOMEM || code == EBUSY ||
                       code == ETIMEDOUT || code == ECONNREFUSED || code == ECONNRESET;
  return {passing ? Error::Kind::retry : Error::Kind::permanent,
          "cannot " + std::string(act) + ": " + std::generic_category().message(code)};
}

}  // namespace voxbus
