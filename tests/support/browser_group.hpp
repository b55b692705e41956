// SPDX-License-Identifier: Apache-2.0
// A browser with audio and video in one BUNDLE group that talks to a plain phone, in a simulated world.
#pragma once

#include "tests/support/ice_phone.hpp"

#include <array>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace ferry::test {

/// Payload types of the browser's sections.
constexpr std::uint8_t kAudioType = 8;
constexpr std::uint8_t kVideoType = 96;
const std::string kVideoLines = "UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 VP8/90000\r\n";

/// One section of a browser.
struct GroupPart {
  std::string type = "audio";
  std::string mid = "0";
  bool is_alive = true;
};
const std::vector<GroupPart> kBothParts = {{"audio", "0"}, {"video", "1"}};

/// What `phone` says with these sections in one group. The first living one is tagged and has the candidates.
inline std::string group_sdp(const IcePhone& phone, const std::vector<GroupPart>& parts) {
  const std::string text = phone.sdp();
  const std::string transport = text.substr(text.find("a=rtcp-mux"));
  const std::string audio_lines = "UDP/TLS/RTP/SAVPF 8\r\na=rtpmap:8 PCMA/8000\r\n";
  std::string names;
  std::string sections;
  for (const GroupPart& part : parts) {
    std::string lines = transport;
    lines.replace(lines.find("a=mid:0"), 7, "a=mid:" + part.mid);
    if (!part.is_alive || !names.empty()) {
      const std::string candidates = phone.candidate();
      lines.erase(lines.find(candidates), candidates.size());
    }
    sections += "m=" + part.type + (part.is_alive ? " 9 " : " 0 ") +
                (part.type == "audio" ? audio_lines : kVideoLines) + lines;
    if (part.is_alive) names += " " + part.mid;
  }
  return text.substr(0, text.find("m=audio")) + "a=group:BUNDLE" + names + "\r\n" + sections;
}

/// How many packets arrived: at the browser of audio and of video, and at the phone.
using GroupCounts = std::array<std::size_t, 4>;
constexpr GroupCounts kAllArrived = {20, 20, 20, 20};

/// The browser `B` and the phone `A`, which has a port for each section. For fixtures of tests.
class GroupCall {
 public:
  explicit GroupCall(WorldOptions options) : world_(make_sim_world(std::move(options))) {
    for (const std::uint16_t port : std::array<std::uint16_t, 2>{4000, 4010}) world_->open(at('A', port));
  }
  [[nodiscard]] Endpoint at(char who, std::uint16_t port) const {
    return {world_->peer_address(1, who), UdpPort{port}};
  }
  void pass(std::initializer_list<IcePhone*> phones, Duration time) {
    for (Duration done{0}; done < time; done += std::chrono::milliseconds(20)) {
      for (IcePhone* phone : phones) phone->drive();
      world_->run(world_->elapsed() + std::chrono::milliseconds(20));
      for (IcePhone* phone : phones) phone->listen();
    }
  }
  nlohmann::json ok(const nlohmann::json& request) {
    nlohmann::json reply = world_->ng(request);
    EXPECT_EQ(reply["result"], "ok") << reply;
    return reply;
  }
  /// What the plain phone says. `audio`, `video`: false = that section is refused; video may be left out.
  std::string phone_sdp(std::size_t sections, bool audio = true, bool video = true) const {
    std::string text = audio_sdp(at('A', static_cast<std::uint16_t>(audio ? 4000 : 0)));
    if (sections == 2)
      text += fmt::format("m=video {} RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n", video ? 4010 : 0);
    return text;
  }
  /// The browser calls the phone, or offers again. Returns the relay's answer.
  nlohmann::json browser_offers(IcePhone& browser, const std::vector<GroupPart>& parts, bool audio = true) {
    nlohmann::json request = offer("c", "B", group_sdp(browser, parts));
    request.update({{"transport-protocol", "RTP/AVP"}, {"ICE", "remove"}, {"rtcp-mux", {"demux"}}});
    if (is_known_) request["to-tag"] = "A";
    relay_ = ports_of(ok(request));
    is_known_ = true;
    nlohmann::json answered = ok(answer("c", "B", "A", phone_sdp(parts.size(), audio)));
    browser.hears(answered, audio ? 0 : 1);
    return answered;
  }
  [[nodiscard]] static std::vector<std::uint16_t> ports_of(const nlohmann::json& reply) {
    const auto text = reply.at("sdp").get<std::string>();
    std::vector<std::uint16_t> ports;
    const auto parsed = sdp::parse(text);
    EXPECT_TRUE(parsed) << text;
    if (!parsed) return ports;
    for (const auto& section : parsed->media) ports.push_back(section.port);
    return ports;
  }
  [[nodiscard]] std::size_t heard(const IcePhone& browser, std::uint8_t type) const {
    return static_cast<std::size_t>(std::ranges::count_if(
        browser.heard, [&](const Packet& each) { return (read_u8(each, 1) & 0x7f) == type; }));
  }
  /// 20 packets of each section, both ways.
  GroupCounts talk(IcePhone& browser, bool audio = true, bool video = true) {
    const auto now = [&] {
      return GroupCounts{heard(browser, kAudioType), heard(browser, kVideoType),
                         world_->count(at('A', 4000), 'B'), world_->count(at('A', 4010), 'B')};
    };
    const GroupCounts before = now();
    for (int i = 0; i < 20; ++i, ++sequence_) {
      const Endpoint relay{world_->relay_address(), {}};
      if (audio) world_->send(at('A', 4000), {relay.address, UdpPort{relay_[0]}}, rtp('A', 1, sequence_));
      if (video)
        world_->send(at('A', 4010), {relay.address, UdpPort{relay_[1]}}, rtp('A', 11, sequence_, kVideoType));
      if (browser.agent.selected(Component::kRtp)) {
        if (audio) browser.send(rtp('B', 2, sequence_));
        if (video) browser.send(rtp('B', 12, sequence_, kVideoType));
      }
      pass({&browser}, std::chrono::milliseconds(20));
    }
    GroupCounts after = now();
    for (std::size_t i = 0; i < after.size(); ++i) after[i] -= before[i];
    return after;
  }

  std::unique_ptr<World> world_;
  std::vector<std::uint16_t> relay_;
  std::uint16_t sequence_ = 1;
  bool is_known_ = false;
};

}  // namespace ferry::test
