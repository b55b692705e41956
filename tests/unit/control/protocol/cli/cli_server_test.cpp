// SPDX-License-Identifier: Apache-2.0
// The operator's socket, with a relay behind it.

#include "control/protocol/cli/cli_server.hpp"

#include "control/protocol/stream_listener.hpp"
#include "tests/support/listening.hpp"
#include "tests/support/world.hpp"

#include <nlohmann/json.hpp>
#include <sys/un.h>

namespace ferry::test {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

class OperatorSocket : public Listening {
 protected:
  OperatorSocket() : Listening(8), server_(all_, path_, service_, world_->manager()) {}
  StreamClient connect_operator() {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof address.sun_path - 1);
    FileDescriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0) << errno;
    return StreamClient(std::move(socket));
  }
  std::string path_ = testing::TempDir() + "operator-" + std::to_string(getpid()) + ".sock";
  std::unique_ptr<World> world_ = make_sim_world();
  cli::CliService service_{world_->manager(), world_->service(), [this] { return world_->clock(); }};
  cli::CliServer server_;
  /// A listener of another protocol, which nobody asks anything.
  class Silent final : public Session {
    Progress serve(evbuffer*) override { return Progress::kNothing; }
  };
  Listener others_{all_,
                   listen_on_tcp({IpAddress::v4({127, 0, 0, 1}), UdpPort{0}}),
                   {.name = "others", .standing = {}, .life = {}},
                   [](Connection&) { return std::make_unique<Silent>(); }};
};

TEST_F(OperatorSocket, ALineInALineOut) {
  auto client = connect_operator();
  client.send("{\"command\":\"list\"}\nnonsense\n{\"command\":\"no");
  EXPECT_TRUE(until([&] { return std::ranges::count(client.heard(), '\n') == 2; }));
  client.send("thing\"}\n");
  EXPECT_TRUE(until([&] { return std::ranges::count(client.heard(), '\n') == 3; }));
  EXPECT_NE(client.heard().find("\"calls\":[]"), std::string::npos) << client.heard();
  EXPECT_NE(client.heard().find("not a JSON object"), std::string::npos);
  EXPECT_NE(client.heard().find("unknown command"), std::string::npos);
}

TEST_F(OperatorSocket, CTL12_HalfALineIsLateAndALongOneIsNone) {
  auto half = connect_operator();
  half.send("{\"command\"");
  auto idle = connect_operator();
  EXPECT_TRUE(until([&] { return all_.size() == 2; }));
  turn(5);
  now_ += 10s;
  EXPECT_TRUE(until([&] { return half.is_closed(); }));
  EXPECT_FALSE(idle.is_closed());
  idle.send(std::string(70'000, 'x'));
  EXPECT_TRUE(until([&] { return idle.is_closed(); }));
}

TEST_F(OperatorSocket, CTL12_TheOperatorGetsInWhenTheTableIsFull) {
  std::vector<StreamClient> crowd;
  for (std::uint8_t who = 1; who <= 20; ++who) {
    int ends[2] = {-1, -1};
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    crowd.emplace_back(FileDescriptor(ends[0]));
    const SocketAddress from(Endpoint{IpAddress::v4({127, 0, 0, who}), UdpPort{4000}});
    all_.accept(others_, FileDescriptor(ends[1]), from.get(), from.size());
  }
  EXPECT_EQ(all_.size(), 8u);
  auto client = connect_operator();
  client.send("{\"command\":\"version\"}\n");
  EXPECT_TRUE(until([&] { return client.heard().ends_with("\n"); }));
}

TEST_F(OperatorSocket, ATraceEndsWithItsConnection) {
  world_->ng(offer("c", "A", audio_sdp({IpAddress::v4({192, 0, 2, 10}), UdpPort{4000}})));
  for (int n = 0; n < 20; ++n) {  // more than may run at a time
    auto client = connect_operator();
    client.send("{\"command\":\"trace\",\"call_id\":\"c\"}\n");
    EXPECT_TRUE(until([&] { return client.heard().find("tracing") != std::string::npos; }))
        << n << client.heard();
    client.close();
    EXPECT_TRUE(until([&] { return all_.size() == 0; }));
    turn();
  }
}

}  // namespace
}  // namespace ferry::test
