// SPDX-License-Identifier: Apache-2.0
// Attack rows I-07 to I-09: parties that send nothing.

#include "tests/sim/attack_row.hpp"

#include <algorithm>
#include <vector>

namespace ferry::test {

using namespace std::chrono_literals;

namespace {

constexpr Duration kLength = 13s;

std::size_t count_since(const World& world, const Endpoint& at, Duration from) {
  return static_cast<std::size_t>(std::ranges::count_if(
      world.received(), [&](const Received& r) { return r.at == at && r.when >= from; }));
}

/// Call `n` of row I-07, and the ports that its two parties send to.
struct One {
  std::string id;
  Endpoint a, victim, for_a, for_victim;
};

Endpoint party_of(const ScriptRow& r, char who, std::uint16_t n) {
  // Not over the ports of SIP, which are no ports of media at an address of this host (LAT-11a).
  return r.peer(who, static_cast<std::uint16_t>(6000 + 2 * n));
}

std::vector<One> forty_calls(ScriptRow& r) {
  std::vector<One> calls;
  for (std::uint16_t n = 0; n < 40; ++n) {
    One one{fmt::format("{}-{}", r.call_, n), party_of(r, 'A', n), party_of(r, 'V', n), {}, {}};
    r.world_.open(one.a);
    r.world_.open(one.victim);
    UdpPort to_victim;
    UdpPort to_a;
    if (r.world_.is_rtpproxy()) {
      const auto say = [&](const char* command, const Endpoint& media) {
        return World::port_of(r.world_.rtpproxy(
            fmt::format("{} {} {} {} A V", command, one.id, media.address.to_string(), media.port.value)));
      };
      to_victim = say("U", one.a);
      to_a = say("L", one.victim);
    } else {
      to_victim = World::port_of(r.world_.ng(offer(one.id, "A", audio_sdp(one.a))));
      to_a = World::port_of(r.world_.ng(answer(one.id, "A", "V", audio_sdp(one.victim))));
    }
    one.for_a = {r.world_.relay_address(), to_a};
    one.for_victim = {r.world_.relay_address(), to_victim};
    calls.push_back(std::move(one));
  }
  return calls;
}

/// A speaks in forty calls toward one host that never does.
void speak_to_the_silent(ScriptRow& r, const std::vector<One>& calls) {
  r.set_up(r.peer('A'), r.peer('B'));
  r.both(0s, 1s);
  for (const One& one : calls) {
    for (Duration t = 0s; t < kLength; t += 100ms) {
      r.world_.at(t, [&r, one, t] {
        r.world_.send(one.a, one.for_a, rtp('A', 0xA, static_cast<std::uint16_t>(t / 100ms + 1)));
      });
    }
  }
}

void judge_twenty_go_on(ScriptRow& r) {
  r.judge_as_usual();
  std::size_t goes_on = 0;
  for (std::uint16_t n = 0; n < 40; ++n) {
    const Endpoint victim = party_of(r, 'V', n);
    r.outcome_.injected += r.world_.count(party_of(r, 'A', n), 'X') + r.world_.count(victim, 'X');
    r.outcome_.holds = r.outcome_.holds && r.world_.count(victim) >= 95;
    goes_on += count_since(r.world_, victim, 11500ms) > 0 ? 1u : 0u;
  }
  r.outcome_.note = fmt::format("{} go on, the others stop after 10 s", goes_on);
  r.outcome_.holds = r.outcome_.holds && goes_on == 20 && r.outcome_.injected == 0;
}

}  // namespace

void add_silent_rows(const AddRow& add, bool is_virtual) {
  add(
      "I-07", "SDPs of 40 calls point at one host that never answers",
      [](ScriptRow& r) { speak_to_the_silent(r, forty_calls(r)); }, judge_twenty_go_on, kLength);
  add(
      "I-07b", "the same, and X speaks at that host's ports",
      [](ScriptRow& r) {
        const auto calls = forty_calls(r);
        speak_to_the_silent(r, calls);
        for (const One& one : calls) {
          for (Duration t = 1s; t < kLength; t += 2s) {
            r.world_.at(t, [&r, one, t] {
              r.world_.send(r.peer('X'), one.for_victim, rtp('X', 0xA, static_cast<std::uint16_t>(t / 1s)));
            });
          }
        }
      },
      judge_twenty_go_on, kLength);
  add(
      "I-08", "SDP points at a host that answers with ICMP port unreachable",
      [](ScriptRow& r) {
        const Endpoint closed = r.peer('B', 5000);
        if (!r.world_.refuse(closed)) r.outcome_.note = "this network answers with no errors";
        r.set_up(r.peer('A'), closed);
        r.stream('A', r.peer('A'), 'A', 0s, 8s, 0xA);
      },
      [](ScriptRow& r) {
        const json shown = r.world_.manager().show(r.call(), r.world_.clock());
        const auto left = shown["legs"][1]["medias"][0]["streams"][0]["out"]["packets"].get<std::size_t>();
        if (!r.outcome_.note.empty()) {
          r.outcome_.holds = left == r.outcome_.sent;
          return;
        }
        r.outcome_.note = fmt::format("{} of {} packets left in 8 s", left, r.outcome_.sent);
        // Three, those under way meanwhile, and one a second.
        r.outcome_.holds = left >= 9 && left <= 3 + 8 + 4;
      },
      kLength);
  // In real time as long as the other rows are.
  const Duration listening = is_virtual ? 60s : kLength - 500ms;
  add(
      "I-09",
      fmt::format("a party that only listens, {:.1f} s", std::chrono::duration<double>(listening).count()),
      [listening](ScriptRow& r) {
        r.set_up(r.peer('A'), r.peer('B'));
        r.stream('A', r.peer('A'), 'A', 0s, listening, 0xA);
      },
      {}, is_virtual ? 62s : kLength);
}

}  // namespace ferry::test
