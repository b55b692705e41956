// SPDX-License-Identifier: Apache-2.0
// Calls of a fax gateway: A has a modem and G.711, B speaks T.38, and the relay stands between them.
#pragma once

#include "codecs/stage/receiver_stage.hpp"
#include "relay/media/direct_stages.hpp"
#include "tests/support/world.hpp"

#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

namespace ferry::test {

/// A simulation whose workers make stages themselves.
inline std::unique_ptr<World> make_fax_world(WorldOptions options = {}) {
  const auto board = std::make_shared<FaxBoard>();
  options.stages = [board](unsigned) { return std::make_unique<DirectStages>(StageFactory(board)); };
  options.session.faxes = board;
  options.session.timeout = options.session.silent_timeout = std::chrono::hours(1);
  options.session.codecs =
      CodecCatalogue({{{"PCMU", 8000, 1, {}}, 8000, true, true}, {{"PCMA", 8000, 1, {}}, 8000, true, true}});
  return make_sim_world(options);
}

inline std::string section_sdp(const Endpoint& at, const std::string& media, const std::string& lines) {
  return fmt::format("v=0\r\no=- 1 1 IN IP4 {0}\r\ns=-\r\nc=IN IP4 {0}\r\nt=0 0\r\nm={1}\r\n{2}",
                     at.address.to_string(), fmt::format(fmt::runtime(media), at.port.value), lines);
}
/// T.38 as a telephone adapter offers it. `lines`: more lines of the section, whole.
inline std::string image_sdp(const Endpoint& at, const std::string& lines = {}) {
  return section_sdp(at, "image {} udptl t38", "a=T38FaxVersion:0\r\n" + lines);
}
inline std::string voice_sdp(const Endpoint& at, const std::string& types = "8") {
  return section_sdp(at, "audio {} RTP/AVP " + types, "");
}

/// What a reply shows in its only section.
struct Shown {
  explicit Shown(const nlohmann::json& reply) {
    const auto text = reply.value("sdp", std::string());
    for (std::size_t at = text.find("m="); at != std::string::npos && at < text.size();) {
      const std::size_t end = std::min(text.find("\r\n", at), text.size());
      lines.push_back(text.substr(at, end - at));
      at = end + 2;
    }
    if (lines.empty()) return;
    const std::size_t blank = lines[0].find(' ');
    const std::size_t behind = lines[0].find(' ', blank + 1);
    port = UdpPort{static_cast<std::uint16_t>(std::stoi(lines[0].substr(blank + 1)))};
    media = lines[0].substr(2, blank - 2) + lines[0].substr(behind);
  }
  [[nodiscard]] bool has(const std::string& line) const {
    return std::find(lines.begin(), lines.end(), line) != lines.end();
  }
  /// The m-line without its port: `audio RTP/AVP 8`.
  std::string media;
  UdpPort port{};
  std::vector<std::string> lines;
};

/// One call, message by message. Each says who sends it; what is shown goes to the other party.
class FaxCall {
 public:
  explicit FaxCall(World& world, unsigned number = 1)
      : a{world.peer_address(number, 'A'), UdpPort{4000}},
        b{world.peer_address(number, 'B'), UdpPort{4000}},
        world_(world),
        id_(fmt::format("fax-{}", number)) {
    for (const Endpoint& at : {a, b}) world.open(at);
  }
  [[nodiscard]] const Endpoint& place(char who) const { return who == 'A' ? a : b; }
  /// Port of the relay that `who` sends to.
  [[nodiscard]] Endpoint relay(char who) const {
    return {world_.relay_address(), who == 'A' ? to_a_ : to_b_};
  }
  Shown offer(char who, const std::string& sdp, const nlohmann::json& more = nlohmann::json::object()) {
    nlohmann::json request = test::offer(id_, std::string(1, who), sdp);
    if (is_answered_) request["to-tag"] = std::string(1, other(who));
    request.update(more);
    return take(who, request);
  }
  Shown answer(char who, const std::string& sdp, const nlohmann::json& more = nlohmann::json::object()) {
    nlohmann::json request = test::answer(id_, std::string(1, other(who)), std::string(1, who), sdp);
    request.update(more);
    is_answered_ = true;
    return take(who, request);
  }
  [[nodiscard]] const std::string& id() const { return id_; }
  [[nodiscard]] nlohmann::json show() const { return world_.manager().show(id_, world_.clock()); }
  [[nodiscard]] const nlohmann::json& reply() const { return reply_; }

  Endpoint a;
  Endpoint b;

 private:
  static char other(char who) { return who == 'A' ? 'B' : 'A'; }
  /// What the message shows is for the other party.
  Shown take(char who, const nlohmann::json& request) {
    reply_ = world_.ng(request);
    Shown shown(reply_);
    if (shown.port.value != 0) (who == 'A' ? to_b_ : to_a_) = shown.port;
    return shown;
  }
  World& world_;
  std::string id_;
  bool is_answered_ = false;
  UdpPort to_a_{};
  UdpPort to_b_{};
  nlohmann::json reply_;
};

}  // namespace ferry::test
