// SPDX-License-Identifier: Apache-2.0
// The fence around files, in children that close it (CTL-17).
#include "relay/rights/file_fence.hpp"

#include "tests/support/child.hpp"

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

namespace ferry {
namespace {

namespace fs = std::filesystem;

/// Three folders, with a file in each.
class FileFenceTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!FileFence::is_known_here()) GTEST_SKIP() << "this kernel has no Landlock";
    std::string pattern = fs::temp_directory_path() / "ferry-fence-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    top_ = pattern;
    for (const char* name : {"read", "write", "sockets", "other"}) {
      fs::create_directory(top_ / name);
      std::ofstream(top_ / name / "file") << "text";
    }
  }
  void TearDown() override { fs::remove_all(top_); }

  /// The errno of `task` behind the fence, 0 if it could.
  template <class Task>
  int behind(const Task& task) const {
    return result_of_child([&] {
      FileFence fence;
      fence.open(top_ / "read", FileFence::Use::kRead);
      fence.open(top_ / "write", FileFence::Use::kWrite);
      fence.open(top_ / "sockets", FileFence::Use::kSockets);
      fence.open(top_ / "missing", FileFence::Use::kWrite);
      prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
      if (!fence.close()) return 255;
      errno = 0;
      return task() < 0 ? errno : 0;
    });
  }
  int opened(const std::string& name, int flags) const {
    return behind([&] { return open((top_ / name).c_str(), flags | O_CLOEXEC, 0600); });
  }

  fs::path top_;
};

TEST_F(FileFenceTest, CTL17_OpensOnlyWhatWasNamed) {
  struct Row {
    const char* name;
    int flags;
    bool may;
  };
  for (const Row& row :
       {Row{"read/file", O_RDONLY, true}, Row{"read/file", O_WRONLY, false},
        Row{"read/new", O_WRONLY | O_CREAT, false}, Row{"write/file", O_RDWR, true},
        Row{"write/file", O_WRONLY | O_TRUNC, true}, Row{"write/new", O_WRONLY | O_CREAT, true},
        Row{"sockets/file", O_RDONLY, false}, Row{"sockets/new", O_WRONLY | O_CREAT, false},
        Row{"other/file", O_RDONLY, false}, Row{"other/new", O_WRONLY | O_CREAT, false},
        Row{"other/../read/file", O_RDONLY, true}, Row{"read/../other/file", O_RDONLY, false}}) {
    EXPECT_EQ(opened(row.name, row.flags), row.may ? 0 : EACCES) << row.name << " " << row.flags;
  }
}

TEST_F(FileFenceTest, CTL17_RemovesAndMovesOnlyThere) {
  const auto path = [&](const char* name) { return (top_ / name).string(); };
  EXPECT_EQ(behind([&] { return std::remove(path("sockets/file").c_str()); }), 0);
  EXPECT_EQ(behind([&] { return std::remove(path("read/file").c_str()); }), EACCES);
  EXPECT_EQ(behind([&] { return std::remove(path("other/file").c_str()); }), EACCES);
  EXPECT_NE(behind([&] { return std::rename(path("write/file").c_str(), path("other/taken").c_str()); }), 0);
  EXPECT_EQ(behind([&] {
              if (mkdir(path("write/below").c_str(), 0700) != 0) return -1;
              return std::rename(path("write/file").c_str(), path("write/below/file").c_str());
            }),
            0)
      << "from the spool to its place";
}

TEST_F(FileFenceTest, CTL17_SocketsAreMadeWhereTheyBelong) {
  const auto bound = [&](const char* name) {
    return behind([&] {
      sockaddr_un address{};
      address.sun_family = AF_UNIX;
      (top_ / name).string().copy(address.sun_path, sizeof address.sun_path - 1);
      const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
      return bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    });
  };
  EXPECT_EQ(bound("sockets/new.sock"), 0);
  EXPECT_EQ(bound("other/new.sock"), EACCES);
}

TEST_F(FileFenceTest, CTL17_HoldsForThreadsThatStartBehindIt) {
  EXPECT_EQ(behind([&] {
              int result = 0;
              std::thread([&] {
                const int fd = open((top_ / "other/file").c_str(), O_RDONLY | O_CLOEXEC);
                result = fd < 0 ? errno : 0;
              }).join();
              errno = result;
              return result == 0 ? 0 : -1;
            }),
            EACCES);
}

TEST_F(FileFenceTest, CTL17_WhatIsOpenStaysOpen) {
  const int before = open((top_ / "other/file").c_str(), O_RDWR | O_CLOEXEC);
  EXPECT_EQ(behind([&] { return write(before, "x", 1); }), 0);
  close(before);
}

}  // namespace
}  // namespace ferry
