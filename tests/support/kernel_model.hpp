// SPDX-License-Identifier: Apache-2.0
// What a forwarder below the sockets does, in memory: the model that its real implementations are held to.
#pragma once

#include "relay/core/classify.hpp"
#include "relay/core/offload/flow_offload.hpp"
#include "relay/io/sim/sim_network.hpp"

#include <unordered_map>
#include <unordered_set>

namespace ferry::test {

/// Hooks itself below the ports of a `SimNetwork`. The network must not outlive it unless `detach` was
/// called.
class KernelModel final : public FlowOffload {
 public:
  struct Calls {
    unsigned installs = 0;
    unsigned updates = 0;
    unsigned removals = 0;
  };

  explicit KernelModel(SimNetwork& network) : network_(network) {
    network_.set_kernel([this](const SimDatagram& datagram) { return take(datagram); });
  }
  ~KernelModel() override { network_.set_kernel({}); }
  KernelModel(const KernelModel&) = delete;
  KernelModel& operator=(const KernelModel&) = delete;

  void refuse_everything(bool refuses) { refuses_ = refuses; }
  [[nodiscard]] const std::unordered_map<Endpoint, OffloadFlow>& flows() const { return flows_; }
  [[nodiscard]] const Calls& calls() const { return calls_; }
  [[nodiscard]] std::uint64_t forwarded() const { return forwarded_; }

  void install(std::span<OffloadInstallation> batch) override {
    for (OffloadInstallation& each : batch) {
      each.answer = OffloadAnswer::kRefused;
      if (refuses_ || !flows_.try_emplace(each.flow->local, *each.flow).second) continue;
      ++calls_.installs;
      states_[each.flow->local] = *each.state;
      each.answer = OffloadAnswer::kTaken;
    }
  }
  OffloadAnswer update(const OffloadFlow& flow, OffloadState& before) override {
    const auto known = flows_.find(flow.local);
    if (refuses_ || known == flows_.end()) return OffloadAnswer::kRefused;
    ++calls_.updates;
    known->second = flow;
    before = states_.at(flow.local);
    states_.at(flow.local).stream.new_burst = 0;
    return OffloadAnswer::kTaken;
  }
  void remove(std::span<OffloadReading> batch) override {
    read(batch);
    for (const OffloadReading& each : batch) {
      calls_.removals += static_cast<unsigned>(flows_.erase(each.local));
      states_.erase(each.local);
    }
  }
  void read(std::span<OffloadReading> readings) override {
    for (auto& reading : readings) {
      const auto known = states_.find(reading.local);
      reading.found = known != states_.end();
      if (!reading.found) continue;
      reading.state = known->second;
      known->second.stream.new_burst = 0;
    }
  }
  /// Copies that may wait for `collect`; more are lost.
  void set_room(std::size_t samples) { room_ = samples; }
  void collect(const std::function<void(const OffloadSample&)>& visit) override {
    for (const auto& [datagram, at] : samples_)
      visit({datagram.to, datagram.from, datagram.payload, datagram.payload.size(), at});
    samples_.clear();
  }

 private:
  bool take(const SimDatagram& datagram) {
    const auto found = flows_.find(datagram.to);
    if (found == flows_.end() || classify(datagram.payload) != DatagramClass::kRtp) return false;
    const auto rtp = parse_rtp(datagram.payload);
    if (!rtp) return false;
    const OffloadFlow& flow = found->second;
    OffloadState& state = states_.at(datagram.to);
    const SsrcCounters& counters = state.stream.counters;
    const Instant now = network_.now();
    const int ahead = distance(rtp->sequence, SeqNo{static_cast<std::uint16_t>(counters.highest_extended)});
    const int continued = distance(rtp->sequence, state.heard_sequence);
    if (datagram.from != flow.peer) {
      const bool may_continue = (flow.handover || datagram.from.address == flow.peer.address) &&
                                rtp->ssrc == flow.ssrc && continued >= 1 && continued <= 200 &&
                                now - state.heard_at >= std::chrono::milliseconds(500);
      const bool takes_back = flow.home.is_set() && datagram.from == flow.home;
      if (now <= flow.open_until || takes_back || may_continue) return false;
      ++state.foreign;
      state.foreign_from = datagram.from;
      state.foreign_at = now;
      return true;
    }
    const auto payload = std::ranges::find(flow.payloads, rtp->payload_type, &PayloadEntry::type);
    const bool known_type = payload != flow.payloads.end();
    const bool is_other = !known_type && flow.other_types.test(rtp->payload_type.value);
    const bool taken = flow.takes_any_type ? !flow.refused_types.test(rtp->payload_type.value)
                                           : known_type || is_other || flow.payloads.empty();
    if (!taken || rtp->ssrc != flow.ssrc) return false;
    if (ahead >= 3000 || ahead < -100) return false;
    if (continued > 0) state.heard_sequence = rtp->sequence;
    state.heard_at = now;
    TokenBucket bucket;
    bucket.set_state(state.bucket);
    const bool within = bucket.take(flow.rate, datagram.payload.size(), now);
    state.bucket = bucket.state();
    if (!within) {
      ++state.rate_limited;
      return true;
    }
    if (is_other) ++state.other_types;
    StreamStats stats(counters);
    stats.set_state(state.stream);
    stats.count(*rtp, datagram.payload.size(), known_type ? payload->clock_rate_hz : 0, now);
    state.stream = stats.state();
    const bool is_sampled = flow.sampling != Sampling::kSparse || stats.counters().packets % 64 == 0;
    if (flow.sampling != Sampling::kNone && is_sampled) {
      if (samples_.size() < room_)
        samples_.emplace_back(datagram, now);
      else
        ++state.unsampled;
    }
    for (const OffloadSink& sink : flow.sinks) {
      auto packet = datagram.payload;
      if (sink.silenced) {
        std::fill(packet.begin() + static_cast<std::ptrdiff_t>(rtp->header_size),
                  packet.begin() + static_cast<std::ptrdiff_t>(rtp->header_size + rtp->payload.size()),
                  static_cast<std::byte>(payload->silence));
      }
      if (sink.shift) shift_numbers(*sink.shift, packet);
      ++forwarded_;
      network_.send_from_relay({sink.local, sink.peer, std::move(packet)});
    }
    return true;
  }

  SimNetwork& network_;
  std::unordered_map<Endpoint, OffloadFlow> flows_;
  std::unordered_map<Endpoint, OffloadState> states_;
  Calls calls_;
  std::vector<std::pair<SimDatagram, Instant>> samples_;
  std::size_t room_ = SIZE_MAX;
  std::uint64_t forwarded_ = 0;
  bool refuses_ = false;
};

}  // namespace ferry::test
