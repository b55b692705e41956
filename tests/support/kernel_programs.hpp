// SPDX-License-Identifier: Apache-2.0
// The kernel programs themselves in tests: frames made independently of them go through the kernel's test
// run. They are compiled with a clock of the test's (ferry_test.bpf.c).
#pragma once

#include "ferry_test.skel.h"  // generated
#include "relay/bpf/abi.h"
#include "relay/bpf/bpf_offload.hpp"
#include "relay/io/sim/sim_network.hpp"
#include "tests/support/packets.hpp"

#include <array>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

namespace ferry::test {

constexpr std::array<std::uint8_t, 6> kGateway = {2, 0, 0, 0, 0, 1};
constexpr std::array<std::uint8_t, 6> kOwn = {2, 0, 0, 0, 0, 2};

inline std::uint32_t sum_of(Bytes bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i)
    sum += std::to_integer<std::uint32_t>(bytes[i]) << (i % 2 == 0 ? 8 : 0);
  return sum;
}
inline std::uint16_t finish(std::uint32_t sum) {
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

struct FrameOptions {
  std::array<std::uint8_t, 6> to = kOwn;
  std::array<std::uint8_t, 6> from = {2, 0, 0, 0, 0, 9};
  std::uint8_t ttl = 57;
  std::uint8_t tos = 0;
  bool checksum = true;
  std::uint16_t id = 77;
  std::uint16_t fragment = 0x4000;
};

/// An Ethernet frame of a UDP datagram, made independently of the code under test.
inline Packet frame(const Endpoint& from, const Endpoint& to, const Packet& payload,
                    const FrameOptions& options = {}) {
  const bool v6 = to.address.is_v6();
  const std::size_t ip = v6 ? 40 : 20;
  const std::size_t address_size = v6 ? 16 : 4;
  Packet packet(14 + ip + 8 + payload.size());
  for (std::size_t i = 0; i < 6; ++i) {
    packet[i] = static_cast<std::byte>(options.to[i]);
    packet[6 + i] = static_cast<std::byte>(options.from[i]);
  }
  write_u16(packet, 12, v6 ? 0x86dd : 0x0800);
  const MutableBytes header = MutableBytes(packet).subspan(14);
  const auto udp_size = static_cast<std::uint16_t>(8 + payload.size());
  if (v6) {
    write_u32(header, 0, 0x60000000u | (static_cast<std::uint32_t>(options.tos) << 20));
    write_u16(header, 4, udp_size);
    write_u8(header, 6, 17);
    write_u8(header, 7, options.ttl);
  } else {
    write_u8(header, 0, 0x45);
    write_u8(header, 1, options.tos);
    write_u16(header, 2, static_cast<std::uint16_t>(20 + udp_size));
    write_u16(header, 4, options.id);
    write_u16(header, 6, options.fragment);
    write_u8(header, 8, options.ttl);
    write_u8(header, 9, 17);
  }
  const std::size_t addresses = v6 ? 8 : 12;
  for (std::size_t i = 0; i < address_size; ++i) {
    header[addresses + i] = static_cast<std::byte>(from.address.octets()[i]);
    header[addresses + address_size + i] = static_cast<std::byte>(to.address.octets()[i]);
  }
  if (!v6) write_u16(header, 10, finish(sum_of(header.first(20))));
  const MutableBytes udp = header.subspan(ip);
  write_u16(udp, 0, from.port.value);
  write_u16(udp, 2, to.port.value);
  write_u16(udp, 4, udp_size);
  std::ranges::copy(payload, udp.begin() + 8);
  if (options.checksum) {
    const std::uint16_t check =
        finish(sum_of(header.subspan(addresses, 2 * address_size)) + 17u + udp_size + sum_of(udp));
    write_u16(udp, 6, check == 0 ? 0xffff : check);
  }
  return packet;
}

/// The datagram in an Ethernet frame of `frame`'s form.
inline std::optional<SimDatagram> datagram_of(Bytes frame) {
  if (frame.size() < 14 + 20 + 8) return std::nullopt;
  const bool v6 = read_u16(frame, 12) == 0x86dd;
  const std::size_t udp = 14u + (v6 ? 40u : 20u);
  if (frame.size() < udp + 8) return std::nullopt;
  const auto address = [&](std::size_t at) {
    std::array<std::uint8_t, 16> octets{};
    for (std::size_t i = 0; i < (v6 ? 16u : 4u); ++i)
      octets[i] = std::to_integer<std::uint8_t>(frame[at + i]);
    return v6 ? IpAddress::v6(octets) : IpAddress::v4({octets[0], octets[1], octets[2], octets[3]});
  };
  const std::size_t from = v6 ? 22 : 26;
  const Bytes payload = frame.subspan(udp + 8);
  return SimDatagram{{address(from), UdpPort{read_u16(frame, udp)}},
                     {address(from + (v6 ? 16u : 4u)), UdpPort{read_u16(frame, udp + 2)}},
                     {payload.begin(), payload.end()}};
}

/// Every address is behind the same gateway.
class FakeHops final : public HopSource {
 public:
  explicit FakeHops(int map) : memory_(map, sizeof(ferry_hop_copies) * FERRY_HOPS) {}
  HopAnswer acquire(const Pair& pair, std::uint32_t& id) override {
    if (!known) return HopAnswer::kLater;
    const auto entry = ids_.try_emplace(pair, static_cast<std::uint32_t>(ids_.size() + 1)).first;
    id = entry->second;
    ferry_hop hop{};
    bpf::write_address(hop.local, pair.first);
    bpf::write_address(hop.remote, pair.second);
    hop.ifindex = 1;  // the interface that test runs come in by
    hop.mtu = mtu;
    hop.xdp = 1;
    std::ranges::copy(kGateway, hop.destination_mac);
    std::ranges::copy(kOwn, hop.source_mac);
    bpf::publish_hop(static_cast<ferry_hop_copies*>(memory_.get())[id], hop);
    return HopAnswer::kFound;
  }
  void release(const Pair&) override {}
  bool known = true;
  std::uint32_t mtu = 1500;

 private:
  bpf::MappedMap memory_;
  std::map<Pair, std::uint32_t> ids_;
};

enum class Program { kXdp, kXdpAlone, kTc };

/// What an interface may have, in the order in which packets come by.
using Attached = std::vector<Program>;

struct Outcome {
  bool sent = false;
  bool dropped = false;
  Packet packet;
  std::uint32_t duration_ns = 0;
};

/// Loaded, attached to nothing, with a clock that stands still.
class LoadedPrograms {
 public:
  /// Null where the kernel or the rights are missing: `why`.
  static std::unique_ptr<LoadedPrograms> load(std::string& why) {
    libbpf_set_print(nullptr);
    std::unique_ptr<LoadedPrograms> programs(new LoadedPrograms(ferry_test_bpf__open()));
    ferry_test_bpf* skeleton = programs->skeleton_;
    skeleton->bss->port_first = 30000;
    skeleton->bss->port_last = 39999;
    const int error = ferry_test_bpf__load(skeleton);
    if (error != 0) {
      why = std::string("the programs cannot be loaded here: ") + std::strerror(-error);
      return nullptr;
    }
    programs->ring_ = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "ring", 0, 0, 1 << 16, nullptr);
    const std::uint32_t worker = 0;
    bpf_map_update_elem(bpf_map__fd(skeleton->maps.rings), &worker, &programs->ring_, BPF_ANY);
    programs->hops_ = std::make_unique<FakeHops>(bpf_map__fd(skeleton->maps.hops));
    return programs;
  }
  ~LoadedPrograms() {
    if (ring_ >= 0) close(ring_);
    ferry_test_bpf__destroy(skeleton_);
  }
  LoadedPrograms(const LoadedPrograms&) = delete;
  LoadedPrograms& operator=(const LoadedPrograms&) = delete;

  [[nodiscard]] ferry_test_bpf* skeleton() const { return skeleton_; }
  [[nodiscard]] FakeHops& hops() const { return *hops_; }
  [[nodiscard]] bpf::KernelHandles handles() const {
    return {bpf_map__fd(skeleton_->maps.flows), bpf_program__fd(skeleton_->progs.ferry_control),
            bpf_map__fd(skeleton_->maps.orders), ring_, 0};
  }
  void set_time(Instant now) {
    const auto ns = static_cast<std::uint64_t>(now.time_since_epoch().count());
    skeleton_->bss->test_clock = ns;
    skeleton_->bss->alive_until = ns + 60'000'000'000;
  }
  Outcome run(Program which, const Packet& in, int repeat = 1) {
    Packet out(in.size() + 256);
    auto options = bpf::sized<bpf_test_run_opts>();
    options.data_in = in.data();
    options.data_size_in = static_cast<std::uint32_t>(in.size());
    options.data_out = out.data();
    options.data_size_out = static_cast<std::uint32_t>(out.size());
    options.repeat = repeat;
    const bool xdp = which != Program::kTc;
    const int program = bpf_program__fd(which == Program::kXdp        ? skeleton_->progs.ferry_xdp
                                        : which == Program::kXdpAlone ? skeleton_->progs.ferry_xdp_alone
                                                                      : skeleton_->progs.ferry_tc);
    Outcome outcome;
    if (bpf_prog_test_run_opts(program, &options) != 0) return outcome;
    outcome.sent =
        xdp ? options.retval == XDP_TX || options.retval == XDP_REDIRECT : options.retval == TC_ACT_REDIRECT;
    outcome.dropped = options.retval ==
                      (xdp ? static_cast<std::uint32_t>(XDP_DROP) : static_cast<std::uint32_t>(TC_ACT_SHOT));
    out.resize(options.data_size_out);
    outcome.packet = std::move(out);
    outcome.duration_ns = options.duration;
    return outcome;
  }

 private:
  explicit LoadedPrograms(ferry_test_bpf* skeleton) : skeleton_(skeleton) {}
  ferry_test_bpf* skeleton_;
  std::unique_ptr<FakeHops> hops_;
  int ring_ = -1;
};

