// SPDX-License-Identifier: Apache-2.0
// Attack rows about offers that wait for their answer and about payload types that nobody offered (LAT-14,
// LAT-15, DMX-4): what strangers and the parties themselves make of those windows.

#include "tests/sim/attack_row.hpp"

#include <vector>

namespace ferry::test {

using namespace std::chrono_literals;

namespace {

/// When an answer comes.
constexpr Duration kAnswered = 400ms;

/// Makes the offer now and the answer after `kAnswered`; A speaks from then on, B from the beginning.
void answer_late(ScriptRow& r) {
  r.to_b_ = World::port_of(r.world_.ng(offer(r.call_, "A", audio_sdp(r.peer('A')))));
  r.world_.at(kAnswered, [&r] {
    r.to_a_ = World::port_of(r.world_.ng(answer(r.call_, "A", "B", audio_sdp(r.peer('B')))));
  });
  r.stream('A', r.peer('A'), 'A', kAnswered + 100ms, 7s, 0xA);
  r.stream('B', r.peer('B'), 'B', 0s, 7s, 0xB);
  // Timers of a busy machine: the newest 25 packets are kept, not those before.
  r.outcome_.allowed_loss = 2;
}

/// `count` strangers speak at B's port, each from a port of its own.
void strangers(ScriptRow& r, std::uint16_t count, Duration end, std::uint32_t ssrc) {
  for (std::uint16_t n = 0; n < count; ++n) {
    const Endpoint from = r.peer('X', static_cast<std::uint16_t>(4000 + 2 * n));
    r.world_.open(from);
    r.stream('X', from, 'B', 0s, end, ssrc + n);
  }
}

/// A's offer after the call is up; nobody answers it.
void propose(ScriptRow& r, Duration when, const std::string& sdp) {
  r.world_.at(when, [&r, sdp] {
    json o = offer(r.call_, "A", sdp);
    o["to-tag"] = "B";
    r.world_.ng(o);
  });
}

/// A sends one packet of payload type `type` each 20 ms, marked as `who`, within its own stream.
void interleave(ScriptRow& r, char who, std::uint8_t type, Duration start, Duration end) {
  for (Duration t = start; t < end; t += kGap) {
    const auto n = static_cast<std::uint16_t>(t / kGap);
    // A's stream has the odd numbers.
    const auto of_audio = static_cast<std::uint16_t>(2 * n + 1);
    r.world_.at(t, [&r, of_audio, who, type] {
      r.world_.send(r.peer('A'), r.port_for('A'), rtp('A', 0xA, of_audio));
      ++r.outcome_.sent;
      r.world_.send(r.peer('A'), r.port_for('A'),
                    rtp(who, 0xA, static_cast<std::uint16_t>(of_audio + 1), type));
    });
  }
}

/// Adds a row with the usual judgement.
void add_usual(const AddRow& add, const char* id, const char* what, ScriptRow::Body script) {
  add(id, what, std::move(script), {}, 8s);
}

void add_early_rows(const AddRow& add) {
  add_usual(add, "L14-a", "three strangers at B's port before the answer", [](ScriptRow& r) {
    answer_late(r);
    strangers(r, 3, 7s, 0xE0);
  });
  add_usual(add, "L14-b", "nine strangers at B's port before the answer", [](ScriptRow& r) {
    answer_late(r);
    strangers(r, 9, 7s, 0xE0);
    // Four sources are kept: B's early packets may be none of them.
    r.outcome_.allowed_loss = kAnswered / kGap + 5;
  });
  add_usual(add, "L14-c", "a stranger copies B's SSRC and numbers before the answer", [](ScriptRow& r) {
    answer_late(r);
    strangers(r, 1, 7s, 0xB);
  });
  add_usual(add, "L14-d", "strangers alone before the answer, B begins after it", [](ScriptRow& r) {
    r.to_b_ = World::port_of(r.world_.ng(offer(r.call_, "A", audio_sdp(r.peer('A')))));
    strangers(r, 4, kAnswered + 1s, 0xE0);
    r.world_.at(kAnswered, [&r] {
      r.to_a_ = World::port_of(r.world_.ng(answer(r.call_, "A", "B", audio_sdp(r.peer('B')))));
    });
    r.both(kAnswered + 200ms, 7s);
  });
}

void add_proposal_rows(const AddRow& add) {
  add_usual(add, "L15-a", "a re-offer names a victim and is never answered", [](ScriptRow& r) {
    r.set_up(r.peer('A'), r.peer('B'));
    r.both(0s, 7s);
    propose(r, 1s, audio_sdp(r.peer('X')));
  });
  add_usual(add, "L15-b", "a stranger copies A's stream while a re-offer waits", [](ScriptRow& r) {
    r.set_up(r.peer('A'), r.peer('B'));
    r.both(0s, 7s);
    propose(r, 1s, audio_sdp(r.peer('A', 4002)));
    r.spray(1s, 7s, 0xA);
  });
  add_usual(add, "L15-c", "a new re-offer each 500 ms, each to another port of the victim", [](ScriptRow& r) {
    r.set_up(r.peer('A'), r.peer('B'));
    r.both(0s, 7s);
    for (std::uint16_t n = 0; n < 10; ++n) {
      const Endpoint victim = r.peer('X', static_cast<std::uint16_t>(4000 + 2 * n));
      r.world_.open(victim);
      propose(r, 1s + n * 500ms, audio_sdp(victim));
    }
  });
  add_usual(add, "L15-d", "a re-offer to hold is never answered", [](ScriptRow& r) {
    r.set_up(r.peer('A'), r.peer('B'));
    r.both(0s, 7s);
    propose(r, 1s, audio_sdp(r.peer('A'), "a=inactive\r\n"));
  });
}

void add_type_rows(const AddRow& add) {
  add(
      "D4-a", "types that nobody offered come first, from A too",
      [](ScriptRow& r) {
        r.set_up(r.peer('A'), r.peer('B'));
        for (Duration t = 0s; t < 1s; t += kGap) {
          const auto n = static_cast<std::uint16_t>(t / kGap + 1);
          r.world_.at(t, [&r, n] {
            r.world_.send(r.peer('A'), r.port_for('A'), rtp('a', 0xA, n, 96));
            r.world_.send(r.peer('X'), r.port_for('A'), rtp('X', 0xEE, n, 96));
          });
        }
        r.both(1s, 7s);
      },
      [](ScriptRow& r) {
        r.judge_as_usual();
        const std::size_t early = r.world_.count(r.peer('B'), 'a');
        r.outcome_.note = fmt::format("{} of them passed", early);
        r.outcome_.holds = r.outcome_.holds && early == 0;
      },
      8s);
  struct Relative {
    const char* id;
    const char* what;
    const char* extra;  // of both SDPs
    json keys;
    std::uint8_t type;
    bool passes;
  };
  static const std::vector<Relative> kRelatives = {
      {"D4-b", "type 96 that nobody offered, of A that is heard", "", json::object(), 96, true},
      {"D4-c", "the same under strict-payload-types", "", {{"strict-payload-types", "yes"}}, 96, false},
      {"D4-d", "type 72 under rtcp-mux: RTCP without its mark", "a=rtcp-mux\r\n", json::object(), 72, false},
  };
  for (const Relative& relative : kRelatives) {
    add(
        relative.id, relative.what,
        [&relative](ScriptRow& r) {
          json o = relative.keys;
          o["sdp"] = audio_sdp(r.peer('A'), relative.extra);
          r.set_up(r.peer('A'), r.peer('B'), o, {{"sdp", audio_sdp(r.peer('B'), relative.extra)}});
          interleave(r, 'o', relative.type, 0s, 6s);
          r.stream('B', r.peer('B'), 'B', 0s, 6s, 0xB);
        },
        [&relative](ScriptRow& r) {
          r.judge_as_usual();
          const std::size_t others = r.world_.count(r.peer('B'), 'o');
          r.outcome_.note = fmt::format("{} of 300 passed", others);
          r.outcome_.holds = r.outcome_.holds && others == (relative.passes ? 300u : 0u);
        },
        8s);
  }
}

}  // namespace

void add_offer_rows(const AddRow& add) {
  add_early_rows(add);
  add_proposal_rows(add);
  add_type_rows(add);
}

}  // namespace ferry::test
