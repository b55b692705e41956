// SPDX-License-Identifier: Apache-2.0
// ICE and DTLS over a bad link: they complete whenever there is a path, whatever NAT the phone is behind, and
// never with a wrong password or a wrong certificate (ICE-1, ICE-4, ICE-6, ICE-9, DTL-2, DTL-8).
//
// How it works: a `Setting` is drawn from a seed. A is a plain party without a link; B is an `IcePhone` with
// one or two addresses, of which one may be dead. DTLS is the one without cryptography (`fake_dtls.hpp`),
// because the retransmission timer of OpenSSL reads the clock of the host. Credentials, transaction ids and
// the times between consent checks come from the system's generator, so a seed repeats the trouble, and the
// rest closely.
//
// FERRY_SEED and FERRY_SEEDS choose the seeds (default 200 from 1).

#include "tests/support/fake_dtls.hpp"
#include "tests/support/ice_phone.hpp"
#include "tests/support/seeds.hpp"

#include <algorithm>
#include <cstdio>
#include <optional>
#include <string>

namespace ferry::test {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

constexpr Duration kTick = 20ms;
/// ICE gives up after so long without any success (ICE-6).
constexpr Duration kGivenUp = IceAgent::kGiveUp;
/// A handshake may take its time behind it.
constexpr Duration kLongest = 60s;
/// How long a call that must not connect is watched.
constexpr Duration kWatched = 8s;
constexpr std::size_t kWords = 20;

/// What is wrong with the call.
enum class Fault : std::uint8_t {
  kNone,
  kOwnPassword,    // B does not know the password that its SDP says
  kRelayPassword,  // B has another password of the relay than the relay's SDP says
  kCertificate,    // B's SDP says the fingerprint of another certificate
};

struct Setting {
  std::uint64_t seed = 0;
  std::optional<NatKind> nat;
  bool b_offers = false;  // so B controls, as whoever offers does (RFC 8445 §6.1.1)
  bool has_dtls = true;
  std::string setup = "active";  // as B's SDP says
  bool has_second = false;       // B has an IPv6 address too
  bool first_is_dead = false;    // and its IPv4 address reaches nobody
  bool relay_is_lite = false;    // so B controls, and checks alone
  Trouble trouble;
};

template <class Value>
Value one_of(LinkRandom& random, std::initializer_list<Value> values) {
  return *(values.begin() + random.below(values.size()));
}

Setting draw(std::uint64_t seed, Fault fault) {
  LinkRandom random(seed, 1'000'000 + static_cast<std::uint64_t>(fault));
  Setting s;
  s.seed = seed;
  if (random.chance(0.8))
    s.nat = one_of(random, {NatKind::kFullCone, NatKind::kAddressRestricted, NatKind::kPortRestricted,
                            NatKind::kSymmetric});
  s.b_offers = random.chance(0.5);
  s.has_dtls = fault == Fault::kCertificate || random.chance(0.7);
  s.setup = s.b_offers ? one_of<std::string>(random, {"active", "passive", "actpass"})
                       : one_of<std::string>(random, {"active", "passive"});
  s.has_second = random.chance(0.3);
  s.first_is_dead = s.has_second && random.chance(0.5);
  // With the right password the relay would find the phone at its own address and might nominate it.
  if (fault == Fault::kRelayPassword && !s.nat) s.b_offers = true;
  if (fault == Fault::kRelayPassword && s.has_second) s.b_offers = true;
  s.trouble.loss = one_of(random, {0.0, 0.02, 0.1, 0.2});
  // Bursts on top of heavy loss leave too few answers for the number of checks that ICE-6 allows.
  if (s.trouble.loss <= 0.1) s.trouble.burst_begin = one_of(random, {0.0, 0.02, 0.05});
  s.trouble.burst_end = 0.3;
  // A burst of the link must not outlast the seven tries of a check (ICE-6), which go out ever more rarely.
  s.trouble.burst_longest = 500ms;
  s.trouble.delay = random.up_to(200ms);
  s.trouble.jitter = one_of<Duration>(random, {0ms, 10ms, 50ms, 100ms});
  s.trouble.held = one_of(random, {0.0, 0.1});
  s.trouble.held_for = 150ms;
  s.trouble.doubled = one_of(random, {0.0, 0.1, 0.5});
  // A lite agent sends no checks, so it never finds out that the phone's password is another one.
  s.relay_is_lite = fault != Fault::kOwnPassword && random.chance(0.3);
  return s;
}

std::string told(const Setting& s) {
  const auto ms = [](Duration time) { return time / 1ms; };
  return fmt::format(
      "{}; {}{}; {}{}{}; loss {}, bursts {}/{}, delay {} ms, jitter {} ms, held {} for {} ms, doubled {}",
      s.nat ? to_string(*s.nat) : "no NAT", s.b_offers ? "B offers" : "the relay offers",
      s.relay_is_lite ? "; the relay is lite" : "", s.has_dtls ? "DTLS, B " + s.setup : "no DTLS",
      s.has_second ? "; IPv6 too" : "", s.first_is_dead ? "; IPv4 is dead" : "", s.trouble.loss,
      s.trouble.burst_begin, s.trouble.burst_end, ms(s.trouble.delay), ms(s.trouble.jitter), s.trouble.held,
      ms(s.trouble.held_for), s.trouble.doubled);
}

/// One call of a setting.
class Play {
 public:
  Play(const Setting& setting, Fault fault)
      : setting_(setting), fault_(fault), dtls_(std::make_shared<FakeDtls>()) {
    link_ = std::make_shared<Link>(setting.seed);
    WorldOptions options;
    options.link = link_;
    options.session.dtls.backend = dtls_;
    options.on_time = [dtls = dtls_](Instant now) { dtls->now = now; };
    if (setting.has_second) options.interfaces = {"plain/2001:db8:18::1"};
    world_ = make_sim_world(options);
    a_ = {world_->peer_address(1, 'A'), UdpPort{4000}};
    world_->open(a_);
    const IpAddress outside = world_->peer_address(1, 'B');
    const Endpoint first{setting.nat ? *IpAddress::parse("10.0.0.66") : outside, UdpPort{4000}};
    const Endpoint second{*IpAddress::parse("2001:db8:99::b"), UdpPort{4000}};
    join(first, outside).is_cut = setting.first_is_dead;
    identity_ = dtls_->make_identity();
    b_ = std::make_unique<IcePhone>(*world_, first, "bob", setting.has_dtls, setting.setup, identity_);
    if (setting.has_second) {
      b_->is_also_at(second);
      accesses_.push_back(&link_->join(second.address, setting.trouble));
    }
    set_up();
  }

