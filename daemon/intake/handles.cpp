// SPDX-License-Identifier: Apache-2.0
#include "intake/handles.hpp"

#include <unicode/idna.h>

#include <algorithm>
#include <memory>

#include "intake/clean_text.hpp"
#include "intake/phone.hpp"
#include "model/limits.hpp"

namespace voxbus::intake {
namespace {

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(' ');
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(' ') - first + 1);
}

std::string lower_ascii(std::string_view text) {
  std::string out(text);
  for (auto& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

// The domain as DNS knows it (UTS #46), so that an internationalised domain has one spelling.
std::optional<std::string> ascii_domain(std::string_view domain) {
  const bool ascii = std::all_of(domain.begin(), domain.end(),
                                 [](char c) { return static_cast<signed char>(c) > 0; });
  if (ascii) return lower_ascii(domain);
  UErrorCode code = U_ZERO_ERROR;
  static const std::unique_ptr<icu::IDNA> idna = [] {
    UErrorCode made = U_ZERO_ERROR;
    return std::unique_ptr<icu::IDNA>(
        icu::IDNA::createUTS46Instance(UIDNA_NONTRANSITIONAL_TO_ASCII, made));
  }();
  if (!idna) return std::nullopt;
  std::string out;
  icu::StringByteSink<std::string> sink(&out);
  icu::IDNAInfo info;
  idna->nameToASCII_UTF8(icu::StringPiece(domain.data(), static_cast<int32_t>(domain.size())), sink,
                         info, code);
  if (U_FAILURE(code) || info.hasErrors()) return std::nullopt;
  return out;
}

std::optional<std::string> canonical_address(std::string_view address) {
  const auto at = address.rfind('@');
  if (at == address.npos || at == 0 || at + 1 == address.size()) return std::nullopt;
  if (address.find_first_of(" \t<>,;") != address.npos) return std::nullopt;
  const auto domain = ascii_domain(address.substr(at + 1));
  if (!domain || domain->find("..") != domain->npos || domain->front() == '.') return std::nullopt;
  // RFC 5321 lets a host tell upper from lower case before the @; no host that people use does.
  return "mailto:" + lower_ascii(address.substr(0, at)) + '@' + *domain;
}

std::optional<std::string> canonical_number(std::string_view number, Place place) {
  if (auto e164 = to_e164(number, place.region)) return "tel:" + *e164;
  std::string digits;
  for (const char c : number) {
    if ((c >= '0' && c <= '9') || c == '*' || c == '#') {
      digits += c;
    } else if (c != ' ' && c != '-' && c != '.' && c != '(' && c != ')' && c != '/' && c != '+') {
      return std::nullopt;
    }
  }
  if (digits.empty() || place.channel.empty()) return std::nullopt;
  // A number that only means something at home (RFC 3966, section 5.1.5).
  return "tel:" + digits + ";phone-context=" + std::string(place.channel);
}

// A canonical form may be longer than what was given (a prefix, punycode): its own bound.
std::optional<std::string> bounded(std::optional<std::string> handle) {
  if (handle && handle->size() > model::kMaxHandle) return std::nullopt;
  return handle;
}

std::optional<std::string> canonical(std::string_view text, Place place) {
  const std::string cleaned = clean_text(text, Lines::one);
  const auto whole = trimmed(cleaned);
  if (whole.empty() || whole.size() > model::kMaxHandle) return std::nullopt;
  const auto colon = whole.find(':');
  if (colon == whole.npos) {
    if (whole.find('@') != whole.npos) return canonical_address(whole);
    return canonical_number(whole, {{}, place.region});
  }
  const auto scheme = lower_ascii(whole.substr(0, colon));
  const auto value = trimmed(whole.substr(colon + 1));
  if (scheme.empty() || value.empty()) return std::nullopt;
  if (scheme == "mailto") return canonical_address(value);
  if (scheme == "tel") return canonical_number(value, place);
  for (const char c : scheme) {
    const bool known =
        (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '+';
    if (!known) return std::nullopt;
  }
  return scheme + ':' + std::string(value);
}

}  // namespace

std::optional<std::string> canonical_handle(std::string_view text, Place place) {
  return bounded(canonical(text, place));
}

}  // namespace voxbus::intake
