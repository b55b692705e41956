// SPDX-License-Identifier: Apache-2.0
// NG as it is posted, and as WebSockets carry it.

#include "control/protocol/ng/http_commands.hpp"

#include "tests/support/world.hpp"

#include <string>

#include <gtest/gtest.h>

namespace ferry::test::http_commands_test {
namespace {

const IpAddress kClient = IpAddress::v4({127, 0, 0, 1});

class HttpCommandsTest : public ::testing::Test {
 protected:
  std::optional<http::Reply> post(std::string_view path, const char* type, std::string body,
                                  bool has_length = true) {
    http::Request request;
    request.headers = {{"Content-Type", type}};
    if (has_length) request.headers.emplace_back("content-length", std::to_string(body.size()));
    request.body = std::move(body);
    return commands_.on_post(path, request, kClient);
  }
  std::string say(const char* subprotocol, std::string_view message) {
    return commands_.on_message(subprotocol, message, kClient).value_or("(nothing)");
  }

  std::unique_ptr<World> world_ = make_sim_world();
  ng::HttpCommands commands_{world_->service(), world_->manager(), [this] { return world_->clock(); }};
};

constexpr const char* kNg = "application/x-rtpengine-ng";
constexpr const char* kJson = "application/json";
const std::string kPing = R"({"command":"ping"})";

TEST_F(HttpCommandsTest, APostNeedsPathTypeAndLength) {
  const struct {
    const char* what;
    const char* path;
    const char* type;
    std::string body;
    bool has_length;
    int status;
    const char* type_of_reply;
  } rows[] = {
      {"with a cookie", "/ng", kNg, "1 " + kPing, true, 200, kNg},
      {"without one", "/ng-plain", kNg, kPing, true, 200, kNg},
      {"as JSON", "/ng-plain", kJson, kPing, true, 200, kJson},
      {"in any case", "/ng", "Application/X-RTPENGINE-NG", "1 " + kPing, true, 200, kNg},
      {"no cookie", "/ng", kNg, "x", true, 400, "text/plain"},
      {"JSON has no cookie", "/ng", kJson, "1 " + kPing, true, 0, ""},
      {"another type", "/ng", "text/plain", "1 " + kPing, true, 0, ""},
      {"another path", "/ng/", kNg, "1 " + kPing, true, 0, ""},
      {"no length", "/ng", kNg, "1 " + kPing, false, 0, ""},
  };
  for (const auto& row : rows) {
    const auto reply = post(row.path, row.type, row.body, row.has_length);
    EXPECT_EQ(reply ? reply->status : 0, row.status) << row.what;
    if (!reply) continue;
    EXPECT_EQ(reply->type, row.type_of_reply) << row.what;
    EXPECT_EQ(reply->body.find("pong") != std::string::npos, row.status == 200) << reply->body;
  }
}

TEST_F(HttpCommandsTest, EachSubprotocolHasItsForm) {
  ASSERT_EQ(commands_.subprotocols().size(), 4u);
  EXPECT_EQ(say("ng.rtpengine.com", "7 " + kPing), R"(7 {"result":"pong"})");
  EXPECT_EQ(say("ng-plain.rtpengine.com", kPing), R"({"result":"pong"})");
  EXPECT_EQ(say("cli.rtpengine.com", "list maxsessions"), "Maximum sessions configured: unlimited\n");
  EXPECT_EQ(say("echo.rtpengine.com", "7 " + kPing), "7 " + kPing);
  EXPECT_EQ(say("ng.rtpengine.com", "x"), "(nothing)") << "no cookie, no reply";
}

TEST_F(HttpCommandsTest, TextCommandsCanBePosted) {
  const auto reply = post("/cli", "text/plain", "list maxsessions\n");
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 200);
  EXPECT_EQ(reply->type, "text/plain");
  EXPECT_EQ(reply->body, "Maximum sessions configured: unlimited\n");
}

// A page of another site, or a link in a mail, can make a browser send a GET.
TEST_F(HttpCommandsTest, AGetReadsAndChangesNothing) {
  const struct {
    const char* path;
    int status;
  } rows[] = {
      {"/cli/list+maxsessions", 200},
      {"/cli/list%20maxsessions", 200},
      {"/cli/help", 200},
      {"/cli/params+diff", 200},
      {"/cli/terminate+c", 405},
      {"/cli/call+terminate+c", 405},
      {"/cli/set+maxsessions+1", 405},
      {"/cli/params+revert", 405},
      {"/cli/debug+c+on", 405},
      {"/cli/unknown", 405},
      {"/cli/", 405},
      {"/cli/list%2", 400},
      {"/cli/%zz", 400},
      {"/cli", 0},
      {"/ng", 0},
  };
  world_->ng(offer("c", "A", audio_sdp(*Endpoint::parse("192.0.2.10:4000"))));
  for (const auto& row : rows) {
    const auto reply = commands_.on_get(row.path);
    EXPECT_EQ(reply ? reply->status : 0, row.status) << row.path;
  }
  EXPECT_EQ(commands_.on_get("/cli/list+maxsessions")->body, "Maximum sessions configured: unlimited\n");
  EXPECT_EQ(world_->manager().size(), 1u);
}

// The reply must not leave before the workers know.
TEST_F(HttpCommandsTest, CommandsAreFlushedBeforeTheReply) {
  const std::string sdp = audio_sdp(*Endpoint::parse("192.0.2.10:4000"));
  ASSERT_EQ(post("/ng-plain", kJson, offer("c", "A", sdp).dump())->status, 200);
  EXPECT_GT(world_->open_ports(), 0u);
  const nlohmann::json end = {
      {"command", "delete"}, {"call-id", "c"}, {"from-tag", "A"}, {"delete-delay", 0}};
  say("ng-plain.rtpengine.com", end.dump());
  EXPECT_EQ(world_->open_ports(), 0u);
}

}  // namespace
}  // namespace ferry::test::http_commands_test
