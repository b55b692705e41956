// SPDX-License-Identifier: Apache-2.0
// The attack rows of docs/rules.md, as one table for each engine: leaked, injected, delivered.
// Set-up of every row: caller A, callee B, stranger X, 50 packets/s for 7 s each, default settings unless
// said.

#ifdef FERRY_HAS_DPDK
#include "tests/support/dpdk_ring.hpp"
#endif
#include "tests/sim/attack_row.hpp"
#include "tests/support/kernel_model.hpp"
#include "tests/support/kernel_programs.hpp"

#include <set>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace ferry::test {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

const Endpoint kVoidA{IpAddress::v4({10, 1, 1, 1}), UdpPort{4000}};

json global_interface() { return {{"direction", {"global", "global"}}}; }

json from_address(const IpAddress& address) {
  return {{"direction", {"global", "global"}}, {"received-from", {"IP4", address.to_string()}}};
}

Packet raw(std::size_t size, std::initializer_list<int> start) {
  Packet packet = bytes_of(start);
  packet.resize(size);
  return packet;
}

std::vector<std::unique_ptr<ScriptRow>> media_rows(World& world) {
  std::vector<std::unique_ptr<ScriptRow>> rows;
  unsigned number = 1;
  const auto add = [&](std::string id, std::string what, ScriptRow::Body script, ScriptRow::Body judge = {},
                       Duration length = 8s) {
    rows.push_back(std::make_unique<ScriptRow>(world, number++, std::move(id), std::move(what),
                                               std::move(script), std::move(judge), length));
  };
  add("T-01", "honest SDP; A, B, X start together", [](ScriptRow& r) {
    r.set_up(r.peer('A'), r.peer('B'));
    r.spray(0s, 7s);
    r.both(0s, 7s);
  });
  add("T-02", "X starts 200 ms before A", [](ScriptRow& r) {
    r.set_up(r.peer('A'), r.peer('B'));
    r.spray(0s, 7s);
    r.both(200ms, 7s);
  });
  add("T-03", "X starts 0.5 s after lock", [](ScriptRow& r) {
    r.set_up(r.peer('A'), r.peer('B'));
    r.both(0s, 7s);
    r.spray(500ms, 7s);
  });
  add(
      "T-03b", "X starts 10 s after lock",
      [](ScriptRow& r) {
        r.set_up(r.peer('A'), r.peer('B'));
        r.both(0s, 12s);
        r.spray(10s, 12s);
      },
      {}, 13s);
  add("T-04", "void SDP address, received-from is A, X first by 200 ms", [](ScriptRow& r) {
    r.set_up(kVoidA, r.peer('B'), from_address(r.peer('A').address), from_address(r.peer('B').address));
    r.stream('X', r.peer('X'), 'A', 0s, 7s, 0xEE, 1, "global");
    r.stream('X', r.peer('X'), 'B', 0s, 7s, 0xEE, 1, "global");
    // B's media goes to A as soon as A is known; until then there is nowhere to send it (LAT-4, LAT-5).
    r.stream('A', r.peer('A'), 'A', 200ms, 7s, 0xA, 1, "global");
    r.stream('B', r.peer('B'), 'B', 300ms, 7s, 0xB, 1, "global");
  });
  add(
      "T-04b", "void address, no received-from, X sprays",
      [](ScriptRow& r) {
        r.set_up(kVoidA, r.peer('B'), global_interface(), global_interface());
        r.stream('X', r.peer('X'), 'A', 0s, 7s, 0xEE, 1, "global");
        r.stream('A', r.peer('A'), 'A', 200ms, 7s, 0xA, 1, "global");
        r.stream('B', r.peer('B'), 'B', 0s, 7s, 0xB, 1, "global");
      },
      [](ScriptRow& r) {
        r.judge_as_usual();
        const json shown = r.world_.manager().show(r.call(), r.world_.clock());
        const std::string state = shown["legs"][0]["medias"][0]["streams"][0]["latch_state"];
        r.outcome_.note = "A's component is " + state;
        r.outcome_.holds = r.outcome_.leaked == 0 && r.outcome_.injected == 0 && state == "contested";
      });
  add(
      "T-04c", "void address, no received-from, no X",
      [](ScriptRow& r) {
        r.set_up(kVoidA, r.peer('B'), global_interface(), global_interface());
        r.stream('A', r.peer('A'), 'A', 0s, 7s, 0xA, 1, "global");
        r.stream('B', r.peer('B'), 'B', 0s, 7s, 0xB, 1, "global");
      },
      [](ScriptRow& r) {
        r.outcome_.allowed_loss = 2 * 75;  // audio within 1.5 s
        r.judge_as_usual();
      });
  add(
      "T-05", "X shares A's address, other port, first",
      [](ScriptRow& r) {
        r.set_up(r.peer('A'), r.peer('B'));
        const Endpoint neighbour = r.peer('A', 4999);
        r.world_.open(neighbour);
        r.stream('X', neighbour, 'A', 0s, 7s, 0xEE);
        r.stream('A', r.peer('A'), 'A', 1s, 7s, 0xA);
        r.stream('B', r.peer('B'), 'B', 1s, 7s, 0xB);
      },
      [](ScriptRow& r) {
        const Endpoint neighbour = r.peer('A', 4999);
        // On a busy machine A's first packet may itself be late.
        Duration since{1s};
        for (const Received& got : r.world_.received()) {
          if (got.at != r.peer('B') || sender_of(got.packet) != 'A') continue;
          since = std::max(since, got.when);
          break;
        }
        std::size_t late = 0;
        for (const Received& got : r.world_.received()) {
          const bool of_x = got.at == neighbour || (got.at == r.peer('B') && sender_of(got.packet) == 'X');
          if (of_x && got.when > since + 100ms) ++late;
        }
        r.outcome_.allowed_loss = 2;
        r.judge_as_usual();
        r.outcome_.note = fmt::format("after A's first packet: {}", late);
        r.outcome_.injected = 0;  // what passed before A came is what the row allows
        r.outcome_.holds = late == 0 && r.outcome_.sent - r.outcome_.delivered <= r.outcome_.allowed_loss;
      });
  // LAT-8a: what is signalled again and is the same opens no window.
  add("T-06", "identical re-offer every 1 s while X sprays", [](ScriptRow& r) {
    r.set_up(r.peer('A'), r.peer('B'));
    r.both(0s, 7s);
    r.spray(500ms, 7s);
    for (int i = 1; i <= 6; ++i) {
      r.world_.at(std::chrono::seconds(i) + 7ms, [&r] { r.again(r.peer('A'), r.peer('B')); });
    }
  });
  add(
      "T-07", "re-offer with a new address; old one goes on for 300 ms",
      [](ScriptRow& r) {
        r.set_up(r.peer('A'), r.peer('B'));
        r.world_.open(r.peer('N'));
        r.stream('A', r.peer('A'), 'A', 0s, 3s, 0xA);
        r.stream('B', r.peer('B'), 'B', 0s, 7s, 0xB);
        r.stream('X', r.peer('X'), 'A', 2s, 7s, 0xEE);
        r.world_.at(3s, [&r] { r.again(r.peer('N'), r.peer('B'), {{"flags", {"port-latching"}}}); });
        r.stream('L', r.peer('A'), 'A', 3s, 3300ms, 0xA, 151);  // late ones of the old place
        r.stream('A', r.peer('N'), 'A', 3010ms, 7s, 0xA, 166);
      },
      [](ScriptRow& r) {
        r.judge_as_usual();
        const std::size_t to_new = r.world_.count(r.peer('N'), 'B');
        const std::size_t late = r.world_.count(r.peer('B'), 'L');
        r.outcome_.delivered += to_new;
        r.outcome_.sent -= 15;  // the late ones must not arrive
        r.outcome_.note = fmt::format("late packets that passed: {}", late);
        r.outcome_.holds = r.outcome_.leaked == 0 && r.outcome_.injected == 0 && late == 0 && to_new > 190 &&
                           r.outcome_.sent - r.outcome_.delivered <= 2;
      });
  add(
      "T-08", "A moves to a new port after 600 ms of silence",
      [](ScriptRow& r) {
        r.set_up(r.peer('A'), r.peer('B'));
        r.world_.open(r.peer('A', 4100));
        r.stream('A', r.peer('A'), 'A', 0s, 3s, 0xA);
        r.stream('A', r.peer('A', 4100), 'A', 3600ms, 7s, 0xA, 181);
        r.stream('B', r.peer('B'), 'B', 0s, 7s, 0xB);
      },
      [](ScriptRow& r) {
        r.judge_as_usual();
        const std::size_t moved = r.world_.count(r.peer('A', 4100), 'B');
        r.outcome_.delivered += moved;
        Duration resumed = Duration::max();
        for (const Received& got : r.world_.received()) {
          if (got.at == r.peer('A', 4100)) resumed = std::min(resumed, got.when - 3600ms);
        }
        r.outcome_.note = fmt::format("{} packets to the new port, the first after {} ms", moved,
                                      std::chrono::duration_cast<std::chrono::milliseconds>(resumed).count());
        r.outcome_.holds = resumed <= 600ms && r.outcome_.sent - r.outcome_.delivered <= 2;
      });
  add(
      "T-08b", "X imitates A from another port while A lives",
      [](ScriptRow& r) {
        r.set_up(r.peer('A'), r.peer('B'));
        r.both(0s, 7s);
        r.world_.open(r.peer('A', 4100));
        r.stream('X', r.peer('A', 4100), 'A', 3s, 7s, 0xA, 152);
        r.stream('X', r.peer('X'), 'A', 3s, 7s, 0xA, 152);
      },
      [](ScriptRow& r) {
        r.judge_as_usual();
        r.outcome_.leaked += r.world_.count(r.peer('A', 4100));
        r.outcome_.holds = r.outcome_.holds && r.outcome_.leaked == 0;
      });
  add("T-09", "X sprays 4 packets to each of 10,000 ports, 5 rounds", [](ScriptRow& r) {
    r.set_up(r.peer('A'), r.peer('B'));
    r.both(0s, 7s);
    // Spread over the round: a burst of them all would be a test of buffers.
    constexpr int kPorts = 10'000;
    constexpr int kPortsAtATime = 50;
    for (int round = 0; round < 5; ++round) {
      for (int first = 0; first < kPorts; first += kPortsAtATime) {
        r.world_.at(std::chrono::seconds(round) + std::chrono::milliseconds(first / kPortsAtATime * 5),
                    [&r, first] {
                      for (int port = first; port < first + kPortsAtATime; ++port) {
                        const Endpoint to{r.world_.relay_address(),
                                          UdpPort{static_cast<std::uint16_t>(30'000 + port)}};
                        for (std::uint16_t n = 0; n < 4; ++n)
                          r.world_.send(r.peer('X'), to, rtp('X', 0xEE, n));
                      }
                    });
      }
    }
  });
  add(
      "T-10", "X sends 4- and 8-octet RTCP to odd and muxed ports",
      [](ScriptRow& r) {
        r.set_up(r.peer('A'), r.peer('B'), {{"sdp", audio_sdp(r.peer('A'), "a=rtcp-mux\r\n")}},
                 {{"sdp", audio_sdp(r.peer('B'), "a=rtcp-mux\r\n")}});
        r.both(0s, 7s);
        for (Duration t = 10ms; t < 7s; t += kGap) {
          r.world_.at(t, [&r] {
            for (const char target : {'A', 'B'}) {
              for (const int plus : {0, 1}) {
                Endpoint to = r.port_for(target);
                to.port.value = static_cast<std::uint16_t>(to.port.value + plus);
                r.world_.send(r.peer('X'), to, bytes_of({0x80, 201, 0, 0}));
                r.world_.send(r.peer('X'), to, receiver_report(0xEE));
              }
            }
          });
        }
      },
      [](ScriptRow& r) {
        r.judge_as_usual();
        const json shown = r.world_.manager().show(r.call(), r.world_.clock());
        for (const auto& leg : shown["legs"]) {
          const auto learned = leg["medias"][0]["streams"][1]["learned"].get<std::string>();
          r.outcome_.holds =
              r.outcome_.holds && learned.find(r.peer('X').address.to_string()) == std::string::npos;
        }
        r.outcome_.holds = r.outcome_.holds &&
                           r.world_.count(r.peer('A')) == r.world_.count(r.peer('A'), 'B') &&
                           r.world_.count(r.peer('B')) == r.world_.count(r.peer('B'), 'A');
      });
  add(
      "T-11", "X copies A's SSRC with sequence +1..+10 after lock",
      [](ScriptRow& r) {
        r.set_up(r.peer('A'), r.peer('B'));
        r.both(0s, 7s);
        for (Duration t = 1s; t < 6s; t += kGap) {
          const auto now = static_cast<std::uint16_t>(t / kGap);
          r.world_.at(t + 3ms, [&r, now] {
            for (std::uint16_t ahead = 1; ahead <= 10; ++ahead) {
              r.world_.send(r.peer('X'), r.port_for('A'),
                            rtp('X', 0xA, static_cast<std::uint16_t>(now + ahead)));
            }
          });
        }
      },
      [](ScriptRow& r) {
        r.judge_as_usual();
        const json shown = r.world_.manager().show(r.call(), r.world_.clock());
        const json& heard = shown["legs"][0]["medias"][0]["received"];
        r.outcome_.note = fmt::format("A's stream: lost {}, duplicates {}", heard[0]["lost"].dump(),
                                      heard[0]["duplicates"].dump());
        r.outcome_.holds =
            r.outcome_.holds && heard.size() == 1 && heard[0]["lost"] == 0 && heard[0]["duplicates"] == 0;
      });
  add(
      "R-01", "malformed compound RTCP set from A",
      [](ScriptRow& r) {
        r.set_up(r.peer('A'), r.peer('B'));
        r.both(0s, 7s);
        r.world_.at(3s, [&r] {
          Endpoint to = r.port_for('A');
          ++to.port.value;
          const std::vector<Packet> bad = {
              raw(8, {0x80, 201, 0, 0}),                                // length 0: the rest is no packet
              raw(8, {0x80, 201, 0, 9}),                                // past the end
              raw(32, {0x9f, 201, 0, 7}),                               // 31 blocks announced, one there
              raw(16, {0x80, 201, 0, 1, 0, 0, 0, 1, 0x85, 203, 0, 1}),  // BYE with 5 sources in 8 octets
              raw(20, {0x80, 201, 0, 1, 0, 0, 0, 1,   0x81, 202,
                       0,    2,   0, 0, 0, 1, 1, 200, 'a',  'b'}),  // SDES item past the end
              raw(20, {0x80, 201, 0, 1, 0, 0, 0,  1,   0x81, 203,
                       0,    2,   0, 0, 0, 1, 99, 'x', 0,    0}),  // BYE reason past the end
              raw(20, {0x80, 201, 0, 1, 0, 0, 0, 1, 0x80, 207,
                       0,    2,   0, 0, 0, 1, 4, 0, 0,    7}),  // XR block past the end
          };
          for (const Packet& packet : bad) r.world_.send(r.peer('A', 4001), to, packet);
        });
      },
      [](ScriptRow& r) {
        r.judge_as_usual();
        const json shown = r.world_.manager().show(r.call(), r.world_.clock());
        const auto dropped = shown["legs"][0]["medias"][0]["drops"].value("malformed-rtcp", 0);
        r.outcome_.note = fmt::format("{} of 7 dropped and counted", dropped);
        r.outcome_.holds = r.outcome_.holds && dropped == 7 && r.world_.count(r.peer('B', 4001)) == 0;
      });
  add(
      "R-04", "RTP header set from A",
      [](ScriptRow& r) {
        r.set_up(r.peer('A'), r.peer('B'));
        r.both(0s, 7s);
        r.world_.at(3s + 5ms, [&r] {
          std::vector<Packet> bad;
          bad.push_back(raw(20, {0x8f, 8, 0, 1}));  // CC 15 in 20 octets
          Packet extension = rtp('Z', 0xA, 1);
          extension[0] = std::byte{0x90};
          write_u16(extension, 14, 65535);
          bad.push_back(extension);
          Packet padding = rtp('Z', 0xA, 1);
          padding[0] = std::byte{0xa0};
          padding.back() = std::byte{250};
          bad.push_back(padding);
          for (const int version : {0x00, 0x40, 0xc0}) {
            Packet other = rtp('Z', 0xA, 1);
            other[0] = static_cast<std::byte>(version);
            bad.push_back(other);
          }
          bad.push_back(raw(11, {0x80, 8, 0, 1}));
          bad.push_back(raw(r.world_.longest_datagram(), {0x80, 8, 0, 1}));
          for (const Packet& packet : bad) r.world_.send(r.peer('A'), r.port_for('A'), packet);
        });
      },
      [](ScriptRow& r) {
        r.judge_as_usual();
        const json shown = r.world_.manager().show(r.call(), r.world_.clock());
        std::uint64_t dropped = 0;
        for (const auto& [reason, count] : shown["legs"][0]["medias"][0]["drops"].items()) {
          // Not what X of row T-09 sent here.
          if (reason != "foreign-source" && reason != "not-rtcp") dropped += count.get<std::uint64_t>();
        }
        r.outcome_.note = fmt::format("{} of 8 dropped and counted", dropped);
        r.outcome_.holds = r.outcome_.holds && dropped == 8 && r.world_.count(r.peer('B'), 'Z') == 0;
      });
  add(
      "R-10", "two calls pointing at each other's ports",
      [](ScriptRow& r) {
        // Call 1's parties are the ports of call 2 and the other way round: nothing but a circle.
        const Endpoint nowhere = r.peer('A', 5000);
        const auto ports_of = [&](const std::string& call) {
          const UdpPort to_callee = World::port_of(r.world_.ng(offer(call, "A", audio_sdp(nowhere))));
          const UdpPort to_caller =
              World::port_of(r.world_.ng(answer(call, "A", "B", audio_sdp(r.peer('B', 5000)))));
          return std::pair{to_caller, to_callee};
        };
        const auto [c1a, c1b] = ports_of(r.call_ + "-1");
        const auto [c2a, c2b] = ports_of(r.call_ + "-2");
        const IpAddress relay = r.world_.relay_address();
        const auto point = [&, flags = json::array({"port-latching"})](const std::string& call, UdpPort a,
                                                                       UdpPort b) {
          json o = offer(call, "A", audio_sdp({relay, a}));
          o["to-tag"] = "B";
          o["flags"] = flags;
          r.world_.ng(o);
          json w = answer(call, "A", "B", audio_sdp({relay, b}));
          w["flags"] = flags;
          r.world_.ng(w);
        };
        point(r.call_ + "-1", c2a, c2b);
        point(r.call_ + "-2", c1a, c1b);
        for (Duration t = 0s; t < 2s; t += kGap) {
          const auto n = static_cast<std::uint16_t>(t / kGap);
          r.world_.at(t, [&r, n, to = Endpoint{relay, c1a}] {
            r.world_.send(r.peer('A', 5000), to, rtp('A', 0xA, n));
          });
        }
      },
      [](ScriptRow& r) {
        std::uint64_t packets = 0;
        for (const char* suffix : {"-1", "-2"}) {
          const json shown = r.world_.manager().show(r.call_ + suffix, r.world_.clock());
          for (const auto& leg : shown["legs"])
            packets += leg["medias"][0]["streams"][0]["out"]["packets"].get<std::uint64_t>();
        }
        r.outcome_.note = fmt::format("{} packets in the circle", packets);
        r.outcome_.holds = packets == 0;
      });
  add(
      "R-11", "one party floods; another call loses nothing",
      [](ScriptRow& r) {
        r.set_up(r.peer('A'), r.peer('B'));
        r.both(0s, 3s);
        const json offered = r.world_.ng(offer(r.call_ + "-flood", "A", audio_sdp(r.peer('F'))));
        const json answered = r.world_.ng(answer(r.call_ + "-flood", "A", "B", audio_sdp(r.peer('G'))));
        r.world_.open(r.peer('G'));
        const Endpoint to{r.world_.relay_address(), World::port_of(answered)};
        for (Duration t = 0s; t < 2s; t += 1ms) {
          r.world_.at(t, [&r, to, t] {
            for (int i = 0; i < 100; ++i) {
              r.world_.send(r.peer('F'), to, rtp('F', 0xF, static_cast<std::uint16_t>(t / 1ms * 100 + i)));
            }
          });
        }
      },
      [](ScriptRow& r) {
        r.judge_as_usual();
        const std::size_t passed = r.world_.count(r.peer('G'), 'F');
        r.outcome_.note = fmt::format("{} packets of the flood passed in 2 s", passed);
        // Burst of one second and 250/s after it (LIM-1).
        r.outcome_.holds = r.outcome_.holds && passed <= 250 * 4;
      });
  add_control_plane_rows(add, world.is_rtpproxy());
  add_shape_rows(add);
  add_offer_rows(add);
  add_copy_rows(add);
  add_silent_rows(add, world.is_virtual());
  return rows;
}

void print_table(const std::string& engine, const std::vector<RowOutcome>& outcomes) {
  fmt::print("\nAttack rows on engine {}\n{:<6} {:<56} {:>6} {:>8} {:>6} {:>9}  {}\n", engine, "row",
             "what happens", "leaked", "injected", "sent", "delivered", "holds");
  for (const RowOutcome& o : outcomes) {
    fmt::print("{:<6} {:<56} {:>6} {:>8} {:>6} {:>9}  {}{}\n", o.id, o.what, o.leaked, o.injected, o.sent,
               o.delivered, o.holds ? "yes" : "NO", o.note.empty() ? "" : "  (" + o.note + ")");
  }
}

/// T-12: a relay with one pair a side, so that call 2 gets the ports of call 1 within a second (PRT-2,
/// PRT-4).
using MakeWorld = std::function<std::unique_ptr<World>(const WorldOptions&)>;

RowOutcome forced_reuse(const MakeWorld& make) {
  WorldOptions options;
  // Not those of the other rows, whose flows may still be in the same kernel map.
  options.port_min = UdpPort{40100};
  options.port_max = UdpPort{40103};
  options.session.delete_delay = 0s;
  const auto world = make(options);
  RowOutcome outcome{.id = "T-12", .what = "call 2 on the ports of call 1, whose party goes on", .note = {}};
  const auto peer = [&](char who) { return Endpoint{world->peer_address(99, who), UdpPort{4000}}; };
  for (const char who : {'A', 'B', 'C', 'D'}) world->open(peer(who));
  // Ports that the second party and the first one send to.
  const auto set_up = [&](const std::string& call, char from, char to) {
    if (world->is_rtpproxy()) {
      const auto port = [&](char command, char who) {
        return World::port_of(
            world->rtpproxy(fmt::format("{} {} {} {} {} {}", command, call, peer(who).address.to_string(),
                                        peer(who).port.value, from, to)));
      };
      const UdpPort to_second = port('U', from);
      return std::pair{to_second, port('L', to)};
    }
    const UdpPort to_second =
        World::port_of(world->ng(offer(call, std::string(1, from), audio_sdp(peer(from)))));
    return std::pair{to_second, World::port_of(world->ng(answer(call, std::string(1, from),
                                                                std::string(1, to), audio_sdp(peer(to)))))};
  };
  const auto [b1, a1] = set_up("one", 'A', 'B');
  const IpAddress relay = world->relay_address();
  for (Duration t = 0s; t < 4s; t += kGap) {
    const auto n = static_cast<std::uint16_t>(t / kGap + 1);
    for (const UdpPort port : {a1, b1})
      world->at(t, [&, n, port] { world->send(peer('A'), {relay, port}, rtp('X', 0xA, n)); });
  }
  std::size_t before = 0;
  world->at(1s + 1ms, [&, b1 = b1, a1 = a1] {
    if (world->is_rtpproxy())
      world->rtpproxy("D one A B");
    else
      world->ng({{"command", "delete"}, {"call-id", "one"}, {"from-tag", "A"}});
    before = world->count(peer('A'));
    const auto [b2, a2] = set_up("two", 'C', 'D');
    if (std::set{a1, b1} != std::set{a2, b2}) outcome.holds = false;
    for (Duration t = 1500ms; t < 4s; t += kGap) {
      const auto n = static_cast<std::uint16_t>(t / kGap);
      world->at(t, [&, n, a2 = a2] {
        world->send(peer('C'), {relay, a2}, rtp('C', 0xC, n));
        ++outcome.sent;
      });
      world->at(t, [&, n, b2 = b2] {
        world->send(peer('D'), {relay, b2}, rtp('D', 0xD, n));
        ++outcome.sent;
      });
    }
  });
  world->run(4500ms);
  outcome.leaked = world->count(peer('A')) - before;
  outcome.injected = world->count(peer('C'), 'X') + world->count(peer('D'), 'X');
  outcome.delivered = world->count(peer('C'), 'D') + world->count(peer('D'), 'C');
  outcome.holds =
      outcome.holds && outcome.leaked == 0 && outcome.injected == 0 && outcome.sent == outcome.delivered;
  return outcome;
}

/// a new SSRC in each packet for 60 s. Virtual time only: what is watched is memory.
RowOutcome many_ssrcs() {
  const auto world = make_sim_world({});
  RowOutcome outcome{.id = "R-05", .what = "new SSRC per packet for a minute", .note = {}};
  const Endpoint a{world->peer_address(1, 'A'), UdpPort{4000}};
  const Endpoint b{world->peer_address(1, 'B'), UdpPort{4000}};
  world->ng(offer("r05", "A", audio_sdp(a)));
  const UdpPort port = World::port_of(world->ng(answer("r05", "A", "B", audio_sdp(b))));
  world->open(b);
  std::uint32_t ssrc = 1000;
  for (Duration t = 0s; t < 59s; t += kGap) {
    world->at(t, [&] { world->send(a, {world->relay_address(), port}, rtp('A', ssrc++, 7)); });
  }
  world->run(59s);  // nothing of it counts as media, so the call would time out
  const json shown = world->manager().show("r05", world->clock());
  const std::size_t kept = shown["legs"][0]["medias"][0]["received"].size();
  outcome.note = fmt::format("{} SSRCs kept of {}", kept, ssrc - 1000);
  outcome.holds = kept <= 8;
  return outcome;
}

/// A simulation with something below the sockets.
MakeWorld with_offload(std::string name, std::function<std::unique_ptr<FlowOffload>(SimNetwork&)> offload) {
  return [name = std::move(name), offload = std::move(offload)](const WorldOptions& options) {
    WorldOptions with = options;
    with.offload = offload;
    with.name = name;
    return make_sim_world(with);
  };
}

/// The rtpproxy protocol signals no media of its own kind and no `received-from`: the rows about sources and
/// silent parties, and T-04 is judged as T-04b.
bool is_for_classic(const ScriptRow& row) {
  const std::string& id = row.outcome().id;
  return (id.starts_with("T-") && id != "T-04") || id.starts_with("I-") || id.starts_with("C-20");
}

constexpr auto kUsualLength = 13s;
constexpr auto kLongLength = 62s;

void run_rows_of(const MakeWorld& make) {
  std::size_t told = 0;  // what the daemon would log
  WorldOptions options;
  options.listener.on_event = [&](const Call&, const Leg&, TransportEvent) { ++told; };
  const auto world = make(options);
  auto rows = media_rows(*world);
  if (world->is_rtpproxy()) std::erase_if(rows, [](const auto& row) { return !is_for_classic(*row); });
  for (auto& row : rows) row->script();
  // A long row goes on after the others: their calls would end for want of media.
  for (const auto& [from, to] : {std::pair{0s, kUsualLength}, std::pair{kUsualLength, kLongLength}}) {
    const auto is_due = [&, from = from, to = to](const auto& row) {
      return row->length() > from && row->length() <= to;
    };
    if (std::ranges::none_of(rows, is_due)) continue;
    world->run(to);
    for (auto& row : rows) {
      if (!is_due(row)) continue;
      ASSERT_FALSE(world->manager().show(row->call(), world->clock()).is_null() &&
                   row->outcome().id != "R-10")
          << row->outcome().id << " has lost its call: " << row->outcome().note;
      row->judge();
    }
  }
  std::vector<RowOutcome> outcomes;
  for (const auto& row : rows) outcomes.push_back(row->outcome());
  outcomes.push_back(forced_reuse(make));
  if (world->name() == "sim" && !world->is_rtpproxy()) outcomes.push_back(many_ssrcs());
  print_table(world->name() + (world->is_rtpproxy() ? ", rtpproxy protocol" : ""), outcomes);
  // LIM-4: each kind once a stream and 10 s, whatever the rows send; T-09 alone sends 200,000 packets. Some
  // rows make forty calls.
  EXPECT_LE(told, world->manager().totals().managed * 2 * 4);
  if (world->name().starts_with("sim+")) {
    EXPECT_GT(world->forwarded_by_kernel(), 8'000u) << "the rows were to be forwarded below";
  }
  for (const RowOutcome& outcome : outcomes)
    EXPECT_TRUE(outcome.holds) << outcome.id << ": " << outcome.what << " " << outcome.note;
}

/// Over both control protocols.
void run_rows(const MakeWorld& make) {
  run_rows_of(make);
  run_rows_of([&](const WorldOptions& options) {
    WorldOptions rtpproxy = options;
    rtpproxy.rtpproxy = true;
    return make(rtpproxy);
  });
}

TEST(AttackTable, SimEngine) { run_rows(make_sim_world); }
TEST(AttackTable, SimEngineWithOffload) {
  run_rows(
      with_offload("sim+model", [](SimNetwork& network) { return std::make_unique<KernelModel>(network); }));
}
void run_rows_on_programs(const char* name, const Attached& attached) {
  std::string why;
  {
    SimNetwork network;
    if (!SimKernel::make(network, attached, why)) GTEST_SKIP() << why;
  }
  run_rows(with_offload(name, [&](SimNetwork& network) { return SimKernel::make(network, attached, why); }));
}
TEST(AttackTable, SimEngineWithTcProgram) { run_rows_on_programs("sim+tc", {Program::kTc}); }
TEST(AttackTable, SimEngineWithXdpAndTcPrograms) {
  run_rows_on_programs("sim+xdp", {Program::kXdp, Program::kTc});
}
TEST(AttackTable, SimEngineWithXdpProgramAlone) {
  run_rows_on_programs("sim+xdp alone", {Program::kXdpAlone});
}
TEST(AttackTable, PortableEngine) {
  run_rows([](const WorldOptions& options) { return make_live_world(options); });
}
#ifdef FERRY_HAS_DPDK
TEST(AttackTable, DpdkEngine) {
  std::string why;
  const std::vector<IpAddress> addresses = {IpAddress::v4({127, 250, 0, 1}), IpAddress::v4({127, 250, 0, 2})};
  if (!RingPort::make(2, addresses, why)) GTEST_SKIP() << why;
  std::uint64_t by_socket = 0;
  run_rows([&](const WorldOptions& options) {
    auto port = RingPort::make(2, addresses, why);
    if (!port) throw std::runtime_error(why);
    return make_live_world(options, std::make_unique<RingEngine>(std::move(port), by_socket));
  });
  EXPECT_EQ(by_socket, 0u) << "nothing was to leave by a socket";
}
#endif

}  // namespace
}  // namespace ferry::test
