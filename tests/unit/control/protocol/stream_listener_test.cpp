// SPDX-License-Identifier: Apache-2.0
// Sockets of the control protocols in the file system.

#include "control/protocol/stream_listener.hpp"

#include <array>
#include <filesystem>
#include <fstream>
#include <system_error>

#include <gtest/gtest.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

namespace ferry::test {
namespace {

class SocketFiles : public ::testing::Test {
 protected:
  SocketFiles() {
    std::filesystem::remove_all(root_);
    std::filesystem::create_directories(root_);
  }
  ~SocketFiles() override {
    umask(umask_);
    std::filesystem::remove_all(root_);
  }
  static unsigned mode_of(const std::string& path) {
    struct stat info {};
    EXPECT_EQ(lstat(path.c_str(), &info), 0) << path;
    return info.st_mode & 07777u;
  }

  std::string root_ = testing::TempDir() + "sockets-" + std::to_string(getpid());
  mode_t umask_ = umask(022);
};

TEST_F(SocketFiles, CTL1_ModesWhateverTheUmaskIs) {
  const struct {
    unsigned mode;
    unsigned folder;
  } rows[] = {{0660, 0750}, {0600, 0700}, {0666, 0755}};
  for (const mode_t mask : {0u, 022u, 027u}) {
    for (const auto& row : rows) {
      umask(mask);
      const std::string folder =
          root_ + "/" + std::to_string(mask) + "/" + std::to_string(row.mode) + "/inner";
      const FileDescriptor socket = listen_on_path(folder + "/control.sock", row.mode);
      EXPECT_EQ(mode_of(folder + "/control.sock"), row.mode) << mask;
      EXPECT_EQ(mode_of(folder), row.folder & ~mask) << mask;
      EXPECT_EQ(mode_of(root_ + "/" + std::to_string(mask)) & 0022u, 0u) << "nobody else writes above it";
    }
  }
}

// A change of its mode after it was made would mean that it was open to more, or to less, for a moment.
TEST_F(SocketFiles, CTL1_TheSocketIsNeverOpenToMore) {
  umask(0);
  const FileDescriptor watch(inotify_init1(IN_NONBLOCK));
  ASSERT_GE(inotify_add_watch(watch.get(), root_.c_str(), IN_CREATE | IN_ATTRIB | IN_MOVED_TO), 0);
  const FileDescriptor socket = listen_on_path(root_ + "/s", 0660);
  alignas(inotify_event) std::array<char, 4096> events{};
  const ssize_t size = read(watch.get(), events.data(), events.size());
  ASSERT_GT(size, 0);
  const auto* first = reinterpret_cast<const inotify_event*>(events.data());
  EXPECT_EQ(first->mask & IN_CREATE, std::uint32_t{IN_CREATE});
  EXPECT_EQ(static_cast<std::size_t>(size), sizeof(inotify_event) + first->len) << "made, and not changed";
  EXPECT_EQ(mode_of(root_ + "/s"), 0660u);
}

TEST_F(SocketFiles, OnlyADeadSocketIsReplaced) {
  const std::string path = root_ + "/s";
  {
    const FileDescriptor first = listen_on_path(path);
    EXPECT_THROW(listen_on_path(path), std::system_error) << "somebody listens";
  }
  EXPECT_TRUE(listen_on_path(path)) << "nobody does any more";
  std::filesystem::remove(path);
  std::ofstream(path) << "text";
  EXPECT_THROW(listen_on_path(path), std::system_error) << "no socket";
  EXPECT_TRUE(std::filesystem::exists(path));
  EXPECT_THROW(listen_on_path(root_ + "/" + std::string(200, 'x')), std::system_error) << "too long";
}

}  // namespace
}  // namespace ferry::test
