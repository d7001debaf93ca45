// SPDX-License-Identifier: Apache-2.0
// The command's way to the daemon: HTTP over its Unix socket, or over TCP with a token, by libcurl.
// One thread. Outages and refusals are thrown as Trouble, which main turns into an exit code.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"

namespace voxbus::config {
struct Configuration;
}

namespace voxbus::cli {

// Exit codes, after sysexits.h.
inline constexpr int kFailed = 1, kMisused = 2, kUnreachable = 69, kConfiguration = 78;

struct Trouble {
  int code = kFailed;
  std::string message;
};

// What the command line says before any command.
struct Common {
  std::filesystem::path configuration = "/etc/voxbus";
  std::string url;         // http://HOST:PORT; empty: the daemon of the configuration
  std::string token_file;  // for TCP
  bool json = false;
};

struct Answer {
  long status = 0;
  std::string body;
  std::map<std::string, std::string> headers;  // names in lower case
};

// One segment of a path, or one value of a query, with everything else than letters and digits
// escaped (RFC 3986): what a user typed must not become another path.
[[nodiscard]] std::string escaped(std::string_view text);

// "?a=b&c=d" with everything escaped; empty without parameters.
class Query {
 public:
  Query& add(std::string_view name, std::string_view value);
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
};

class Connection {
 public:
  // Takes --url, or finds the daemon by its endpoint.json, or, where that cannot be read, by its
  // socket: the configured one, the runtime directory's, the one beside the state. Throws
  // Trouble{kUnreachable}.
  explicit Connection(const Common& common);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Throws Trouble when the daemon cannot be reached, or refuses (status 400 and above).
  Answer get(const std::string& path, const std::string& accept = "application/json");
  Answer send(const std::string& method, const std::string& path, const json::object& body = {});
  json::value get_json(const std::string& path);

  // Feeds `take` as bytes arrive, until it gives false or the stream ends; false when it ended by
  // itself or broke, so that the caller may come back for more. Throws when the daemon refuses.
  bool stream(const std::string& path, const std::vector<std::string>& headers,
              const std::function<bool(std::string_view)>& take);

 private:
  struct Handle;
  void find_without_endpoint(const Common& common, const config::Configuration& configuration,
                             const std::filesystem::path& file);
  Answer perform(const std::string& method, const std::string& path, const std::string& body,
                 const std::vector<std::string>& headers,
                 const std::function<bool(std::string_view)>* take);
  std::unique_ptr<Handle> handle_;
  std::string base_, socket_, token_;
};

}  // namespace voxbus::cli
