// SPDX-License-Identifier: Apache-2.0
#include "intake/phone.hpp"

#include <phonenumbers/phonenumberutil.h>

namespace voxbus::intake {

std::optional<std::string> to_e164(std::string_view number, std::string_view region) {
  using i18n::phonenumbers::PhoneNumberUtil;
  if (number.size() > 64) return std::nullopt;
  const auto* const util = PhoneNumberUtil::GetInstance();
  i18n::phonenumbers::PhoneNumber parsed;
  // "ZZ" is the library's name for "no region known".
  const std::string home = region.empty() ? "ZZ" : std::string(region);
  if (util->Parse(std::string(number), home, &parsed) != PhoneNumberUtil::NO_PARSING_ERROR ||
      util->IsPossibleNumberWithReason(parsed) != PhoneNumberUtil::IS_POSSIBLE) {
    return std::nullopt;
  }
  std::string out;
  util->Format(parsed, PhoneNumberUtil::E164, &out);
  return out;
}

}  // namespace voxbus::intake
