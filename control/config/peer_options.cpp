// SPDX-License-Identifier: Apache-2.0
// Options that say at which addresses parties may be (LAT-11a).

#include "control/config/config.hpp"
#include "control/config/option_row.hpp"
#include "control/config/readers.hpp"

#include <algorithm>

namespace ferry {

namespace {

using std::string;
using std::string_view;

string add_network(std::vector<Network>& target, string_view text) {
  const auto network = Network::parse(text);
  if (!network) return fmt::format("'{}' is no network", text);
  target.push_back(*network);
  return {};
}

// clang-format off
constexpr OptionRow kPeerRows[] = {
  {"deny-peer", 0, OptionKind::kList, [](Config& c, string_view v) { return add_network(c.session.peers.denied, v); }, "NETWORK", "networks that no SDP may name for media, and that no media is taken from", [](Config& c) { c.session.peers.denied.clear(); }},
  {"allow-peer", 0, OptionKind::kList, [](Config& c, string_view v) { return add_network(c.session.peers.allowed, v); }, "NETWORK", "exceptions from deny-peer", [](Config& c) { c.session.peers.allowed.clear(); }},
  {"deny-peer-ports", 0, OptionKind::kList, [](Config& c, string_view v) { return add_ports(v, c.session.peers.ports); }, "PORT[-PORT]", "ports that no SDP may name at this host or in control-allow, beside those below 1024, 2223, 5060, 5061, 22222 and those of the control listeners", [](Config& c) { c.session.peers.ports.clear(); }},
};
// clang-format on

}  // namespace

std::span<const OptionRow> peer_option_rows() { return kPeerRows; }

}  // namespace ferry
