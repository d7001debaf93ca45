// SPDX-License-Identifier: Apache-2.0
//
// What the headers of a mail say it is: a bounce, an automatic answer, a list's, spam. From headers
// and from the fields of a delivery report only, never from words that a person reads. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "voxbus/record.hpp"

namespace voxbus::kit::mail {

// Looks a header up by name: the value as it stands, an empty view when there is none.
class Headers {
 public:
  virtual ~Headers() = default;
  virtual std::string_view first(const char* name) const = 0;
  virtual std::vector<std::string_view> all(const char* name, std::size_t most) const = 0;
};

// Whether a mailing list sent it on.
bool is_from_list(const Headers& headers);

// Adds to `native.more`; the names are in the README of the plugin "email".
void add_marks(const Headers& headers, Native& native);

// The first language that a Content-Language header names (RFC 3282), in lower case up to the first
// hyphen; empty when it names none that could be one of BCP 47.
std::string language_of(std::string_view header);

// The recipients of a message/delivery-status (RFC 3464) or disposition-notification (RFC 8098):
// an object with "kind", "recipients" and so on, or null when nothing is said. `original` is the id
// of the mail that it is about: as a field names it, else `returned`, that of the mail given back.
struct Report {
  Json said;
  std::string original;
};
Report delivery_report(std::string_view fields, bool disposition, std::string_view returned = {});

}  // namespace voxbus::kit::mail
