// SPDX-License-Identifier: Apache-2.0
// Who may have written a plugin, and that what was checked is what is loaded. In a folder below the
// home directory, because everything above must belong to root or to us.
#include "host/plugin_file.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "../testing.hpp"
#include "host/plugin.hpp"

namespace voxbus::host {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class PluginFile : public ::testing::Test {
 protected:
  void SetUp() override {
    file_ = folder_ / "generator.so";
    manifest_ = folder_ / "generator.plugin.yaml";
    fs::copy_file(fs::path(TEST_PLUGINS) / "generator.so", file_);
    fs::copy_file(fs::path(TEST_PLUGINS) / "generator.plugin.yaml", manifest_);
    set_mode(file_, 0644);
    set_mode(manifest_, 0644);
    const auto opened = open_plugin(file_, Trust::owned);
    ASSERT_TRUE(opened) << opened.error().message;
  }

  static void set_mode(const fs::path& path, mode_t mode) {
    ASSERT_EQ(::chmod(path.c_str(), mode), 0);
  }
  std::string refusal(const fs::path& file) const {
    const auto opened = open_plugin(file, Trust::owned);
    return opened ? "opened" : opened.error().message;
  }
  std::string refusal() const { return refusal(file_); }

  static fs::path home() {
    const char* home = std::getenv("HOME");
    return home ? home : "/root";
  }

  const test::Folder below_home_{home()};
  const fs::path folder_ = below_home_.path();
  fs::path file_, manifest_;
};

TEST_F(PluginFile, ThatItsGroupOrOthersMayWriteIsRefusedByName) {
  for (const mode_t mode : {0664, 0646}) {
    set_mode(file_, mode);
    EXPECT_THAT(refusal(), StartsWith(file_.string() + " may be written by others"));
  }
}

TEST_F(PluginFile, WhoseManifestOthersMayWriteIsRefusedByThatName) {
  set_mode(manifest_, 0664);
  EXPECT_THAT(refusal(), StartsWith(manifest_.string() + " may be written by others"));
}

TEST_F(PluginFile, InAFolderThatOthersMayWriteIsRefusedByTheFoldersName) {
  set_mode(folder_, 0775);
  EXPECT_THAT(refusal(), StartsWith(folder_.string() + " may be written by others"));
  set_mode(folder_, 01777);  // sticky is no help: others may put things beside
  EXPECT_THAT(refusal(), StartsWith(folder_.string() + " may be written by others"));
  EXPECT_THAT(refusal(), HasSubstr("move the plugin")) << "and not: change /tmp";
}

// Which of them is asked about is shown by the modes above; here only the rule.
TEST(PluginOwner, IsRootOrTheServicesUserAndNobodyElseMayWrite) {
  constexpr uid_t kService = 990, kOther = 1000;
  const auto refusal = [](uid_t owner, mode_t mode) {
    struct stat status {};
    status.st_uid = owner;
    status.st_mode = S_IFREG | mode;
    const auto checked = check_owner(status, kService, "x.so");
    return checked ? "" : checked.error().message;
  };
  EXPECT_EQ(refusal(0, 0755), "");
  EXPECT_EQ(refusal(kService, 0600), "");
  EXPECT_THAT(refusal(kOther, 0600), StartsWith("x.so belongs to another user (uid 1000)"));
  EXPECT_THAT(refusal(0, 0775), HasSubstr("chmod go-w x.so"));
  EXPECT_THAT(refusal(kService, 0757), HasSubstr("chmod go-w x.so"));
}

TEST_F(PluginFile, OfAnAbsurdSizeIsRefusedBeforeItIsRead) {
  fs::resize_file(file_, kMostLibrary + 1);  // a hole: no block is written
  EXPECT_THAT(refusal(), HasSubstr("256.0 MiB at most; strip its debug information"));
}

TEST_F(PluginFile, BehindASymbolicLinkIsRefusedAndSoIsWhatIsNoFile) {
  fs::create_symlink(file_, folder_ / "link.so");
  EXPECT_THAT(refusal(folder_ / "link.so"), HasSubstr("symbolic link"));
  ASSERT_EQ(::mkfifo((folder_ / "pipe.so").c_str(), 0600), 0);
  EXPECT_THAT(refusal(folder_ / "pipe.so"), HasSubstr("no regular file"));
  fs::create_directory(folder_ / "folder.so");
  EXPECT_THAT(refusal(folder_ / "folder.so"), HasSubstr("no regular file"));
  EXPECT_THAT(refusal(folder_ / "none.so"), HasSubstr("No such file"));
}

TEST_F(PluginFile, ThatIsEmptyOrCutOffIsNoPlugin) {
  const auto size = fs::file_size(file_);
  for (const auto kept : {std::uintmax_t{0}, std::uintmax_t{63}, size / 2}) {
    fs::resize_file(file_, kept);
    auto opened = open_plugin(file_, Trust::owned);
    ASSERT_TRUE(opened);
    EXPECT_FALSE(Plugin::load(*opened, "generator")) << kept << " of " << size << " bytes";
  }
}

// Another file is put in its place again and again while it is opened, checked and loaded. Whatever
// was opened is loaded: never the one that nobody may trust.
TEST_F(PluginFile, SwappedWhileItIsLoadedIsNeverRunUnchecked) {
  const auto bad = folder_ / "bad.so", spare = folder_ / "spare.so";
  fs::copy_file(fs::path(TEST_PLUGINS) / "moods.so", bad);
  set_mode(bad, 0666);
  std::atomic<bool> over = false;
  std::jthread swapping([&] {
    while (!over) {
      ::rename(file_.c_str(), spare.c_str());
      ::rename(bad.c_str(), file_.c_str());
      ::rename(file_.c_str(), bad.c_str());
      ::rename(spare.c_str(), file_.c_str());
    }
  });
  int loaded = 0, refused = 0;
  for (int i = 0; i < 10'000; ++i) {
    auto opened = open_plugin(file_, Trust::owned);
    if (!opened) {
      ++refused;
      continue;
    }
    // Loading each time would take minutes; what the descriptor names is what would be loaded.
    struct stat status {};
    ASSERT_EQ(::fstat(opened->get(), &status), 0);
    ASSERT_EQ(status.st_mode & 0777, 0644u);
    if (++loaded > 20) continue;
    const auto plugin = Plugin::load(*opened, "generator");
    ASSERT_TRUE(plugin) << plugin.error().message;
    ASSERT_EQ((*plugin)->id(), "org.voxbus.test.generator");
  }
  over = true;
  EXPECT_GT(loaded, 0);
  EXPECT_GT(refused, 0);
}

}  // namespace
}  // namespace voxbus::host
