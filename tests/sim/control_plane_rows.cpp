// SPDX-License-Identifier: Apache-2.0
// Attack row C-20 and its relatives: an SDP as a way to the relay's own control ports (LAT-11a). In the
// middle of a call that must not notice, re-offers and new calls name each of them.

#include "tests/sim/attack_row.hpp"

#include <memory>

namespace ferry::test {

using namespace std::chrono_literals;

namespace {

constexpr Duration kBegin = 1s;
constexpr Duration kStep = 50ms;

/// Ports of NG and of rtpproxy at each address of the relay, as bound and as advertised, and at loopback.
std::vector<Endpoint> control_ports(const World& world) {
  std::vector<Endpoint> all;
  const IpAddress loopback = IpAddress::v4({127, 0, 0, 1});
  const IpAddress advertised = IpAddress::v4({203, 0, 113, 77});
  for (const IpAddress& address :
       {world.relay_address(), world.relay_address("global"), advertised, loopback}) {
    for (const UdpPort port : {UdpPort{2223}, UdpPort{22222}}) all.push_back({address, port});
  }
  return all;
}

/// Nobody else has the address that is only advertised: on real sockets no one can listen there.
bool can_listen(const Endpoint& at) { return at.address != IpAddress::v4({203, 0, 113, 77}); }

Endpoint before(const Endpoint& at) {
  return {at.address, UdpPort{static_cast<std::uint16_t>(at.port.value - 1)}};
}

/// How an SDP of A names a control port; for the rtpproxy protocol, which address and port A signals.
struct Way {
  const char* id;
  const char* what;
  std::string (*sdp)(const ScriptRow& row, const Endpoint& control);
  /// Null: it has no words for it.
  Endpoint (*signalled)(const Endpoint& control);
};

constexpr Way kWays[] = {
    {"C-20", "SDP names a control port of the relay for RTP",
     [](const ScriptRow&, const Endpoint& control) { return audio_sdp(control); },
     [](const Endpoint& control) { return control; }},
    {"C-20b", "the same for RTCP, as the port behind RTP",
     [](const ScriptRow&, const Endpoint& control) { return audio_sdp(before(control)); }, before},
    {"C-20c", "the same for RTCP, by a=rtcp",
     [](const ScriptRow& row, const Endpoint& control) {
       return audio_sdp(row.peer('A'), fmt::format("a=rtcp:{} IN IP4 {}\r\n", control.port.value,
                                                   control.address.to_string()));
     },
     nullptr},
    {"C-20d", "the same in an ICE candidate",
     [](const ScriptRow&, const Endpoint& control) {
       return audio_sdp(control, fmt::format("a=ice-ufrag:abcdefgh\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\n"
                                             "a=candidate:1 1 UDP 2130706431 {} {} typ host\r\n",
                                             control.address.to_string(), control.port.value));
     },
     nullptr},
};

/// A's re-offer, and a new call: how many of the two were refused by the rule.
unsigned refused(ScriptRow& r, const Way& way, const Endpoint& control) {
  const std::string fresh = fmt::format("{}-{}", r.call_, control.to_string());
  if (r.world_.is_rtpproxy()) {
    const Endpoint named = way.signalled(control);
    const auto say = [&](const std::string& call) {
      const std::string reply =
          r.world_.rtpproxy(fmt::format("U {} {} {} A B", call, named.address.to_string(), named.port.value));
      return reply == "E37" ? 1u : 0u;
    };
    return say(r.call_) + say(fresh);
  }
  const auto say = [&](const std::string& call, bool is_known) {
    json request = offer(call, "A", way.sdp(r, control));
    if (is_known) request["to-tag"] = "B";
    const json reply = r.world_.ng(request);
    const bool names_rule = reply.value("error-reason", "").find("LAT-11a") != std::string::npos;
    return reply.value("result", "") == "error" && names_rule ? 1u : 0u;
  };
  return say(r.call_, true) + say(fresh, false);
}

}  // namespace

void add_control_plane_rows(const AddRow& add, bool is_rtpproxy) {
  for (const Way& way : kWays) {
    if (is_rtpproxy && way.signalled == nullptr) continue;
    const auto replies = std::make_shared<unsigned>(0);
    add(
        way.id, way.what,
        [way, replies](ScriptRow& r) {
          r.set_up(r.peer('A'), r.peer('B'));
          r.both(0s, 7s);
          Duration when = kBegin;
          for (const Endpoint& control : control_ports(r.world_)) {
            if (can_listen(control)) r.world_.open(control);
            r.world_.at(when, [&r, way, replies, control] { *replies += refused(r, way, control); });
            when += kStep;
          }
        },
        [replies](ScriptRow& r) {
          r.judge_as_usual();
          std::size_t arrived = 0;
          const auto controls = control_ports(r.world_);
          for (const Endpoint& control : controls) arrived += r.world_.count(control);
          r.outcome_.note = fmt::format("{} of {} answered with the error, {} datagrams at control", *replies,
                                        controls.size() * 2, arrived);
          r.outcome_.holds = r.outcome_.holds && *replies == controls.size() * 2 && arrived == 0;
        },
        8s);
  }
}

}  // namespace ferry::test
