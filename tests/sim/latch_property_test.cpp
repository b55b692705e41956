// SPDX-License-Identifier: Apache-2.0
// One honest sender over a bad link: whatever the link does to its packets, the relay learns the same
// endpoint as over a clean one, and after a NAT rebinding it is where the rules of latching say (LAT-2 to
// LAT-10).
//
// How it works: a `Setting` is drawn from a seed: NAT, what B's SDP says, policy, plain or SRTP, rebinding,
// and trouble of the link. `play` runs a call with it: B and A speak through trouble, then over a calm link;
// then the NAT rebinds, and the same again. The property compares three things: the outcome with trouble, the
// outcome without, and what `Expected` says by the text of the rules alone. The network is asked as well:
// where the latch is right, all packets of the calm end arrive at both parties; where it is not, none do.
//
// A probation under LAT-3a needs a second without a gap, which a bad link may never give. Therefore each
// phase ends calmly. FERRY_SEED and FERRY_SEEDS choose the seeds (default 200 from 1).

#include "tests/support/secure_call.hpp"
#include "tests/support/seeds.hpp"

#include <optional>
#include <string>

#include <fmt/format.h>

namespace ferry::test {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

constexpr Duration kPacketTime = 20ms;
constexpr int kTroubled = 200;  // packets of each phase
constexpr int kCalm = 100;
constexpr int kJudged = 25;  // the last ones of the calm time, which must arrive
/// The relay's address on an interface that advertises it.
constexpr const char* kPrivateRelay = "192.168.7.1";

/// Where B's SDP says that B is.
enum class Says : std::uint8_t {
  kWhereItIs,  // its endpoint as the relay sees it, as B asked a STUN server; not so behind a symmetric NAT
  kOtherPort,  // the right address with a port that nobody uses
  kInside,     // its own address, behind the NAT
};
enum class Rebinding : std::uint8_t { kNone, kPort, kAddress };

struct Setting {
  std::uint64_t seed = 0;
  std::optional<NatKind> nat;
  Says says = Says::kWhereItIs;
  bool knows_source = true;  // `received-from`
  bool is_global = false;    // the relay advertises a global address, so a private one is void (LAT-4);
                             // otherwise it advertises a private one
  bool is_protected = false;
  LatchPolicy policy = LatchPolicy::kSignalled;
  Rebinding rebinding = Rebinding::kNone;
  Trouble trouble;
};

template <class Value>
Value one_of(LinkRandom& random, std::initializer_list<Value> values) {
  return *(values.begin() + random.below(values.size()));
}

Trouble draw_trouble(LinkRandom& random) {
  Trouble t;
  t.loss = one_of(random, {0.0, 0.01, 0.1, 0.3});
  t.burst_begin = one_of(random, {0.0, 0.01, 0.05});
  t.burst_end = one_of(random, {0.1, 0.3});
  t.delay = random.up_to(150ms);
  t.jitter = one_of<Duration>(random, {0ms, 10ms, 40ms, 80ms});
  t.keeps_order = random.chance(0.2);
  t.held = one_of(random, {0.0, 0.05, 0.3});
  t.held_for = 30ms + random.up_to(70ms);
  t.doubled = one_of(random, {0.0, 0.05, 0.5});
  return t;
}

Setting draw(std::uint64_t seed) {
  LinkRandom random(seed, 1'000'000);
  Setting s;
  s.seed = seed;
  if (random.chance(0.8))
    s.nat = one_of(random, {NatKind::kFullCone, NatKind::kAddressRestricted, NatKind::kPortRestricted,
                            NatKind::kSymmetric});
  s.says = one_of(random, {Says::kWhereItIs, Says::kOtherPort, Says::kInside});
  s.knows_source = random.chance(0.6);
  s.is_global = random.chance(0.5);
  s.is_protected = random.chance(0.3);
  s.policy = one_of(random, {LatchPolicy::kOff, LatchPolicy::kSignalled, LatchPolicy::kSignalled,
                             LatchPolicy::kUncontested, LatchPolicy::kAny});
  if (s.nat) s.rebinding = one_of(random, {Rebinding::kNone, Rebinding::kPort, Rebinding::kAddress});
  s.trouble = draw_trouble(random);
  return s;
}

std::string told(const Setting& s) {
  static constexpr std::array kSays = {"its outside endpoint", "another port", "its inside address"};
  static constexpr std::array kRebindings = {"no rebinding", "a new port", "a new address"};
  const auto ms = [](Duration time) { return time / 1ms; };
  return fmt::format(
      "{}; SDP says {}; source {}; interface {}; {}; latch={}; {}; loss {}, bursts {}/{}, delay {} ms, "
      "jitter {} ms{}, held {} for {} ms, doubled {}",
      s.nat ? to_string(*s.nat) : "no NAT", kSays[static_cast<std::size_t>(s.says)],
      s.knows_source ? "known" : "unknown", s.is_global ? "global" : "private",
      s.is_protected ? "SRTP" : "plain RTP", to_string(s.policy),
      kRebindings[static_cast<std::size_t>(s.rebinding)], s.trouble.loss, s.trouble.burst_begin,
      s.trouble.burst_end, ms(s.trouble.delay), ms(s.trouble.jitter),
      s.trouble.keeps_order ? " in order" : "", s.trouble.held, ms(s.trouble.held_for), s.trouble.doubled);
}

/// How a phase ended.
struct Outcome {
  std::string learned;
  std::string seen;    // B's endpoint, as the relay sees it
  int heard_by_a = 0;  // of the last `kJudged` packets
  int heard_by_b = 0;
  bool operator==(const Outcome&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Outcome& o) {
  return out << "learned \"" << o.learned << "\", B at " << o.seen << ", A heard " << o.heard_by_a
             << ", B heard " << o.heard_by_b;
}

/// One call: A sends from where its SDP says, over a link without trouble; B as the setting says.
class Play {
 public:
  Play(const Setting& setting, const Trouble& trouble)
      : setting_(setting), trouble_(trouble), link_(std::make_shared<Link>(setting.seed)), random_(1) {
    WorldOptions options;
    options.link = link_;
    options.interfaces = {fmt::format("private/{}", kPrivateRelay)};
    world_ = make_sim_world(options);
    a_ = {world_->peer_address(1, 'A'), UdpPort{4000}};
    outside_ = world_->peer_address(1, 'B');
    b_ = {setting.nat ? *IpAddress::parse("10.0.0.66") : outside_, UdpPort{4000}};
    access_ = setting.nat ? &link_->join(b_.address, {}, *setting.nat, outside_) : &link_->join(b_.address);
    world_->open(a_);
    world_->open(b_);
    // Plain numbers wrap in the first phase. Those of SRTP must not while the first packets may be lost, or
    // the ends would not agree on the rollover counter (RFC 3711 §3.3.1).
    sequence_ = setting.is_protected ? 1'000 : 65'500;
  }
  /// The outcome of each phase, with what the rules say of it.
  struct Phase {
    Outcome outcome;
    std::string expected;
  };
  std::vector<Phase> run() {
    set_up();
    std::vector<Phase> phases = {phase()};
    if (setting_.rebinding == Rebinding::kPort) access_->nat->rebind();
    if (setting_.rebinding == Rebinding::kAddress) access_->nat->rebind(world_->peer_address(1, 'C'));
    if (setting_.rebinding != Rebinding::kNone) phases.push_back(phase());
    return phases;
  }

