#include "relay/bpf/bpf_offload.hpp"

#include "relay/bpf/abi.h"
#include "relay/bpf/kernel_forms.hpp"

#include <algorithm>
#include <array>
#include <concepts>
#include <cstring>
#include <optional>

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <net/ethernet.h>

namespace ferry::bpf {

namespace {

/// The layout that the kernel programs use: lock, plan, state.
struct FlowValue {
  std::uint32_t lock = 0;
  std::uint32_t zero = 0;
  ferry_plan plan{};
  ferry_state state{};
};
static_assert(sizeof(ferry_key) == 20 && sizeof(ferry_plan) == 240 && sizeof(ferry_state) == 128 &&
                  sizeof(ferry_hop) == 24 && sizeof(FlowValue) == 376,
              "the kernel programs lay these out alike");

ferry_key key_of(const Endpoint& local) {
  ferry_key key{};
  write_address(key.address, local.address);
  key.port_be = htons(local.port.value);
  return key;
}

std::uint64_t ns(Instant time) { return static_cast<std::uint64_t>(time.time_since_epoch().count()); }
Instant instant(std::uint64_t nanoseconds) {
  return Instant{Duration{static_cast<std::int64_t>(nanoseconds)}};
}

/// Nothing if the flow has more clock rates than the kernel's table.
std::optional<ferry_plan> plan_of(const OffloadFlow& flow) {
  ferry_plan plan{};
  write_address(plan.peer, flow.peer.address);
  plan.peer_port_be = htons(flow.peer.port.value);
  plan.tos = flow.tos;
  plan.ssrc = flow.ssrc.value;
  plan.packets_per_second = flow.rate.packets_per_second;
  plan.bytes_per_second = flow.rate.bytes_per_second;
  plan.open_until = ns(flow.open_until);
  if (flow.handover) plan.flags |= FERRY_HANDOVER;
  if (flow.payloads.empty()) plan.flags |= FERRY_ANY_TYPE;
  if (flow.forwards) {
    plan.flags |= FERRY_FORWARDS;
    write_address(plan.out_local, flow.out_local.address);
    write_address(plan.out_peer, flow.out_peer.address);
    plan.out_local_port_be = htons(flow.out_local.port.value);
    plan.out_peer_port_be = htons(flow.out_peer.port.value);
  }
  std::size_t clocks = 1;
  for (const PayloadEntry& payload : flow.payloads) {
    auto* const end = plan.clocks + clocks;
    auto* known = std::find(plan.clocks, end, payload.clock_rate_hz);
    if (known == end) {
      if (clocks == FERRY_CLOCKS) return std::nullopt;
      *known = payload.clock_rate_hz;
      ++clocks;
    }
    plan.clock_of[payload.type.value & 127] = static_cast<std::uint8_t>(0x80 | (known - plan.clocks));
  }
  return plan;
}

// A value in the kernel's form, and back.
std::uint64_t raw(Instant time) { return ns(time); }
std::uint64_t raw(SeqNo sequence) { return sequence.value; }
template <std::integral Number>
auto raw(Number number) {
  return number;
}
void assign(Instant& to, std::uint64_t from) { to = instant(from); }
void assign(SeqNo& to, std::uint32_t from) { to = SeqNo{static_cast<std::uint16_t>(from)}; }
template <std::integral To, std::integral From>
void assign(To& to, From from) {
  to = static_cast<To>(from);
}

/// Calls `copy(kernel's, ours)` for each value that the kernel counts.
template <class Kernel, class Ours, class Copy>
void each_value(Kernel& kernel, Ours& ours, Copy copy) {
  auto& c = ours.stream.counters;
  copy(kernel.packets, c.packets);
  copy(kernel.bytes, c.bytes);
  copy(kernel.last_packet, c.last_packet);
  copy(kernel.seen, ours.stream.seen);
  copy(kernel.transit, ours.stream.transit);
  copy(kernel.base_extended, c.base_extended);
  copy(kernel.highest_extended, c.highest_extended);
  copy(kernel.last_timestamp, c.last_timestamp);
  copy(kernel.duplicates, c.duplicates);
  copy(kernel.reordered, c.reordered);
  copy(kernel.jitter_q4, c.jitter_q4);
  copy(kernel.clock_rate, c.clock_rate_hz);
  copy(kernel.last_payload_type, c.last_payload_type);
  copy(kernel.bucket_packets, ours.bucket.packets);
  copy(kernel.bucket_bytes, ours.bucket.bytes);
  copy(kernel.bucket_last, ours.bucket.last);
  copy(kernel.heard_at, ours.heard_at);
  copy(kernel.heard_sequence, ours.heard_sequence);
  copy(kernel.refused, ours.refused);
  copy(kernel.rate_limited, ours.rate_limited);
  copy(kernel.foreign, ours.foreign);
}

ferry_state state_of(const OffloadState& from) {
  ferry_state state{};
  each_value(state, from, [](auto& kernel, const auto& ours) { assign(kernel, raw(ours)); });
  return state;
}

/// `given`, with what the kernel counted since.
OffloadState merged(OffloadState given, const ferry_state& counted) {
  each_value(counted, given, [](const auto& kernel, auto& ours) { assign(ours, kernel); });
  return given;
}

/// Runs the control program on `command`; true if the flow was there.
bool run_control(int program, ferry_command& command) {
  std::array<std::byte, sizeof(ether_header) + sizeof(ferry_command)> packet{};
  std::memcpy(packet.data() + sizeof(ether_header), &command, sizeof command);
  auto options = sized<bpf_test_run_opts>();
  options.data_in = packet.data();
  options.data_out = packet.data();
  options.data_size_in = options.data_size_out = packet.size();
  if (bpf_prog_test_run_opts(program, &options) != 0 || options.retval != 1) return false;
  std::memcpy(&command, packet.data() + sizeof(ether_header), sizeof command);
  return true;
}

}  // namespace

BpfOffload::~BpfOffload() {
  OffloadState last;
  while (!installed_.empty()) {
    const Endpoint local = installed_.begin()->first;
    remove(local, last);
  }
}

OffloadAnswer BpfOffload::acquire_hop(const OffloadFlow& flow) {
  return flow.forwards ? hops_.acquire({flow.out_local.address, flow.out_peer.address})
                       : OffloadAnswer::kTaken;
}

void BpfOffload::release_hop(const OffloadFlow& flow) {
  if (flow.forwards) hops_.release({flow.out_local.address, flow.out_peer.address});
}

OffloadAnswer BpfOffload::install(const OffloadFlow& flow, const OffloadState& state) {
  const auto plan = plan_of(flow);
  if (!plan || installed_.contains(flow.local)) return OffloadAnswer::kRefused;
  if (const OffloadAnswer way = acquire_hop(flow); way != OffloadAnswer::kTaken) return way;
  FlowValue value;
  value.plan = *plan;
  value.state = state_of(state);
  const ferry_key key = key_of(flow.local);
  if (bpf_map_update_elem(kernel_.flows, &key, &value, BPF_NOEXIST) != 0) {
    release_hop(flow);
    return OffloadAnswer::kRefused;
  }
  installed_.emplace(flow.local, Installed{flow, state});
  return OffloadAnswer::kTaken;
}

OffloadAnswer BpfOffload::update(const OffloadFlow& flow) {
  const auto known = installed_.find(flow.local);
  const auto plan = plan_of(flow);
  if (known == installed_.end() || !plan || acquire_hop(flow) != OffloadAnswer::kTaken)
    return OffloadAnswer::kRefused;
  ferry_command command{};
  command.key = key_of(flow.local);
  command.what = FERRY_UPDATE;
  command.plan = *plan;
  if (!run_control(kernel_.control, command)) {
    release_hop(flow);
    return OffloadAnswer::kRefused;
  }
  release_hop(known->second.flow);
  known->second.flow = flow;
  return OffloadAnswer::kTaken;
}

bool BpfOffload::remove(const Endpoint& local, OffloadState& last) {
  const auto known = installed_.find(local);
  if (known == installed_.end()) return false;
  ferry_command command{};
  command.key = key_of(local);
  command.what = FERRY_WITHDRAW;
  if (run_control(kernel_.control, command)) {
    last = merged(known->second.given, command.state);
  } else {
    // Whatever happened to the program, the flow must go.
    bpf_map_delete_elem(kernel_.flows, &command.key);
    last = known->second.given;
  }
  release_hop(known->second.flow);
  installed_.erase(known);
  return true;
}

void BpfOffload::read(std::span<OffloadReading> readings) {
  for (OffloadReading& reading : readings) {
    const auto known = installed_.find(reading.local);
    FlowValue value;
    const ferry_key key = key_of(reading.local);
    reading.found =
        known != installed_.end() && bpf_map_lookup_elem_flags(kernel_.flows, &key, &value, BPF_F_LOCK) == 0;
    if (reading.found) reading.state = merged(known->second.given, value.state);
  }
}

}  // namespace ferry::bpf
