// SPDX-License-Identifier: Apache-2.0
#include "journal/salvage_rows.hpp"

#include <sqlite3.h>

#include <set>
#include <utility>

#include "journal/bytes.hpp"
#include "journal/proof.hpp"

namespace voxbus::journal {
namespace {

using Kind = Value::Kind;
constexpr std::size_t kRowColumns = 18;

bool has_form(const FoundRow& row, std::initializer_list<Kind> form) {
  if (row.columns.size() != form.size()) return false;
  std::size_t i = 0;
  for (const auto kind : form) {
    if (row.columns[i++].kind != kind) return false;
  }
  return true;
}

// Calls `found` for every row of every page: first of those that SQLite would see, then of those
// that it would not (`committed` false).
template<class Found>
void for_every_row(const PageSource& source, const Found& found) {
  for (std::uint32_t number = 1; number <= source.count(); ++number) {
    scan_page(source, source.page(number), number == 1, kRowColumns,
              [&](FoundRow& row) { found(row, true); });
  }
  for (std::size_t i = 0; i < source.doubtful_count(); ++i) {
    scan_page(source, source.doubtful(i), false, kRowColumns,
              [&](FoundRow& row) { found(row, false); });
  }
}

// Everything but the rows, as found; several opinions about a name are all kept.
struct Small {
  Gathered out;
  std::map<std::int64_t, std::set<std::string>> texts;
  std::set<std::string> types, sources;
  std::set<model::Position> gap_starts;

  void take(const FoundRow& row, Prover& prover, const Keys& keys) {
    const auto& in = row.columns;
    if (has_form(row, {Kind::null, Kind::text, Kind::text})) {
      if (in[1].bytes == "installation") out.installation = in[2].bytes;
    } else if (has_form(row, {Kind::null, Kind::integer, Kind::text})) {
      texts[row.rowid].insert(in[2].bytes);
      (in[1].integer == 0 ? types : sources).insert(in[2].bytes);
    } else if (has_form(row, {Kind::null, Kind::integer})) {
      if (!gap_starts.insert(static_cast<model::Position>(row.rowid)).second) return;
      out.gaps.push_back(
          {static_cast<model::Position>(row.rowid), static_cast<model::Position>(in[1].integer)});
    } else if (has_form(row, {Kind::null, Kind::integer, Kind::integer, Kind::text})) {
      out.epochs.push_back({static_cast<model::Epoch>(row.rowid),
                            static_cast<model::Position>(in[1].integer), from_micros(in[2].integer),
                            in[3].bytes});
    } else if (in.size() == 8 && in[1].kind == Kind::text && in[3].kind == Kind::text) {
      take_mark(row, prover, keys);
    }
  }

  void take_mark(const FoundRow& row, Prover& prover, const Keys& keys) {
    const auto& in = row.columns;
    StoredMark mark;
    mark.identity = {in[1].bytes, in[2].bytes, in[3].bytes};
    mark.opened = from_micros(in[4].integer);
    mark.begin = from_micros(in[5].integer);
    mark.position = static_cast<model::Position>(in[6].integer);
    mark.sealed_cursor = in[7].bytes;
    const bool opens = prover.cursor_opens(keys, mark.identity, mark.sealed_cursor);
    if (!opens) mark.sealed_cursor.clear();
    auto [at, added] = out.marks.emplace(mark.identity, mark);
    if (!added && opens && mark.position >= at->second.position) at->second = mark;
    sources.insert("channels/" + mark.identity.name);
  }
};

// Finds out under which names a row was sealed. Usually those that its ids name; when a name was
// damaged, one of the others that are known, and then for every row with that id.
class Naming {
 public:
  Naming(const Small& small, Prover& prover) : small_(small), prover_(prover) {
    for (const auto type :
         {model::type::kReceived, model::type::kRevised, model::type::kWithdrawn,
          model::type::kQuarantined, model::type::kChannelUp, model::type::kChannelDegraded,
          model::type::kChannelDown, model::type::kClockStepped, model::type::kBusGap}) {
      types_.insert(std::string(type));
    }
    types_.insert(small.types.begin(), small.types.end());
    for (const auto& source : small.sources) {
      if (source.starts_with("urn:")) sources_.insert(source);
      // A channel's source follows from its name and the installation that another source tells.
      if (!source.starts_with("channels/")) continue;
      for (const auto& other : small.sources) {
        const auto end = other.find('/');
        if (other.starts_with("urn:") && end != other.npos) {
          sources_.insert(other.substr(0, end + 1) + source);
        }
      }
      if (!small.out.installation.empty()) {
        sources_.insert("urn:voxbus:" + small.out.installation + "/" + source);
      }
    }
  }

