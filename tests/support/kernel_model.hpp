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
    network_.set_below([this](const SimDatagram& datagram) { return take(datagram); });
  }
  ~KernelModel() override { network_.set_below({}); }
  KernelModel(const KernelModel&) = delete;
  KernelModel& operator=(const KernelModel&) = delete;

  void refuse_everything(bool refuses) { refuses_ = refuses; }
  [[nodiscard]] const std::unordered_map<Endpoint, OffloadFlow>& flows() const { return flows_; }
  [[nodiscard]] const Calls& calls() const { return calls_; }
  [[nodiscard]] std::uint64_t forwarded() const { return forwarded_; }

  OffloadAnswer install(const OffloadFlow& flow, const OffloadState& state) override {
    if (refuses_ || !flows_.try_emplace(flow.local, flow).second) return OffloadAnswer::kRefused;
    ++calls_.installs;
    states_[flow.local] = state;
    return OffloadAnswer::kTaken;
  }
  OffloadAnswer update(const OffloadFlow& flow) override {
    const auto known = flows_.find(flow.local);
    if (refuses_ || known == flows_.end()) return OffloadAnswer::kRefused;
    ++calls_.updates;
    known->second = flow;
    return OffloadAnswer::kTaken;
  }
  bool remove(const Endpoint& local, OffloadState& last) override {
    if (flows_.erase(local) == 0) return false;
    ++calls_.removals;
    last = states_.extract(local).mapped();
    return true;
  }
  void read(std::span<OffloadReading> readings) override {
    for (auto& reading : readings) {
      const auto known = states_.find(reading.local);
      reading.found = known != states_.end();
      if (reading.found) reading.state = known->second;
    }
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
      if (now <= flow.open_until || may_continue) return false;
      ++state.foreign;
      return true;
    }
    const auto payload = std::ranges::find(flow.payloads, rtp->payload_type, &PayloadEntry::type);
    const bool known_type = payload != flow.payloads.end();
    if ((!known_type && !flow.payloads.empty()) || rtp->ssrc != flow.ssrc) return false;
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
    StreamStats stats(counters);
    stats.set_state(state.stream);
    stats.count(*rtp, datagram.payload.size(), known_type ? payload->clock_rate_hz : 0, now);
    state.stream = stats.state();
    if (!flow.forwards) {
      ++state.refused;
      return true;
    }
    ++forwarded_;
    network_.send_from_relay({flow.out_local, flow.out_peer, datagram.payload});
    return true;
  }

  SimNetwork& network_;
  std::unordered_map<Endpoint, OffloadFlow> flows_;
  std::unordered_map<Endpoint, OffloadState> states_;
  Calls calls_;
  std::uint64_t forwarded_ = 0;
  bool refuses_ = false;
};

}  // namespace ferry::test
