// SPDX-License-Identifier: Apache-2.0
// Attack rows about copies of protected packets (LAT-10, LAT-8b): X has no key, but it sees A's packets, and
// its copies are there first. A is encrypted, B is plain; what B sends shows where the relay thinks that A
// is.

#include "control/sdp/sdes.hpp"
#include "tests/sim/attack_row.hpp"
#include "tests/support/srtp_judge.hpp"

#include <memory>
#include <vector>

#include <fmt/format.h>

namespace ferry::test {

using namespace std::chrono_literals;

namespace {

constexpr std::uint16_t kFirst = 1;
/// That B and A speak.
constexpr Duration kEnd = 7s;

/// What A sends, packet by packet, as it is on the wire.
class Voice {
 public:
  Voice() : random_(10), line_(fresh()), end_(keys()) {
    for (std::uint16_t n = kFirst; n < kFirst + kEnd / kGap; ++n)
      packets_.push_back(end_.sealed(rtp('A', 0xA, n)));
  }
  /// A's section with its key.
  [[nodiscard]] std::string sdp(const Endpoint& at) const {
    std::string text = audio_sdp(at, "a=crypto:" + sdp::write_crypto(line_, {}) + "\r\n");
    text.replace(text.find("RTP/AVP"), 7, "RTP/SAVP");
    return text;
  }
  [[nodiscard]] const std::vector<Packet>& packets() const { return packets_; }

 private:
  sdp::CryptoLine fresh() {
    const SrtpSuiteRow& row = row_of(SrtpSuite::kAes128Cm80);
    return {1, &row, SecretBytes<46>(random_octets(random_, std::size_t{row.key} + row.salt)), {}, {}};
  }
  [[nodiscard]] SrtpKeys keys() const {
    SrtpMasterKey key;
    key.suite = line_.suite->suite;
    key.key = SecretBytes<32>(line_.key_and_salt.get().first(line_.suite->key));
    key.salt = SecretBytes<14>(line_.key_and_salt.get().subspan(line_.suite->key));
    return {key, key};
  }

  std::mt19937 random_;
  sdp::CryptoLine line_;
  SrtpEnd end_;
  std::vector<Packet> packets_;
};

/// Sets the call up; A speaks from `begin` on, B from then on as well. Before each packet of A, X sends it
/// from all of `strangers`, in [`from`, `to`).
std::shared_ptr<Voice> play(ScriptRow& r, const std::vector<Endpoint>& strangers, Duration from, Duration to,
                            Duration begin = 0s) {
  const auto voice = std::make_shared<Voice>();
  for (const Endpoint& each : strangers) r.world_.open(each);
  r.set_up(r.peer('A'), r.peer('B'), {{"sdp", voice->sdp(r.peer('A'))}, {"transport-protocol", "RTP/AVP"}});
  for (Duration t = begin; t < kEnd; t += kGap) {
    r.world_.at(t, [&r, voice, strangers, t, begin, from, to] {
      const Packet& packet = voice->packets()[static_cast<std::size_t>((t - begin) / kGap)];
      if (t >= from && t < to) {
        for (const Endpoint& each : strangers) r.world_.send(each, r.port_for('A'), packet);
      }
      r.world_.send(r.peer('A'), r.port_for('A'), packet);
      ++r.outcome_.sent;
    });
    // A packet later, so that it has been heard who A is.
    const auto n = static_cast<std::uint16_t>(t / kGap + 1);
    r.world_.at(t + kGap + kGap / 2, [&r, n] {
      r.world_.send(r.peer('B'), r.port_for('B'), rtp('B', 0xB, n));
      ++r.outcome_.sent;
    });
  }
  return voice;
}

/// What X's places got of B, and whether all of A and B arrived. Encrypted packets do not say who sent them.
void judge(ScriptRow& r, const std::vector<Endpoint>& strangers) {
  r.outcome_.leaked = r.world_.count(r.peer('X'));
  for (const Endpoint& each : strangers) r.outcome_.leaked += each == r.peer('X') ? 0 : r.world_.count(each);
  r.outcome_.injected = r.world_.count(r.peer('B')) - r.world_.count(r.peer('B'), 'A');
  r.outcome_.delivered = r.world_.count(r.peer('B'), 'A') + r.world_.count(r.peer('A'));
  r.outcome_.allowed_loss = 2;
  r.outcome_.holds = r.outcome_.holds && r.outcome_.leaked == 0 && r.outcome_.injected == 0 &&
                     r.outcome_.delivered <= r.outcome_.sent &&
                     r.outcome_.sent - r.outcome_.delivered <= r.outcome_.allowed_loss;
}

std::vector<Endpoint> many(const ScriptRow& r, char who, std::uint16_t count) {
  std::vector<Endpoint> places;
  for (std::uint16_t n = 0; n < count; ++n)
    places.push_back(r.peer(who, static_cast<std::uint16_t>(5000 + 2 * n)));
  return places;
}

}  // namespace

void add_copy_rows(const AddRow& add) {
  struct Relative {
    const char* id;
    const char* what;
    char who;  // whose address X sends from
    std::uint16_t places;
    Duration from, to;
  };
  static const std::vector<Relative> kRelatives = {
      {"L10-a", "X sends each packet of encrypted A first, for ever", 'X', 1, 0s, kEnd},
      {"L10-b", "the same from twenty ports", 'X', 20, 0s, kEnd},
      {"L10-c", "X sends A's first packet first, and nothing else", 'X', 1, 0s, kGap},
      {"L10-d", "X overtakes A's packets after the lock", 'X', 4, 1s, kEnd},
      {"L10-e", "the same from other ports of A's address", 'A', 4, 1s, kEnd},
      {"L10-f", "the same within the first three seconds", 'A', 4, kGap, 3s},
  };
  for (const Relative& relative : kRelatives) {
    add(
        relative.id, relative.what,
        [&relative](ScriptRow& r) {
          play(r, many(r, relative.who, relative.places), relative.from, relative.to);
        },
        [&relative](ScriptRow& r) { judge(r, many(r, relative.who, relative.places)); }, 8s);
  }
  add(
      "L10-h", "T-05 with SRTP: X at A's address, first, without a key",
      [](ScriptRow& r) {
        const Endpoint neighbour = r.peer('A', 4999);
        play(r, {}, 0s, 0s, 1s);
        r.world_.open(neighbour);
        for (Duration t = 0s; t < kEnd; t += kGap) {
          r.world_.at(t, [&r, neighbour, t] {
            r.world_.send(neighbour, r.port_for('A'), rtp('X', 0xA, static_cast<std::uint16_t>(t / kGap)));
          });
        }
      },
      [](ScriptRow& r) { judge(r, {r.peer('A', 4999)}); }, 8s);
  add(
      "L10-g", "X sends A's packets first around identical re-offers",
      [](ScriptRow& r) {
        const auto voice = play(r, many(r, 'X', 2), 0s, kEnd);
        for (int n = 1; n < 7; ++n) {
          r.world_.at(n * 1s + kGap / 4, [&r, voice] {
            r.again(r.peer('A'), r.peer('B'),
                    {{"sdp", voice->sdp(r.peer('A'))}, {"transport-protocol", "RTP/AVP"}});
          });
        }
      },
      [](ScriptRow& r) { judge(r, many(r, 'X', 2)); }, 8s);
}

}  // namespace ferry::test
