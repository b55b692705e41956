// SPDX-License-Identifier: Apache-2.0
// What a service manager hears of the daemon, on a socket as systemd opens one (sd_notify(3)).
#include "tools/rtpferryd/service_manager.hpp"

#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace ferry {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

/// The other end, in a folder of its own.
class Listened : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "service_manager_XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = folder_ / "notify";
    ASSERT_LT(path.size(), sizeof address.sun_path);
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    socket_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ASSERT_EQ(bind(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    setenv("NOTIFY_SOCKET", path.c_str(), 1);
  }
  void TearDown() override {
    unsetenv("NOTIFY_SOCKET");
    close(socket_);
    std::filesystem::remove_all(folder_);
  }
  /// The next datagram; empty if there is none.
  std::string heard() const {
    std::array<char, 512> text{};
    const ssize_t size = recv(socket_, text.data(), text.size(), 0);
    return size < 0 ? std::string() : std::string(text.data(), static_cast<std::size_t>(size));
  }
  ServiceManager manager_;

 private:
  std::filesystem::path folder_;
  int socket_ = -1;
};

TEST_F(Listened, HearsWhenCallsMayCome) {
  EXPECT_EQ(heard(), "");
  manager_.serving();
  EXPECT_EQ(heard(), "READY=1\nSTATUS=takes calls");
}

TEST_F(Listened, HearsOfAReloadWithItsTimeAndOfItsEnd) {
  manager_.reloading(Instant(std::chrono::seconds(3)));
  EXPECT_THAT(heard(), StartsWith("RELOADING=1\nMONOTONIC_USEC=3000000\n"));
  manager_.serving();
  EXPECT_THAT(heard(), StartsWith("READY=1\n"));
}

TEST_F(Listened, ADrainingRelayStaysUpUntilItStops) {
  manager_.draining(7);
  const std::string draining = heard();
  EXPECT_THAT(draining, HasSubstr("takes no new calls; 7 "));
  EXPECT_THAT(draining, Not(HasSubstr("STOPPING")));
  manager_.stopping(2);
  EXPECT_EQ(heard(), "STOPPING=1\nSTATUS=stops with 2 calls");
}

TEST_F(Listened, NothingHappensWithoutAServiceManagerOrWithOneThatIsGone) {
  unsetenv("NOTIFY_SOCKET");
  manager_.serving();
  EXPECT_EQ(heard(), "");
  setenv("NOTIFY_SOCKET", "/nonexistent/notify", 1);
  manager_.stopping(0);
  EXPECT_EQ(heard(), "");
}

}  // namespace
}  // namespace ferry
