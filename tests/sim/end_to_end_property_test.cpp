// SPDX-License-Identifier: Apache-2.0
// Two phones that do ICE and DTLS with each other through the relay, over bad links and behind NATs of their
// own: they connect whenever STUN of both gets through, and media comes from and goes to their places alone.
// An attacker who repeats all of their STUN from elsewhere gets no media; that both connect in time is not
// promised then (ICE-11).
//
// The phones reach each other through the relay only. DTLS is the one without cryptography (`fake_dtls.hpp`).
// FERRY_SEED and FERRY_SEEDS choose the seeds (default 60 from 1).

#include "tests/support/fake_dtls.hpp"
#include "tests/support/ice_phone.hpp"
#include "tests/support/seeds.hpp"

#include <optional>

#include <fmt/format.h>

namespace ferry::test {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

constexpr std::size_t kWords = 20;

struct Party {
  std::unique_ptr<IcePhone> phone;
  Access* access = nullptr;
};

class Play {
 public:
  Play(std::uint64_t seed, bool has_attacker)
      : has_attacker_(has_attacker), random_(seed, 77), link_(std::make_shared<Link>(seed)) {
    auto dtls = std::make_shared<FakeDtls>();
    WorldOptions options;
    options.link = link_;
    options.session.dtls.backend = dtls;
    options.on_time = [dtls](Instant now) { dtls->now = now; };
    world_ = make_sim_world(options);
    has_dtls_ = random_.chance(0.7);
    word_ = random_.chance(0.5) ? "optional" : "force-relay";
    trouble_.loss = random_.chance(0.5) ? 0.0 : 0.1;
    trouble_.delay = random_.up_to(150ms);
    trouble_.jitter = random_.up_to(50ms);
    trouble_.doubled = random_.chance(0.5) ? 0.0 : 0.2;
    a_ = join('A', "10.0.0.65", "alice", "passive", *dtls);
    b_ = join('B', "10.0.0.66", "bob", "active", *dtls);
    a_.phone->plan.controlling = true;
    world_->open(stranger());
    set_up();
  }

  void pass(Duration time) {
    for (Duration done{0}; done < time; done += 20ms) {
      for (const Party* each : {&a_, &b_}) each->phone->drive();
      world_->run(world_->elapsed() + 20ms);
      for (const Party* each : {&a_, &b_}) each->phone->listen();
      repeat();
    }
  }
  [[nodiscard]] bool is_connected() const {
    const auto is_ready = [&](const Party& party) {
      return party.phone->relay().is_set() &&
             (!has_dtls_ || party.phone->channel.state() == DtlsChannel::State::kReady);
    };
    return is_ready(a_) && is_ready(b_) && through_here(0) && through_here(1);
  }
  /// What each of them has reached so far, for a failure.
  [[nodiscard]] std::string told() const {
    std::string text = fmt::format("DTLS {}, ICE={}", has_dtls_, word_);
    for (std::size_t leg = 0; leg < 2; ++leg) {
      const IcePhone& phone = *(leg == 0 ? a_ : b_).phone;
      text += fmt::format("; party {} selected '{}', DTLS state {}, relay: {}", leg,
                          phone.relay().is_set() ? phone.relay().to_string() : "",
                          static_cast<int>(phone.channel.state()), media(leg)["end_to_end"].dump());
    }
    return text;
  }
  bool connect(Duration limit) {
    for (const Duration end = world_->elapsed() + limit; world_->elapsed() < end && !is_connected();)
      pass(100ms);
    return is_connected();
  }
  void calm() {
    for (const Party* each : {&a_, &b_}) each->access->set({});
    pass(500ms);
  }
  /// The NAT of A gives it other ports; it nominates nothing new.
  bool rebind() {
    if (!a_.access->nat) return false;
    a_.access->nat->rebind();
    return true;
  }
  /// How many of 20 words each of them heard.
  std::pair<std::size_t, std::size_t> talk() {
    const std::pair before(a_.phone->heard.size(), b_.phone->heard.size());
    for (std::size_t n = 0; n < kWords; ++n) {
      a_.phone->send(rtp('A', 1, sequence_));
      b_.phone->send(rtp('B', 2, sequence_));
      ++sequence_;
      pass(20ms);
    }
    pass(100ms);
    return {a_.phone->heard.size() - before.first, b_.phone->heard.size() - before.second};
  }
  /// What X got beside STUN.
  [[nodiscard]] std::size_t stolen() const {
    return static_cast<std::size_t>(std::ranges::count_if(world_->received(), [&](const Received& each) {
      return each.at == stranger() && !each.packet.empty() && read_u8(each.packet, 0) > 3;
    }));
  }

