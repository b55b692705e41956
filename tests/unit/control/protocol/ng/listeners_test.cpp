// SPDX-License-Identifier: Apache-2.0
// NG over streams, with a relay behind it.

#include "control/protocol/ng/listeners.hpp"

#include "control/value/value.hpp"
#include "tests/support/listening.hpp"
#include "tests/support/world.hpp"

namespace ferry::test {
namespace {

using namespace std::chrono_literals;

class NgStreams : public Listening {
 protected:
  NgStreams()
      : server_(all_, Endpoint{IpAddress::v4({127, 0, 0, 1}), UdpPort{0}}, world_->service(),
                world_->manager(), [this] { return world_->clock(); }) {}
  std::unique_ptr<World> world_ = make_sim_world();
  ng::StreamServer server_;
};

TEST_F(NgStreams, MessagesSplitAndJoinedAnywhere) {
  const std::string asked = R"(a d7:command4:pingeb {"command":"ping"}c d7:command4:pinge)";
  const std::string expected = R"(a d6:result4:pongeb {"result":"pong"}c d6:result4:ponge)";
  auto at_once = StreamClient::to(server_.port());
  at_once.send(asked);
  EXPECT_TRUE(until([&] { return at_once.heard() == expected; })) << at_once.heard();
  auto in_pieces = StreamClient::to(server_.port());
  for (const char octet : asked) {
    in_pieces.send({&octet, 1});
    turn();
  }
  EXPECT_TRUE(until([&] { return in_pieces.heard() == expected; })) << in_pieces.heard();
}

TEST_F(NgStreams, CTL4_TableOfBadMessages) {
  const struct {
    const char* what;
    std::string said;
    bool is_answered;
    bool ends;
  } rows[] = {
      {"no document", "c x", true, true},
      {"too deep", "c " + std::string(17, 'l'), true, true},
      {"a key that is no string", "c di1e1:xe", true, false},
      {"no dictionary", "c i5e", true, false},
      {"no cookie", std::string(1500, 'c'), false, true},
      {"too large", "c l" + std::string(270'000, 'l'), true, true},
      {"a string that is too large", "c d999999:", false, true},
  };
  for (const auto& row : rows) {
    auto client = StreamClient::to(server_.port());
    client.send(row.said);
    if (row.ends) {
      EXPECT_TRUE(until([&] { return client.is_closed(); })) << row.what;
      EXPECT_EQ(client.heard().find("error") != std::string::npos, row.is_answered)
          << row.what << client.heard();
      continue;
    }
    client.send("n d7:command4:pinge");
    EXPECT_TRUE(until([&] { return client.heard().ends_with("n d6:result4:ponge"); }))
        << row.what << client.heard();
    EXPECT_EQ(client.heard().find("error") != std::string::npos, row.is_answered) << row.what;
  }
}

TEST_F(NgStreams, CTL12_HalfACommandIsLateAndSilenceIsNot) {
  auto half = StreamClient::to(server_.port());
  half.send("c d7:comm");
  auto silent = StreamClient::to(server_.port());
  auto idle = StreamClient::to(server_.port());
  idle.send("c d7:command4:pinge");
  EXPECT_TRUE(until([&] { return !idle.heard().empty() && all_.size() == 3; }));
  for (int minutes = 0; minutes < 60; ++minutes) now_ += 60s;
  EXPECT_TRUE(until([&] { return half.is_closed(); }));
  EXPECT_FALSE(silent.is_closed() || idle.is_closed());
  EXPECT_EQ(closed(CloseReason::kRequestLate), 1u);
}

TEST_F(NgStreams, CTL12_EventsEndClientsThatDoNotRead) {
  auto reader = StreamClient::to(server_.port());
  auto deaf = StreamClient::to(server_.port());
  EXPECT_TRUE(until([&] { return all_.size() == 2; }));
  Dict event;
  event.set("data", std::string(10'000, 'e'));
  for (int n = 0; n < 5'000 && all_.size() == 2; ++n) {
    server_.broadcast(event);
    turn();
    reader.heard();
    reader.forget();
  }
  EXPECT_EQ(closed(CloseReason::kUnread), 1u);
  reader.send("c d7:command4:pinge");
  EXPECT_TRUE(until([&] { return reader.heard().ends_with("c d6:result4:ponge"); }));
}

}  // namespace
}  // namespace ferry::test
