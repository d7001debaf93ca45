// SPDX-License-Identifier: Apache-2.0
#include "journal/verify.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <cstdio>

#include "journal/bytes.hpp"
#include "journal/examine.hpp"
#include "journal/file.hpp"
#include "journal/keys.hpp"
#include "journal/proof.hpp"
#include "journal/witness.hpp"

namespace voxbus::journal {
namespace {

constexpr std::size_t kProblemsKept = 100;
constexpr int kRowsAtOnce = 128;

struct Closer {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

// Whether any id stands twice, in bounded memory: ids go to one of many temporary files by their
// first byte, and each of those is sorted by itself.
class Ids {
 public:
  Status add(const Mac& id) {
    auto& bucket = buckets_[id[0] % kBuckets];
    if (!bucket) bucket.reset(std::tmpfile());
    if (!bucket || std::fwrite(id.data(), id.size(), 1, bucket.get()) != 1) {
      return permanent("cannot write a temporary file to compare ids");
    }
    return {};
  }
  Result<std::uint64_t> doubled() {
    std::uint64_t count = 0;
    for (auto& bucket : buckets_) {
      if (!bucket) continue;
      const auto size = std::ftell(bucket.get());
      std::vector<Mac> ids(static_cast<std::size_t>(size) / sizeof(Mac));
      std::rewind(bucket.get());
      if (std::fread(ids.data(), sizeof(Mac), ids.size(), bucket.get()) != ids.size()) {
        return permanent("cannot read a temporary file back");
      }
      bucket.reset();
      std::sort(ids.begin(), ids.end());
      for (std::size_t i = 1; i < ids.size(); ++i) count += ids[i] == ids[i - 1];
    }
    return count;
  }

 private:
  static constexpr std::size_t kBuckets = 64;
  std::unique_ptr<std::FILE, Closer> buckets_[kBuckets];
};

class Check {
 public:
  Check(const Keys& keys, Report& report) : keys_(keys), report_(report), prover_(keys) {}

  void problem(std::string sentence) {
    ++report_.problem_count;
    if (report_.problems.size() < kProblemsKept) report_.problems.push_back(std::move(sentence));
  }

  Status frame(const Connection& db, const Frame& frame) {
    frame_ = frame;
    report_.installation = frame.installation;
    report_.epochs = frame.epochs.size();
    report_.channels = frame.marks.size();
    for (const auto& gap : frame.gaps) report_.known_lost += gap.last - gap.first + 1;
    for (const auto& mark : frame.marks) {
      if (!prover_.cursor_opens(keys_, mark.identity, mark.sealed_cursor)) {
        problem("the cursor of channel " + mark.identity.name + " was altered");
      }
    }
    if (!names_agree(db)) problem("the two copies of its names differ");
    return read_names(db, names_);
  }

  // One page of rows, in one short transaction; false at the end.
  Result<bool> page(const Connection& db, Statement& rows, Statement& evidence) {
    VOXBUS_CHECK(read_names(db, names_));
    rows.bind(1, static_cast<std::int64_t>(last_)).bind(2, kRowsAtOnce);
    int code, count = 0;
    while ((code = rows.step()) == SQLITE_ROW) {
      ++count;
      VOXBUS_CHECK(row(db, rows, evidence));
    }
    rows.reset();
    if (code != SQLITE_DONE) return db.error("read");
    return count > 0;
  }

  void rare_rows(std::uint64_t by_index) {
    if (by_index != rare_) {
      problem("the index over types lists " + std::to_string(by_index) + " rows instead of " +
              std::to_string(rare_));
    }
  }
  Result<std::uint64_t> doubled() { return ids_.doubled(); }
  [[nodiscard]] model::Position last() const { return last_; }

