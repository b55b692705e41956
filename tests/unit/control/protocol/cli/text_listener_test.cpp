// SPDX-License-Identifier: Apache-2.0
// Text commands over TCP, with a relay behind them.

#include "control/protocol/cli/text_listener.hpp"

#include "tests/support/listening.hpp"
#include "tests/support/world.hpp"

namespace ferry::test {
namespace {

using namespace std::chrono_literals;

class TextCommands : public Listening {
 protected:
  TextCommands()
      : listener_(all_, Endpoint{IpAddress::v4({127, 0, 0, 1}), UdpPort{0}}, world_->service(),
                  world_->manager(), [this] { return world_->clock(); }) {}
  std::unique_ptr<World> world_ = make_sim_world();
  cli::TextListener listener_;
};

TEST_F(TextCommands, OneCommandIsAnsweredAndTheStreamEnds) {
  for (const char* line : {"list numsessions\n", "list numsessions\r\nlist numsessions\n"}) {
    auto client = StreamClient::to(listener_.port());
    client.send(line);
    EXPECT_TRUE(until([&] { return client.is_closed(); }));
    EXPECT_TRUE(client.heard().starts_with("Current sessions own: 0")) << client.heard();
    EXPECT_EQ(client.heard().find("own:", 20), std::string::npos) << "one command";
  }
  auto without_end = StreamClient::to(listener_.port());
  without_end.send("list numsessions");
  without_end.end_output();
  EXPECT_TRUE(until([&] { return without_end.is_closed(); }));
  EXPECT_TRUE(without_end.heard().starts_with("Current sessions own: 0"));
}

TEST_F(TextCommands, CTL12_TableOfLinesThatDoNotEnd) {
  const struct {
    std::string said;
    CloseReason why;
    Duration after;
  } rows[] = {{"", CloseReason::kRequestLate, 10s},
              {"list", CloseReason::kRequestLate, 10s},
              {std::string(5000, 'x'), CloseReason::kMalformed, 0s}};
  for (const auto& row : rows) {
    auto client = StreamClient::to(listener_.port());
    client.send(row.said);
    EXPECT_TRUE(until([&] { return all_.size() == 1; }));
    turn(10);
    now_ += row.after;
    EXPECT_TRUE(until([&] { return client.is_closed(); })) << row.said;
    client.close();
    EXPECT_TRUE(until([&] { return all_.size() == 0; }));
    EXPECT_GE(closed(row.why), 1u) << row.said;
  }
}

}  // namespace
}  // namespace ferry::test