  Seal name(Row& row) {
    for (const auto* type : candidates(row.type_id)) {
      for (const auto* source : candidates(row.source_id)) {
        row.header.type = *type;
        row.header.source = *source;
        const auto seal = prover_.seal(row);
        if (seal == Seal::proved) learn(row);
        if (seal != Seal::altered) return seal;
      }
    }
    // Only a body that is whole is worth the search.
    if (Sha256().add(row.body).finish() != row.body_hash) return Seal::altered;
    for (const auto& type : types_) {
      for (const auto& source : sources_) {
        row.header.type = type;
        row.header.source = source;
        if (prover_.seal(row) != Seal::proved) continue;
        learn(row);
        return Seal::proved;
      }
    }
    return Seal::altered;
  }

  [[nodiscard]] std::vector<Name> names() const {
    std::vector<Name> out;
    std::map<std::int64_t, std::string> all = learnt_;
    for (const auto& [id, texts] : small_.texts) all.emplace(id, *texts.begin());
    for (const auto& [id, text] : all) out.push_back({id, text.starts_with("urn:") ? 1 : 0, text});
    return out;
  }

 private:
  std::vector<const std::string*> candidates(std::int64_t id) const {
    if (const auto learnt = learnt_.find(id); learnt != learnt_.end()) return {&learnt->second};
    std::vector<const std::string*> out;
    if (const auto texts = small_.texts.find(id); texts != small_.texts.end()) {
      for (const auto& text : texts->second) out.push_back(&text);
    }
    return out;
  }
  void learn(const Row& row) {
    learnt_.emplace(row.type_id, row.header.type);
    learnt_.emplace(row.source_id, row.header.source);
  }

  const Small& small_;
  Prover& prover_;
  std::set<std::string> types_, sources_;
  std::map<std::int64_t, std::string> learnt_;
};

bool assign_optional(std::optional<Mac>& out, const Value& value) {
  return value.kind == Kind::null || assign(out.emplace(), value.bytes);
}

// A row of `entries` without its names; false when it is none.
bool entry_of(const FoundRow& found, Row& out) {
  const auto& in = found.columns;
  if (in.size() != kRowColumns || in[0].kind != Kind::null || found.rowid <= 0) return false;
  for (const std::size_t i : {1, 2, 3, 4, 5, 6, 7}) {
    if (in[i].kind != Kind::integer) return false;
  }
  auto& header = out.header;
  header.position = static_cast<model::Position>(found.rowid);
  out.type_id = in[1].integer;
  out.source_id = in[2].integer;
  header.recorded = in[3].integer;
  header.key = static_cast<KeyId>(in[4].integer);
  header.codec = static_cast<std::uint8_t>(in[5].integer);
  header.flags = static_cast<std::uint8_t>(in[6].integer);
  header.revision = static_cast<std::uint32_t>(in[7].integer);
  if (in[8].kind == Kind::integer) header.version = static_cast<std::uint64_t>(in[8].integer);
  if (!assign(header.id, in[9].bytes) || !assign(header.native, in[10].bytes) ||
      !assign(header.content, in[11].bytes) || !assign_optional(header.author, in[12]) ||
      !assign_optional(header.partition, in[13]) || !assign(out.body_hash, in[14].bytes)) {
    return false;
  }
  if (in[15].kind != Kind::null && !assign(out.evidence_hash.emplace(), in[15].bytes)) return false;
  // The chain is made anew; a damaged one costs nothing.
  if (!assign(out.chain, in[16].bytes)) out.chain = {};
  out.body = in[17].bytes;
  return true;
}

// Where gather() puts rows: proved ones in `entries`, with ids once, the others in `weak`.
constexpr const char* kStagingTables = R"sql(
CREATE UNIQUE INDEX staged_ids ON entries(id);
CREATE TABLE weak(position INTEGER PRIMARY KEY, type, source, recorded, key_id, codec, flags,
  revision, version, id, native, content, author, partition, body_hash, evidence_hash, chain, body);
CREATE TABLE pieces(position INTEGER, codec INTEGER, body BLOB);
)sql";

Status fine(const Connection& connection, int code) {
  if (code != SQLITE_OK) return connection.error("write");
  return {};
}

std::string insert_into(const char* table) {
  return "INSERT OR IGNORE INTO " + std::string(table) +
         " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)";
}

}  // namespace

