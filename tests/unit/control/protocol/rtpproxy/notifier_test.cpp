// SPDX-License-Identifier: Apache-2.0
// Targets of notifications: which may be named, who gets a line, and when a line is lost.

#include "control/protocol/rtpproxy/notifier.hpp"

#include "tests/support/listening.hpp"

#include <string>
#include <vector>

#include <sys/socket.h>
#include <sys/un.h>

namespace ferry::test::rtpproxy_notifier_test {
namespace {

using rtpproxy::Notifier;

TEST(NotifyTargets, FormsAndFaults) {
  const struct {
    std::string text;
    bool is_one;
  } rows[] = {{"unix:/run/x", true},
              {"/run/x", true},
              {"tcp:192.0.2.1:9000", true},
              {"192.0.2.1:9000", true},
              {"tcp:[2001:db8::1]:9000", true},
              {"udp:127.0.0.1:9000", true},
              {"tcp:%%CC_SELF%%:9000", true},
              {"unix:", false},
              {"unix:/" + std::string(107, 'x'), false},  // sun_path ends with a zero
              {"tcp:192.0.2.1", false},
              {"tcp:192.0.2.1:0", false},
              {"udp:example.com:9000", false},
              {"", false}};
  for (const auto& row : rows) EXPECT_EQ(rtpproxy::is_notify_target(row.text), row.is_one) << row.text;
  EXPECT_THROW(Notifier(nullptr, {"tcp:192.0.2.1:9000", "tcp:"}), std::runtime_error);
}

TEST(NotifyTargets, CTL9_ACommandNamesOnlyWhatTheOperatorAllows) {
  const Notifier notifier(nullptr,
                          {"unix:/run/one", "192.0.2.5:9000", "udp:192.0.2.6:9000", "tcp:%%CC_SELF%%:9001"});
  const IpAddress client = *IpAddress::parse("198.51.100.7");
  const struct {
    const char* named;
    const char* target;
  } rows[] = {{"unix:/run/one", "unix:/run/one"},
              {"/run/one", "unix:/run/one"},
              {"tcp:192.0.2.5:9000", "tcp:192.0.2.5:9000"},
              {"192.0.2.5:9000", "tcp:192.0.2.5:9000"},
              {"192.0.2.6:9000", "udp:192.0.2.6:9000"},
              {"198.51.100.7:9001", "tcp:198.51.100.7:9001"},
              {"tcp:%%CC_SELF%%:9001", "tcp:198.51.100.7:9001"},
              {"198.51.100.8:9001", ""},  // another client
              {"/run/two", ""},
              {"tcp:192.0.2.6:9000", ""},
              {"udp:192.0.2.5:9000", ""},
              {"", ""}};
  for (const auto& row : rows) EXPECT_EQ(notifier.allowed(row.named, client), row.target) << row.named;
  EXPECT_EQ(notifier.allowed("127.0.0.1:9001", *IpAddress::parse("2001:db8::7")), "tcp:127.0.0.1:9001")
      << "a client of another kind is taken for this host";
  EXPECT_TRUE(notifier.any());
  EXPECT_FALSE(Notifier(nullptr, {}).any());
}

class Notifying : public Listening {
 protected:
  /// A socket that listens at `path_`.
  void listen() {
    socket_ = FileDescriptor(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof address.sun_path - 1);
    unlink(path_.c_str());
    ASSERT_EQ(bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(::listen(socket_.get(), 5), 0);
  }
  FileDescriptor accepted() {
    int client = -1;
    EXPECT_TRUE(until([&] { return (client = accept(socket_.get(), nullptr, nullptr)) >= 0; }));
    return FileDescriptor(client);
  }
  void TearDown() override { unlink(path_.c_str()); }

  std::string path_ = testing::TempDir() + "notify-" + std::to_string(getpid()) + ".sock";
  FileDescriptor socket_;
  /// libevent frees a stream with deferred callbacks in its next turn, so that turn comes behind the
  /// notifier's end.
  struct LastTurn {
    event_base* base;
    ~LastTurn() { event_base_loop(base, EVLOOP_NONBLOCK); }
  };
  LastTurn last_turn_{base_.get()};
  Notifier notifier_{base_.get(), {"unix:" + path_}};
};

TEST_F(Notifying, LinesGoOverOneConnectionThatIsMadeAgain) {
  listen();
  notifier_.send("unix:" + path_, "one\n");
  notifier_.send("unix:" + path_, "two\n");
  StreamClient first(accepted());
  EXPECT_TRUE(until([&] { return first.heard() == "one\ntwo\n"; })) << first.heard();
  notifier_.send("unix:" + path_, "three\n");
  EXPECT_TRUE(until([&] { return first.heard() == "one\ntwo\nthree\n"; })) << first.heard();
  first.close();
  turn(3);
  notifier_.send("unix:" + path_, "four\n");
  StreamClient second(accepted());
  EXPECT_TRUE(until([&] { return second.heard() == "four\n"; })) << second.heard();
  EXPECT_EQ(notifier_.lost(), 0u);
}

TEST_F(Notifying, WithoutAListenerLinesAreLostAfterThreeTriesAndCounted) {
  // The path is not there, which the host says at once; then it is, and nobody listens.
  notifier_.send("unix:" + path_, "one\n");
  EXPECT_TRUE(until([&] { return notifier_.lost() == 1; })) << notifier_.lost();
  listen();
  socket_.reset();
  notifier_.send("unix:" + path_, "two\n");
  EXPECT_TRUE(until([&] { return notifier_.lost() == 2; })) << notifier_.lost();
  listen();
  notifier_.send("unix:" + path_, "three\n");
  StreamClient client(accepted());
  EXPECT_TRUE(until([&] { return client.heard() == "three\n"; })) << "later lines go on";
  EXPECT_EQ(notifier_.lost(), 2u);
}

TEST_F(Notifying, WhatNobodyTakesIsBounded) {
  listen();
  const std::string line(64 * 1024 - 1, 'x');
  for (int i = 0; i < 17; ++i) notifier_.send("unix:" + path_, line + "\n");
  EXPECT_EQ(notifier_.lost(), 1u) << "a megabyte waits";
}

TEST_F(Notifying, ADatagramNeedsNoConnection) {
  FileDescriptor socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  SocketAddress address(*Endpoint::parse("127.0.0.1:0"));
  ASSERT_EQ(bind(socket.get(), address.get(), address.size()), 0);
  ASSERT_EQ(getsockname(socket.get(), address.get(), address.size_pointer()), 0);
  notifier_.send("udp:" + address.endpoint().to_string(), "one\n");
  StreamClient client(std::move(socket));
  EXPECT_TRUE(until([&] { return client.heard() == "one\n"; }));
}

}  // namespace
}  // namespace ferry::test::rtpproxy_notifier_test
