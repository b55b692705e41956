#include "relay/bpf/bpf_offload.hpp"

#include "relay/bpf/abi.h"
#include "relay/bpf/kernel_forms.hpp"

#include <algorithm>
#include <array>
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
              "relay/bpf/abi.h changed: raise FERRY_ABI_VERSION");

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
    if (flow.out_local.address.is_v6()) plan.flags |= FERRY_OUT_IPV6;
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

ferry_state state_of(const OffloadState& from) {
  const SsrcCounters& c = from.stream.counters;
  ferry_state state{};
  state.packets = c.packets;
  state.bytes = c.bytes;
  state.last_packet = ns(c.last_packet);
  state.seen = from.stream.seen;
  state.transit = from.stream.transit;
  state.base_extended = c.base_extended;
  state.highest_extended = c.highest_extended;
  state.last_timestamp = c.last_timestamp;
  state.duplicates = c.duplicates;
  state.reordered = c.reordered;
  state.jitter_q4 = c.jitter_q4;
  state.clock_rate = c.clock_rate_hz;
  state.last_payload_type = c.last_payload_type;
  state.bucket_packets = from.bucket.packets;
  state.bucket_bytes = from.bucket.bytes;
  state.bucket_last = ns(from.bucket.last);
  state.heard_at = ns(from.heard_at);
  state.heard_sequence = from.heard_sequence.value;
  return state;
}

OffloadState merged(const OffloadState& given, const ferry_state& counted) {
  OffloadState state = given;
  SsrcCounters& c = state.stream.counters;
  c.packets = counted.packets;
  c.bytes = counted.bytes;
  c.last_packet = instant(counted.last_packet);
  state.stream.seen = counted.seen;
  state.stream.transit = counted.transit;
  c.base_extended = counted.base_extended;
  c.highest_extended = counted.highest_extended;
  c.last_timestamp = counted.last_timestamp;
  c.duplicates = counted.duplicates;
  c.reordered = counted.reordered;
  c.jitter_q4 = counted.jitter_q4;
  c.clock_rate_hz = counted.clock_rate;
  c.last_payload_type = static_cast<std::uint8_t>(counted.last_payload_type);
  state.bucket = {counted.bucket_packets, counted.bucket_bytes, instant(counted.bucket_last)};
  state.heard_at = instant(counted.heard_at);
  state.heard_sequence = SeqNo{static_cast<std::uint16_t>(counted.heard_sequence)};
  state.refused = counted.refused;
  state.rate_limited = counted.rate_limited;
  state.foreign = counted.foreign;
  return state;
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

// What an earlier process left: nothing, its programs and maps went with it.
void BpfOffload::enumerate(const std::function<void(const OffloadFlow&)>&) {}

OffloadAnswer BpfOffload::adopt(const OffloadFlow&) { return OffloadAnswer::kRefused; }

OffloadAnswer BpfOffload::sample(const Endpoint&, bool) { return OffloadAnswer::kRefused; }

}  // namespace ferry::bpf
