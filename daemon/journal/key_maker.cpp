// SPDX-License-Identifier: Apache-2.0
#include "journal/key_maker.hpp"

#include <utility>

#include "base/log.hpp"
#include "journal/threads.hpp"

namespace voxbus::journal {

KeyMaker::KeyMaker(const Keys& keys, MakeBlock make_block, Shared& shared,
                   std::chrono::milliseconds space_retry)
    : keys_(keys), make_block_(std::move(make_block)), shared_(shared), space_retry_(space_retry) {
  thread_ = start_thread("journal-keys", shared_, [this] { run(); });
}

bool KeyMaker::ensure(KeyId last) {
  // Said also when they are there, because what is ahead shrinks.
  need_.with([&](Need& need) { need.last = std::max(need.last, last); });
  need_.notify_all();
  for (;;) {
    const bool known = need_.when_for(
        space_retry_, [&](const Need& need) { return need.stopping || keys_.made() >= last; },
        [](const Need&, bool holds) { return holds; });
    if (known) return keys_.made() >= last;
    const bool full =
        shared_.pipeline.with([](const PipelineState& state) { return state.keys_wait_for_space; });
    if (full) shared_.deciding.beat();  // it turns; a maker that hangs is another matter
  }
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
    const auto made = make_block_();
    if (made) {
      note_space();
      // Under the lock, so that nobody checks just before and waits just after.
      need_.with([](Need&) {});
      need_.notify_all();
      continue;
    }
    const bool permanent = made.error().kind == Error::Kind::permanent;
    permanent ? shared_.fail(made.error(), {}) : note_waiting(made.error());
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

void KeyMaker::note_waiting(const Error& error) {
  const bool first = shared_.pipeline.with(
      [](PipelineState& state) { return !std::exchange(state.keys_wait_for_space, true); });
  if (first) log::error("{}; tried again until there is space", error.message);
}

void KeyMaker::note_space() {
  const bool waited = shared_.pipeline.with(
      [](PipelineState& state) { return std::exchange(state.keys_wait_for_space, false); });
  if (waited) log::info("there is space for keys again");
}

}  // namespace voxbus::journal
