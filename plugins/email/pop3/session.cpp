// SPDX-License-Identifier: Apache-2.0
#include "pop3/session.hpp"

#include <curl/curl.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "tls_name.hpp"
#include "voxbus/text.hpp"

namespace voxbus::email::pop3 {
namespace {

constexpr long kConnectSeconds = 30;
constexpr long kSilenceSeconds = 120;
constexpr int kTurnMilliseconds = 100;  // how long stop may wait for us
constexpr std::size_t kMostListing = 64u << 20;
constexpr std::size_t kMostUniqueId = 70;

// For the life of the process: libcurl's start is not thread-safe, a channel's only thread is.
bool start_curl() {
  static const bool started = ::curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
  return started;
}

struct EasyEnd {
  void operator()(CURL* handle) const { ::curl_easy_cleanup(handle); }
};
struct MultiEnd {
  void operator()(CURLM* handle) const { ::curl_multi_cleanup(handle); }
};

}  // namespace

struct Session::Parts {
  Server server;
  Login login;
  // The easy handle goes first: its connection is the other's.
  std::unique_ptr<CURLM, MultiEnd> multi;
  std::unique_ptr<CURL, EasyEnd> easy;
  std::array<char, CURL_ERROR_SIZE> words{};
  std::string refusal;  // the server's last -ERR
  const OnBytes* on_bytes = nullptr;
  bool connected = false;
  bool again = false;  // libcurl connected anew by itself: numbers mean other mails now

