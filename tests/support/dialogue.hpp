// SPDX-License-Identifier: Apache-2.0
// Offers and answers of plain parties in the simulated world, section by section, and packets between them.
#pragma once

#include "control/sdp/sdp.hpp"
#include "tests/support/world.hpp"

#include <chrono>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

namespace ferry::test {

using Words = std::vector<std::string>;

/// A section of a party's SDP. Audio is PCMA (8), everything else VP8 (96).
struct Section {
  std::string mid;  // empty = none
  std::string type = "audio";
  bool is_rejected = false;
  std::string profile = "RTP/AVP";
  Words lines = {};  // attributes, without "a="
};
using Sections = std::vector<Section>;

/// One call of parties named by a letter. What the relay prints comes back as text; ports are remembered.
class Dialogue {
 public:
  explicit Dialogue(const WorldOptions& options = {}, std::string id = "call")
      : world_(make_sim_world(options)), id_(std::move(id)) {}

  /// Keys of the next request beside `flags`.
  nlohmann::json more = nlohmann::json::object();

  std::string sdp_of(char who, const Sections& sections, const Words& session = {}) {
    const std::string address = world_->peer_address(1, who).to_string();
    std::string text = fmt::format("v=0\r\no=- {0} {1} IN IP4 {2}\r\ns=-\r\nc=IN IP4 {2}\r\nt=0 0\r\n",
                                   int{who}, ++version_, address);
    for (const std::string& line : session) text += "a=" + line + "\r\n";
    std::size_t at = 0;
    for (const Section& section : sections) {
      const bool is_audio = section.type == "audio";
      const unsigned port = section.is_rejected ? 0 : rtp_of(who, at).port.value;
      text += fmt::format("m={} {} {} {}\r\n", section.type, port, section.profile, is_audio ? "8" : "96");
      text += is_audio ? "a=rtpmap:8 PCMA/8000\r\n" : "a=rtpmap:96 VP8/90000\r\n";
      if (!section.mid.empty()) text += "a=mid:" + section.mid + "\r\n";
      for (const std::string& line : section.lines) text += "a=" + line + "\r\n";
      ++at;
    }
    return text;
  }
  /// What the relay shows to `to`.
  std::string offer(char from, char to, const Sections& sections, const Words& flags = {},
                    const Words& session = {}) {
    open(from, sections.size());
    auto request = test::offer(id_, std::string(1, from), sdp_of(from, sections, session));
    if (known_.find(to) != std::string::npos) request["to-tag"] = std::string(1, to);
    known_ += from;
    return send_request(std::move(request), flags, to);
  }
  /// What the relay shows to `offerer`.
  std::string answer(char offerer, char from, const Sections& sections, const Words& flags = {},
                     const Words& session = {}) {
    open(from, sections.size());
    auto request =
        test::answer(id_, std::string(1, offerer), std::string(1, from), sdp_of(from, sections, session));
    known_ += from;
    return send_request(std::move(request), flags, offerer);
  }

  [[nodiscard]] Endpoint rtp_of(char who, std::size_t section) const {
    return {world_->peer_address(1, who), UdpPort{static_cast<std::uint16_t>(4000 + 2 * section)}};
  }
  [[nodiscard]] Endpoint end_of(char who, std::size_t section, bool rtcp) const {
    Endpoint end = rtp_of(who, section);
    if (rtcp) ++end.port.value;
    return end;
  }
  /// A party sends to the port that it was shown last; 5 ms pass.
  void send(char who, const Packet& packet, bool rtcp = false, std::size_t section = 0) {
    const auto port = static_cast<std::uint16_t>(shown_[who].at(section) + (rtcp ? 1 : 0));
    world_->send(end_of(who, section, rtcp), {world_->relay_address(), UdpPort{port}}, packet);
    world_->run(world_->elapsed() + std::chrono::milliseconds(5));
  }
  /// Packets that reached a party since it was asked last.
  std::vector<Packet> heard(char who, bool rtcp = false, std::size_t section = 0) {
    const Endpoint end = end_of(who, section, rtcp);
    std::vector<Packet> packets;
    const auto& all = world_->received();
    for (std::size_t& at = seen_[end]; at < all.size(); ++at) {
      if (all[at].at == end) packets.push_back(all[at].packet);
    }
    return packets;
  }
  /// Each of two parties sends two packets, so that the relay knows both.
  void settle(char a, char b, std::size_t section = 0) {
    for (int i = 0; i < 2; ++i) {
      for (const char who : {a, b})
        send(who, rtp(who, static_cast<std::uint32_t>(who), ++sequence_[who], 8), false, section);
    }
    heard(a, false, section);
    heard(b, false, section);
  }
  std::uint16_t next_sequence(char who) { return ++sequence_[who]; }
  World& world() { return *world_; }
  [[nodiscard]] const std::string& id() const { return id_; }

 private:
  void open(char who, std::size_t sections) {
    for (std::size_t i = 0; i < sections; ++i) {
      world_->open(end_of(who, i, false));
      world_->open(end_of(who, i, true));
    }
  }
  std::string send_request(nlohmann::json request, const Words& flags, char to) {
    request["flags"] = flags;
    request.update(more);
    more = nlohmann::json::object();
    std::string text = world_->ng(request).value("sdp", "");
    const auto parsed = sdp::parse(text);
    if (!parsed) return text;
    shown_[to].clear();
    for (const auto& section : parsed->media) shown_[to].push_back(section.port);
    return text;
  }

  std::unique_ptr<World> world_;
  std::string id_;
  std::string known_;
  unsigned version_ = 0;
  std::map<char, std::vector<std::uint16_t>> shown_;
  std::map<char, std::uint16_t> sequence_;
  std::map<Endpoint, std::size_t> seen_;
};

/// Values of the attributes `name` in a section of an SDP (its session part: section -1).
inline Words values_of(std::string_view text, std::string_view name, int section = 0) {
  Words values;
  const auto parsed = sdp::parse(text);
  if (!parsed || section >= static_cast<int>(parsed->media.size())) return {"no such section"};
  const auto& attributes =
      section < 0 ? parsed->attributes : parsed->media[static_cast<std::size_t>(section)].attributes;
  for (const auto& attribute : attributes) {
    if (attribute.name == name) values.emplace_back(attribute.value);
  }
  return values;
}

}  // namespace ferry::test