  /// Lets time pass until the call is connected, `limit` at most. True if it is.
  bool connect(Duration limit) {
    const Duration end = world_->elapsed() + limit;
    while (world_->elapsed() < end && !is_connected()) pass(kTick);
    return is_connected();
  }
  /// The NAT gives B's endpoints new ports.
  void rebind() { accesses_.front()->nat->rebind(); }
  /// Lets time pass until the relay's selected pair is another one, `limit` at most. True if it is.
  bool select_another(Duration limit) {
    const auto selected = [this] { return shown()["ice"].value("selected", ""); };
    const std::string before = selected();
    const Duration end = world_->elapsed() + limit;
    while (world_->elapsed() < end && (selected() == before || selected().empty())) pass(5 * kTick);
    return selected() != before && !selected().empty();
  }
  void calm() {
    for (Access* access : accesses_) access->set({});
    pass(500ms);
  }
  /// Both ways: how many of `kWords` packets got to B and to A.
  std::pair<std::size_t, std::size_t> talk() {
    const std::size_t at_b = b_->heard.size();
    const std::size_t at_a = world_->count(a_, 'B');
    for (std::size_t n = 0; n < kWords; ++n, ++sequence_) {
      world_->send(a_, a_relay_, rtp('A', 1, sequence_));
      // A phone that believes nothing may still send: keyed if it has keys, plain otherwise.
      const Packet plain = rtp('B', 2, sequence_);
      if (b_->agent.selected(Component::kRtp))
        b_->send(plain);
      else
        b_->send_by(b_->at(), b_->plan.candidates.front().at, plain);
      pass(kTick);
    }
    return {b_->heard.size() - at_b, world_->count(a_, 'B') - at_a};
  }
  [[nodiscard]] bool relay_found_a_path() { return shown()["ice"]["state"] == "connected"; }
  [[nodiscard]] bool relay_has_keys() {
    return setting_.has_dtls && shown()["srtp"].value("handshake", "") == "ready";
  }
  [[nodiscard]] bool b_has_keys() const { return b_->channel.state() == DtlsChannel::State::kReady; }
  [[nodiscard]] Duration elapsed() const { return world_->elapsed(); }
  /// What the relay and B say of the call, for a failure.
  [[nodiscard]] std::string state() {
    const json media = shown();
    return fmt::format(
        "relay: ICE {}, handshake {}; B: {}, handshake {}; {} s", media["ice"].dump(),
        media.contains("srtp") ? media["srtp"].value("handshake", "-") : "-",
        b_->agent.selected(Component::kRtp) ? "selected " + b_->relay().to_string() : "nothing selected",
        to_string(b_->channel.state()), std::chrono::duration<double>(world_->elapsed()).count());
  }

