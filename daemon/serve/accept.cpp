// SPDX-License-Identifier: Apache-2.0
#include "serve/accept.hpp"

#include <boost/beast/core/string.hpp>
#include <vector>

namespace voxbus::serve {
namespace {

struct Range {
  std::string_view type, subtype;
  int weight = 1000;  // thousandths

  // 0: not this one; 1: */*; 2: type/*; 3: exactly.
  [[nodiscard]] int fits(std::string_view offer) const {
    if (type == "*") return 1;
    const auto slash = offer.find('/');
    if (!boost::beast::iequals(type, offer.substr(0, slash))) return 0;
    if (subtype == "*") return 2;
    return boost::beast::iequals(subtype, offer.substr(slash + 1)) ? 3 : 0;
  }
};

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Takes what comes before the next `separator` that is outside quotes, and that separator.
std::string_view take(std::string_view& text, char separator) {
  bool quoted = false;
  std::size_t at = 0;
  for (; at < text.size() && (quoted || text[at] != separator); ++at) {
    if (text[at] == '"') quoted = !quoted;
    if (quoted && text[at] == '\\') ++at;
  }
  at = std::min(at, text.size());
  const auto part = text.substr(0, at);
  text.remove_prefix(std::min(at + 1, text.size()));
  return trimmed(part);
}

// "0", "0.5", "1.000", in thousandths.
std::optional<int> weight_of(std::string_view text) {
  if (text.empty() || text.size() > 5 || (text[0] != '0' && text[0] != '1')) return std::nullopt;
  int weight = text[0] == '1' ? 1000 : 0;
  if (text.size() == 1) return weight;
  if (text[1] != '.') return std::nullopt;
  int unit = 100;
  for (const char digit : text.substr(2)) {
    if (digit < '0' || digit > '9') return std::nullopt;
    weight += unit * (digit - '0');
    unit /= 10;
  }
  if (weight > 1000) return std::nullopt;
  return weight;
}

std::optional<Range> range_of(std::string_view element) {
  const auto media = take(element, ';');
  const auto slash = media.find('/');
  if (slash == media.npos || slash == 0 || slash + 1 == media.size()) return std::nullopt;
  Range range{media.substr(0, slash), media.substr(slash + 1)};
  if (range.type == "*" && range.subtype != "*") return std::nullopt;
  while (!element.empty()) {
    const auto parameter = take(element, ';');
    if (parameter.size() < 2 || (parameter[0] != 'q' && parameter[0] != 'Q') || parameter[1] != '=')
      continue;
    const auto weight = weight_of(parameter.substr(2));
    if (!weight) return std::nullopt;
    range.weight = *weight;
    break;
  }
  return range;
}

}  // namespace

std::optional<std::size_t> preferred(std::string_view accept,
                                     std::span<const std::string_view> offers) {
  std::vector<Range> ranges;
  while (!accept.empty()) {
    if (const auto range = range_of(take(accept, ','))) ranges.push_back(*range);
  }
  if (ranges.empty()) return 0;
  std::optional<std::size_t> best;
  int best_weight = 0, best_fit = 0;
  for (std::size_t at = 0; at < offers.size(); ++at) {
    // The most exact range says the weight; of two alike the more generous.
    int weight = 0, fit = 0;
    for (const auto& range : ranges) {
      const int fits = range.fits(offers[at]);
      if (fits == 0 || fits < fit) continue;
      weight = fits > fit ? range.weight : std::max(weight, range.weight);
      fit = fits;
    }
    if (weight == 0) continue;
    if (weight > best_weight || (weight == best_weight && fit > best_fit)) {
      best = at;
      best_weight = weight;
      best_fit = fit;
    }
  }
  return best;
}

}  // namespace voxbus::serve