 private:
  Status row(const Connection& db, const Statement& in, Statement& evidence) {
    Row row;
    const auto position = static_cast<model::Position>(in.integer(0));
    const auto at = "row " + std::to_string(position);
    if (position != last_ + 1 && !is_gap(frame_.gaps, last_ + 1, position - 1)) {
      problem("rows " + std::to_string(last_ + 1) + " to " + std::to_string(position - 1) +
              " are missing");
    }
    last_ = position;
    ++report_.rows;
    if (!read_row(in, names_, row)) {
      problem(at + " is malformed");
      return {};
    }
    const auto seal = prover_.seal(row);
    if (seal == Seal::altered) problem(at + " was altered");
    if (seal == Seal::key_damaged) {
      problem(at + " cannot be read: key " + std::to_string(row.header.key) + " is damaged");
    }
    report_.erased += seal == Seal::dropped || seal == Seal::erased;
    if (!prover_.chained(row, chain_)) problem(at + " does not follow from the one before");
    if (row.header.recorded < recorded_) problem(at + " was recorded before the one before");
    chain_ = row.chain;
    recorded_ = row.header.recorded;
    rare_ += (row.header.flags & kRare) != 0;
    if (row.evidence_hash) {
      const int code = evidence.bind(1, in.integer(0)).step();
      if (code == SQLITE_ROW) {
        ++report_.evidence;
        if (!prover_.evidence_fits(row, evidence.bytes(0))) {
          problem("the evidence of " + at + " was altered");
        }
      } else if (code == SQLITE_DONE) {
        ++report_.evidence_gone;
      } else {
        problem("the evidence of " + at + ": " + db.error("read").message);
      }
      evidence.reset();
    }
    return ids_.add(row.header.id);
  }

  const Keys& keys_;
  Report& report_;
  Prover prover_;
  Names names_;
  Frame frame_;
  Ids ids_;
  Digest chain_{};
  model::Position last_ = 0;
  std::int64_t recorded_ = INT64_MIN;
  std::uint64_t rare_ = 0;
};

}  // namespace

Result<Report> verify(const std::filesystem::path& given, const std::optional<Key>& master,
                      const std::function<void(model::Position, model::Position)>& progress) {
  std::error_code code;
  const auto directory = std::filesystem::absolute(given, code).lexically_normal();
  const auto file = directory / kFileName;
  if (!std::filesystem::exists(file, code)) {
    return permanent("there is no journal in " + directory.string());
  }
  VOXBUS_TRY(key, master_key(master, directory / "master.key", false));
  VOXBUS_TRY(keys, Keys::open(directory / "keys", key, false));
  // Read before the rows: a running daemon goes on telling.
  const auto told = Witness::read(directory / "witness");
  VOXBUS_TRY(db, Connection::open(file, Connection::Mode::read));
  VOXBUS_TRY(format, db.number("PRAGMA user_version"));
  if (format > kFormat) {
    return permanent("cannot verify " + file.string() + ": it was written by a newer Voxbus");
  }
  Report report;
  Check check(*keys, report);
  VOXBUS_TRY(frame, read_frame(db));
  VOXBUS_CHECK(check.frame(db, frame));
  VOXBUS_TRY(end, db.number("SELECT coalesce(max(position), 0) FROM entries"));
  VOXBUS_TRY(rows, Statement::prepare(db, "SELECT " + std::string(row_columns()) +
                                              " FROM entries WHERE position > ?1 "
                                              "ORDER BY position LIMIT ?2"));
  VOXBUS_TRY(evidence, Statement::prepare(db, "SELECT body FROM evidence WHERE position = ?1"));
  // Up to where it ended when we began, and so to an end, however much comes in meanwhile.
  while (check.last() < static_cast<model::Position>(end)) {
    VOXBUS_TRY(more, check.page(db, rows, evidence));
    if (!more) break;
    if (progress) progress(check.last(), static_cast<model::Position>(end));
  }
  const auto last_given = frame.epochs.empty() ? 0 : frame.epochs.back().first - 1;
  report.end.position = std::max(check.last(), last_given);
  report.end.epoch = epoch_of(frame.epochs, report.end.position);
  if (!frame.epochs.empty() && last_given == report.end.position) {
    report.end.epoch = frame.epochs.back().epoch;
  }
  VOXBUS_TRY(listed, Statement::prepare(db,
                                        "SELECT count(*) FROM entries INDEXED BY entries_rare "
                                        "WHERE flags & 16 <> 0 AND position <= ?1"));
  if (listed.bind(1, static_cast<std::int64_t>(check.last())).step() == SQLITE_ROW) {
    check.rare_rows(static_cast<std::uint64_t>(listed.integer(0)));
  } else {
    check.problem("the index over types: " + db.error("read").message);
  }
  VOXBUS_TRY(doubled, check.doubled());
  if (doubled != 0) check.problem(std::to_string(doubled) + " ids stand at two positions");
  if (told) {
    const auto chain = chain_at(db, told->end.position);
    if (told->end.position > report.end.position) {
      check.problem("it ends at " + std::to_string(report.end.position) + ", but " +
                    std::to_string(told->end.position) + " was already told");
    } else if (!chain || *chain != told->chain) {
      check.problem("at " + std::to_string(told->end.position) + " it is not what was told");
    }
  }
  return report;
}

}  // namespace voxbus::journal
