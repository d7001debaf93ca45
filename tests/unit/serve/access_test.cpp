// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <sys/stat.h>

#include "serve/access.hpp"
#include "serve_fixture.hpp"

namespace voxbus::serve {
namespace {

using test::Connection;
using testing::HasSubstr;
using testing::Not;

class ServingAccess : public test::Serving {
 protected:
  static std::string request(const std::string& secret, const std::string& target) {
    return "GET " + target + " HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + secret +
           "\r\n\r\n";
  }
  unsigned status_with(const std::string& secret) {
    auto connection = connect();
    connection.say(request(secret, "/v1/status"));
    return connection.reply().value().status;
  }
};

TEST_F(ServingAccess, AsksForATokenOverTcp) {
  start();
  auto connection = connect();
  connection.say("GET /v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const auto reply = connection.reply();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 401u);
  EXPECT_THAT(reply->headers.at("www-authenticate"), HasSubstr("Bearer"));
  EXPECT_EQ(reply->headers.at("content-type"), "application/problem+json");
  EXPECT_EQ(reply->text("type"), "urn:voxbus:problem:unauthorised");
  for (const auto* wrong : {"Bearer", "Bearer ", "Bearer x", "Basic dXNlcjpwYXNz", "bearer  "}) {
    connection.say("GET /v1/status HTTP/1.1\r\nHost: localhost\r\nAuthorization: " +
                   std::string(wrong) + "\r\n\r\n");
    EXPECT_EQ(connection.reply()->status, 401u) << wrong;
  }
  connection.say("GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_EQ(connection.reply()->status, 401u) << "which paths exist is nobody's business";
}

TEST_F(ServingAccess, KnowsATokenAsSoonAsItIsMadeAndForgetsItWhenItIsRemoved) {
  start();
  EXPECT_EQ(status_with(token), 200u);
  const auto second = add_token(options.tokens, "second");
  ASSERT_TRUE(second);
  EXPECT_EQ(status_with(*second), 200u);
  ASSERT_TRUE(remove_token(options.tokens, "second"));
  EXPECT_EQ(status_with(*second), 401u);
  EXPECT_EQ(status_with(token), 200u);
}

TEST_F(ServingAccess, EndsWhatARemovedTokenHadOpened) {
  options.bookmark_every = std::chrono::hours(1);  // or a stream that lives on is never silent
  start();
  const auto second = add_token(options.tokens, "second");
  ASSERT_TRUE(second);
  auto stream = connect(), local = connect_local(), waiting = connect(), kept = connect();
  auto other = connect(), tokenless = connect_local();
  for (auto* one : {&stream, &local}) {
    one->say(request(*second, "/v1/stream"));
    ASSERT_TRUE(one->until("\n\n"));
  }
  waiting.say(request(*second, "/v1/events?from=now&wait=60s"));
  kept.say(request(*second, "/v1/status"));
  ASSERT_EQ(kept.reply()->status, 200u);
  other.say(request(token, "/v1/stream"));
  ASSERT_TRUE(other.until("\n\n"));
  tokenless.say("GET /v1/stream HTTP/1.1\r\n\r\n");
  ASSERT_TRUE(tokenless.until("\n\n"));
  ASSERT_TRUE(add_token(options.tokens, "third")) << "a change that takes nothing from anybody";
  ASSERT_TRUE(remove_token(options.tokens, "second"));
  // A new one of the same name is another token.
  ASSERT_TRUE(add_token(options.tokens, "second"));
  const test::Deadline deadline;
  EXPECT_TRUE(stream.closes(deadline));
  EXPECT_TRUE(local.closes(deadline));
  EXPECT_TRUE(waiting.closes(deadline)) << "without waiting for news";
  EXPECT_TRUE(kept.closes(deadline));
  journal.write({.text = "still here"});
  EXPECT_TRUE(other.until("still here"));
  EXPECT_TRUE(tokenless.until("still here"));
}

TEST_F(ServingAccess, KeepsTokensHashedAndPrivate) {
  const auto text = *read_file(options.tokens);
  EXPECT_THAT(text, Not(HasSubstr(token)));
  EXPECT_THAT(token, testing::MatchesRegex("vxb_[0-9a-f]{40}"));
  struct stat file {};
  ASSERT_EQ(::stat(options.tokens.c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 0777, 0600u);
  EXPECT_FALSE(add_token(options.tokens, "tester")) << "a name stands for one token";
  EXPECT_FALSE(add_token(options.tokens, "a b"));
  EXPECT_FALSE(remove_token(options.tokens, "nobody"));
  EXPECT_EQ(read_tokens(options.tokens)->size(), 1u);
}

TEST_F(ServingAccess, TakesNoTokenForAnotherThatOnlyBeginsAlike) {
  start();
  for (std::size_t size = 1; size < token.size(); ++size)
    EXPECT_EQ(status_with(token.substr(0, size)), 401u) << size;
  EXPECT_EQ(status_with(token + "0"), 401u);
  // The same of the digests: one that ends otherwise, one that ends too early, none at all.
  const auto digest = read_tokens(options.tokens)->front().sha256;
  auto other = digest;
  other.back() = other.back() == '0' ? '1' : '0';
  for (const auto& kept : {other, digest.substr(0, digest.size() / 2), std::string()}) {
    ASSERT_TRUE(replace_file(options.tokens,
                             R"({"tokens":[{"name":"alike","sha256":")" + kept + R"("}]})"));
    EXPECT_EQ(status_with(token), 401u) << "'" << kept << "'";
  }
}

TEST_F(ServingAccess, KeepsItsTokensWhileTheirFileIsUnreadable) {
  start();
  EXPECT_EQ(get("/v1/status").status, 200u);
  ASSERT_TRUE(replace_file(options.tokens, "no json at all"));
  EXPECT_EQ(get("/v1/status").status, 200u);
}

TEST_F(ServingAccess, RefusesForeignHostNames) {
  options.hosts = {"voxbus.example.org"};
  start();
  const auto status = [&](const std::string& host) {
    auto connection = connect();
    connection.say("GET /healthz HTTP/1.1\r\nHost: " + host + "\r\n\r\n");
    return connection.reply()->status;
  };
  for (const auto* ours : {"localhost", "LOCALHOST:1", "127.0.0.1", "127.0.0.1:8420",
                           "voxbus.example.org", "Voxbus.Example.org:99"}) {
    EXPECT_EQ(status(ours), 200u) << ours;
  }
  for (const auto* foreign :
       {"evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8420", "10.0.0.1"}) {
    EXPECT_EQ(status(foreign), 403u) << foreign;
  }
  auto connection = connect();
  connection.say("GET /healthz HTTP/1.1\r\n\r\n");
  EXPECT_EQ(connection.reply()->status, 400u) << "no host at all";
}

TEST_F(ServingAccess, TakesTheHostOfAnAbsoluteTargetForTheOneThatIsMeant) {
  start();
  const auto status = [&](const std::string& target, const std::string& rest) {
    auto connection = connect();
    connection.say("GET " + target + rest + "\r\n\r\n");
    return connection.reply()->status;
  };
  const std::string ours = " HTTP/1.1\r\nHost: localhost",
                    foreign = " HTTP/1.1\r\nHost: evil.example";
  for (const auto* target : {"http://localhost/healthz", "HTTP://LocalHost:8420/healthz",
                             "https://127.0.0.1/healthz?", "http://localhost/healthz#x"}) {
    EXPECT_EQ(status(target, ours), 200u) << target;
    EXPECT_EQ(status(target, foreign), 200u) << target << ": Host does not count";
    EXPECT_EQ(status(target, " HTTP/1.0"), 200u) << target;
    EXPECT_EQ(status(target, " HTTP/1.1"), 400u) << target << ": Host is there nevertheless";
  }
  EXPECT_EQ(status("http://evil.example/healthz", ours), 403u);
  EXPECT_EQ(status("http://evil.example/healthz", " HTTP/1.0"), 403u);
  EXPECT_EQ(status("http://localhost", ours), 401u) << "the root is no open path";
  for (const auto* none :
       {"http:///healthz", "http://localhost@evil.example/healthz", "http://u:p@localhost/healthz",
        "ftp://localhost/healthz", "http:/localhost/healthz", "localhost/healthz", "http://:1/x",
        "http://local%68ost/healthz", "*"}) {
    EXPECT_EQ(status(none, ours), 400u) << none;
  }
}

TEST_F(ServingAccess, RefusesPagesOfForeignOrigins) {
  options.origins = {"https://desk.example.org"};
  start();
  const auto foreign = get("/v1/status", "Origin: https://evil.example\r\n");
  EXPECT_EQ(foreign.status, 403u);
  EXPECT_EQ(foreign.headers.count("access-control-allow-origin"), 0u);
  EXPECT_EQ(get("/v1/status", "Origin: null\r\n").status, 403u);
  const auto ours = get("/v1/status", "Origin: https://desk.example.org\r\n");
  EXPECT_EQ(ours.status, 200u);
  EXPECT_EQ(ours.headers.at("access-control-allow-origin"), "https://desk.example.org");
  auto connection = connect();
  connection.say(
      "OPTIONS /v1/status HTTP/1.1\r\nHost: localhost\r\nOrigin: https://desk.example.org\r\n\r\n");
  const auto asked = connection.reply();
  EXPECT_EQ(asked->status, 204u);
  EXPECT_THAT(asked->headers.at("access-control-allow-headers"), HasSubstr("Authorization"));
  auto local = connect_local();
  local.say("GET /v1/status HTTP/1.1\r\nOrigin: https://evil.example\r\n\r\n");
  EXPECT_EQ(local.reply()->status, 403u);
}

TEST_F(ServingAccess, ServesItsOwnUserAtTheUnixSocketWithoutAToken) {
  start();
  struct stat socket {};
  ASSERT_EQ(::stat(options.socket.c_str(), &socket), 0);
  EXPECT_EQ(socket.st_mode & 0777, 0660u);
  auto connection = connect_local();
  connection.say("GET /v1/status HTTP/1.1\r\nHost: anything\r\n\r\n");
  EXPECT_EQ(connection.reply()->status, 200u);
  connection.say("GET /v1/status HTTP/1.1\r\nAuthorization: Bearer wrong\r\n\r\n");
  EXPECT_EQ(connection.reply()->status, 401u) << "a wrong token is wrong everywhere";
}

TEST(Access, AdmitsRootTheServiceAndTheSocketsGroupOnly) {
  Access access({.listen = "127.0.0.1:1"});
  access.set_socket_group(4711);
  const auto admits = [&](uid_t uid, std::vector<gid_t> groups) {
    Peer peer;
    peer.by_unix_socket = true;
    peer.uid = uid;
    peer.groups = std::move(groups);
    peer.user = "someone";
    const auto verdict = access.identify(peer, {});
    EXPECT_EQ(verdict.refusal.has_value(), verdict.actor.empty());
    return !verdict.refusal;
  };
  EXPECT_TRUE(admits(0, {}));
  EXPECT_TRUE(admits(::geteuid(), {}));
  EXPECT_TRUE(admits(54321, {100, 4711}));
  EXPECT_FALSE(admits(54321, {100, 4712}));
}

TEST(Access, ReadsHostNames) {
  EXPECT_EQ(host_name("Example.org:8420"), "example.org");
  EXPECT_EQ(host_name("example.org."), "example.org");
  EXPECT_EQ(host_name("[::1]:8420"), "::1");
  EXPECT_EQ(host_name("[::1]"), "::1");
  EXPECT_EQ(host_name("::1"), "::1");
  EXPECT_EQ(host_name(""), "");
  EXPECT_EQ(host_name("["), "");
}

TEST_F(ServingAccess, LeavesHealthAndSchemasOpen) {
  start();
  auto connection = connect();
  for (const auto* path : {"/healthz", "/readyz", "/v1/schemas", "/v1/schemas/event.v1"}) {
    connection.say("GET " + std::string(path) + " HTTP/1.1\r\nHost: localhost\r\n\r\n");
    EXPECT_EQ(connection.reply()->status, 200u) << path;
  }
}

TEST_F(ServingAccess, SaysWhereItListensAndCleansUp) {
  start();
  const auto endpoint = *json::parse(*read_file(options.endpoint));
  const auto& object = endpoint.as_object();
  EXPECT_EQ(json::integer_at(object, "pid"), ::getpid());
  EXPECT_EQ(json::text_at(object, "listen"), "127.0.0.1:" + std::to_string(server->port()));
  EXPECT_EQ(json::text_at(object, "socket"), options.socket.string());
  EXPECT_EQ(json::text_at(object, "installation"), "test");
  auto open = connect();
  stop();
  EXPECT_TRUE(open.closes());
  EXPECT_FALSE(std::filesystem::exists(options.endpoint));
  EXPECT_FALSE(std::filesystem::exists(options.socket));
}

TEST_F(ServingAccess, TakesOverADeadDaemonsSocketButNothingElse) {
  std::filesystem::create_directory(journal.folder() / "run");
  {
    const FileDescriptor dead(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    options.socket.string().copy(address.sun_path, sizeof address.sun_path - 1);
    ASSERT_EQ(::bind(dead.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  start();
  stop();
  ASSERT_TRUE(replace_file(options.socket, "precious"));
  EXPECT_FALSE(Server::start(options, *journal, *feed, *consumers));
  EXPECT_EQ(*read_file(options.socket), "precious");
}

TEST_F(ServingAccess, TakesNoSocketAwayFromWhoAnswersThere) {
  start();
  auto second = options;
  second.endpoint = journal.folder() / "second.json";
  const auto refused = Server::start(second, *journal, *feed, *consumers);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("another program answers there"));
  EXPECT_THAT(refused.error().message, HasSubstr(options.socket.string()));
  auto local = connect_local();
  local.say("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_EQ(local.reply()->status, 200u);
}

TEST_F(ServingAccess, RemovesAtItsEndOnlyTheSocketThatItMade) {
  start();
  std::filesystem::remove(options.socket);
  ASSERT_TRUE(replace_file(options.socket, "somebody else's"));
  stop();
  EXPECT_TRUE(std::filesystem::exists(options.socket));
}

TEST_F(ServingAccess, SaysClearlyWhereItCannotListen) {
  start();
  auto second = options;
  second.listen = server->address();
  second.socket.clear();
  const auto taken = Server::start(second, *journal, *feed, *consumers);
  ASSERT_FALSE(taken);
  EXPECT_THAT(taken.error().message, HasSubstr("cannot listen on 127.0.0.1:"));
  for (const auto* bad : {"", "8420", "127.0.0.1", "localhost:port", "example.org:1", "::1:8420",
                          "[127.0.0.1]:1", "127.0.0.1:70000"}) {
    second.listen = bad;
    EXPECT_FALSE(Server::start(second, *journal, *feed, *consumers)) << bad;
  }
}

}  // namespace
}  // namespace voxbus::serve