 private:
  /// B as the relay sees it.
  [[nodiscard]] Endpoint seen() const { return access_->nat ? access_->nat->leave(b_, b_relay_) : b_; }
  [[nodiscard]] Endpoint signalled() {
    switch (setting_.says) {
      case Says::kWhereItIs:
        return access_->nat ? access_->nat->leave(b_, *Endpoint::parse("192.0.2.1:3478")) : b_;
      case Says::kOtherPort:
        return {outside_, UdpPort{9000}};
      case Says::kInside:
        break;
    }
    return b_;
  }
  void set_up() {
    json offered = offer("c", "A", audio_sdp(a_));
    offered["direction"] = {"plain", setting_.is_global ? "global" : "private"};
    if (setting_.is_protected)
      offered.update({{"transport-protocol", "RTP/SAVP"}, {"SDES", {"only-AES_CM_128_HMAC_SHA1_80"}}});
    const json reply = world_->ng(offered);
    ASSERT_EQ(reply["result"], "ok") << reply;
    b_relay_ = {setting_.is_global ? world_->relay_address("global") : *IpAddress::parse(kPrivateRelay),
                World::port_of(reply)};
    signalled_ = signalled();
    std::string sdp = audio_sdp(signalled_);
    if (setting_.is_protected) {
      const auto lines = lines_of(reply);
      ASSERT_EQ(lines.size(), 1u) << reply;
      const SrtpSuiteRow& row = row_of(SrtpSuite::kAes128Cm80);
      const sdp::CryptoLine own{lines.front().tag, &row, SecretBytes<46>(random_octets(random_, 30)), {}, {}};
      sdp = audio_sdp(signalled_, "a=crypto:" + sdp::write_crypto(own, {}) + "\r\n");
      sdp.replace(sdp.find("RTP/AVP"), 7, "RTP/SAVP");
      end_ = std::make_unique<SrtpEnd>(SrtpKeys{master_key(own), master_key(lines.front())});
    }
    json answered = answer("c", "A", "B", sdp);
    answered["latch"] = to_string(setting_.policy);
    if (setting_.knows_source) answered["received-from"] = {"IP4", outside_.to_string()};
    const json accepted = world_->ng(answered);
    ASSERT_EQ(accepted["result"], "ok") << accepted;
    a_relay_ = {world_->relay_address(), World::port_of(accepted)};
  }
  void talk(int count) {
    for (int n = 0; n < count; ++n, ++sequence_) {
      const Packet plain = rtp('B', 2, sequence_);
      world_->send(b_, b_relay_, end_ ? end_->sealed(plain, false) : plain);
      world_->send(a_, a_relay_, rtp('A', 1, sequence_));
      world_->run(world_->elapsed() + kPacketTime);
    }
  }
  Phase phase() {
    access_->set(trouble_);
    talk(kTroubled);
    access_->set({});
    talk(kCalm - kJudged);
    const std::size_t at_a = world_->count(a_, 'B');
    const std::size_t at_b = world_->count(b_);
    talk(kJudged);
    const json call = world_->manager().show("c", world_->clock());
    const json& stream = call["legs"][1]["medias"][0]["streams"][0];
    Phase done;
    done.outcome.learned = stream.value("learned", "");
    done.outcome.seen = seen().to_string();
    done.outcome.heard_by_a = static_cast<int>(world_->count(a_, 'B') - at_a);
    done.outcome.heard_by_b = static_cast<int>(world_->count(b_) - at_b);
    learned_ = expected();
    done.expected = learned_.is_set() ? learned_.to_string() : "";
    return done;
  }
  /// Where the rules say that the latch is at the end of a phase. `learned_` is the same of the phase before.
  [[nodiscard]] Endpoint expected() const {
    const Endpoint from = seen();
    if (learned_.is_set()) {                   // LAT-8
      if (setting_.is_protected) return from;  // LAT-8b: from wherever it authenticates
      const bool follows =
          setting_.policy != LatchPolicy::kOff && from.address == learned_.address;  // LAT-8c
      return follows ? from : learned_;
    }
    if (setting_.is_protected) return from;  // LAT-10
    const bool is_void = setting_.is_global && signalled_.address.is_private();
    int rank = setting_.knows_source && from.address == outside_ ? 2 : 1;
    if (!is_void && from.address == signalled_.address) rank = from.port == signalled_.port ? 4 : 3;
    bool is_learned = false;
    switch (setting_.policy) {
      case LatchPolicy::kOff:
        is_learned = rank == 4;
        break;
      case LatchPolicy::kSignalled:
        is_learned = rank >= 2 || is_void;  // LAT-4: alone for a second, LAT-3a
        break;
      case LatchPolicy::kUncontested:
      case LatchPolicy::kAny:
        is_learned = true;
        break;
    }
    return is_learned ? from : Endpoint{};
  }

