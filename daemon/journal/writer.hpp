// SPDX-License-Identifier: Apache-2.0
// Commits groups, one transaction and one sync each, and then tells: index, witness, sinks, waiting
// callers, the listener. Also waits while the disk is full. run() is the body of its thread, which
// owns everything in here but the two guarded tables.
#pragma once

#include <map>

#include "journal/checkpointer.hpp"
#include "journal/pipeline.hpp"
#include "journal/space.hpp"
#include "journal/sqlite.hpp"
#include "journal/witness.hpp"

namespace voxbus::journal {

struct Sinks {
  struct Entry {
    std::uint64_t lease = 0;
    ChannelSink* sink = nullptr;
  };
  std::map<std::string, Entry> channels;
  std::function<void(model::Sequence)> listener;
};
using SharedSinks = Guarded<Sinks>;

class Writer {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Writer>> open(
      Connection connection, Index& index, Witness& witness, Checkpointer& checkpointer,
      Reserve& reserve, SharedSinks& sinks, Shared& shared, std::chrono::milliseconds retry);
  void run();

 private:
  enum class Wrote { committed, again, failed, stopped };

  Writer(Connection connection, Index& index, Witness& witness, Checkpointer& checkpointer,
         Reserve& reserve, SharedSinks& sinks, Shared& shared, std::chrono::milliseconds retry)
      : connection_(std::move(connection)),
        index_(index),
        witness_(witness),
        checkpointer_(checkpointer),
        reserve_(reserve),
        sinks_(sinks),
        shared_(shared),
        retry_(retry) {}

  [[nodiscard]] std::unique_ptr<Group> next();
  // Until it is committed, or the journal fails, or stops while the disk is full or somebody else
  // holds the lock: what is not committed then has no cursor over it and comes again.
  [[nodiscard]] bool commit(const Group& group);
  [[nodiscard]] int transact(const Group& group);
  [[nodiscard]] Wrote after_failure(int code);
  [[nodiscard]] bool add_to_index(const Group& group);
  [[nodiscard]] bool tell(Group& group);
  [[nodiscard]] bool stops();
  // False when the journal stops meanwhile.
  [[nodiscard]] bool wait_for_space(const Error& error);
  void look_for_space();
  [[nodiscard]] bool restart_wal();  // false when it failed for good

  Connection connection_;
  Statement begin_, commit_, rollback_, row_, evidence_, name_, name_copy_, mark_;
  Index& index_;
  Witness& witness_;
  Checkpointer& checkpointer_;
  Reserve& reserve_;
  SharedSinks& sinks_;
  Shared& shared_;
  std::chrono::milliseconds retry_;
  std::uint64_t wal_bytes_ = 0;
};

}  // namespace voxbus::journal
