// SPDX-License-Identifier: Apache-2.0
#include "journal/key_maker.hpp"

#include <exception>

#include "journal/threads.hpp"

namespace voxbus::journal {

KeyMaker::KeyMaker(Keys& keys, Shared& shared, std::chrono::milliseconds space_retry)
    : keys_(keys), shared_(shared), space_retry_(space_retry) {
  thread_ = start_thread("journal-keys", shared_, [this] { run(); });
}

bool KeyMaker::ensure(KeyId last) {
  if (keys_.made() >= last) {
    // Still say so, because what is ahead shrinks.
    need_.with([&](Need& need) { need.last = std::max(need.last, last); });
    need_.notify_all();
    return true;
  }
  need_.with([&](Need& need) { need.last = std::max(need.last, last); });
  need_.notify_all();
  return need_.when([&](const Need& need) { return need.stopping || keys_.made() >= last; },
                    [&](const Need&) { return keys_.made() >= last; });
}

void KeyMaker::stop() {
  need_.with([](Need& need) { need.stopping = true; });
  need_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void KeyMaker::run() {
  for (;;) {
    const bool go_on = need_.when(
        [&](const Need& need) { return need.stopping || keys_.made() < need.last + kAhead; },
        [](const Need& need) { return !need.stopping; });
    if (!go_on) return;
    const auto made = keys_.make_block();
    if (made) {
      // Under the lock, so that nobody checks just before and waits just after.
      need_.with([](Need&) {});
      need_.notify_all();
      continue;
    }
    const bool permanent = made.error().kind == Error::Kind::permanent;
    if (permanent) shared_.fail(made.error(), {});
    // A full disk is waited for, but not by a journal that stops.
    const bool over = shared_.pipeline.with([](const PipelineState& state) {
      return state.stopping || state.failed || state.writer_gone;
    });
    if (permanent || over) {
      need_.with([](Need& need) { need.stopping = true; });
      need_.notify_all();
      return;
    }
    need_.when_for(
        space_retry_, [](const Need& need) { return need.stopping; }, [](const Need&, bool) {});
  }
}

}  // namespace voxbus::journal