/// Below the ports of a `SimNetwork`, as `KernelModel` is, but the programs decide. Flows with several
/// receivers are refused: a test run shows the last copy only.
class SimKernel final : public FlowOffload {
 public:
  /// Null where the programs cannot be loaded: `why`. The network must outlive it.
  static std::unique_ptr<SimKernel> make(SimNetwork& network, const Attached& attached, std::string& why) {
    // Loading takes longer than most tests.
    static std::shared_ptr<LoadedPrograms> programs;
    if (!programs) programs = LoadedPrograms::load(why);
    if (!programs) return nullptr;
    return std::unique_ptr<SimKernel>(new SimKernel(network, attached, programs));
  }
  ~SimKernel() override { network_.set_kernel({}); }
  SimKernel(const SimKernel&) = delete;
  SimKernel& operator=(const SimKernel&) = delete;

  [[nodiscard]] std::uint64_t forwarded() const { return forwarded_; }

  void install(std::span<OffloadInstallation> batch) override {
    for (OffloadInstallation& each : batch) {
      if (each.flow->sinks.size() <= 1) offload_.install({&each, 1});
    }
  }
  OffloadAnswer update(const OffloadFlow& flow, OffloadState& before) override {
    return flow.sinks.size() > 1 ? OffloadAnswer::kRefused : offload_.update(flow, before);
  }
  void remove(std::span<OffloadReading> flows) override { offload_.remove(flows); }
  void read(std::span<OffloadReading> flows) override { offload_.read(flows); }
  void collect(const std::function<void(const OffloadSample&)>& visit) override { offload_.collect(visit); }

 private:
  SimKernel(SimNetwork& network, Attached attached, std::shared_ptr<LoadedPrograms> programs)
      : network_(network),
        attached_(std::move(attached)),
        programs_(std::move(programs)),
        offload_(programs_->handles(), programs_->hops()) {
    network_.set_kernel([this](const SimDatagram& datagram) { return take(datagram); });
  }
  bool take(const SimDatagram& datagram) {
    programs_->set_time(network_.now());
    const Packet in = frame(datagram.from, datagram.to, datagram.payload);
    Outcome outcome;
    for (const Program each : attached_) {
      outcome = programs_->run(each, in);
      if (outcome.sent || outcome.dropped) break;
    }
    if (outcome.sent) {
      ++forwarded_;
      if (const auto out = datagram_of(outcome.packet)) network_.send_from_relay(*out);
    }
    return outcome.sent || outcome.dropped;
  }

  SimNetwork& network_;
  Attached attached_;
  std::shared_ptr<LoadedPrograms> programs_;
  bpf::BpfOffload offload_;
  std::uint64_t forwarded_ = 0;
};

}  // namespace ferry::test
