// SPDX-License-Identifier: Apache-2.0
#include "journal/pages.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <optional>

#include "journal/bytes.hpp"
#include "journal/sqlite.hpp"

namespace voxbus::journal {
namespace {

constexpr std::size_t kWalHeader = 32, kFrameHeader = 24;
constexpr std::size_t kFrameSize = kFrameHeader + kPageSize;
constexpr std::uint64_t kLargestRow = 128u << 20;

std::string read_at(int fd, std::uint64_t at, std::size_t size) {
  std::string out(size, '\0');
  std::size_t done = 0;
  while (done < size) {
    const ssize_t got = ::pread(fd, out.data() + done, size - done, static_cast<off_t>(at + done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return {};
    done += static_cast<std::size_t>(got);
  }
  return out;
}

std::uint64_t size_of(const FileDescriptor& file) {
  struct stat about {};
  if (!file || ::fstat(file.get(), &about) != 0) return 0;
  return static_cast<std::uint64_t>(about.st_size);
}

struct WalSum {
  std::uint32_t first = 0, second = 0;
  bool operator==(const WalSum&) const = default;
};
// The WAL's own checksum, over words in the order of bytes that the header names.
WalSum add_to(WalSum sum, std::string_view bytes, bool big) {
  for (std::size_t at = 0; at + 8 <= bytes.size(); at += 8) {
    auto a = big32(bytes, at), b = big32(bytes, at + 4);
    if (!big) {
      a = __builtin_bswap32(a);
      b = __builtin_bswap32(b);
    }
    sum.first += a + sum.second;
    sum.second += b + sum.first;
  }
  return sum;
}

int bits_apart(std::string_view a, std::string_view b) {
  int bits = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    bits += std::popcount(static_cast<unsigned char>(a[i] ^ b[i]));
  }
  return bits;
}

// A variable-length integer; false past the end.
bool varint(std::string_view bytes, std::size_t& at, std::uint64_t& out) {
  out = 0;
  for (int i = 0; i < 9; ++i, ++at) {
    if (at >= bytes.size()) return false;
    const auto byte = static_cast<unsigned char>(bytes[at]);
    if (i == 8) {
      out = out << 8 | byte;
    } else {
      out = out << 7 | (byte & 0x7f);
      if (byte & 0x80) continue;
    }
    ++at;
    return true;
  }
  return false;
}

std::uint64_t size_of_type(std::uint64_t type) {
  static constexpr std::uint64_t kSizes[] = {0, 1, 2, 3, 4, 6, 8, 8, 0, 0};
  if (type < 10) return kSizes[type];
  return type < 12 ? kLargestRow + 1 : (type - 12) / 2;
}

Value value_of(std::uint64_t type, std::string_view bytes) {
  Value value;
  if (type == 0) return value;
  if (type == 7) {
    value.kind = Value::Kind::real;
  } else if (type < 10) {
    value.kind = Value::Kind::integer;
    if (type >= 8) {
      value.integer = static_cast<std::int64_t>(type - 8);
      return value;
    }
    std::uint64_t number = static_cast<unsigned char>(bytes[0]) & 0x80 ? ~std::uint64_t{0} : 0;
    for (const char byte : bytes) number = number << 8 | static_cast<unsigned char>(byte);
    value.integer = static_cast<std::int64_t>(number);
  } else {
    value.kind = type % 2 ? Value::Kind::text : Value::Kind::blob;
    value.bytes = bytes;
  }
  return value;
}

// The types of a record's columns, when they account for exactly `payload` bytes.
std::optional<std::vector<std::uint64_t>> types_of(std::string_view local, std::uint64_t payload,
                                                   std::size_t most_columns,
                                                   std::size_t& header_size) {
  std::size_t at = 0;
  std::uint64_t size = 0;
  if (!varint(local, at, size) || size > local.size() || size < at) return std::nullopt;
  std::vector<std::uint64_t> types;
  std::uint64_t total = size;
  while (at < size) {
    std::uint64_t type = 0;
    if (!varint(local, at, type) || types.size() == most_columns) return std::nullopt;
    total += size_of_type(type);
    if (total > payload) return std::nullopt;
    types.push_back(type);
  }
  header_size = size;
  if (at != size || total != payload) return std::nullopt;
  return types;
}

std::optional<FoundRow> row_at(const PageSource& source, std::string_view page, std::size_t at,
                               std::size_t most_columns) {
  std::uint64_t payload = 0, rowid = 0;
  if (!varint(page, at, payload) || !varint(page, at, rowid) || payload > kLargestRow) {
    return std::nullopt;
  }
  constexpr std::uint64_t usable = kPageSize, most = usable - 35;
  std::uint64_t local = payload;
  if (payload > most) {
    const std::uint64_t least = (usable - 12) * 32 / 255 - 23;
    const std::uint64_t fitting = least + (payload - least) % (usable - 4);
    local = fitting <= most ? fitting : least;
  }
  if (at + local > page.size()) return std::nullopt;
  std::size_t header = 0;
  const auto types = types_of(page.substr(at, local), payload, most_columns, header);
  if (!types) return std::nullopt;
  std::string record(page.substr(at, local));
  if (local < payload) {
    if (at + local + 4 > page.size()) return std::nullopt;
    auto next = big32(page, at + local);
    while (record.size() < payload) {
      const auto more = next ? source.page(next) : std::string();
      if (more.size() != kPageSize) return std::nullopt;
      next = big32(more, 0);
      record.append(more, 4, std::min<std::size_t>(kPageSize - 4, payload - record.size()));
    }
  }
  FoundRow row;
  row.rowid = static_cast<std::int64_t>(rowid);
  std::size_t from = header;
  for (const auto type : *types) {
    const auto size = size_of_type(type);
    row.columns.push_back(value_of(type, std::string_view(record).substr(from, size)));
    from += size;
  }
  return row;
}

}  // namespace

Result<PageSource> PageSource::open(const std::filesystem::path& file) {
  PageSource out;
  std::error_code code;
  if (std::filesystem::exists(file, code)) {
    VOXBUS_TRY(main, open_file(file, O_RDONLY));
    out.file_ = std::move(main);
  }
  const auto wal = file.string() + "-wal";
  if (std::filesystem::exists(wal, code)) {
    VOXBUS_TRY(log, open_file(wal, O_RDONLY));
    out.wal_ = std::move(log);
  }
  out.count_ = static_cast<std::uint32_t>(size_of(out.file_) / kPageSize);
  out.read_wal();
  return out;
}

void PageSource::read_wal() {
  const auto size = size_of(wal_);
  if (size < kWalHeader + kFrameSize) return;
  const auto header = read_at(wal_.get(), 0, kWalHeader);
  const auto first = read_at(wal_.get(), kWalHeader, kFrameHeader);
  if (header.empty() || first.empty()) return;
  const bool big = (big32(header, 0) & 1) != 0;
  const bool sound = add_to({}, std::string_view(header).substr(0, 24), big) ==
                     WalSum{big32(header, 24), big32(header, 28)};
  // A damaged header must not cost every frame: they repeat its salts.
  const auto salts = sound ? header.substr(16, 8) : first.substr(8, 8);
  WalSum before{big32(header, 24), big32(header, 28)};
  std::vector<std::pair<std::uint32_t, std::uint64_t>> pending;
  for (std::uint64_t at = kWalHeader; at + kFrameSize <= size; at += kFrameSize) {
    const auto frame = read_at(wal_.get(), at, kFrameSize);
    const std::string_view bytes(frame);
    const bool ours = !frame.empty() && bytes.substr(8, 8) == salts;
    const bool nearly = !frame.empty() && bits_apart(bytes.substr(8, 8), salts) == 1;
    // Each frame continues the sum of the one before as that one states it, so one bad frame makes
    // at most the next one doubtful too.
    const WalSum stated = frame.empty() ? WalSum{} : WalSum{big32(bytes, 16), big32(bytes, 20)};
    auto sum = add_to(before, bytes.substr(0, 8), big);
    if (!frame.empty()) sum = add_to(sum, bytes.substr(kFrameHeader), big);
    before = stated;
    const auto number = frame.empty() ? 0 : big32(bytes, 0);
    if (!ours || sum != stated || number == 0) {
      // Frames of an older round of the WAL have other salts; what they hold is in the file.
      if (ours || nearly) doubtful_.push_back(at + kFrameHeader);
      continue;
    }
    pending.emplace_back(number, at + kFrameHeader);
    if (const auto pages = big32(bytes, 4); pages != 0) {  // ends a commit
      for (const auto& [page, place] : pending) frames_[page] = place;
      pending.clear();
      count_ = std::max(count_, pages);
    }
  }
  for (const auto& [page, place] : pending) doubtful_.push_back(place);
}

std::string PageSource::page(std::uint32_t number) const {
  if (number == 0 || number > count_) return {};
  if (const auto found = frames_.find(number); found != frames_.end()) {
    return read_at(wal_.get(), found->second, kPageSize);
  }
  if (!file_) return {};
  return read_at(file_.get(), static_cast<std::uint64_t>(number - 1) * kPageSize, kPageSize);
}

std::string PageSource::doubtful(std::size_t at) const {
  return read_at(wal_.get(), doubtful_[at], kPageSize);
}

void scan_page(const PageSource& source, std::string_view page, bool first_page,
               std::size_t most_columns, const std::function<void(FoundRow&)>& found) {
  constexpr unsigned char kLeaf = 0x0d;
  const std::size_t header = first_page ? 100 : 0;
  if (page.size() != kPageSize) return;
  // One bit of the type may have flipped, and the count of cells may be anything: the pointers to
  // cells stand one after the other from here up to where the cells begin.
  if (std::popcount<unsigned>(static_cast<unsigned char>(page[header]) ^ kLeaf) > 1) return;
  std::size_t cells = kPageSize;
  for (std::size_t at = header + 8; at + 2 <= cells; at += 2) {
    const std::size_t cell = big16(page, at);
    if (cell < header + 8 || cell >= kPageSize) continue;
    if (auto row = row_at(source, page, cell, most_columns)) {
      cells = std::min(cells, cell);
      found(*row);
    }
  }
}

}  // namespace voxbus::journal
