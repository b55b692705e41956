// SPDX-License-Identifier: Apache-2.0
// A party of a simulated call that has an ICE agent and, if wanted, a DTLS handshake of its own.
//
// Agent and handshake are those of the relay, for want of others that take the time as a value; its SRTP is
// libsrtp2.
#pragma once

#include "control/sdp/dtls.hpp"
#include "control/sdp/ice.hpp"
#include "relay/core/dtls/dtls_channel.hpp"
#include "relay/core/ice/ice_agent.hpp"
#include "relay/dtls/openssl_dtls.hpp"
#include "tests/support/secure_call.hpp"

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace ferry::test {

/// A check that asks for its pair to be taken (RFC 8445 §7.2.2); `n` tells checks apart.
[[nodiscard]] inline Packet stun_check(const std::string& username, const std::string& password,
                                       std::uint32_t n) {
  stun::Contents contents;
  contents.username = username;
  contents.use_candidate = true;
  contents.controlling = 1;
  contents.priority = 1;
  stun::TransactionId transaction{};
  for (std::size_t i = 0; i < 4; ++i) transaction[i] = std::byte(n >> (8 * i));
  return stun::write(stun::Kind::kRequest, transaction, contents, password);
}

/// A party with ICE at one or more addresses, RTCP on the RTP port. With DTLS it begins the handshake, unless
/// `setup` leaves the choice to the relay. Call `drive` and `listen` in turn while time passes.
class IcePhone final {
 public:
  /// `identity`: its certificate; null = a new one of OpenSSL.
  IcePhone(World& world, const Endpoint& at, std::string name, bool with_dtls, std::string setup = "active",
           std::shared_ptr<const DtlsIdentity> identity = nullptr)
      : world_(world), name_(std::move(name)), with_dtls_(with_dtls), setup_(std::move(setup)) {
    plan.own = {name_ + "Ufrag", name_ + "PasswordOfEnoughLetters"};
    dtls_plan_.identity = identity ? std::move(identity) : OpenSslDtls().make_identity();
    dtls_plan_.role = setup_ == "active" ? DtlsRole::kClient : DtlsRole::kServer;
    dtls_plan_.association = 1;
    is_also_at(at);
  }
  [[nodiscard]] const Endpoint& at() const { return ats_.front(); }
  void is_also_at(const Endpoint& at) {
    ats_.push_back(at);
    plan.locals.push_back(at.address.family());
    world_.open(at);
  }
  [[nodiscard]] std::string candidate() const {
    std::string lines;
    for (std::size_t i = 0; i < ats_.size(); ++i) {
      const LocalPort port{Component::kRtp, static_cast<std::uint8_t>(i)};
      lines += fmt::format("a=candidate:{} 1 UDP {} {} {} typ host\r\n", i + 1, host_priority(port),
                           ats_[i].address.to_string(), ats_[i].port.value);
    }
    return lines;
  }
  [[nodiscard]] std::string sdp(const std::string& more = "", bool with_candidate = true) const {
    std::string extra = fmt::format("a=rtcp-mux\r\na=mid:0\r\na=ice-ufrag:{}\r\na=ice-pwd:{}\r\n",
                                    plan.own.ufrag, plan.own.password);
    if (with_candidate) extra += candidate();
    if (with_dtls_) {
      extra += "a=setup:" + setup_ + "\r\na=fingerprint:" +
               sdp::write_fingerprint(dtls_plan_.identity->fingerprint(FingerprintHash::kSha256)) + "\r\n";
    }
    // Its c= and m= are not where it is: only candidates count.
    std::string text = audio_sdp({*IpAddress::parse("192.0.2.250"), UdpPort{9}}, extra + more);
    if (with_dtls_) text.replace(text.find("RTP/AVP"), 7, "UDP/TLS/RTP/SAVPF");
    return text;
  }
  /// `section`: the one with the lines of the transport, from 0.
  void hears(const nlohmann::json& reply, std::size_t section = 0) {
    const auto text = reply.at("sdp").get<std::string>();
    const auto parsed = sdp::parse(text);
    ASSERT_TRUE(parsed && parsed->media.size() > section) << text;
    const sdp::MediaSection& shown = parsed->media[section];
    const auto ice = sdp::read_ice(shown);
    ASSERT_TRUE(ice.is_there()) << text;
    plan.peer = {ice.ufrag, ice.password};
    plan.candidates.clear();
    for (const auto& each : ice.candidates) {
      if (each.component == 1) plan.candidates.push_back({Component::kRtp, each.at, each.priority});
    }
    dtls_plan_.peer = sdp::read_dtls(shown).fingerprints;
  }
  void restart() {
    plan.own = {name_ + "Again", name_ + "AnotherPasswordOfEnoughLetters"};
    plan.peer = {};
    plan.candidates.clear();
  }
  void drive() {
    Out out(*this);
    agent.follow(plan, world_.clock().now);
    agent.drive({out, world_.clock().now});
    if (!with_dtls_) return;
    ToRelay dtls_out(*this);
    // Before a pair is selected too, so that a handshake of the relay that comes first finds the plan known.
    const Path way = agent.selected(Component::kRtp).value_or(Path{});
    channel.drive(way, {dtls_plan_, budget, dtls_out, world_.clock().now, true});
  }
  /// Begins its handshake at once, whatever its agent has found.
  void begin_handshake() {
    ToRelay out(*this);
    channel.drive({0, plan.candidates.front().at}, {dtls_plan_, budget, out, world_.clock().now, true});
  }
  void listen() {
    const auto& all = world_.received();
    std::vector<Received> arrived;
    arrived.swap(direct_);
    for (; seen_ < all.size(); ++seen_) arrived.push_back(all[seen_]);
    for (const Received& each : arrived) take(each);
  }
  /// Takes one datagram in, if it came to an address of its own. For tests that share the datagrams out
  /// themselves.
  void take(const Received& each) {
    const auto own = std::ranges::find(ats_, each.at);
    if (own == ats_.end() || each.packet.empty() || dead.contains(each.at)) return;
    const LocalPort at{Component::kRtp, static_cast<std::uint8_t>(own - ats_.begin())};
    const std::uint8_t first = read_u8(each.packet, 0);
    if (first <= 3) {
      Out out(*this);
      agent.take(at, each.from, each.packet, {out, world_.clock().now});
      ++stun;
    } else if (first < 64) {
      ToRelay out(*this);
      channel.take({at.local, each.from}, each.packet, {dtls_plan_, budget, out, world_.clock().now, true});
    } else {
      sources.push_back(each.from);
      const Packet plain = keys_end() ? keys_end()->opened(each.packet) : each.packet;
      if (!plain.empty()) heard.push_back(plain);
    }
  }
  /// Begins to listen now: what came to its addresses before was for somebody else, who had them.
  void begin() { seen_ = world_.received().size(); }
  [[nodiscard]] Endpoint relay() const {
    const auto& selected = agent.selected(Component::kRtp);
    return selected ? selected->peer : Endpoint{};
  }
  /// The USERNAME of its checks.
  [[nodiscard]] std::string check_name() const { return plan.peer.ufrag + ":" + plan.own.ufrag; }
  /// From where it sends now.
  [[nodiscard]] Endpoint source() const {
    const auto& selected = agent.selected(Component::kRtp);
    return ats_[selected ? selected->local : 0];
  }
  void send(const Packet& plain) { send_by(source(), relay(), plain); }
  void send_by(const Endpoint& from, const Endpoint& to, const Packet& plain) {
    leave(from, to, keys_end() ? keys_end()->sealed(plain) : plain);
  }
  /// Its SRTP by SDES or DTLS; null: plain.
  SrtpEnd* keys_end() {
    if (with_dtls_ && channel.keys() && !end_)
      end_ = std::make_unique<SrtpEnd>(SrtpKeys{channel.keys()->send, channel.keys()->receive});
    return end_.get();
  }
  void keyed(const SrtpKeys& keys) { end_ = std::make_unique<SrtpEnd>(keys); }

  IcePlan plan;
  IceAgent agent;
  /// The channel gives its place back when it ends, so it must go first.
  DtlsBudget budget;
  DtlsChannel channel;
  std::vector<Packet> heard;
  std::vector<Endpoint> sources;
  /// Addresses of its own that nothing comes from and nothing gets to any more.
  std::set<Endpoint> dead;
  /// Phones that it reaches without the relay.
  std::vector<IcePhone*> reaches;
  int stun = 0;

 private:
  class Out final : public PortOutput {
   public:
    explicit Out(IcePhone& phone) : phone_(phone) {}
    void send(LocalPort via, const Endpoint& to, Bytes datagram) noexcept override {
      phone_.leave(phone_.ats_[via.local], to, datagram);
    }

   private:
    IcePhone& phone_;
  };
  class ToRelay final : public DatagramOutput {
   public:
    explicit ToRelay(IcePhone& phone) : phone_(phone) {}
    void send(const Endpoint& to, Bytes datagram) noexcept override {
      phone_.leave(phone_.source(), to, datagram);
    }
    void send_by(const Path& path, Bytes datagram) noexcept override {
      phone_.leave(phone_.ats_[path.local], path.peer, datagram);
    }

   private:
    IcePhone& phone_;
  };
  /// A datagram leaves for another phone that can be reached without the relay, or into the world.
  void leave(const Endpoint& from, const Endpoint& to, Bytes datagram) {
    if (dead.contains(from)) return;
    for (IcePhone* other : reaches) {
      if (std::ranges::find(other->ats_, to) == other->ats_.end()) continue;
      other->direct_.push_back({to, from, {datagram.begin(), datagram.end()}, world_.elapsed()});
      return;
    }
    world_.send(from, to, {datagram.begin(), datagram.end()});
  }

  World& world_;
  std::vector<Endpoint> ats_;
  std::string name_;
  bool with_dtls_;
  std::string setup_;
  DtlsPlan dtls_plan_;
  std::size_t seen_ = 0;
  /// What came without the relay and waits for `listen`.
  std::vector<Received> direct_;
  std::unique_ptr<SrtpEnd> end_;
};

}  // namespace ferry::test
