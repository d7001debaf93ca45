// SPDX-License-Identifier: Apache-2.0
//
// The words by which mail programs introduce what is not their user's own: who wrote what is
// quoted, headers of a quoted mail, marks of forwarding, lines of devices, footers of lists. Data
// of some twenty-five languages, no code per language: a further one is a further row.
//
// All is kept with ASCII letters in lower case, as it is compared.
#pragma once

#include <span>
#include <string_view>

namespace voxbus::kit::mail {

// "wrote", "schrieb": stands before the colon, or before the name before the colon.
bool is_wrote(std::string_view lower_token);
// The same where words are not parted by blanks, right before the colon: "님이 작성", "写道".
std::span<const std::string_view> wrote_suffixes();
// "has", "the following": belongs to such a verb and to no name.
bool is_around_wrote(std::string_view lower_token);
// "on", "am", "le": how an attribution with a date begins.
std::span<const std::string_view> attribution_leads();
// "quoting", "zitat von": an attribution without a verb.
std::span<const std::string_view> quoting_leads();
// Words between a date and a name, which are part of neither: "at", "um", "uhr", "pm".
bool is_between_date_and_name(std::string_view lower_token);
// "i", "ich", "we": nobody introduces a quote of somebody else with these.
bool is_first_person(std::string_view lower_token);
// "mir", "he", and "your", "ihr": people tell with these, and no program.
bool is_pronoun(std::string_view lower_token);
bool is_possessive(std::string_view lower_token);
// Names of days and months as they are shortened in attributions.
bool is_day_or_month(std::string_view lower_token);

// kDate is a moment as well: "Sent" says only a mail program, "Date" says every form.
enum class HeaderRole { kNone, kFrom, kSent, kTo, kCc, kSubject, kDate };
// What a header's name means, in any of the languages.
HeaderRole header_role(std::string_view lower_name);

// "original message", between dashes: the quoted mail follows.
std::span<const std::string_view> original_phrases();
// "forwarded message", between dashes or with "begin" before it and a colon behind.
std::span<const std::string_view> forward_phrases();
// "end of forwarded message", between dashes: how the line begins that ends it.
std::span<const std::string_view> forward_ends();
// "below", "inline": where somebody says that answers stand.
std::span<const std::string_view> below_phrases();
// "please type your reply above this line": how a helpdesk's line begins.
std::span<const std::string_view> reply_above_phrases();
// "fwd", "wg": what the subject of a forwarded mail begins with, before a colon.
bool is_forward_prefix(std::string_view lower_token);

// "sent from", "von meinem": how a device's line begins, and "gesendet": how it ends.
std::span<const std::string_view> device_begins();
std::span<const std::string_view> device_ends();
// "sent via", "sent with": begins such a line, and what somebody says of a parcel.
std::span<const std::string_view> device_posts();
// "iphon*", "outlook*": makes and programs; with "*" where languages give them endings.
std::span<const std::string_view> device_names();
// "phone", "handy": kinds of devices, likewise.
std::span<const std::string_view> device_kinds();
// "telekom" and "mail": only both together are a program.
std::span<const std::string_view> device_carriers();
std::span<const std::string_view> device_mails();
// "my", "for", "network": what stands beside them.
std::span<const std::string_view> device_company();
// "typo", "brevity": what such a line asks pardon for.
std::span<const std::string_view> device_apologies();
// "in your browser", "message format": where a plain text says that the words are in the HTML.
std::span<const std::string_view> elsewhere_phrases();
// "mailing list", "unsubscribe": what a list's footer says below its separator.
std::span<const std::string_view> footer_phrases();

}  // namespace voxbus::kit::mail
