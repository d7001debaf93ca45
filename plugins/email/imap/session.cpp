// SPDX-License-Identifier: Apache-2.0
#include "imap/session.hpp"

#include <gsasl.h>
#include <iconv.h>

#include <algorithm>
#include <charconv>

#include "voxbus/text.hpp"

namespace voxbus::email::imap {
namespace {

// Beyond this an answer is no answer but a flood.
constexpr std::size_t kMostResponses = 2'000'000;
// Before somebody has logged in a server has little to say.
constexpr std::size_t kMostBeforeLogin = 1'000;

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

std::string converted(const std::string& text, const char* to, const char* from) {
  const iconv_t converter = ::iconv_open(to, from);
  if (converter == reinterpret_cast<iconv_t>(-1)) return text;
  std::string out(text.size() * 8 + 16, '\0');
  char* in = const_cast<char*>(text.data());
  std::size_t in_left = text.size();
  char* at = out.data();
  std::size_t out_left = out.size();
  const bool done =
      ::iconv(converter, &in, &in_left, &at, &out_left) != static_cast<std::size_t>(-1) &&
      ::iconv(converter, nullptr, nullptr, &at, &out_left) != static_cast<std::size_t>(-1);
  ::iconv_close(converter);
  if (!done) return text;
  out.resize(out.size() - out_left);
  return out;
}

// GNU SASL, one exchange.
class Exchange {
 public:
  Exchange(const std::string& mechanism, const Login& login) {
    if (::gsasl_init(&library_) != GSASL_OK) library_ = nullptr;
    if (!library_ || ::gsasl_client_start(library_, mechanism.c_str(), &session_) != GSASL_OK) {
      session_ = nullptr;
      return;
    }
    set(GSASL_AUTHID, login.user);
    set(GSASL_PASSWORD, login.password);
  }
  ~Exchange() {
    if (session_) ::gsasl_finish(session_);
    if (library_) ::gsasl_done(library_);
  }
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  // The answer to a challenge, both in Base64; nothing when the server's word cannot be right.
  std::optional<std::string> step(const std::string& challenge) {
    if (!session_) return std::nullopt;
    char* out = nullptr;
    const int code = ::gsasl_step64(session_, challenge.c_str(), &out);
    std::string answer = out ? out : "";
    ::gsasl_free(out);
    finished_ = code == GSASL_OK;
    if (code != GSASL_OK && code != GSASL_NEEDS_MORE) return std::nullopt;
    return answer;
  }
  bool has_begun() const { return session_ != nullptr; }
  bool has_finished() const { return finished_; }

