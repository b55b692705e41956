// SPDX-License-Identifier: Apache-2.0
// A call between a party with audio and video on one transport (BUNDLE) and its far sides, in virtual time.
#pragma once

#include "relay/io/sim/sim_network.hpp"
#include "relay/srtp/backends.hpp"
#include "relay/worker/worker.hpp"
#include "tests/support/kernel_model.hpp"
#include "tests/support/srtp_judge.hpp"

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::test {

/// The browser (slot 0) has media 1, audio with the MID "a", and media 2, video with the MID "v". Two phones
/// hear one media each and send to it: slot 1 has media 11, slot 2 media 12. Or one far side has both on slot
/// 1 (`kTogether`).
class GroupCall {
 public:
  enum class Far { kApart, kTogether };
  static constexpr std::uint8_t kAudio = 111;
  static constexpr std::uint8_t kVideo = 96;
  static constexpr std::uint8_t kMidId = 4;
  static constexpr MediaId kAudioMedia{1};
  static constexpr MediaId kVideoMedia{2};

  explicit GroupCall(Far far = Far::kApart, std::optional<SrtpKeys> keys = std::nullopt)
      : far_(far), keys_(std::move(keys)), backend_(make_srtp_backend("openssl")) {
    network_.set_outlet([this](const SimDatagram& d) {
      sent.push_back(d);
      return true;
    });
    auto kernel = std::make_unique<KernelModel>(network_);
    kernel_ = kernel.get();
    worker_ = std::make_unique<Worker>(std::make_unique<SimIo>(network_),
                                       std::make_shared<const OwnMedia>(std::vector<OwnMedia::Range>{}),
                                       std::move(kernel));
    plans = make_plans();
    if (keys_) browser_ = std::make_unique<SrtpEnd>(*keys_);
  }
  ~GroupCall() { worker_.reset(); }
  GroupCall(const GroupCall&) = delete;
  GroupCall& operator=(const GroupCall&) = delete;

  static Endpoint host(std::uint32_t slot) {
    return {IpAddress::v4({192, 0, 2, static_cast<std::uint8_t>(10 + slot)}), UdpPort{4000}};
  }
  static Endpoint at(std::uint32_t slot) {
    return {IpAddress::v4({198, 18, 0, 1}), UdpPort{static_cast<std::uint16_t>(30000 + 10 * slot)}};
  }
  [[nodiscard]] std::uint32_t slots() const { return far_ == Far::kApart ? 3 : 2; }

  /// Starts all transports, after the test has changed their `plans`.
  void begin() {
    for (std::uint32_t slot = 0; slot < slots(); ++slot) {
      InstallTransport command;
      command.id = {slot, 0};
      command.plan = std::make_shared<const TransportPlan>(plans[slot]);
      command.ports = {*network_.activate(at(slot), 0), PortHandle{}};
      command.activity = std::make_shared<TransportActivity>();
      run(std::move(command));
    }
  }
  void update(std::uint32_t slot) {
    run(UpdatePlan{{slot, 0}, std::make_shared<const TransportPlan>(plans[slot])});
  }
  void run(WorkerCommand command) {
    worker_->post(std::move(command));
    worker_->run_until_idle();
  }
  void pass(Duration time) {
    network_.advance_to(network_.now() + time);
    worker_->run_until_idle();
  }
  /// The party of `slot` sends a plain packet in its own protection.
  void says(std::uint32_t slot, const Packet& plain, bool is_rtcp = false) {
    const bool is_sealed = slot == 0 && browser_;
    network_.send_to_relay({host(slot), at(slot), is_sealed ? browser_->sealed(plain, is_rtcp) : plain});
    worker_->run_until_idle();
  }
  /// What the party of `slot` was sent since the last call, opened.
  std::vector<Packet> heard(std::uint32_t slot, bool is_rtcp = false) {
    std::vector<Packet> all;
    std::vector<SimDatagram> rest;
    for (SimDatagram& each : sent) {
      const std::uint8_t type = read_u8(each.payload, 1);
      if (each.to != host(slot) || is_rtcp != (type >= 192 && type <= 223))
        rest.push_back(std::move(each));
      else
        all.push_back(slot == 0 && browser_ ? browser_->opened(each.payload, is_rtcp) : each.payload);
    }
    sent = std::move(rest);
    return all;
  }
  TransportSnapshot read(std::uint32_t slot) {
    TransportSnapshot snapshot;
    run(ReadTransport{{slot, 0}, &snapshot});
    return snapshot;
  }
  [[nodiscard]] std::size_t flows() const { return kernel_->flows().size(); }
  [[nodiscard]] Instant now() const { return network_.now(); }
  [[nodiscard]] Worker& worker() { return *worker_; }

  /// The plans of the transports, by slot.
  std::array<TransportPlan, 3> plans;
  std::vector<SimDatagram> sent;

 private:
  static SourcePlan source(MediaId media, std::uint8_t type, std::uint32_t to_slot, MediaId to) {
    SourcePlan made;
    made.media = media;
    made.max_ssrcs = 64;
    made.payloads = {{PayloadType{type}, G711Law::kNone, 0, false, 8000}};
    made.sinks.resize(1);
    made.sinks[0].via = {to_slot, 0};
    made.sinks[0].to = to;
    return made;
  }
  [[nodiscard]] std::array<TransportPlan, 3> make_plans() const {
    static const auto kA = std::make_shared<const std::string>("a");
    static const auto kV = std::make_shared<const std::string>("v");
    std::array<TransportPlan, 3> made;
    for (std::uint32_t slot = 0; slot < 3; ++slot) {
      made[slot].rtp_latch.signalled = made[slot].rtcp_latch.signalled = host(slot);
      made[slot].rtcp_mux = made[slot].send_rtcp_muxed = made[slot].reduced_size_rtcp = true;
    }
    const std::uint32_t video = far_ == Far::kApart ? 2 : 1;
    made[0].sources = {source(kAudioMedia, kAudio, 1, MediaId{11}),
                       source(kVideoMedia, kVideo, video, MediaId{12})};
    made[0].sources[0].mid = kA;
    made[0].sources[1].mid = kV;
    for (SourcePlan& each : made[0].sources) {
      each.written_mid = each.mid;
      each.written_mid_extension = kMidId;
    }
    made[0].sources[1].is_video = true;
    made[0].mid_extension = kMidId;
    made[1].sources = {source(MediaId{11}, kAudio, 0, kAudioMedia)};
    made[video].sources.push_back(source(MediaId{12}, kVideo, 0, kVideoMedia));
    made[1].sources[0].sinks[0].mid = kA;
    made[video].sources.back().sinks[0].mid = kV;
    if (keys_) {
      auto srtp = std::make_shared<SrtpPlan>();
      srtp->backend = backend_;
      srtp->receive = {keys_->to_relay};
      srtp->send = keys_->from_relay;
      made[0].srtp = srtp;
    }
    return made;
  }

  Far far_;
  std::optional<SrtpKeys> keys_;
  std::shared_ptr<const SrtpBackend> backend_;
  SimNetwork network_;
  std::unique_ptr<SrtpEnd> browser_;
  KernelModel* kernel_ = nullptr;
  std::unique_ptr<Worker> worker_;
};

/// Keys of both directions, for `GroupCall`.
inline SrtpKeys some_keys(SrtpSuite suite = SrtpSuite::kAes128Cm80) {
  std::mt19937 random(7);
  return {random_key(random, suite), random_key(random, suite)};
}

}  // namespace ferry::test
