// SPDX-License-Identifier: Apache-2.0
#include "kit/access.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

namespace voxbus::kit {
namespace {

using ::testing::HasSubstr;

class Access : public ::testing::Test {
 protected:
  Access() {
    std::string name = (std::filesystem::temp_directory_path() / "voxbus-access-XXXXXX").string();
    if (!::mkdtemp(name.data())) throw std::runtime_error("no temporary folder");
    folder_ = name;
    std::ofstream(folder_ / "file") << "x";
  }
  ~Access() override { std::filesystem::remove_all(folder_); }
  std::filesystem::path folder_;
};

TEST_F(Access, IsWellWhereItCanBeRead) {
  EXPECT_TRUE(can_read_file(folder_ / "file"));
  EXPECT_TRUE(can_list_folder(folder_));
}

TEST_F(Access, SaysWhatHinders) {
  const auto missing = can_read_file(folder_ / "none");
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error().message, HasSubstr("none: No such file"));
  EXPECT_FALSE(missing.error().is_permanent()) << "it may yet appear";
  const auto folder = can_read_file(folder_);
  ASSERT_FALSE(folder);
  EXPECT_THAT(folder.error().message, HasSubstr("Is a directory"));
  const auto file = can_list_folder(folder_ / "file");
  ASSERT_FALSE(file);
  EXPECT_THAT(file.error().message, HasSubstr("Not a directory"));
}

TEST_F(Access, SaysThatAPipeIsNoFileAndDoesNotWaitForItsWriter) {
  ASSERT_EQ(::mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  const auto pipe = can_read_file(folder_ / "pipe");
  ASSERT_FALSE(pipe);
  EXPECT_THAT(pipe.error().message, HasSubstr("pipe is not a regular file"));
  EXPECT_FALSE(pipe.error().is_permanent()) << "a file may yet take its place";
}

}  // namespace
}  // namespace voxbus::kit