  static std::size_t take(char* bytes, std::size_t size, std::size_t count, void* parts) noexcept {
    try {
      (*static_cast<Parts*>(parts)->on_bytes)({bytes, size * count});
      return size * count;
    } catch (...) {
      return 0;  // libcurl is C: it ends the transfer
    }
  }
  static std::size_t take_line(char* bytes, std::size_t size, std::size_t count,
                               void* parts) noexcept {
    const std::string_view line{bytes, size * count};
    try {
      if (line.starts_with("-ERR")) static_cast<Parts*>(parts)->refusal = line.substr(0, 500);
    } catch (...) {
      return 0;
    }
    return size * count;
  }
  static CURLcode expect(CURL*, void* context, void* parts) noexcept {
    expect_name(::SSL_CTX_get0_param(static_cast<SSL_CTX*>(context)),
                static_cast<Parts*>(parts)->server.host);
    return CURLE_OK;
  }
};

Session::Session(Server server, Login login) : parts_{std::make_unique<Parts>()} {
  parts_->server = std::move(server);
  parts_->login = std::move(login);
}
Session::~Session() {
  if (parts_->multi && parts_->easy)
    ::curl_multi_remove_handle(parts_->multi.get(), parts_->easy.get());
}

Error Session::failed(int code) const {
  const auto& p = *parts_;
  const std::string who = p.server.shown();
  std::string said = p.refusal;
  while (!said.empty() && (said.back() == '\r' || said.back() == '\n')) said.pop_back();
  said = to_utf8(said);
  const auto has = [&](const char* word) { return said.find(word) != said.npos; };
  switch (code) {
    case CURLE_LOGIN_DENIED:
      // RFC 2449 and 3206: the maildrop is in use, or the login was right and something else fails.
      if (has("[IN-USE]") || has("[LOGIN-DELAY]") || has("[SYS/"))
        return Error::retry(who + " refuses the login for now: " + said);
      return Error::permanent(who + " refuses the login of " + p.login.user +
                              (said.empty() ? "" : ": " + said) + "; mend 'user' or 'password'");
    case CURLE_PEER_FAILED_VERIFICATION:
      return Error::permanent("the certificate of " + who + " is not trusted: " + p.words.data());
    case CURLE_SSL_CACERT_BADFILE:
      return Error::permanent("cannot read the certificates of " + p.server.authorities.string());
    case CURLE_USE_SSL_FAILED:
      return Error::permanent(who +
                              " does not offer STLS: 'tls: implicit' and its port are the "
                              "better choice anyway");
    default:
      const char* why =
          p.words[0] != '\0' ? p.words.data() : ::curl_easy_strerror(static_cast<CURLcode>(code));
      return Error::retry("cannot read from " + who + ": " + to_utf8(why) +
                          (said.empty() ? "" : " (" + said + ")"));
  }
}

Result<void> Session::transfer(const std::string& path, const OnBytes& on_bytes, Context& context) {
  auto& p = *parts_;
  const bool literal = p.server.host.find(':') != p.server.host.npos;
  const std::string url = std::string{p.server.tls == Tls::kImplicit ? "pop3s" : "pop3"} + "://" +
                          (literal ? "[" + p.server.host + "]" : p.server.host) + ":" +
                          std::to_string(p.server.port) + "/" + path;
  CURL* const easy = p.easy.get();
  ::curl_easy_setopt(easy, CURLOPT_URL, url.c_str());
  p.on_bytes = &on_bytes;
  p.words[0] = '\0';
  p.refusal.clear();
  if (::curl_multi_add_handle(p.multi.get(), easy) != CURLM_OK)
    return Error::retry("libcurl cannot begin");
  int code = -1;
  while (code < 0) {
    if (context.stopping()) throw Stopped{};
    int running = 0;
    if (::curl_multi_perform(p.multi.get(), &running) != CURLM_OK)
      return Error::retry("libcurl cannot go on");
    int left = 0;
    while (const CURLMsg* message = ::curl_multi_info_read(p.multi.get(), &left)) {
      if (message->msg == CURLMSG_DONE) code = message->data.result;
    }
    if (code < 0) ::curl_multi_poll(p.multi.get(), nullptr, 0, kTurnMilliseconds, nullptr);
  }
  long connections = 0;
  ::curl_easy_getinfo(easy, CURLINFO_NUM_CONNECTS, &connections);
  ::curl_multi_remove_handle(p.multi.get(), easy);
  p.again = p.connected && connections > 0;
  p.connected = true;
  if (code != CURLE_OK) return failed(code);
  return {};
}

Result<std::vector<Listed>> Session::open(Context& context) {
  auto& p = *parts_;
  if (!start_curl()) return Error::retry("libcurl cannot start");
  p.multi.reset(::curl_multi_init());
  p.easy.reset(::curl_easy_init());
  CURL* const easy = p.easy.get();
  if (!p.multi || !easy) return Error::retry("libcurl has no memory");
  ::curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, p.words.data());
  ::curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &Parts::take);
  ::curl_easy_setopt(easy, CURLOPT_WRITEDATA, &p);
  ::curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &Parts::take_line);
  ::curl_easy_setopt(easy, CURLOPT_HEADERDATA, &p);
  ::curl_easy_setopt(easy, CURLOPT_USERNAME, p.login.user.c_str());
  ::curl_easy_setopt(easy, CURLOPT_PASSWORD, p.login.password.c_str());
  ::curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "pop3,pop3s");
  ::curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
  ::curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  ::curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
  ::curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
  ::curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, kSilenceSeconds);
  ::curl_easy_setopt(easy, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  // libcurl takes the subject's name where a certificate has no other.
  ::curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, &Parts::expect);
  ::curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, &p);
  // Never without, unless the configuration says so.
  ::curl_easy_setopt(
      easy, CURLOPT_USE_SSL,
      static_cast<long>(p.server.tls == Tls::kNone ? CURLUSESSL_NONE : CURLUSESSL_ALL));
  if (!p.server.authorities.empty())
    ::curl_easy_setopt(easy, CURLOPT_CAINFO, p.server.authorities.c_str());

  std::string listing;
  bool endless = false;
  ::curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, "UIDL");
  auto listed = transfer(
      "",
      [&](std::string_view bytes) {
        endless = endless || listing.size() + bytes.size() > kMostListing;
        if (endless) throw Stopped{};
        listing += bytes;
      },
      context);
  if (endless) return Error::retry(p.server.shown() + " never comes to an end of its list");
  if (!listed) return listed.error();
  ::curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, nullptr);
  std::vector<Listed> out;
  for (std::string_view left = listing; !left.empty();) {
    auto line = left.substr(0, left.find('\n'));
    left.remove_prefix(std::min(left.size(), line.size() + 1));
    if (line.ends_with('\r')) line.remove_suffix(1);
    Listed one;
    const char* end = line.data() + line.size();
    const auto [stop, error] = std::from_chars(line.data(), end, one.number);
    if (error != std::errc{} || stop == end || *stop != ' ' || one.number == 0) continue;
    one.unique_id.assign(stop + 1, end);
    if (one.unique_id.empty() || one.unique_id.size() > kMostUniqueId)
      return Error::retry(p.server.shown() + " names a mail by " +
                          std::to_string(one.unique_id.size()) + " characters, of 1 to 70");
    out.push_back(std::move(one));
  }
  return out;
}

Result<void> Session::fetch(const Listed& mail, const OnBytes& on_bytes, Context& context) {
  auto taken = transfer(std::to_string(mail.number), on_bytes, context);
  if (taken && parts_->again)
    return Error::retry(parts_->server.shown() +
                        " ended the session: numbers mean other mails now");
  return taken;
}

}  // namespace voxbus::email::pop3
