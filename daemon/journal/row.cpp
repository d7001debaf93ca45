// SPDX-License-Identifier: Apache-2.0
#include "journal/row.hpp"

#include "journal/bytes.hpp"

namespace voxbus::journal {
namespace {

void put_text(std::string& out, std::string_view text) {
  put(out, static_cast<std::uint32_t>(text.size()));
  out += text;
}
void put_optional(std::string& out, const std::optional<Mac>& mac) {
  out += static_cast<char>(mac.has_value());
  if (mac) out += as_text(*mac);
}

}  // namespace

void append_canonical(std::string& out, const Header& header) {
  put(out, header.position);
  put_text(out, header.type);
  put_text(out, header.source);
  put(out, header.recorded);
  put(out, header.key);
  put(out, header.codec);
  put(out, header.flags);
  put(out, header.revision);
  out += static_cast<char>(header.version.has_value());
  if (header.version) put(out, *header.version);
  out += as_text(header.id);
  out += as_text(header.native);
  out += as_text(header.content);
  put_optional(out, header.author);
  put_optional(out, header.partition);
}

Digest chain_after(Sha256& hash, const Digest& before, std::string_view canonical,
                   const Digest& body_hash, const std::optional<Digest>& evidence) {
  hash.add(as_text(before)).add_field(canonical).add(as_text(body_hash));
  hash.add_field(evidence ? as_text(*evidence) : std::string_view{});
  return hash.finish();
}

}  // namespace voxbus::journal
