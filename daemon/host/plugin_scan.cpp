// SPDX-License-Identifier: Apache-2.0
#include "host/plugin_scan.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <limits>

#include "base/crypto.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "base/units.hpp"
#include "host/channel_socket.hpp"
#include "host/crash_mark.hpp"
#include "host/spawn.hpp"

namespace voxbus::host {
namespace {

namespace asio = boost::asio;

constexpr int kCrashesUntilSetAside = 2;
constexpr std::size_t kMostSeen = 4096;
constexpr std::size_t kChunk = 1 << 20;

// Memory of 0 is no limit at all.
std::uint64_t limit_of(std::uint64_t memory) {
  return memory == 0 ? std::numeric_limits<std::uint64_t>::max() : memory;
}

}  // namespace

struct PluginScan::Trial {
  Subject subject;
  std::string hash, key;
  Process process;
  ChannelSocket socket;
  asio::posix::stream_descriptor exited;  // watches the pidfd, owned by `process`
  asio::steady_timer deadline;
  bool too_long = false;
  bool reached_plugin = false;
  std::vector<Answer> answers;

  Trial(const Subject& about, Process child, FileDescriptor end, asio::io_context& loop)
      : subject(about),
        process(std::move(child)),
        socket(std::move(end), ChannelSocket::End::daemon),
        exited(loop, process.pidfd.get()),
        deadline(loop) {}
  ~Trial() { (void)exited.release(); }
};

PluginScan::PluginScan(asio::io_context& loop, Options options)
    : loop_(loop), options_(std::move(options)) {}

PluginScan::~PluginScan() {
  for (auto& [key, trial] : trials_) {
    trial->process.kill();
    (void)trial->process.reap();
  }
}

void PluginScan::examine(const Subject& subject, const FileDescriptor& library, Answer answer) {
  const auto say = [&](Status status) {
    asio::post(loop_, [answer = std::move(answer), status = std::move(status)] { answer(status); });
  };
  auto hash = hash_of(library);
  if (!hash) return say(hash.error());
  const auto key = *hash + ' ' + subject.plugin + ' ' + std::to_string(subject.memory) + ' ' +
                   subject.settings.value_or("");
  if (sound_.contains(key)) return say({});
  if (const auto running = trials_.find(key); running != trials_.end()) {
    running->second->answers.push_back(std::move(answer));
    return;
  }
  if (auto refused = refusal_of(*hash, subject); !refused) return say(std::move(refused));
  auto trial = start(subject, library);
  if (!trial) return say(trial.error());
  (*trial)->hash = *hash;
  (*trial)->key = key;
  (*trial)->answers.push_back(std::move(answer));
  trials_[key] = *trial;
  watch(*trial);
}

Result<std::string> PluginScan::hash_of(const FileDescriptor& library) {
  struct stat status {};
  if (::fstat(library.get(), &status) != 0) return system_error("look at a library", errno);
  const auto nanoseconds = [](const timespec& at) {
    return std::int64_t{at.tv_sec} * 1'000'000'000 + at.tv_nsec;
  };
  if (seen_.size() > kMostSeen) seen_.clear();
  auto& seen = seen_[{status.st_dev, status.st_ino}];
  const Seen now{status.st_size, nanoseconds(status.st_mtim), nanoseconds(status.st_ctim), {}};
  if (!seen.hash.empty() && seen.size == now.size && seen.modified == now.modified &&
      seen.changed == now.changed) {
    return seen.hash;
  }
  // Read, not mapped: a file that somebody cuts short meanwhile must not end the daemon.
  Sha256 hash;
  std::vector<char> chunk(kChunk);
  for (off_t at = 0;;) {
    const auto got = ::pread(library.get(), chunk.data(), chunk.size(), at);
    if (got < 0) return system_error("read a library", errno);
    if (got == 0) break;
    hash.add({chunk.data(), static_cast<std::size_t>(got)});
    at += got;
  }
  seen = now;
  seen.hash = to_hex(as_text(hash.finish()));
  return seen.hash;
}

// The same start as a channel's process has, with the word that it is for a look only.
Result<std::shared_ptr<PluginScan::Trial>> PluginScan::start(const Subject& subject,
                                                             const FileDescriptor& library) {
  VOXBUS_TRY(mark, CrashMark::make());
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    return system_error("make a socket pair", errno);
  FileDescriptor ours(ends[0]), theirs(ends[1]);
  // What the library started may hold the other end for ever.
  if (::fcntl(ours.get(), F_SETFL, O_NONBLOCK) != 0)
    return system_error("make a socket non-blocking", errno);
  VOXBUS_TRY(child, spawn({.program = options_.host_program,
                           .socket = theirs.get(),
                           .plugin = library.get(),
                           .mark = mark.descriptor(),
                           .memory = subject.memory}));
  auto trial = std::make_shared<Trial>(subject, std::move(child), std::move(ours), loop_);
  Start frame;
  frame.plugin = subject.plugin;
  frame.build = options_.build;
  frame.purpose = subject.settings ? Start::Purpose::create : Start::Purpose::load;
  frame.settings = subject.settings.value_or("");
  if (auto sent = trial->socket.send(FrameType::start, encode(frame)); !sent) {
    trial->process.kill();  // its end is noticed like any other
  }
  return trial;
}

void PluginScan::wait_for_end(const std::shared_ptr<Trial>& trial) {
  trial->exited.async_wait(asio::posix::stream_descriptor::wait_read,
                           [this, trial](const boost::system::error_code& code) {
                             if (code) return;
                             // It may have been the call for another, see ProcessChannel::watch().
                             if (!trial->process.has_ended()) return wait_for_end(trial);
                             ended(trial);
                           });
}

void PluginScan::watch(const std::shared_ptr<Trial>& trial) {
  wait_for_end(trial);
  trial->deadline.expires_after(options_.within);
  trial->deadline.async_wait([trial](const boost::system::error_code& code) {
    if (code) return;
    trial->too_long = true;
    trial->process.kill();
  });
}

void PluginScan::ended(const std::shared_ptr<Trial>& trial) {
  trial->deadline.cancel();
  const auto verdict = judge(*trial);
  trials_.erase(trial->key);
  if (verdict) sound_.insert(trial->key);
  for (auto& answer : trial->answers) answer(verdict);
}

Status PluginScan::judge(Trial& trial) {
  // Ended first, with all that it started, so that nothing is written while we read.
  const auto end = trial.process.reap();
  std::optional<Status> said;
  if (trial.socket.receive()) {
    for (auto frame = trial.socket.next(); frame && *frame; frame = trial.socket.next()) {
      if ((*frame)->type == FrameType::loading) trial.reached_plugin = true;
      if ((*frame)->type == FrameType::ready) said = Status{};
      if ((*frame)->type != FrameType::refused) continue;
      if (auto outcome = decode<Outcome>((*frame)->payload)) {
        said = permanent(outcome->message);
      }
    }
  }
  if (said) return *said;
  const auto how =
      trial.too_long ? "took longer than " + format_duration(options_.within) : end.words;
  const auto& library = trial.subject.library;
  if (!trial.reached_plugin) {
    const auto& memory = trial.subject.memory;
    return retry("cannot try " + library.string() + ": before the process could load it, it " +
                 how +
                 (memory > 0 ? "; is its memory of " + format_size(memory) + " enough?" : ""));
  }
  if (!trial.too_long && !end.by_fault)
    return retry("cannot try " + library.string() + ": the process that loaded it " + how);
  if (++crashes_[{trial.hash, trial.subject.memory}] >= kCrashesUntilSetAside)
    set_aside(trial, how);
  if (auto refused = refusal_of(trial.hash, trial.subject); !refused) return refused;
  return retry("loading " + library.string() + " failed: the process that tried it " + how);
}

Status PluginScan::refusal_of(const std::string& hash, const Subject& subject) const {
  const auto kept = read_set_aside();
  const auto* entry = json::object_at(kept, hash);
  if (!entry) return {};
  const auto memory = json::integer_at(*entry, "memory").value_or(0);
  if (limit_of(subject.memory) > limit_of(static_cast<std::uint64_t>(memory))) return {};
  return permanent(
      subject.library.string() + " was set aside: the process that loaded it " +
      std::string(json::text_at(*entry, "reason").value_or("died")) + "; replace the file" +
      (options_.set_aside.empty() ? "" : ", or take it out of " + options_.set_aside.string()));
}

void PluginScan::set_aside(const Trial& trial, const std::string& how) {
  log::error("{} is set aside: twice the process that loaded it {}", trial.subject.library.string(),
             how);
  if (options_.set_aside.empty()) return;
  auto kept = read_set_aside();
  kept[trial.hash] = json::object{{"library", trial.subject.library.string()},
                                  {"plugin", trial.subject.plugin},
                                  {"reason", how},
                                  {"memory", trial.subject.memory},
                                  {"at", format_rfc3339(options_.clock->now())}};
  if (auto written = replace_file(options_.set_aside, json::serialize(kept) + '\n'); !written)
    log::error("{}", written.error().message);
}

// Read each time, so that what a person took out is out.
json::object PluginScan::read_set_aside() const {
  if (options_.set_aside.empty()) return {};
  const auto text = read_file(options_.set_aside, 1 << 20);
  if (!text) return {};  // there is none yet
  auto parsed = json::parse(*text);
  if (!parsed || !parsed->is_object()) {
    log::warn("{} is no JSON object and is passed over", options_.set_aside.string());
    return {};
  }
  return parsed->get_object();
}

}  // namespace voxbus::host
