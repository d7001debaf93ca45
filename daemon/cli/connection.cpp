// SPDX-License-Identifier: Apache-2.0
#include "cli/connection.hpp"

#include <curl/curl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "base/posix.hpp"
#include "config/configuration.hpp"

namespace voxbus::cli {
namespace {

[[noreturn]] void unreachable(const std::string& why) {
  throw Trouble{kUnreachable,
                why + "; is voxbusd running? (systemctl status voxbus, or --config, --url)"};
}

// An RFC 9457 document in one sentence.
[[noreturn]] void refused(const Answer& answer) {
  std::string message = "the daemon answered " + std::to_string(answer.status);
  if (const auto parsed = json::parse(answer.body); parsed && parsed->is_object()) {
    const auto& problem = parsed->get_object();
    message = std::string(json::text_at(problem, "title").value_or(message));
    if (const auto detail = json::text_at(problem, "detail"))
      message += ": " + std::string(*detail);
  }
  throw Trouble{kFailed, message};
}

struct Transfer {
  Answer answer;
  const std::function<bool(std::string_view)>* take = nullptr;
  CURL* handle = nullptr;
  bool given_up = false;  // by `take`
};

std::size_t on_body(char* data, std::size_t, std::size_t size, void* context) {
  auto& transfer = *static_cast<Transfer*>(context);
  long status = 0;
  ::curl_easy_getinfo(transfer.handle, CURLINFO_RESPONSE_CODE, &status);
  if (transfer.take && status < 400) {
    if ((*transfer.take)({data, size})) return size;
    transfer.given_up = true;
    return 0;
  }
  transfer.answer.body.append(data, size);
  return size;
}

std::size_t on_header(char* data, std::size_t, std::size_t size, void* context) {
  auto& transfer = *static_cast<Transfer*>(context);
  const std::string_view line(data, size);
  if (const auto colon = line.find(':'); colon != line.npos) {
    std::string name(line.substr(0, colon));
    for (auto& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    auto value = line.substr(colon + 1);
    while (!value.empty() && (value.back() == '\r' || value.back() == '\n' || value.back() == ' '))
      value.remove_suffix(1);
    while (!value.empty() && value.front() == ' ') value.remove_prefix(1);
    transfer.answer.headers[name] = value;
  }
  return size;
}

bool may(const std::filesystem::path& path, int mode) { return ::access(path.c_str(), mode) == 0; }

// Where the daemon's socket lies when its endpoint.json does not say so: it is in the state folder,
// which belongs to the service alone, while members of the socket's group may use the socket.
std::vector<std::filesystem::path> likely_sockets(const Common& common,
                                                  const config::Configuration& configuration,
                                                  bool state_is_closed) {
  if (!configuration.socket.empty()) return {configuration.socket};
  std::vector<std::filesystem::path> likely = {configuration.state / "voxbus.sock"};
  // systemd's RuntimeDirectory= of the service; of another configuration we cannot know it, and
  // must not ask the wrong daemon.
  const char* runtime = std::getenv("RUNTIME_DIRECTORY");
  if (state_is_closed && (runtime || common.configuration == Common{}.configuration)) {
    likely.insert(likely.begin(),
                  std::filesystem::path(runtime ? runtime : "/run/voxbus") / "voxbus.sock");
  }
  return likely;
}

}  // namespace

struct Connection::Handle {
  CURL* curl = ::curl_easy_init();
  ~Handle() { ::curl_easy_cleanup(curl); }
};

std::string escaped(std::string_view text) {
  if (text.empty()) return {};  // libcurl would take a length of 0 for "up to the NUL"
  char* out = ::curl_easy_escape(nullptr, text.data(), static_cast<int>(text.size()));
  std::string copy = out ? out : "";
  ::curl_free(out);
  return copy;
}

Query& Query::add(std::string_view name, std::string_view value) {
  text_ += text_.empty() ? '?' : '&';
  text_ += name;
  text_ += '=';
  text_ += escaped(value);
  return *this;
}

Connection::Connection(const Common& common)
    : handle_(std::make_unique<Handle>()), base_(common.url) {
  if (!common.token_file.empty()) {
    auto token = read_file(common.token_file, 4096);
    if (!token) throw Trouble{kFailed, token.error().message};
    token_ = token->substr(0, token->find_first_of("\r\n"));
  } else if (const char* token = std::getenv("VOXBUS_TOKEN")) {
    token_ = token;
  }
  if (!base_.empty()) return;

  config::Problems problems;
  const auto configuration = config::load(common.configuration, problems);
  const auto file = configuration.state / "endpoint.json";
  const auto text = read_file(file, 64 << 10);
  if (!text) {
    find_without_endpoint(common, configuration, file);
    return;
  }
  const auto parsed = json::parse(*text);
  if (!parsed || !parsed->is_object()) unreachable(file.string() + " cannot be read");
  const auto& endpoint = parsed->get_object();
  socket_ = json::text_at(endpoint, "socket").value_or("");
  base_ = "http://" + std::string(json::text_at(endpoint, "listen").value_or(""));
  // Without access to the socket a token still opens the other door.
  if (!socket_.empty() && ::access(socket_.c_str(), R_OK | W_OK) != 0 && !token_.empty())
    socket_.clear();
}
Connection::~Connection() = default;

void Connection::find_without_endpoint(const Common& common,
                                       const config::Configuration& configuration,
                                       const std::filesystem::path& file) {
  const bool closed = !may(file, R_OK) && errno == EACCES;
  std::string tried;
  bool refused = false;
  for (const auto& socket : likely_sockets(common, configuration, closed)) {
    if (may(socket, R_OK | W_OK)) {
      socket_ = socket.string();
      base_ = "http://localhost";
      return;
    }
    refused |= errno == EACCES;
    tried += "; cannot use " + socket.string() + ": " + std::strerror(errno);
  }
  if (!token_.empty() && !configuration.listen.ends_with(":0")) {
    base_ = "http://" + configuration.listen;
    return;
  }
  if (!closed) unreachable("no daemon has written " + file.string());
  throw Trouble{kUnreachable, "cannot read " + file.string() + ": " + std::strerror(EACCES) +
                                  tried +
                                  (refused ? "; root, the service's user and members of the "
                                             "socket's group may; others need --url and a token"
                                           : "; is voxbusd running?")};
}

Answer Connection::perform(const std::string& method, const std::string& path,
                           const std::string& body, const std::vector<std::string>& headers,
                           const std::function<bool(std::string_view)>* take) {
  CURL* curl = handle_->curl;
  ::curl_easy_reset(curl);
  Transfer transfer;
  transfer.take = take;
  transfer.handle = curl;
  char problem[CURL_ERROR_SIZE] = "";
  curl_slist* list = nullptr;
  for (const auto& header : headers) list = ::curl_slist_append(list, header.c_str());
  if (!token_.empty())
    list = ::curl_slist_append(list, ("Authorization: Bearer " + token_).c_str());
  list = ::curl_slist_append(list, "Expect:");
  ::curl_easy_setopt(curl, CURLOPT_URL, (base_ + path).c_str());
  if (!socket_.empty()) ::curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket_.c_str());
  ::curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  ::curl_easy_setopt(curl, CURLOPT_PROXY, "");
  ::curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method.c_str());
  if (!body.empty()) ::curl_easy_setopt(curl, CURLOPT_COPYPOSTFIELDS, body.c_str());
  ::curl_easy_setopt(curl, CURLOPT_HTTPHEADER, list);
  ::curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  ::curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 10L);
  // A stream may be silent for as long as its heart-beat; any answer must be whole in two minutes.
  if (take) {
    ::curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    ::curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, 60L);
  } else {
    ::curl_easy_setopt(curl, CURLOPT_TIMEOUT, 120L);
  }
  ::curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, problem);
  ::curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
  ::curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);
  ::curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
  ::curl_easy_setopt(curl, CURLOPT_HEADERDATA, &transfer);
  const CURLcode code = ::curl_easy_perform(curl);
  ::curl_slist_free_all(list);
  ::curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &transfer.answer.status);
  if (transfer.given_up) return std::move(transfer.answer);
  if (transfer.answer.status >= 400) refused(transfer.answer);
  if (code != CURLE_OK && !(take && transfer.answer.status == 200)) {
    // Of a socket libcurl speaks as if it had gone to an address.
    long cause = 0;
    if (!socket_.empty()) ::curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &cause);
    const std::string why = socket_.empty() && problem[0] ? problem
                            : cause != 0                  ? std::strerror(static_cast<int>(cause))
                                                          : ::curl_easy_strerror(code);
    unreachable("cannot reach the daemon at " + (socket_.empty() ? base_ : socket_) + ": " + why);
  }
  return std::move(transfer.answer);
}

Answer Connection::get(const std::string& path, const std::string& accept) {
  return perform("GET", path, {}, {"Accept: " + accept}, nullptr);
}
Answer Connection::send(const std::string& method, const std::string& path,
                        const json::object& body) {
  return perform(method, path, json::serialize(body), {"Content-Type: application/json"}, nullptr);
}
json::value Connection::get_json(const std::string& path) {
  auto parsed = json::parse(get(path).body, 64);
  if (!parsed) throw Trouble{kFailed, "the daemon's answer is no JSON: " + parsed.error().message};
  return std::move(*parsed);
}
bool Connection::stream(const std::string& path, const std::vector<std::string>& headers,
                        const std::function<bool(std::string_view)>& take) {
  bool ended_by_us = false;
  const std::function<bool(std::string_view)> taking = [&](std::string_view bytes) {
    ended_by_us = !take(bytes);
    return !ended_by_us;
  };
  perform("GET", path, {}, headers, &taking);
  return ended_by_us;
}

}  // namespace voxbus::cli
