// SPDX-License-Identifier: Apache-2.0
#include "kit/rotated_files.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>

#include "kit/folder.hpp"

namespace voxbus::kit {
namespace {

constexpr std::size_t kMostFiles = 10'000;
constexpr int kMostLooks = 100;

// The number that a rotated name carries: the longest run of digits, cut to what fits.
std::uint64_t number_in(const std::string& name) {
  std::uint64_t best = 0;
  std::size_t best_length = 0;
  for (std::size_t at = 0; at < name.size();) {
    std::size_t end = at;
    while (end < name.size() && name[end] >= '0' && name[end] <= '9') ++end;
    if (end - at > best_length) {
      best_length = end - at;
      std::from_chars(name.data() + at, name.data() + std::min(end, at + 18), best);
    }
    at = std::max(end, at + 1);
  }
  return best;
}

// Whether the first name was rotated away earlier: FILE.2 before FILE.1, but 20260101 before
// 20260102.
bool older_by_name(const std::string& a, const std::string& b) {
  const std::uint64_t first = number_in(a);
  const std::uint64_t second = number_in(b);
  if (first < 10'000 && second < 10'000) return first > second;
  return first < second;
}

// How often a file was rotated, where that is all that its name adds ("FILE.2", "STEM-2.EXT"): at
// most three digits, because four may be a year.
std::optional<std::uint64_t> generation_in(std::string_view suffix, std::string_view extension) {
  if (suffix.ends_with(extension)) suffix.remove_suffix(extension.size());
  if (suffix.starts_with(extension)) suffix.remove_prefix(extension.size());
  if (suffix.size() < 2 || suffix.size() > 4) return std::nullopt;
  std::uint64_t generation = 0;
  const char* end = suffix.data() + suffix.size();
  const auto [stop, error] = std::from_chars(suffix.data() + 1, end, generation);
  if (error != std::errc{} || stop != end) return std::nullopt;
  return generation;
}

}  // namespace

FileLook look_of(const struct stat& info) {
  return {{info.st_dev, info.st_ino},
          static_cast<std::uint64_t>(info.st_size),
          info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec};
}

std::optional<FileLook> look_at(const std::filesystem::path& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return std::nullopt;
  return look_of(info);
}

namespace {

std::vector<RotatedFile> look_for(const std::filesystem::path& file) {
  std::vector<RotatedFile> found;
  const std::string name = file.filename().string();
  const std::string stem = file.stem().string();
  const std::string extension = file.extension().string();
  const auto visited = visit_folder(file.parent_path(), [&](const std::string& other) {
    const auto follows = [&](const std::string& base) {
      return other.size() > base.size() + 1 && other.starts_with(base) &&
             (other[base.size()] == '.' || other[base.size()] == '-');
    };
    if (other == name || !(follows(name) || (follows(stem) && other.ends_with(extension))))
      return true;
    const std::string suffix = other.substr(stem.size());
    const bool packed = other.ends_with(".gz") || other.ends_with(".xz") ||
                        other.ends_with(".bz2") || other.ends_with(".zst");
    const bool has_digits = suffix.find_first_of("0123456789") != suffix.npos;
    if (packed || (!has_digits && suffix != ".old")) return true;
    const std::filesystem::path path = file.parent_path() / other;
    if (const auto look = look_at(path))
      found.push_back({path, *look, generation_in(suffix, extension)});
    return found.size() < kMostFiles;
  });
  // To go on without them would pass over what stands in them.
  if (!visited) throw Failure{visited.error()};
  // Numbers are the order of rotation itself; times and dates are of a clock that may be set back,
  // and dates are written in many ways.
  const bool numbered = std::all_of(found.begin(), found.end(), [](const RotatedFile& sibling) {
    return sibling.generation.has_value();
  });
  std::sort(found.begin(), found.end(), [&](const RotatedFile& a, const RotatedFile& b) {
    if (numbered && a.generation != b.generation) return *a.generation > *b.generation;
    if (a.look.written != b.look.written) return a.look.written < b.look.written;
    return older_by_name(a.path.filename().string(), b.path.filename().string());
  });
  return found;
}

}  // namespace

std::vector<RotatedFile> rotated_files(const std::filesystem::path& file) {
  auto found = look_for(file);
  for (int looks = 1; looks < kMostLooks; ++looks) {
    auto again = look_for(file);
    if (again == found) return found;
    found = std::move(again);
  }
  throw Failure{Error::retry("the files beside " + file.string() + " are renamed all the time")};
}

}  // namespace voxbus::kit
