// SPDX-License-Identifier: Apache-2.0
#include "journal/salvage.hpp"

#include <sqlite3.h>

#include <algorithm>

#include "journal/file.hpp"
#include "journal/index.hpp"
#include "journal/pages.hpp"
#include "journal/pipeline.hpp"
#include "journal/salvage_rows.hpp"

namespace voxbus::journal {
namespace {

constexpr std::string_view kStaging = "journal.staging";
constexpr std::string_view kBuilding = "journal.salvaged.new";
constexpr std::string_view kFinished = "journal.salvaged";

void remove_with_companions(const std::filesystem::path& file) {
  std::error_code code;
  for (const char* suffix : {"", "-journal", "-wal", "-shm"}) {
    std::filesystem::remove(file.string() + suffix, code);
  }
}

Status move_away(const std::filesystem::path& from, const std::filesystem::path& to) {
  std::error_code code;
  if (!std::filesystem::exists(from, code)) return {};
  std::filesystem::rename(from, to, code);
  if (code) return system_error("rename " + from.string() + " to " + to.string(), code.value());
  return {};
}

std::string stamp(TimePoint now) {
  auto text = format_rfc3339(std::chrono::floor<seconds>(now));
  std::erase_if(text, [](char c) { return c == '-' || c == ':'; });
  return text;
}

// "urn:voxbus:support-01/channels/mail" is proved by the seals of the rows that carry it.
std::string installation_in(const std::vector<Name>& names) {
  constexpr std::string_view prefix = "urn:voxbus:";
  for (const auto& name : names) {
    const auto end = name.text.find('/');
    if (name.kind == 1 && name.text.starts_with(prefix) && end != name.text.npos) {
      return name.text.substr(prefix.size(), end - prefix.size());
    }
  }
  return {};
}

std::vector<EpochStart> sane(std::vector<EpochStart> epochs) {
  std::sort(epochs.begin(), epochs.end(),
            [](const auto& a, const auto& b) { return a.epoch < b.epoch; });
  std::vector<EpochStart> out;
  for (auto& start : epochs) {
    const bool follows = out.empty()
                             ? start.first >= 1
                             : start.epoch > out.back().epoch && start.first >= out.back().first;
    if (follows) out.push_back(std::move(start));
  }
  return out;
}

}  // namespace

Result<Salvaged> salvage(const std::filesystem::path& directory, const Keys& keys,
                         const std::optional<Told>& told, const std::string& installation,
                         TimePoint now) {
  for (const auto name : {kStaging, kBuilding}) remove_with_companions(directory / name);
  VOXBUS_TRY(source, PageSource::open(directory / kFileName));
  Salvaged out;
  {
    VOXBUS_TRY(staging, Connection::open(directory / kStaging, Connection::Mode::create));
    VOXBUS_TRY(found, gather(source, keys, told, staging));
    VOXBUS_TRY(target, Connection::open(directory / kBuilding, Connection::Mode::create));
    VOXBUS_CHECK(create_tables(target));
    VOXBUS_TRY(carried, carry_over(staging, keys, found, target));

    Frame frame;
    frame.names = found.names;
    frame.installation = installation_in(found.names);
    if (frame.installation.empty()) frame.installation = found.installation;
    if (frame.installation.empty()) frame.installation = installation;

    const auto told_end = told ? told->end : model::Sequence{};
    frame.epochs = sane(found.epochs);
    if (frame.epochs.empty()) frame.epochs.push_back({1, 1, now, "created"});
    const auto first = std::max(carried.last, told_end.position) + 1;
    frame.gaps = std::move(carried.gaps);
    if (first > carried.last + 1) frame.gaps.push_back({carried.last + 1, first - 1});
    model::Position first_lost = 0;
    for (const auto& gap : frame.gaps) {
      for (auto at = gap.first; at <= gap.last; ++at) {
        if (is_gap(found.gaps, at, at)) continue;
        ++out.lost;
        if (first_lost == 0) first_lost = at;
      }
    }
    const auto epoch =
        std::max(std::max(frame.epochs.back().epoch, told_end.epoch) + 1, epoch_begun(now));
    const auto reason = out.lost == 0 ? "salvaged, no row was lost"
                                      : "salvaged, " + std::to_string(out.lost) + " rows were lost";
    std::erase_if(frame.epochs, [&](const EpochStart& start) { return start.first > first; });
    frame.epochs.push_back({epoch, first, now, reason});

    for (auto& [identity, mark] : found.marks) {
      if (first_lost != 0 && mark.position >= first_lost) mark.sealed_cursor.clear();
      mark.id = static_cast<std::int64_t>(frame.marks.size()) + 1;
      frame.marks.push_back(std::move(mark));
    }
    VOXBUS_CHECK(write_frame(target, frame, now));
    VOXBUS_CHECK(finish_file(std::move(target)));
    out.rows = carried.rows;
    out.evidence = carried.evidence_lost;
  }
  remove_with_companions(directory / kStaging);
  VOXBUS_CHECK(move_away(directory / kBuilding, directory / kFinished));
  VOXBUS_CHECK(sync_directory(directory));
  VOXBUS_TRY(finished, finish_salvage(directory, now));
  out.kept = finished.value_or(std::filesystem::path());
  return out;
}

Result<std::optional<std::filesystem::path>> finish_salvage(const std::filesystem::path& directory,
                                                            TimePoint now) {
  std::error_code code;
  const auto finished = directory / kFinished;
  if (!std::filesystem::exists(finished, code)) return std::optional<std::filesystem::path>();
  // Whatever speaks of the old file goes before the new one stands in its place.
  VOXBUS_CHECK(Index::drop(directory / "index"));
  for (const auto name : {std::string_view("witness"), kSuspect, kIndexSuspect, kRestored}) {
    std::filesystem::remove(directory / name, code);
  }
  const auto file = directory / kFileName;
  auto kept = directory / ("journal.damaged-" + stamp(now));
  for (int i = 2; std::filesystem::exists(kept, code); ++i) {
    kept = directory / ("journal.damaged-" + stamp(now) + "-" + std::to_string(i));
  }
  // The WAL first: were the new file to meet it, SQLite would take it for its own.
  VOXBUS_CHECK(move_away(file.string() + "-wal", kept.string() + "-wal"));
  std::filesystem::remove(file.string() + "-shm", code);
  VOXBUS_CHECK(move_away(file, kept));
  VOXBUS_CHECK(move_away(finished, file));
  VOXBUS_CHECK(sync_directory(directory));
  if (!std::filesystem::exists(kept, code)) kept.clear();
  return std::optional(kept);
}

}  // namespace voxbus::journal
