// SPDX-License-Identifier: Apache-2.0
// Made tests/fixtures/journal-v1, once. Kept so that the fixture of a later format is made the same
// way; a committed fixture is never made again.
//   make_journal_fixture DIRECTORY
#include <cstdio>
#include <fstream>

#include "journal/keys.hpp"
#include "unit/journal/store.hpp"

int main(int count, char** arguments) {
  using namespace voxbus;
  using namespace voxbus::journal;
  if (count != 2) {
    std::fprintf(stderr, "usage: make_journal_fixture DIRECTORY\n");
    return 2;
  }
  const std::filesystem::path target = arguments[1];
  Store store;
  const auto now = store.clock.now();
  store.open();
  store.channel("mail", {Begin::Kind::now, {}})
      .brings({post("a").says("first").by("mailto:nora@example.org").in("thread 1").at(now),
               post("b").says("older").by("mailto:omar@example.org").at(now - seconds(60)),
               post("c").says(std::string(2000, 'x')).raw(std::string(500, 'r')),
               post("d").quarantined("no header").raw("broken bytes")},
              "cursor of mail");
  store.clock.advance(seconds(1));
  store.channel("forum", {Begin::Kind::all, {}}, "discourse", "origin-2")
      .brings({post("a").says("1").by("discourse:7").version(1),
               post("a").says("2").by("discourse:7").version(2), post("a").withdrawn().version(3),
               post("z").withdrawn(), post("erased").by("discourse:8").says("gone")},
              "cursor of forum");
  if (!store.journal().append({"channels/mail",
                               "org.voxbus.channel.up.v1",
                               "channel.v1",
                               R"({"channel":"mail","plugin":"email","state":"up"})",
                               "fixture",
                               "",
                               {}})) {
    return 1;
  }
  store.close();
  {
    auto keys =
        Keys::open(store.file("keys"), *master_key({}, store.file("master.key"), false), true);
    if (!(*keys)->erase(4)) return 1;
  }
  std::filesystem::create_directories(target);
  store.open();
  {
    std::ofstream events(target / "events.ndjson");
    for (const auto& event : store.events()) events << model::to_cloudevent(event) << '\n';
  }
  store.close();
  for (const char* name : {"journal.db", "keys", "master.key", "witness"}) {
    std::filesystem::copy_file(store.file(name), target / name);
  }
  // One block of keys is enough.
  std::filesystem::resize_file(target / "keys", 4096 + 64 * Keys::kBlockSlots);
  return 0;
}
