// SPDX-License-Identifier: Apache-2.0
//
// The part of a session that fetches: sizes, whole mails ahead of time, and pieces.
#include <algorithm>

#include "imap/names.hpp"
#include "imap/session.hpp"
#include "voxbus/text.hpp"

namespace voxbus::email::imap {

namespace {

// "5:9", which are all that there are.
std::string range_of(const std::vector<std::uint32_t>& uids) {
  return std::to_string(uids.front()) +
         (uids.size() > 1 ? ":" + std::to_string(uids.back()) : std::string{});
}

// What a FETCH says of one mail. News of flags says neither size nor bytes.
struct Said {
  std::uint32_t uid = 0;
  std::uint64_t size = 0;
  std::optional<std::string> bytes;
};
std::optional<Said> said(Response& response) {
  if (response.name != "FETCH" || response.values.empty()) return std::nullopt;
  Said out;
  auto& items = response.values[0].items;
  for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
    if (items[i].is_atom("UID")) out.uid = items[i + 1].number32();
    if (items[i].is_atom("RFC822.SIZE")) out.size = items[i + 1].number().value_or(0);
    // NIL is said of what is not there.
    if (capitals(items[i].text.substr(0, 5)) == "BODY[" &&
        items[i + 1].kind == Value::Kind::kString)
      out.bytes = std::move(items[i + 1].text);
  }
  if (out.uid == 0) return std::nullopt;
  return out;
}

}  // namespace

Result<void> Session::ask_sizes(std::vector<std::uint32_t> uids, Context& context) {
  auto tag = send("UID FETCH " + range_of(uids) + " (UID RFC822.SIZE)", context);
  if (!tag) return tag.error();
  sizes_.assign(uids.size(), 0);
  sized_ = {std::move(*tag), std::move(uids)};
  return {};
}

Result<std::vector<std::uint64_t>> Session::sizes(Context& context) {
  allow(kLongAnswer + under_way());
  auto answer = finish(
      sized_.tag, [this](Response& response) { take_fetch(response); }, context);
  sized_ = {};
  if (!answer) return answer.error();
  return std::exchange(sizes_, {});  // a refusal leaves them unsaid
}

Result<void> Session::ask(std::vector<std::uint32_t> uids, std::uint64_t bytes, Context& context) {
  // One byte more than is taken shows that a mail is longer than its size said.
  auto tag = send("UID FETCH " + range_of(uids) + " (UID BODY.PEEK[]<0." +
                      std::to_string(most_bytes_ + 1) + ">)",
                  context);
  if (!tag) return tag.error();
  asked_.push_back({std::move(*tag), std::move(uids), bytes, most_bytes_});
  return {};
}

// Of what nobody asked for, and of a second answer, nothing is kept.
void Session::take_fetch(Response& response) {
  auto one = said(response);
  if (one && one->size > 0) {
    const auto& uids = sized_.uids;
    const auto at = std::lower_bound(uids.begin(), uids.end(), one->uid);
    if (at != uids.end() && *at == one->uid) sizes_[at - uids.begin()] = one->size;
  }
  if (!one || !one->bytes) return;
  const auto asked = std::find_if(asked_.begin(), asked_.end(), [&](const Asked& each) {
    return std::binary_search(each.uids.begin(), each.uids.end(), one->uid);
  });
  if (asked == asked_.end() || !asked->came.insert(one->uid).second) return;
  Fetched mail{one->uid, std::move(*one->bytes), false};
  if (mail.bytes.size() > asked->most) mail = {one->uid, {}, true};
  asked->handed.mails.push_back(std::move(mail));
}

// What may come for all the fetches: servers guess at sizes, and one mail may be of any.
std::uint64_t Session::under_way() const {
  std::uint64_t bytes = asked_.empty() ? 0 : most_bytes_;
  for (const Asked& each : asked_) bytes += 2 * each.bytes;
  return bytes;
}

Result<Handed> Session::collect(Context& context) {
  allow(kLongAnswer + under_way());
  auto answer = finish(
      asked_.front().tag, [this](Response& response) { take_fetch(response); }, context);
  Handed out = std::move(asked_.front().handed);
  asked_.pop_front();
  if (!answer) return answer.error();
  if (answer->name != "OK") {
    out.refused = refused("to hand over mails", *answer).message;
    out.for_now =
        answer->code == "UNAVAILABLE" || answer->code == "INUSE" || answer->code == "LIMIT";
  }
  std::sort(out.mails.begin(), out.mails.end(),
            [](const Fetched& a, const Fetched& b) { return a.uid < b.uid; });
  return out;
}

Result<Handed> Session::piece(std::uint32_t uid, std::uint64_t from, std::uint32_t size,
                              Context& context) {
  auto tag = send("UID FETCH " + std::to_string(uid) + " (UID BODY.PEEK[]<" + std::to_string(from) +
                      "." + std::to_string(size) + ">)",
                  context);
  if (!tag) return tag.error();
  asked_.push_back({std::move(*tag), {uid}, size, size});
  return collect(context);
}

}  // namespace voxbus::email::imap
