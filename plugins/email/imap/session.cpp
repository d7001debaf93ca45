// SPDX-License-Identifier: Apache-2.0
#include "imap/session.hpp"

#include <openssl/rand.h>

#include <algorithm>
#include <charconv>
#include <map>

#include "imap/names.hpp"
#include "imap/sasl.hpp"
#include "voxbus/text.hpp"

namespace voxbus::email::imap {
namespace {

// Before somebody has logged in a server has little to say.
constexpr Limits kBeforeLogin{
    .literal = 16 << 10, .response = 64 << 10, .line = 32 << 10, .depth = 8, .values = 2000};
constexpr std::uint64_t kMostBeforeLogin = 128 << 10;
// What an answer may take. Beyond it is no answer but a flood: servers add news of their own, never
// megabytes of it.
constexpr std::uint64_t kShortAnswer = 1 << 20;
constexpr std::size_t kMostListed = 20'000;
constexpr std::size_t kLongestName = 1000;
// An answer that does not come to its end at the speed of an old modem has stopped.
constexpr auto kAnswerWithin = std::chrono::seconds{180};
constexpr std::uint64_t kSlowest = 32 << 10;  // bytes a second

std::string in_quotes(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

// A quoted text has no line breaks and no NUL; whoever configures one gets an error, not an
// injection.
bool fits_in_quotes(std::string_view text) {
  return text.find_first_of(std::string_view{"\r\n\0", 3}) == text.npos;
}

}  // namespace

Error Session::refused(const std::string& what, const Response& answer) const {
  return Error::retry(server_.shown() + " refuses " + what + ": " +
                      to_utf8(answer.text.substr(0, 500)));
}

Error Session::lost(Error error) {
  usable_ = false;
  return error;
}

// From now on, for the answers that are waited for.
void Session::allow(std::uint64_t bytes) {
  allowed_ = received_ + bytes;
  answer_by_ =
      std::chrono::steady_clock::now() + kAnswerWithin + std::chrono::seconds{bytes / kSlowest};
}

Result<void> Session::take(const Result<std::string_view>& bytes) {
  if (!bytes) return lost(bytes.error());
  received_ += bytes->size();
  if (received_ > allowed_) {
    return lost(
        Error::retry(server_.shown() + " sends more than its answer can be: not read any further"));
  }
  reader_.feed(*bytes);
  return {};
}

Result<std::string> Session::send(std::string_view command, Context& context) {
  std::string tag = tag_prefix_ + std::to_string(++last_tag_);
  if (auto sent = connection_.write(tag + " " + std::string{command} + "\r\n", context); !sent)
    return lost(sent.error());
  open_.insert(tag);
  return tag;
}

void Session::note_news(const Response& one) {
  const bool names = one.name == "LIST" && !listing_;
  other_mailboxes_ = other_mailboxes_ || names;
  news_ = news_ || names || one.name == "EXISTS" || (one.name == "STATUS" && !looking_);
}

Result<Response> Session::receive(Context& context) {
  for (;;) {
    auto response = reader_.next();
    if (!response) return lost(response.error());
    if (*response) {
      Response& one = **response;
      if (one.kind == Response::Kind::kUntagged) {
        if (one.name == "BYE")
          return lost(Error::retry(server_.shown() +
                                   " ends the session: " + to_utf8(one.text.substr(0, 500))));
        note_news(one);
      }
      if (one.name == "CAPABILITY" || one.code == "CAPABILITY") note_capabilities(one.values);
      return std::move(one);
    }
    if (std::chrono::steady_clock::now() > answer_by_)
      return lost(Error::retry(server_.shown() + " never comes to an end of its answer"));
    if (auto taken = take(connection_.read(context)); !taken) return taken.error();
  }
}

Result<Response> Session::finish(const std::string& tag, const OnData& on_data, Context& context) {
  for (;;) {
    if (auto early = early_.extract(tag)) return std::move(early.mapped());
    auto response = receive(context);
    if (!response) return response;
    if (response->kind == Response::Kind::kTagged) {
      if (open_.erase(response->tag) == 0)
        return lost(Error::retry(server_.shown() + " answers what was not asked"));
      early_[response->tag] = std::move(*response);
      continue;
    }
    if (response->kind == Response::Kind::kContinuation)
      return lost(Error::retry(server_.shown() + " waits for more than was to be said"));
    if (on_data) on_data(*response);
  }
}

Result<Response> Session::command(std::string_view text, std::uint64_t allowed,
                                  const OnData& on_data, Context& context) {
  allow(allowed);
  auto tag = send(text, context);
  if (!tag) return tag.error();
  return finish(*tag, on_data, context);
}

void Session::note_capabilities(const std::vector<Value>& values) {
  capabilities_.clear();
  for (const Value& value : values) capabilities_.insert(capitals(value.text));
}

Result<void> Session::ask_capabilities(Context& context) {
  auto answer = command("CAPABILITY", kMostBeforeLogin, {}, context);
  if (!answer) return answer.error();
  if (answer->name != "OK") return refused("to say what it can", *answer);
  return {};
}

Result<void> Session::open(const Login& login, Context& context) {
  if (!fits_in_quotes(login.user) || !fits_in_quotes(login.password))
    return Error::permanent("a user or password with a line break or NUL cannot be sent");
  if (auto opened = connection_.open(context); !opened) return opened;
  std::uint32_t random = 0;
  ::RAND_bytes(reinterpret_cast<unsigned char*>(&random), sizeof random);
  tag_prefix_ = "v" + std::to_string(random) + "x";
  reader_.set_limits(kBeforeLogin);
  allow(kMostBeforeLogin);
  auto greeting = receive(context);
  if (!greeting) return greeting.error();
  // PREAUTH leaves no room for STARTTLS, and would make us somebody we were not told to be.
  if (greeting->kind != Response::Kind::kUntagged || greeting->name != "OK")
    return Error::retry(server_.shown() + " does not greet as a mail server that wants a login");
  if (server_.tls == Tls::kStartTls) {
    if (auto secured = start_tls(context); !secured) return secured;
  }
  // What was said in clear is forgotten.
  capabilities_.clear();
  if (auto asked = ask_capabilities(context); !asked) return asked;
  if (auto let_in = authenticate(login, context); !let_in) return let_in;
  const auto literal =
      static_cast<std::size_t>(std::max<std::uint64_t>(most_bytes_, kLargestPiece)) + (64 << 10);
  reader_.set_limits({.literal = literal, .response = literal + (1 << 20)});
  if (auto asked = ask_capabilities(context); !asked) return asked;
  return can("NOTIFY") ? ask_for_news(context) : Result<void>{};
}

// Of all mailboxes, not only of the one that is open, and of those that come and go (RFC 5465). A
// server may know fewer events, which it says; a refusal only means that we look ourselves.
Result<void> Session::ask_for_news(Context& context) {
  for (const char* names : {" MailboxName", ""}) {
    auto answer = command(std::string{"NOTIFY SET (selected (MessageNew (UID) MessageExpunge)) "
                                      "(personal (MessageNew MessageExpunge"} +
                              names + "))",
                          kLongAnswer, {}, context);
    if (!answer) return answer.error();
    if (answer->name == "OK") {
      tells_of_mailboxes_ = *names != '\0';
      return {};
    }
    if (answer->code != "BADEVENT") break;
  }
  capabilities_.erase("NOTIFY");
  return {};
}

Result<void> Session::start_tls(Context& context) {
  auto answer = command("STARTTLS", kMostBeforeLogin, {}, context);
  if (!answer) return answer.error();
  if (answer->name != "OK")
    return Error::permanent(server_.shown() + " does not offer STARTTLS (" +
                            to_utf8(answer->text.substr(0, 200)) +
                            "): 'tls: implicit' and its port are the better choice anyway");
  // Whatever came behind the answer came in clear: from somebody in between.
  if (reader_.has_bytes())
    return Error::retry(server_.shown() + " sent more than its answer to STARTTLS: not trusted");
  return connection_.start_tls(context);
}

Result<void> Session::authenticate(const Login& login, Context& context) {
  if (server_.tls != Tls::kNone && !connection_.is_encrypted())
    return Error::permanent("the connection to " + server_.shown() + " is not encrypted");
  Result<Response> answer =
      Error::permanent(server_.shown() + " offers no way to log in that is known here");
  for (const char* mechanism : {"SCRAM-SHA-256", "PLAIN", "LOGIN"}) {
    if (!can(std::string{"AUTH="} + mechanism)) continue;
    answer = sasl(mechanism, login, context);
    if (!answer) return answer.error();
    break;
  }
  if (!answer && !can("LOGINDISABLED"))
    answer = command("LOGIN " + in_quotes(login.user) + " " + in_quotes(login.password),
                     kMostBeforeLogin, {}, context);
  if (!answer) return answer.error();
  if (answer->name == "OK") return {};
  if (answer->code == "UNAVAILABLE") return refused("the login for now", *answer);
  return Error::permanent(server_.shown() + " refuses the login of " + login.user + ": " +
                          to_utf8(answer->text.substr(0, 500)) + "; mend 'user' or 'password'");
}

Result<Response> Session::sasl(const std::string& mechanism, const Login& login, Context& context) {
  Exchange exchange{mechanism, login};
  if (!exchange.has_begun()) return Error::permanent("GNU SASL here knows no " + mechanism);
  allow(kMostBeforeLogin);
  auto tag = send("AUTHENTICATE " + mechanism, context);
  if (!tag) return tag.error();
  for (;;) {
    auto response = receive(context);
    if (!response) return response;
    if (response->kind == Response::Kind::kTagged) {
      open_.erase(*tag);
      if (response->tag != *tag)
        return Error::retry(server_.shown() + " answers what was not asked");
      // With SCRAM the server proves that it knows the password as well.
      if (response->name == "OK" && !exchange.has_finished())
        return Error::permanent(server_.shown() + " did not prove itself by " + mechanism);
      return response;
    }
    if (response->kind != Response::Kind::kContinuation) continue;
    const auto step = exchange.step(response->text);
    if (!step)
      return Error::permanent("the login to " + server_.shown() + " by " + mechanism + " failed");
    if (auto sent = connection_.write(*step + "\r\n", context); !sent) return sent.error();
  }
}

Result<std::vector<Listed>> Session::list(Context& context) {
  std::map<std::string, Listed> found;
  std::vector<std::string> order;
  other_mailboxes_ = false;
  listing_ = true;
  auto answer = command(R"(LIST "" "*")", kLongAnswer,
                        [&](Response& response) {
                          if (response.name != "LIST" || response.values.size() < 3) return;
                          std::string name = std::move(response.values[2].text);
                          if (capitals(name) == "INBOX") name = "INBOX";
                          if (name.empty() || name.size() > kLongestName || !fits_in_quotes(name) ||
                              found.size() > kMostListed)
                            return;
                          const auto [at, is_new] = found.try_emplace(name);
                          if (is_new) order.push_back(std::move(name));
                          at->second = {.name = at->first, .attributes = {}, .delimiter = {}};
                          for (const Value& attribute : response.values[0].items)
                            at->second.attributes.push_back(capitals(attribute.text));
                          if (response.values[1].kind == Value::Kind::kString)
                            at->second.delimiter = response.values[1].text;
                        },
                        context);
  listing_ = false;
  if (!answer) return answer.error();
  if (answer->name != "OK") return refused("to list its mailboxes", *answer);
  if (found.size() > kMostListed)
    return Error::retry(server_.shown() + " lists more than " + std::to_string(kMostListed) +
                        " mailboxes");
  std::vector<Listed> out;
  for (const std::string& name : order) out.push_back(std::move(found[name]));
  return out;
}

Result<std::vector<Standing>> Session::standing(const std::vector<std::string>& mailboxes,
                                                Context& context) {
  std::vector<Standing> out(mailboxes.size());
  std::map<std::string_view, Standing*> by_name;
  for (std::size_t i = 0; i < mailboxes.size(); ++i) by_name[mailboxes[i]] = &out[i];
  // Also of one that was not asked for just now: that is news which came in between.
  const auto take_status = [&](Response& response) {
    if (response.name != "STATUS" || response.values.size() < 2) return;
    std::string& name = response.values[0].text;
    if (capitals(name) == "INBOX") name = "INBOX";
    const auto found = by_name.find(name);
    if (found == by_name.end()) return;
    const auto& items = response.values[1].items;
    for (std::size_t k = 0; k + 1 < items.size(); k += 2) {
      if (items[k].is_atom("UIDVALIDITY")) found->second->validity = items[k + 1].number32();
      if (items[k].is_atom("UIDNEXT")) found->second->next = items[k + 1].number32();
    }
  };
  news_ = false;
  looking_ = true;
  constexpr std::size_t kAtOnce = 64;
  for (std::size_t begin = 0; begin < mailboxes.size(); begin += kAtOnce) {
    const auto end = std::min(begin + kAtOnce, mailboxes.size());
    std::vector<std::string> tags;
    for (std::size_t i = begin; i < end; ++i) {
      auto tag = send("STATUS " + in_quotes(mailboxes[i]) + " (UIDVALIDITY UIDNEXT)", context);
      if (!tag) return tag.error();
      tags.push_back(std::move(*tag));
    }
    for (const std::string& tag : tags) {
      allow(kShortAnswer);
      auto answer = finish(tag, take_status, context);
      if (!answer) return answer.error();
    }
  }
  looking_ = false;
  return out;
}

Result<Standing> Session::examine(const std::string& mailbox, Context& context) {
  Standing out;
  // How many mails there are is no news.
  bool news = news_;
  auto answer = command(
      "EXAMINE " + in_quotes(mailbox), kShortAnswer,
      [&](Response& response) {
        news = news || response.name == "STATUS" || response.name == "LIST";
        if (response.name == "EXISTS") out.exists = response.number.value_or(0);
        if (response.values.empty()) return;
        if (response.code == "UIDVALIDITY") out.validity = response.values[0].number32();
        if (response.code == "UIDNEXT") out.next = response.values[0].number32();
      },
      context);
  if (!answer) return answer.error();
  news_ = news;
  if (answer->name != "OK") return refused("mailbox " + shown_name(mailbox), *answer);
  if (out.validity == 0)
    return Error::retry(server_.shown() + " says no UIDVALIDITY of " + shown_name(mailbox));
  return out;
}

Result<std::vector<std::uint32_t>> Session::search(std::uint32_t first, std::uint32_t last,
                                                   Context& context) {
  auto out = search(std::to_string(first) + ":" + std::to_string(last), context);
  if (!out) return out;
  std::erase_if(*out, [&](std::uint32_t uid) { return uid < first || uid > last; });
  std::sort(out->begin(), out->end());
  out->erase(std::unique(out->begin(), out->end()), out->end());
  return out;
}

Result<std::uint32_t> Session::last_uid(Context& context) {
  auto found = search("*", context);
  if (!found) return found.error();
  return found->empty() ? 0 : *std::max_element(found->begin(), found->end());
}

Result<std::vector<std::uint32_t>> Session::search(const std::string& uids, Context& context) {
  std::vector<std::uint32_t> out;
  auto answer = command(
      "UID SEARCH UID " + uids, kLongAnswer,
      [&](Response& response) {
        if (response.name != "SEARCH") return;
        for (const Value& value : response.values) {
          if (const auto uid = value.number32(); uid > 0) out.push_back(uid);
        }
      },
      context);
  if (!answer) return answer.error();
  if (answer->name != "OK") return refused("to search", *answer);
  return out;
}

Result<bool> Session::idle(std::chrono::milliseconds time, Context& context) {
  // What was said meanwhile is not said again.
  if (std::exchange(news_, false)) return true;
  allow(kShortAnswer);
  if (!can("IDLE")) {
    auto bytes = connection_.wait(context, time);
    const bool came = !bytes || !bytes->empty();
    if (auto taken = take(bytes); !taken) return taken.error();
    return came;
  }
  auto tag = send("IDLE", context);
  if (!tag) return tag.error();
  for (;;) {
    auto response = receive(context);
    if (!response) return response.error();
    if (response->kind == Response::Kind::kContinuation) break;
    if (response->kind != Response::Kind::kTagged) continue;
    if (response->tag != *tag || response->name == "OK")
      return lost(Error::retry(server_.shown() + " answers what was not asked"));
    // It said that it could and does not: it is asked now and then instead.
    open_.erase(*tag);
    capabilities_.erase("IDLE");
    return false;
  }
  const auto until = std::chrono::steady_clock::now() + time;
  while (!news_) {
    auto response = reader_.next();
    if (!response) return lost(response.error());
    if (*response) {
      const Response& one = **response;
      if (one.kind != Response::Kind::kUntagged)
        return lost(Error::retry(server_.shown() + " answers what was not asked"));
      if (one.name == "BYE")
        return lost(Error::retry(server_.shown() +
                                 " ends the session: " + to_utf8(one.text.substr(0, 500))));
      note_news(one);
      continue;
    }
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    if (left.count() <= 0) break;
    if (auto taken = take(connection_.wait(context, left)); !taken) return taken.error();
  }
  if (auto sent = connection_.write("DONE\r\n", context); !sent) return lost(sent.error());
  allow(kShortAnswer);
  auto answer = finish(*tag, {}, context);
  if (!answer) return answer.error();
  return std::exchange(news_, false);
}

}  // namespace voxbus::email::imap
