// SPDX-License-Identifier: Apache-2.0
// Makes blocks of key slots ahead of need, on a thread of its own, so that the sequencer never
// waits for a sync. Owned by the journal.
#pragma once

#include <functional>
#include <thread>

#include "base/guarded.hpp"
#include "journal/keys.hpp"
#include "journal/pipeline.hpp"

namespace voxbus::journal {

class KeyMaker {
 public:
  static constexpr KeyId kAhead = 4096;

  using MakeBlock = std::function<Status()>;  // Keys::make_block, or a test's
  KeyMaker(const Keys& keys, MakeBlock make_block, Shared& shared,
           std::chrono::milliseconds space_retry);
  ~KeyMaker() { stop(); }
  KeyMaker(const KeyMaker&) = delete;
  KeyMaker& operator=(const KeyMaker&) = delete;

  // Blocks until every slot up to `last` is durable; false when the journal stops or fails. For the
  // sequencer's thread: while the disk is full it keeps saying that it turns.
  [[nodiscard]] bool ensure(KeyId last);
  void stop();

 private:
  struct Need {
    KeyId last = 0;  // the highest that was asked for
    bool stopping = false;
  };
  void run();
  void note_waiting(const Error& error);
  void note_space();

  const Keys& keys_;
  MakeBlock make_block_;
  Shared& shared_;
  std::chrono::milliseconds space_retry_;
  Guarded<Need> need_;
  std::jthread thread_;
};

}  // namespace voxbus::journal
