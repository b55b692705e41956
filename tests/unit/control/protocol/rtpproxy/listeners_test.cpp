// SPDX-License-Identifier: Apache-2.0
// Streams of the rtpproxy protocol, with a relay behind them.

#include "control/protocol/rtpproxy/listeners.hpp"

#include "control/protocol/rtpproxy/notifier.hpp"
#include "tests/support/listening.hpp"
#include "tests/support/world.hpp"

#include <sys/un.h>

namespace ferry::test {
namespace {

using namespace std::chrono_literals;

class RtpproxyStreams : public Listening {
 protected:
  std::unique_ptr<rtpproxy::StreamListeners> listen(const std::string& spec) {
    auto parsed = rtpproxy::parse_listen_spec(spec);
    EXPECT_TRUE(parsed) << spec;
    if (parsed->kind == rtpproxy::ListenSpec::Kind::kTcp) parsed->endpoint.port = UdpPort{0};
    return std::make_unique<rtpproxy::StreamListeners>(
        all_, *parsed, service_, world_->manager(), [this] { return world_->clock(); }, 0660u, [] {});
  }
  StreamClient connect_unix() {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof address.sun_path - 1);
    FileDescriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0) << errno;
    return StreamClient(std::move(socket));
  }

  std::string path_ = testing::TempDir() + "rtpproxy-" + std::to_string(getpid()) + ".sock";
  std::unique_ptr<World> world_ = make_sim_world();
  InterfaceSet interfaces_ =
      *InterfaceSet::build({parse_interface_spec("192.0.2.1")}, UdpPort{30000}, UdpPort{30010}, false);
  rtpproxy::Notifier notifier_{base_.get(), {}};
  rtpproxy::Service service_{
      world_->manager(), interfaces_, [this] { return world_->clock(); }, {}, notifier_};
};

TEST_F(RtpproxyStreams, LinesOverTcpOneCommandOverUnix) {
  const auto tcp = listen("tcp:127.0.0.1");
  auto lines = StreamClient::to(tcp->port());
  lines.send("V\nV\n");
  EXPECT_TRUE(until([&] { return std::ranges::count(lines.heard(), '\n') == 2; })) << lines.heard();
  lines.send("V");
  turn(3);
  lines.send("\n");
  EXPECT_TRUE(until([&] { return std::ranges::count(lines.heard(), '\n') == 3; }));
  EXPECT_EQ(lines.heard().find('E'), std::string::npos) << lines.heard();
  const auto local = listen("unix:" + path_);
  auto one = connect_unix();
  one.send("V");
  EXPECT_TRUE(until([&] { return one.is_closed(); }));
  EXPECT_FALSE(one.heard().empty());
}

TEST_F(RtpproxyStreams, CTL12_HalfACommandIsLateAndALongOneIsNone) {
  const auto tcp = listen("tcp:127.0.0.1");
  auto half = StreamClient::to(tcp->port());
  half.send("V");
  auto silent = StreamClient::to(tcp->port());
  EXPECT_TRUE(until([&] { return all_.size() == 2; }));
  turn(5);
  now_ += 10s;
  EXPECT_TRUE(until([&] { return half.is_closed(); }));
  EXPECT_FALSE(silent.is_closed());
  silent.send(std::string(9000, 'x'));
  EXPECT_TRUE(until([&] { return silent.is_closed(); }));
  EXPECT_EQ(closed(CloseReason::kRequestLate), 1u);
}

}  // namespace
}  // namespace ferry::test