  const Setting& setting_;
  Trouble trouble_;
  std::shared_ptr<Link> link_;
  std::unique_ptr<World> world_;
  Access* access_ = nullptr;
  std::mt19937 random_;
  std::unique_ptr<SrtpEnd> end_;
  Endpoint a_, b_, a_relay_, b_relay_, signalled_;
  IpAddress outside_;
  /// Where the rules say that the latch was.
  Endpoint learned_;
  std::uint16_t sequence_ = 0;
};

TEST(LatchProperty, LAT5_LAT8_LAT10_ABadLinkLearnsTheSameEndpointAsAGoodOne) {
  std::size_t locked = 0;
  std::size_t moved = 0;
  std::size_t phases = 0;
  const bool is_whole = for_each_seed(200, [&](std::uint64_t seed) {
    const Setting setting = draw(seed);
    SCOPED_TRACE(told(setting));
    const auto troubled = Play(setting, setting.trouble).run();
    const auto clean = Play(setting, {}).run();
    ASSERT_EQ(troubled.size(), clean.size());
    for (std::size_t i = 0; i < troubled.size(); ++i) {
      const Outcome& got = troubled[i].outcome;
      const char* when = i == 0 ? "before the rebinding" : "after the rebinding";
      EXPECT_EQ(got, clean[i].outcome) << when;
      EXPECT_EQ(got.learned, troubled[i].expected) << when;
      const int heard = got.learned == got.seen ? kJudged : 0;
      EXPECT_EQ(got.heard_by_a, heard) << when;
      EXPECT_EQ(got.heard_by_b, heard) << when;
      ++phases;
      locked += got.learned.empty() ? 0 : 1;
      moved += i == 1 && got.learned != troubled[0].outcome.learned ? 1 : 0;
    }
  });
  std::printf("%zu phases, %zu ended locked, %zu followed a rebinding\n", phases, locked, moved);
  if (!is_whole) return;
  // All of it was asked often, or the test says nothing.
  EXPECT_GT(locked, phases / 2);
  EXPECT_GT(phases - locked, phases / 20);
  EXPECT_GT(moved, phases / 20);
}

}  // namespace
}  // namespace ferry::test