 private:
  void set(Gsasl_property property, const std::string& value) {
    (void)::gsasl_property_set(session_, property, value.c_str());
  }
  Gsasl* library_ = nullptr;
  Gsasl_session* session_ = nullptr;
  bool finished_ = false;
};

}  // namespace

std::string wire_name(const std::string& name) { return converted(name, "UTF-7-IMAP", "UTF-8"); }
std::string shown_name(const std::string& name) {
  return to_utf8(converted(name, "UTF-8", "UTF-7-IMAP"));
}

std::string set_of(const std::vector<std::uint32_t>& uids) {
  std::string out;
  for (std::size_t i = 0; i < uids.size();) {
    std::size_t end = i + 1;
    while (end < uids.size() && uids[end] == uids[end - 1] + 1) ++end;
    out += (out.empty() ? "" : ",") + std::to_string(uids[i]);
    if (end - i > 1) out += ":" + std::to_string(uids[end - 1]);
    i = end;
  }
  return out;
}

Error Session::refused(const std::string& what, const Response& answer) const {
  return Error::retry(server_.shown() + " refuses " + what + ": " +
                      to_utf8(answer.text.substr(0, 500)));
}

Result<std::string> Session::send(std::string_view command, Context& context) {
  std::string tag = "v" + std::to_string(++last_tag_);
  if (auto sent = connection_.write(tag + " " + std::string{command} + "\r\n", context); !sent)
    return sent.error();
  return tag;
}

Result<Response> Session::receive(Context& context) {
  for (;;) {
    auto response = reader_.next();
    if (!response) return response.error();
    if (*response) {
      if ((*response)->name == "BYE" && (*response)->kind == Response::Kind::kUntagged)
        return Error::retry(server_.shown() +
                            " ends the session: " + to_utf8((*response)->text.substr(0, 500)));
      return std::move(**response);
    }
    auto bytes = connection_.read(context);
    if (!bytes) return bytes.error();
    reader_.feed(*bytes);
  }
}

Result<Response> Session::finish(const std::string& tag, const OnData& on_data, Context& context) {
  const std::size_t most = capabilities_.empty() ? kMostBeforeLogin : kMostResponses;
  for (std::size_t count = 0; count < most; ++count) {
    auto response = receive(context);
    if (!response) return response;
    if (response->name == "CAPABILITY") note_capabilities(response->values);
    if (response->code == "CAPABILITY") note_capabilities(response->values);
    if (response->kind == Response::Kind::kTagged) {
      if (response->tag != tag)
        return Error::retry(server_.shown() + " answers what was not asked");
      return response;
    }
    if (response->kind == Response::Kind::kContinuation && !tag.empty() && !on_data)
      return Error::retry(server_.shown() + " waits for more than was to be said");
    if (on_data) on_data(*response);
  }
  return Error::retry(server_.shown() + " never comes to an end of its answer");
}

Result<Response> Session::command(std::string_view text, const OnData& on_data, Context& context) {
  auto tag = send(text, context);
  if (!tag) return tag.error();
  return finish(*tag, on_data, context);
}

void Session::note_capabilities(const std::vector<Value>& values) {
  capabilities_.clear();
  for (const Value& value : values) {
    std::string name = value.text;
    std::transform(name.begin(), name.end(), name.begin(),
                   [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
    capabilities_.insert(std::move(name));
  }
}

Result<void> Session::ask_capabilities(Context& context) {
  auto answer = command("CAPABILITY", {}, context);
  if (!answer) return answer.error();
  if (answer->name != "OK") return refused("to say what it can", *answer);
  return {};
}

Result<void> Session::open(const Login& login, Context& context) {
  if (!fits_in_quotes(login.user) || !fits_in_quotes(login.password))
    return Error::permanent("a user or password with a line break or NUL cannot be sent");
  if (auto opened = connection_.open(context); !opened) return opened;
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
  if (auto asked = ask_capabilities(context); !asked) return asked;
  if (can("NOTIFY")) {
    // Of all mailboxes, not only of the one that is open; a refusal only means that we look
    // ourselves.
    auto answer = command(
        "NOTIFY SET (selected (MessageNew (UID) MessageExpunge)) "
        "(personal (MessageNew MessageExpunge))",
        [](Response&) {}, context);
    if (!answer) return answer.error();
    if (answer->name != "OK") capabilities_.erase("NOTIFY");
  }
  return {};
}

Result<void> Session::start_tls(Context& context) {
  auto answer = command("STARTTLS", {}, context);
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
    answer =
        command("LOGIN " + in_quotes(login.user) + " " + in_quotes(login.password), {}, context);
  if (!answer) return answer.error();
  if (answer->name == "OK") return {};
  if (answer->code == "UNAVAILABLE") return refused("the login for now", *answer);
  return Error::permanent(server_.shown() + " refuses the login of " + login.user + ": " +
                          to_utf8(answer->text.substr(0, 500)) + "; mend 'user' or 'password'");
}

Result<Response> Session::sasl(const std::string& mechanism, const Login& login, Context& context) {
  Exchange exchange{mechanism, login};
  if (!exchange.has_begun()) return Error::permanent("GNU SASL here knows no " + mechanism);
  auto tag = send("AUTHENTICATE " + mechanism, context);
  if (!tag) return tag.error();
  for (std::size_t count = 0; count < kMostBeforeLogin; ++count) {
    auto response = receive(context);
    if (!response) return response;
    if (response->code == "CAPABILITY" || response->name == "CAPABILITY")
      note_capabilities(response->values);
    if (response->kind == Response::Kind::kTagged) {
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
  return Error::retry(server_.shown() + " never comes to an end of the login");
}

Result<std::vector<Listed>> Session::list(Context& context) {
  std::vector<Listed> out;
  auto answer = command(R"(LIST "" "*")",
                        [&](Response& response) {
                          if (response.name != "LIST" || response.values.size() < 3) return;
                          Listed one{response.values[2].text, {}};
                          for (const Value& attribute : response.values[0].items) {
                            std::string word = attribute.text;
                            std::transform(word.begin(), word.end(), word.begin(), [](char c) {
                              return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
                            });
                            one.attributes.push_back(std::move(word));
                          }
                          out.push_back(std::move(one));
                        },
                        context);
  if (!answer) return answer.error();
  if (answer->name != "OK") return refused("to list its mailboxes", *answer);
  return out;
}

namespace {

std::uint32_t small(const std::optional<std::uint64_t>& number) {
  return number && *number <= 0xFFFFFFFF ? static_cast<std::uint32_t>(*number) : 0;
}

}  // namespace

Result<std::vector<Standing>> Session::standing(const std::vector<std::string>& mailboxes,
                                                Context& context) {
  std::vector<Standing> out(mailboxes.size());
  constexpr std::size_t kAtOnce = 64;
  for (std::size_t begin = 0; begin < mailboxes.size(); begin += kAtOnce) {
    const auto end = std::min(begin + kAtOnce, mailboxes.size());
    std::vector<std::string> tags;
    for (std::size_t i = begin; i < end; ++i) {
      auto tag = send("STATUS " + in_quotes(mailboxes[i]) + " (UIDVALIDITY UIDNEXT)", context);
      if (!tag) return tag.error();
      tags.push_back(std::move(*tag));
    }
    for (std::size_t i = begin; i < end; ++i) {
      auto answer = finish(
          tags[i - begin],
          [&](Response& response) {
            if (response.name != "STATUS" || response.values.size() < 2 ||
                response.values[0].text != mailboxes[i])
              return;
            const auto& items = response.values[1].items;
            for (std::size_t k = 0; k + 1 < items.size(); k += 2) {
              if (items[k].is_atom("UIDVALIDITY")) out[i].validity = small(items[k + 1].number());
              if (items[k].is_atom("UIDNEXT")) out[i].next = small(items[k + 1].number());
            }
          },
          context);
      if (!answer) return answer.error();
    }
  }
  return out;
}

Result<Standing> Session::examine(const std::string& mailbox, Context& context) {
  Standing out;
  auto answer = command(
      "EXAMINE " + in_quotes(mailbox),
      [&](Response& response) {
        if (response.values.empty()) return;
        if (response.code == "UIDVALIDITY") out.validity = small(response.values[0].number());
        if (response.code == "UIDNEXT") out.next = small(response.values[0].number());
      },
      context);
  if (!answer) return answer.error();
  if (answer->name != "OK") return refused("mailbox " + shown_name(mailbox), *answer);
  if (out.validity == 0)
    return Error::retry(server_.shown() + " says no UIDVALIDITY of " + shown_name(mailbox));
  return out;
}

Result<std::vector<std::uint32_t>> Session::search(std::uint32_t first, Context& context) {
  std::vector<std::uint32_t> out;
  auto answer = command(
      "UID SEARCH UID " + std::to_string(first) + ":*",
      [&](Response& response) {
        if (response.name != "SEARCH") return;
        for (const Value& value : response.values) {
          // "5:*" names the last one also where that is below 5.
          if (const auto uid = small(value.number()); uid >= first && uid > 0) out.push_back(uid);
        }
      },
      context);
  if (!answer) return answer.error();
  if (answer->name != "OK") return refused("to search", *answer);
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

namespace {

// What a FETCH says of one mail.
std::optional<Fetched> fetched(Response& response) {
  if (response.name != "FETCH" || response.values.empty()) return std::nullopt;
  Fetched out;
  auto& items = response.values[0].items;
  for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
    if (items[i].is_atom("UID")) out.uid = small(items[i + 1].number());
    if (items[i].is_atom("RFC822.SIZE")) out.size = items[i + 1].number().value_or(0);
    std::string name = items[i].text.substr(0, 5);
    if (name == "BODY[" || name == "body[") out.bytes = std::move(items[i + 1].text);
  }
  if (out.uid == 0) return std::nullopt;
  return out;
}

}  // namespace

Result<std::vector<std::uint64_t>> Session::sizes(const std::vector<std::uint32_t>& uids,
                                                  Context& context) {
  std::vector<std::uint64_t> out(uids.size());
  auto answer = command(
      "UID FETCH " + set_of(uids) + " (UID RFC822.SIZE)",
      [&](Response& response) {
        const auto one = fetched(response);
        if (!one) return;
        const auto at = std::lower_bound(uids.begin(), uids.end(), one->uid);
        // News of a mail that nobody asked about, or of its flags, says no size.
        if (at != uids.end() && *at == one->uid && one->size > 0)
          out[at - uids.begin()] = one->size;
      },
      context);
  if (!answer) return answer.error();
  if (answer->name != "OK") return refused("to say how large mails are", *answer);
  return out;
}

Result<void> Session::ask(const std::vector<std::uint32_t>& uids, Context& context) {
  auto tag = send("UID FETCH " + set_of(uids) + " (UID BODY.PEEK[])", context);
  if (!tag) return tag.error();
  asked_.push_back(std::move(*tag));
  return {};
}

Result<std::vector<Fetched>> Session::collect(Context& context) {
  std::vector<Fetched> out;
  const std::string tag = asked_.front();
  asked_.erase(asked_.begin());
  auto answer = finish(
      tag,
      [&](Response& response) {
        if (auto one = fetched(response); one && !one->bytes.empty())
          out.push_back(std::move(*one));
      },
      context);
  if (!answer) return answer.error();
  if (answer->name != "OK") return refused("to hand over mails", *answer);
  std::sort(out.begin(), out.end(),
            [](const Fetched& a, const Fetched& b) { return a.uid < b.uid; });
  return out;
}

Result<std::string> Session::piece(std::uint32_t uid, std::uint64_t from, std::uint32_t size,
                                   Context& context) {
  std::string out;
  auto answer = command(
      "UID FETCH " + std::to_string(uid) + " (UID BODY.PEEK[]<" + std::to_string(from) + "." +
          std::to_string(size) + ">)",
      [&](Response& response) {
        if (auto one = fetched(response); one && one->uid == uid) out = std::move(one->bytes);
      },
      context);
  if (!answer) return answer.error();
  if (answer->name != "OK") return refused("to hand over a piece of a mail", *answer);
  return out;
}

Result<bool> Session::idle(std::chrono::milliseconds time, Context& context) {
  if (!can("IDLE")) {
    auto bytes = connection_.wait(context, time);
    if (!bytes) return bytes.error();
    reader_.feed(*bytes);
    return !bytes->empty();
  }
  auto tag = send("IDLE", context);
  if (!tag) return tag.error();
  bool begun = false;
  bool news = false;
  const auto until = std::chrono::steady_clock::now() + time;
  while (!news) {
    auto response = reader_.next();
    if (!response) return response.error();
    if (*response) {
      if ((*response)->kind == Response::Kind::kTagged)
        return refused("to wait with us", **response);
      if ((*response)->name == "BYE")
        return Error::retry(server_.shown() + " ends the session: " + to_utf8((*response)->text));
      begun = begun || (*response)->kind == Response::Kind::kContinuation;
      news = (*response)->name == "EXISTS" || (*response)->name == "RECENT" ||
             (*response)->name == "STATUS" || (*response)->name == "FETCH";
      continue;
    }
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    if (left.count() <= 0 && begun) break;
    auto bytes = begun ? connection_.wait(context, left) : connection_.read(context);
    if (!bytes) return bytes.error();
    reader_.feed(*bytes);
  }
  if (begun || news) {
    if (auto sent = connection_.write("DONE\r\n", context); !sent) return sent.error();
  }
  auto answer = finish(
      *tag, [](Response&) {}, context);
  if (!answer) return answer.error();
  return news;
}

}  // namespace voxbus::email::imap
