// SPDX-License-Identifier: Apache-2.0
// Files that requests name, below allowed folders (CTL-10).
#include "relay/base/open_below.hpp"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <sys/stat.h>

namespace ferry::open_below_test {
namespace {

namespace fs = std::filesystem;

TEST(NameBelow, IsWhatFollowsTheFolder) {
  EXPECT_EQ(name_below("/a/b", "/a/b/c"), "c");
  EXPECT_EQ(name_below("/a/b", "/a/b/c/d.wav"), "c/d.wav");
  EXPECT_EQ(name_below("/a/b", "c.wav"), "c.wav");
  EXPECT_EQ(name_below("/a/b", "/a/bc"), std::nullopt) << "another folder with the same beginning";
  EXPECT_EQ(name_below("/a/b", "/a/b"), std::nullopt);
  EXPECT_EQ(name_below("/a/b", "/etc/passwd"), std::nullopt);
}

TEST(OpenBelow, CTL10_FollowsNothingOutOfTheFolder) {
  char name[] = "/tmp/ferry-below-XXXXXX";
  const fs::path root = mkdtemp(name);
  fs::create_directories(root / "in" / "deep");
  std::ofstream(root / "in" / "deep" / "f") << "x";
  std::ofstream(root / "secret") << "x";
  fs::create_symlink(root / "secret", root / "in" / "link");
  fs::create_symlink("deep/f", root / "in" / "near");
  ASSERT_EQ(mkfifo((root / "in" / "pipe").c_str(), 0600), 0);
  const std::string folder = root / "in";
  EXPECT_TRUE(static_cast<bool>(open_below(folder, "deep/f")));
  for (const char* bad :
       {"", ".", "deep", "link", "near", "pipe", "../secret", "deep/../../secret", "/etc/passwd", "none"})
    EXPECT_FALSE(static_cast<bool>(open_below(folder, bad))) << bad;
  EXPECT_FALSE(static_cast<bool>(open_below(folder + "-none", "deep/f")));
  fs::remove_all(root);
}

}  // namespace
}  // namespace ferry::open_below_test