 private:
  Access& join(const Endpoint& first, const IpAddress& outside) {
    Access& access = setting_.nat ? link_->join(first.address, setting_.trouble, *setting_.nat, outside)
                                  : link_->join(first.address, setting_.trouble);
    accesses_.push_back(&access);
    return access;
  }
  void set_up() {
    const json to_plain = {{"ICE", "remove"}, {"rtcp-mux", {"demux"}}, {"transport-protocol", "RTP/AVP"}};
    b_->plan.peer_is_lite = setting_.relay_is_lite;
    if (setting_.b_offers) {
      b_->plan.controlling = true;
      json request = offer("c", "B", b_sdp());
      request.update(to_plain);
      if (setting_.relay_is_lite) request["ICE-lite"] = "backward";
      const json offered = world_->ng(request);
      ASSERT_EQ(offered["result"], "ok") << offered;
      a_relay_ = {world_->relay_address(), World::port_of(offered)};
      const json reply = world_->ng(answer("c", "B", "A", audio_sdp(a_)));
      ASSERT_EQ(reply["result"], "ok") << reply;
      b_->hears(reply);
    } else {
      json request = offer("c", "A", audio_sdp(a_));
      if (setting_.has_dtls)
        request["flags"] = {"WebRTC"};
      else
        request.update({{"ICE", "force"}, {"rtcp-mux", {"require"}}});
      if (setting_.relay_is_lite) request["ICE-lite"] = "forward";
      const json offered = world_->ng(request);
      ASSERT_EQ(offered["result"], "ok") << offered;
      b_->hears(offered);
      const json reply = world_->ng(answer("c", "A", "B", b_sdp()));
      ASSERT_EQ(reply["result"], "ok") << reply;
      a_relay_ = {world_->relay_address(), World::port_of(reply)};
    }
    if (fault_ == Fault::kOwnPassword) b_->plan.own.password = "AnotherPasswordOfEnoughLetters";
    if (fault_ == Fault::kRelayPassword) b_->plan.peer.password = "AnotherPasswordOfEnoughLetters";
  }
  [[nodiscard]] std::string b_sdp() const {
    std::string text = b_->sdp();
    if (fault_ != Fault::kCertificate) return text;
    const auto written = [](const DtlsIdentity& identity) {
      return sdp::write_fingerprint(identity.fingerprint(FingerprintHash::kSha256));
    };
    const std::string own = written(*identity_);
    return text.replace(text.find(own), own.size(), written(*dtls_->make_identity()));
  }
  void pass(Duration time) {
    for (const Duration end = world_->elapsed() + time; world_->elapsed() < end;) {
      b_->drive();
      world_->run(world_->elapsed() + kTick);
      b_->listen();
    }
  }
  [[nodiscard]] bool is_connected() {
    if (!b_->agent.selected(Component::kRtp)) return false;
    if (setting_.has_dtls && !b_has_keys()) return false;
    return relay_found_a_path() && (!setting_.has_dtls || relay_has_keys());
  }
  json shown() {
    const json call = world_->manager().show("c", world_->clock());
    return call["legs"][setting_.b_offers ? 0 : 1]["medias"][0];
  }

