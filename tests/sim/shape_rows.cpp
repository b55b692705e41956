// SPDX-License-Identifier: Apache-2.0
// Attack row C-21 and its relatives: sections of other protocols than RTP as a way to services of strangers.

#include "tests/sim/attack_row.hpp"
#include "tests/support/shapes.hpp"

#include <regex>

namespace ferry::test {

using namespace std::chrono_literals;

namespace {

/// Port of the section of type `application` in the SDP of a reply; 0 if it is refused.
UdpPort application_port(const json& reply) {
  static const std::regex kSection(R"(m=application (\d+) )");
  const auto sdp = reply.value("sdp", std::string());
  std::smatch found;
  if (!std::regex_search(sdp, found, kSection)) return UdpPort{0};
  return UdpPort{static_cast<std::uint16_t>(std::stoi(found[1]))};
}

/// A call of A and B with a section of `protocol` whose far end, in B's SDP, is the service V.
void set_up_toward_service(ScriptRow& r, std::string_view protocol) {
  const Endpoint service = r.peer('V');
  r.world_.open(service);
  const auto section = [&](const Endpoint& at) {
    return fmt::format("m=application {} {} *\r\nc=IN IP4 {}\r\n", at.port.value, protocol,
                       at.address.to_string());
  };
  const json offered = r.world_.ng(offer(r.call_, "A", audio_sdp(r.peer('A'), section(r.peer('A', 5000)))));
  const json answered = r.world_.ng(answer(r.call_, "A", "B", audio_sdp(r.peer('B'), section(service))));
  r.to_b_ = World::port_of(offered);
  r.to_a_ = World::port_of(answered);
  const UdpPort port = application_port(answered);
  if (port.value == 0) return;
  for (Duration t = 0s; t < 7s; t += kGap) {
    r.world_.at(t, [&r, port, t] {
      const auto all = shapes();
      const Shape& shape = all[static_cast<std::size_t>(t / kGap) % all.size()];
      r.world_.send(r.peer('A', 5000), {r.world_.relay_address(), port}, shape.packet);
    });
  }
}

}  // namespace

void add_shape_rows(const AddRow& add) {
  struct Relative {
    const char* id;
    const char* what;
    const char* protocol;
    /// The only datagram of `shapes` that the service may get, by its place; none.
    std::optional<std::size_t> passes;
  };
  static constexpr Relative kRelatives[] = {
      {"C-21", "m=application TCP/WB toward a UDP service", "TCP/WB", {}},
      {"C-21b", "m=application TCP/TLS/MSRP toward a UDP service", "TCP/TLS/MSRP", {}},
      {"C-21c", "m=application of a protocol that nobody knows", "FOO/BAR", {}},
      {"C-21d", "m=application UDP/BFCP: BFCP alone", "UDP/BFCP", 2},
      {"C-21e", "m=application UDP/TLS/BFCP: DTLS alone", "UDP/TLS/BFCP", 1},
      {"C-21f", "m=application udptl: UDPTL alone", "udptl", 0},
  };
  for (const Relative& relative : kRelatives) {
    add(
        relative.id, relative.what,
        [&relative](ScriptRow& r) {
          set_up_toward_service(r, relative.protocol);
          r.both(0s, 7s);
        },
        [&relative](ScriptRow& r) {
          r.judge_as_usual();
          const std::size_t got = r.world_.count(r.peer('V'));
          std::size_t right = 0;
          for (const Received& each : r.world_.received()) {
            const bool is_it =
                relative.passes && each.at == r.peer('V') && each.packet == shapes()[*relative.passes].packet;
            right += is_it ? 1u : 0u;
          }
          r.outcome_.note =
              fmt::format("the service got {} datagrams, {} of them of the protocol", got, right);
          r.outcome_.holds = r.outcome_.holds && got == right && (right > 0) == relative.passes.has_value();
        },
        8s);
  }
}

}  // namespace ferry::test
