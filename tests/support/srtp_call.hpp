// SPDX-License-Identifier: Apache-2.0
// A call through a worker in virtual time, whose sides may be protected.
#pragma once

#include "relay/io/sim/sim_network.hpp"
#include "relay/srtp/backends.hpp"
#include "relay/worker/worker.hpp"
#include "tests/support/kernel_model.hpp"
#include "tests/support/srtp_judge.hpp"

#include <array>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace ferry::test {

inline const IpAddress kRelay = IpAddress::v4({198, 18, 0, 1});
inline Endpoint host(std::uint8_t n, std::uint16_t port = 4000) {
  return {IpAddress::v4({192, 0, 2, n}), UdpPort{port}};
}
inline Endpoint relay_port(std::uint16_t port) { return {kRelay, UdpPort{port}}; }

/// A call between A (host 10, port 30000) and B (host 21, port 30010).
class SrtpCall {
 public:
  SrtpCall(std::optional<SrtpKeys> a, std::optional<SrtpKeys> b, std::string_view backend = "openssl",
           bool has_kernel = true)
      : backend_(make_srtp_backend(backend)), keys_{std::move(a), std::move(b)} {
    network_.set_outlet([this](const SimDatagram& d) {
      sent.push_back(d);
      return true;
    });
    auto kernel = has_kernel ? std::make_unique<KernelModel>(network_) : nullptr;
    kernel_ = kernel.get();
    worker_ = std::make_unique<Worker>(std::make_unique<SimIo>(network_),
                                       std::make_shared<const OwnMedia>(std::vector<OwnMedia::Range>{}),
                                       std::move(kernel));
    for (std::uint32_t side = 0; side < 2; ++side) {
      if (keys_[side]) ends_[side] = std::make_unique<SrtpEnd>(*keys_[side]);
      InstallTransport command;
      command.id = {side, 0};
      command.plan = std::make_shared<const TransportPlan>(plan(side));
      const auto port = static_cast<std::uint16_t>(30000 + 10 * side);
      command.ports = {*network_.activate(relay_port(port), 0),
                       *network_.activate(relay_port(static_cast<std::uint16_t>(port + 1)), 0)};
      command.activity = std::make_shared<TransportActivity>();
      run(std::move(command));
    }
  }
  ~SrtpCall() { worker_.reset(); }
  SrtpCall(const SrtpCall&) = delete;
  SrtpCall& operator=(const SrtpCall&) = delete;

  TransportPlan plan(std::uint32_t side) const {
    TransportPlan p;
    const Endpoint peer = side == 0 ? host(10) : host(21);
    p.rtp_latch.signalled = peer;
    p.rtcp_latch.signalled = {peer.address, UdpPort{4001}};
    SourcePlan source;
    source.media = MediaId{side + 1};
    source.payloads = {{PayloadType{8}, G711Law::kNone, 0, false, 8000}};
    source.sinks.resize(1);
    source.sinks[0].via = {1 - side, 0};
    source.sinks[0].to = MediaId{2 - side};
    p.sources = {source};
    if (keys_[side]) {
      auto srtp = std::make_shared<SrtpPlan>();
      srtp->backend = backend_;
      srtp->receive = {keys_[side]->to_relay};
      srtp->send = keys_[side]->from_relay;
      p.srtp = srtp;
    }
    return p;
  }
  void update(std::uint32_t side, TransportPlan p) {
    run(UpdatePlan{{side, 0}, std::make_shared<const TransportPlan>(std::move(p))});
  }
  void run(WorkerCommand command) {
    worker_->post(std::move(command));
    worker_->run_until_idle();
  }
  void pass(Duration time) { network_.advance_to(network_.now() + time); }
  void arrives(const Endpoint& from, std::uint32_t side, Packet packet, bool rtcp = false) {
    const auto port = static_cast<std::uint16_t>(30000 + 10 * side + (rtcp ? 1 : 0));
    network_.send_to_relay({from, relay_port(port), std::move(packet)});
    worker_->run_until_idle();
  }
  /// Several datagrams for side 0 at once, each from its own source.
  void arrive_at_once(const std::vector<std::pair<Endpoint, Packet>>& datagrams) {
    for (const auto& [from, packet] : datagrams) network_.send_to_relay({from, relay_port(30000), packet});
    worker_->run_until_idle();
  }
  /// Several datagrams for side 0 at once, from A.
  void arrive_at_once(const std::vector<Packet>& packets) {
    for (const Packet& packet : packets) network_.send_to_relay({host(10), relay_port(30000), packet});
    worker_->run_until_idle();
  }
  /// A party sends a plain packet in its own protection; returns what the other one made of it.
  Packet across(std::uint32_t side, const Packet& plain, bool rtcp = false) {
    const std::size_t before = sent.size();
    arrives(host(side == 0 ? 10 : 21, rtcp ? 4001 : 4000), side,
            ends_[side] ? ends_[side]->sealed(plain, rtcp) : plain, rtcp);
    if (sent.size() != before + 1) return {};
    const Packet got = sent.back().payload;
    return ends_[1 - side] ? ends_[1 - side]->opened(got, rtcp) : got;
  }
  TransportSnapshot read(std::uint32_t side) {
    TransportSnapshot snapshot;
    run(ReadTransport{{side, 0}, &snapshot});
    return snapshot;
  }
  SrtpEnd& end(std::uint32_t side) { return *ends_[side]; }
  void set_keys(std::uint32_t side, const SrtpKeys& keys) {
    keys_[side] = keys;
    ends_[side] = std::make_unique<SrtpEnd>(keys);
  }
  [[nodiscard]] Worker& worker() { return *worker_; }
  [[nodiscard]] std::size_t flows() const { return kernel_->flows().size(); }

  std::vector<SimDatagram> sent;

 private:
  std::shared_ptr<const SrtpBackend> backend_;
  SimNetwork network_;
  std::array<std::optional<SrtpKeys>, 2> keys_;
  std::array<std::unique_ptr<SrtpEnd>, 2> ends_;
  KernelModel* kernel_ = nullptr;
  std::unique_ptr<Worker> worker_;
};

}  // namespace ferry::test
