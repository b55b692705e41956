// SPDX-License-Identifier: Apache-2.0
// Encrypted calls by offer and answer with independent ends, for tests.
#pragma once

#include "control/sdp/sdes.hpp"
#include "relay/srtp/backends.hpp"
#include "tests/support/srtp_judge.hpp"
#include "tests/support/world.hpp"

#include <array>
#include <map>
#include <optional>
#include <random>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace ferry::test {

using Suite = std::optional<SrtpSuite>;

/// One of the two parties of a call, and what it knows.
struct Party {
  std::string tag;
  Endpoint rtp;
  Endpoint rtcp;
  Suite suite;  // none: plain
  sdp::CryptoLine own;
  UdpPort relay;
  std::uint32_t ssrc = 0;
  std::uint16_t sequence = 0;
  SrtpKeys keys;
  std::unique_ptr<SrtpEnd> end;
};

inline std::vector<sdp::CryptoLine> lines_of(const nlohmann::json& reply) {
  const auto text = reply.value("sdp", std::string());
  std::vector<sdp::CryptoLine> lines;
  const auto parsed = sdp::parse(text);
  if (!parsed || parsed->media.empty()) return lines;
  for (const auto& attribute : parsed->media.front().attributes) {
    if (attribute.name != "crypto") continue;
    if (auto line = sdp::parse_crypto(attribute.value)) lines.push_back(*line);
  }
  return lines;
}

inline SrtpMasterKey master_key(const sdp::CryptoLine& line) {
  SrtpMasterKey key;
  key.suite = line.suite->suite;
  key.key = SecretBytes<32>(line.key_and_salt.get().first(line.suite->key));
  key.salt = SecretBytes<14>(line.key_and_salt.get().subspan(line.suite->key));
  key.mki = line.mki;
  return key;
}

/// A call of A and B with ends of their own, encrypted or plain.
class SecureCall {
 public:
  SecureCall(World& world, unsigned row, Suite a, Suite b, std::uint32_t seed = 1)
      : world_(world), id_(fmt::format("row-{}-{}", row, seed)), random_(seed) {
    for (std::size_t i = 0; i < 2; ++i) {
      Party& p = parties_[i];
      p.tag = i == 0 ? "A" : "B";
      p.rtp = {world.peer_address(row, i == 0 ? 'A' : 'B'), UdpPort{4000}};
      p.rtcp = {p.rtp.address, UdpPort{4001}};
      p.suite = i == 0 ? a : b;
      p.ssrc = static_cast<std::uint32_t>(row * 10 + i + 1);
      p.sequence = 1000;
      if (p.suite) p.own = fresh_line(*p.suite);
      world.open(p.rtp);
      world.open(p.rtcp);
    }
  }

  sdp::CryptoLine fresh_line(SrtpSuite suite) {
    const SrtpSuiteRow& row = row_of(suite);
    return {1, &row, SecretBytes<46>(random_octets(random_, std::size_t{row.key} + row.salt)), {}, {}};
  }
  [[nodiscard]] std::string sdp_of(const Party& p) const {
    std::string text = audio_sdp(
        p.rtp, "a=" + direction + "\r\n" +
                   (p.suite ? "a=crypto:" + sdp::write_crypto(p.own, {}) + "\r\n" : "") + attributes);
    text.replace(text.find("RTP/AVP"), 7, profile_of(p));
    return text;
  }
  [[nodiscard]] std::string profile_of(const Party& p) const {
    return std::string(p.suite ? "RTP/SAVP" : "RTP/AVP") + (has_feedback ? "F" : "");
  }
  nlohmann::json offer(std::vector<std::string> flags = {}) {
    nlohmann::json request = test::offer(id_, "A", sdp_of(a()));
    if (answered_) request["to-tag"] = b().tag;
    request["transport-protocol"] = profile_of(b());
    if (b().suite) request["SDES"] = {"only-" + std::string(row_of(*b().suite).name)};
    request["flags"] = std::move(flags);
    const nlohmann::json reply = world_.ng(request);
    offered_ = lines_of(reply);
    if (reply["result"] == "ok") b().relay = World::port_of(reply);
    return reply;
  }
  /// B takes the only line it was offered.
  nlohmann::json answer(std::vector<std::string> flags = {}) {
    if (b().suite && !offered_.empty()) b().own.tag = offered_.front().tag;
    nlohmann::json request = test::answer(id_, "A", b().tag, sdp_of(b()));
    request["flags"] = std::move(flags);
    const nlohmann::json reply = world_.ng(request);
    if (reply["result"] != "ok") return reply;
    answered_ = true;
    a().relay = World::port_of(reply);
    const auto lines = lines_of(reply);
    if (a().suite && !lines.empty()) rekey(a(), {master_key(a().own), master_key(lines.front())});
    if (b().suite && !offered_.empty()) rekey(b(), {master_key(b().own), master_key(offered_.front())});
    return reply;
  }
  void set_up() {
    EXPECT_EQ(offer()["result"], "ok");
    EXPECT_EQ(answer()["result"], "ok");
  }