Result<Gathered> gather(const PageSource& source, const Keys& keys, const std::optional<Told>& told,
                        Connection& staging) {
  VOXBUS_CHECK(staging.run("PRAGMA synchronous=OFF;"));
  VOXBUS_CHECK(create_tables(staging));
  VOXBUS_CHECK(staging.run(kStagingTables));
  Prover prover(keys);
  Small small;
  for_every_row(source, [&](const FoundRow& row, bool) { small.take(row, prover, keys); });

  Naming naming(small, prover);
  VOXBUS_TRY(strong, Statement::prepare(staging, insert_into("entries")));
  VOXBUS_TRY(weak, Statement::prepare(staging, insert_into("weak")));
  VOXBUS_TRY(piece, Statement::prepare(staging, "INSERT INTO pieces VALUES(?1, ?2, ?3)"));
  model::Position highest = told ? told->end.position : 0;
  Status status;
  for_every_row(source, [&](const FoundRow& found, bool committed) {
    if (!status) return;
    if (has_form(found, {Kind::null, Kind::integer, Kind::blob})) {
      piece.bind(1, found.rowid).bind(2, found.columns[1].integer);
      status = fine(staging, piece.bind_blob(3, found.columns[2].bytes).execute());
      return;
    }
    Row row;
    if (!entry_of(found, row)) return;
    // What no commit ended and nobody was told may belong to a transaction that never was.
    if (!committed && row.header.position > highest) return;
    const auto seal = naming.name(row);
    if (seal == Seal::altered) return;
    if (seal == Seal::proved && committed) highest = std::max(highest, row.header.position);
    status = fine(staging, insert_row(seal == Seal::proved ? strong : weak, row));
  });
  if (!status) return status.error();
  VOXBUS_CHECK(staging.run("CREATE INDEX piece_of ON pieces(position); COMMIT;"));
  small.out.names = naming.names();
  std::sort(small.out.gaps.begin(), small.out.gaps.end(),
            [](const Gap& a, const Gap& b) { return a.first < b.first; });
  return std::move(small.out);
}

Result<Carried> carry_over(const Connection& staging, const Keys& keys, const Gathered& found,
                           Connection& target) {
  Names names;
  for (const auto& name : found.names) names.add(name);
  const std::string columns(row_columns());
  VOXBUS_TRY(rows, Statement::prepare(staging, "SELECT " + columns + ", 1 FROM entries UNION ALL " +
                                                   "SELECT " + columns +
                                                   ", 0 FROM weak ORDER BY 1, 19 DESC"));
  VOXBUS_TRY(pieces,
             Statement::prepare(staging, "SELECT codec, body FROM pieces WHERE position = ?1"));
  VOXBUS_TRY(insert, prepare_insert(target));
  VOXBUS_TRY(evidence, Statement::prepare(target, "INSERT INTO evidence VALUES(?1, ?2, ?3)"));
  Prover prover(keys);
  Carried out;
  Digest chain{}, stored{};  // of the row before: made anew, and as it stands
  int code;
  while ((code = rows.step()) == SQLITE_ROW) {
    Row row;
    if (!read_row(rows, names, row)) continue;
    const auto position = row.header.position;
    if (position <= out.last) continue;  // a second opinion about the same row
    const bool follows = position == out.last + 1 || is_gap(found.gaps, out.last + 1, position - 1);
    const bool proved = rows.integer(18) == 1;
    if (!proved && !(follows && (prover.chained(row, stored) || prover.chained(row, chain)))) {
      continue;
    }
    if (position > out.last + 1) out.gaps.push_back({out.last + 1, position - 1});
    stored = row.chain;
    chain = prover.chain_of(row, chain);
    row.chain = chain;
    VOXBUS_CHECK(fine(target, insert_row(insert, row)));
    ++out.rows;
    out.last = position;
    if (!row.evidence_hash) continue;
    bool fits = false;
    pieces.bind(1, static_cast<std::int64_t>(position));
    while (!fits && pieces.step() == SQLITE_ROW) {
      fits = prover.evidence_fits(row, pieces.bytes(1));
      if (!fits) continue;
      evidence.bind(1, static_cast<std::int64_t>(position)).bind(2, pieces.integer(0));
      VOXBUS_CHECK(fine(target, evidence.bind_blob(3, pieces.bytes(1)).execute()));
    }
    pieces.reset();
    if (!fits) ++out.evidence_lost;
  }
  if (code != SQLITE_DONE) return staging.error("read");
  return out;
}

}  // namespace voxbus::journal