  const Setting& setting_;
  Fault fault_;
  std::shared_ptr<FakeDtls> dtls_;
  std::shared_ptr<Link> link_;
  std::unique_ptr<World> world_;
  std::vector<Access*> accesses_;
  std::shared_ptr<const DtlsIdentity> identity_;
  std::unique_ptr<IcePhone> b_;
  Endpoint a_;
  Endpoint a_relay_;
  std::uint16_t sequence_ = 1;
};

TEST(IceDtlsProperty, ICE4_ICE6_DTL2_TheyCompleteWheneverThereIsAPath) {
  Duration longest{0};
  Duration sum{0};
  std::uint64_t calls = 0;
  for_each_seed(200, [&](std::uint64_t seed) {
    const Setting setting = draw(seed, Fault::kNone);
    SCOPED_TRACE(told(setting));
    Play play(setting, Fault::kNone);
    ASSERT_FALSE(::testing::Test::HasFatalFailure());
    ASSERT_TRUE(play.connect(kLongest)) << play.state();
    longest = std::max(longest, play.elapsed());
    sum += play.elapsed();
    ++calls;
    play.calm();
    EXPECT_EQ(play.talk(), std::pair(kWords, kWords)) << play.state();
  });
  const auto seconds = [](Duration time) { return std::chrono::duration<double>(time).count(); };
  std::printf("%llu calls connected after %.2f s on average and %.2f s at most\n",
              static_cast<unsigned long long>(calls),
              calls == 0 ? 0 : seconds(sum) / static_cast<double>(calls), seconds(longest));
}

// Where the relay controls. A phone that controls has to nominate the pair again, and this one, whose own
// pair goes on, never does.
TEST(IceDtlsProperty, ICE9_ANatRebindingIsFollowed) {
  for_each_seed(50, [&](std::uint64_t seed) {
    Setting setting = draw(seed, Fault::kNone);
    setting.b_offers = setting.has_second = setting.first_is_dead = setting.relay_is_lite = false;
    setting.setup = seed % 2 == 0 ? "active" : "passive";
    if (!setting.nat) setting.nat = NatKind::kSymmetric;
    SCOPED_TRACE(told(setting));
    Play play(setting, Fault::kNone);
    ASSERT_FALSE(::testing::Test::HasFatalFailure());
    ASSERT_TRUE(play.connect(kLongest)) << play.state();
    play.rebind();
    ASSERT_TRUE(play.select_another(kLongest)) << play.state();
    play.calm();
    EXPECT_EQ(play.talk(), std::pair(kWords, kWords)) << play.state();
  });
}

TEST(IceDtlsProperty, ICE1_NothingConnectsWithAWrongPassword) {
  for_each_seed(200, [&](std::uint64_t seed) {
    const Fault fault = seed % 2 == 0 ? Fault::kOwnPassword : Fault::kRelayPassword;
    const Setting setting = draw(seed, fault);
    SCOPED_TRACE(told(setting));
    Play play(setting, fault);
    ASSERT_FALSE(::testing::Test::HasFatalFailure());
    EXPECT_FALSE(play.connect(kWatched)) << play.state();
    EXPECT_FALSE(play.relay_found_a_path()) << play.state();
    EXPECT_FALSE(play.relay_has_keys()) << play.state();
    play.calm();
    EXPECT_EQ(play.talk(), std::pair(std::size_t{0}, std::size_t{0})) << play.state();
  });
}

TEST(IceDtlsProperty, DTL8_NobodyHearsAWrongCertificate) {
  for_each_seed(200, [&](std::uint64_t seed) {
    const Setting setting = draw(seed, Fault::kCertificate);
    SCOPED_TRACE(told(setting));
    Play play(setting, Fault::kCertificate);
    ASSERT_FALSE(::testing::Test::HasFatalFailure());
    while (play.elapsed() < kGivenUp && !play.relay_found_a_path()) ASSERT_FALSE(play.connect(100ms));
    ASSERT_TRUE(play.relay_found_a_path()) << "ICE has nothing to do with it: " << play.state();
    EXPECT_FALSE(play.connect(kWatched)) << play.state();
    EXPECT_FALSE(play.relay_has_keys()) << play.state();
    EXPECT_FALSE(play.b_has_keys()) << play.state();
    play.calm();
    EXPECT_EQ(play.talk(), std::pair(std::size_t{0}, std::size_t{0})) << play.state();
    EXPECT_TRUE(play.relay_found_a_path()) << play.state();
  });
}

}  // namespace
}  // namespace ferry::test
