// SPDX-License-Identifier: Apache-2.0
#include "serve/framing.hpp"

#include <boost/beast/core/string.hpp>

#include "serve/problem.hpp"

namespace voxbus::serve {
namespace {

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
  while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
  return text;
}

bool is_chunked(std::string_view coding) {
  return boost::beast::iequals(trimmed(coding), "chunked");
}

}  // namespace

std::optional<Answer> refuse_framing(const Framing& framing) {
  // Section 3.2: which of the two a proxy went by, nobody knows.
  if (framing.hosts > 1) return problem(Slug::bad_request, "the Host header is given twice");
  if (!framing.transfer_coding) return std::nullopt;
  // Section 6.1: HTTP/1.0 has no transfer codings; section 6.3: what else bounds the body lies.
  if (!framing.http_1_1)
    return problem(Slug::bad_request, "Transfer-Encoding does not belong into HTTP/1.0");
  if (framing.has_length)
    return problem(Slug::bad_request, "Transfer-Encoding and Content-Length exclude each other");
  const std::string_view codings = *framing.transfer_coding;
  const auto comma = codings.rfind(',');
  // Section 6.3: without chunked at its end a request has no end.
  if (!is_chunked(comma == codings.npos ? codings : codings.substr(comma + 1)))
    return problem(Slug::bad_request, "the last transfer coding of a request must be chunked");
  if (comma != codings.npos)
    return problem(Slug::not_implemented, "of the transfer codings only chunked alone is known");
  return std::nullopt;
}

}  // namespace voxbus::serve