  Party& a() { return parties_[0]; }
  Party& b() { return parties_[1]; }
  Party& party(std::size_t i) { return parties_[i]; }
  [[nodiscard]] const std::string& id() const { return id_; }
  void pass(Duration time = std::chrono::milliseconds(20)) { world_.run(world_.elapsed() + time); }

  Packet sealed(Party& p, Packet packet, bool rtcp = false) {
    return p.end ? p.end->sealed(std::move(packet), rtcp) : packet;
  }
  Packet next(Party& p) { return sealed(p, rtp(p.tag[0], p.ssrc, p.sequence++)); }
  void deliver(Party& p, const Packet& packet, bool rtcp = false) {
    deliver_from(rtcp ? p.rtcp : p.rtp, p, packet, rtcp);
  }
  void deliver_from(const Endpoint& from, Party& p, const Packet& packet, bool rtcp = false) {
    const auto port = static_cast<std::uint16_t>(p.relay.value + (rtcp ? 1 : 0));
    world_.send(from, {world_.relay_address(), UdpPort{port}}, packet);
  }
  /// Packets that reached a party since the last call, opened by its own end; those that it cannot open count
  /// as bad.
  std::vector<Packet> heard(Party& p, bool rtcp = false) {
    std::vector<Packet> packets;
    auto& seen = seen_[rtcp ? p.rtcp : p.rtp];
    const auto& all = world_.received();
    for (; seen < all.size(); ++seen) {
      if (all[seen].at != (rtcp ? p.rtcp : p.rtp)) continue;
      captured.push_back(all[seen].packet);
      Packet packet = p.end ? p.end->opened(all[seen].packet, rtcp) : all[seen].packet;
      if (packet.empty())
        ++bad;
      else
        packets.push_back(std::move(packet));
    }
    return packets;
  }
  /// One plain packet from one party to the other; what arrives.
  Packet across(std::size_t from, const Packet& plain, bool rtcp = false) {
    Party& to = parties_[1 - from];
    heard(to, rtcp);
    deliver(parties_[from], sealed(parties_[from], plain, rtcp), rtcp);
    const auto got = heard(to, rtcp);
    return got.size() == 1 ? got.front() : Packet{};
  }
  std::uint64_t drops(const Party& p, const char* reason) {
    const nlohmann::json call = world_.manager().show(id_, world_.clock());
    for (const nlohmann::json& leg : call["legs"]) {
      if (leg["tag"] == p.tag) return leg["medias"][0]["drops"].value(reason, std::uint64_t{0});
    }
    return 0;
  }
  World& world() { return world_; }

  std::size_t bad = 0;
  std::vector<Packet> captured;
  std::string direction = "sendrecv";
  /// More lines of both parties' sections, whole.
  std::string attributes;
  /// Both have a profile with RTCP feedback.
  bool has_feedback = false;

 private:
  /// An end goes on with its counters if its keys are the same.
  void rekey(Party& p, SrtpKeys keys) {
    if (p.end)
      p.end->follow(keys);
    else
      p.end = std::make_unique<SrtpEnd>(keys);
    p.keys = std::move(keys);
  }

  World& world_;
  std::string id_;
  std::mt19937 random_;
  std::array<Party, 2> parties_;
  std::vector<sdp::CryptoLine> offered_;
  std::map<Endpoint, std::size_t> seen_;
  bool answered_ = false;
};

constexpr SrtpSuite kCm80 = SrtpSuite::kAes128Cm80;
constexpr SrtpSuite kGcm = SrtpSuite::kAeadAes128Gcm;

/// What runs on every SRTP back end of this build.
class Backends : public ::testing::TestWithParam<std::string_view> {
 protected:
  static WorldOptions options() {
    WorldOptions options;
    options.session.srtp.backend = make_srtp_backend(GetParam());
    return options;
  }
};

/// Its name in the names of tests.
inline std::string backend_name(const ::testing::TestParamInfo<std::string_view>& each) {
  std::string name(each.param);
  std::ranges::replace(name, '-', '_');
  return name;
}

}  // namespace ferry::test