 private:
  [[nodiscard]] Endpoint stranger() const { return {world_->peer_address(1, 'X'), UdpPort{4000}}; }
  Party join(char who, const char* inside, const char* name, const char* setup, FakeDtls& dtls) {
    const IpAddress outside = world_->peer_address(1, who);
    Party party;
    Endpoint at{outside, UdpPort{4000}};
    if (random_.chance(0.7)) {
      at.address = *IpAddress::parse(inside);
      const auto kind = static_cast<NatKind>(random_.below(4));
      party.access = &link_->join(at.address, trouble_, kind, outside);
    } else {
      party.access = &link_->join(outside, trouble_);
    }
    party.phone = std::make_unique<IcePhone>(*world_, at, name, has_dtls_, setup, dtls.make_identity());
    return party;
  }
  void set_up() {
    json request = offer("c", "A", a_.phone->sdp());
    request["ICE"] = word_;
    const json offered = world_->ng(request);
    ASSERT_EQ(offered["result"], "ok") << offered;
    const json answered = world_->ng(answer("c", "A", "B", b_.phone->sdp()));
    ASSERT_EQ(answered["result"], "ok") << answered;
    b_.phone->hears(offered);
    a_.phone->hears(answered);
  }
  [[nodiscard]] json media(std::size_t leg) const {
    return world_->manager().show("c", world_->clock())["legs"][leg]["medias"][0];
  }
  [[nodiscard]] bool through_here(std::size_t leg) const { return media(leg)["end_to_end"]["through_relay"]; }
  /// X repeats the STUN that has reached the parties since, toward both ports.
  void repeat() {
    if (!has_attacker_) return;
    const auto& all = world_->received();
    for (; seen_ < all.size(); ++seen_) {
      const Received each = all[seen_];
      if (each.at == stranger() || each.packet.empty() || read_u8(each.packet, 0) > 3) continue;
      for (const std::size_t leg : {0u, 1u}) {
        const auto port = media(leg)["local"]["rtp_port"].get<std::uint16_t>();
        world_->send(stranger(), {world_->relay_address(), UdpPort{port}}, each.packet);
      }
    }
  }

  bool has_attacker_;
  LinkRandom random_;
  std::shared_ptr<Link> link_;
  std::unique_ptr<World> world_;
  bool has_dtls_ = false;
  const char* word_ = "optional";
  Trouble trouble_;
  Party a_;
  Party b_;
  std::size_t seen_ = 0;
  std::uint16_t sequence_ = 1;
};

TEST(EndToEndProperty, ICE11_PartiesConnectThroughTheRelay) {
  for_each_seed(60, [](std::uint64_t seed) {
    Play play(seed, false);
    ASSERT_TRUE(play.connect(30s)) << play.told();
    play.calm();
    EXPECT_EQ(play.talk(), std::pair(kWords, kWords));
  });
}

TEST(EndToEndProperty, ICE11_WhoeverRepeatsTheirStunHearsNothing) {
  for_each_seed(20, [](std::uint64_t seed) {
    Play play(seed, true);
    const bool is_connected = play.connect(5s);
    play.calm();
    const auto heard = play.talk();
    if (is_connected) {
      EXPECT_EQ(heard, std::pair(kWords, kWords));
    }
    EXPECT_EQ(play.stolen(), 0u);
  });
}

TEST(EndToEndProperty, ICE11_APartyWhoseNatForgetsIsFoundAgain) {
  for_each_seed(20, [](std::uint64_t seed) {
    Play play(seed, false);
    ASSERT_TRUE(play.connect(30s)) << play.told();
    play.calm();
    if (!play.rebind()) return;
    play.pass(20s);
    EXPECT_EQ(play.talk(), std::pair(kWords, kWords));
  });
}

}  // namespace
}  // namespace ferry::test
