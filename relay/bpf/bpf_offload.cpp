// SPDX-License-Identifier: Apache-2.0
// Puts flows of one worker into the kernel's table, changes them, reads them and takes them out.
//
// Order of operations. The worker does not write the table itself: a map update would overwrite what the
// kernel counts at the same moment. Instead it writes orders into memory that it shares with the kernel, and
// runs the control program over them, up to FERRY_ORDERS with one system call. The control program carries
// each order out under the flow's lock and leaves the counters of that very moment in the order.
//
// - Install: first the hops of all receivers, then the order. A hop that is not known yet (kLater) means: ask
//   again when the packet just forwarded has made the kernel find the neighbour.
// - Update: the new hops are acquired before the order and the old ones released after it, so that a hop used
//   by both never goes away in between.
// - Withdraw: closes the flow under its lock and deletes it. When `run` returns, no CPU forwards any more and
//   the counters are final (LAT-13).
//
// Trap: the kernel counts only what changes with packets. `Installed::given` keeps the rest of the state;
// `merged` puts both together again. `each_value` is the one list of what the kernel counts; a member that is
// missing there would be lost at every withdrawal.
#include "relay/bpf/bpf_offload.hpp"

#include "relay/bpf/abi.h"
#include "relay/bpf/kernel_forms.hpp"

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstring>
#include <optional>
#include <system_error>
#include <vector>

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <net/ethernet.h>

namespace ferry::bpf {

namespace {

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

std::uint16_t folded(std::uint64_t sum) {
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

/// Sum of two addresses as the pseudo header has them (RFC 768, RFC 8200 section 8.1). Words stay in network
/// byte order: a one's complement sum does not depend on it (RFC 1071).
std::uint16_t sum_of(const IpAddress& a, const IpAddress& b) {
  std::uint64_t sum = 0;
  for (const IpAddress* address : {&a, &b}) {
    for (std::size_t i = 0; i < (address->is_v6() ? 16u : 4u); i += 2) {
      std::uint16_t word = 0;
      std::memcpy(&word, address->octets().data() + i, sizeof word);
      sum += word;
    }
  }
  return folded(sum);
}

/// Hop numbers of a flow's receivers.
using Hops = std::array<std::uint32_t, FERRY_SINKS>;

/// Writes a flow in the kernel's form. Nothing if it has more receivers or kinds of payload than the kernel's
/// tables.
std::optional<ferry_order> order_of(const OffloadFlow& flow, const Hops& hops, unsigned ring,
                                    ferry_what what) {
  ferry_order order{};
  order.key = key_of(flow.local);
  order.what = what;
  ferry_plan& plan = order.plan;
  ferry_more& more = order.more;
  write_address(plan.peer, flow.peer.address);
  plan.peer_port_be = htons(flow.peer.port.value);
  plan.ring = static_cast<std::uint16_t>(ring);
  plan.ssrc = flow.ssrc.value;
  plan.packets_per_second = flow.rate.packets_per_second;
  plan.bytes_per_second = flow.rate.bytes_per_second;
  plan.open_until = ns(flow.open_until);
  if (flow.handover) plan.flags |= FERRY_HANDOVER;
  if (flow.home.is_set()) {
    write_address(more.home, flow.home.address);
    more.home_port_be = htons(flow.home.port.value);
  }
  // Without a list every type is taken, so the table of types need not be looked at.
  if (flow.payloads.empty() && flow.refused_types.none()) plan.flags |= FERRY_ANY_TYPE;
  if (flow.sampling != Sampling::kNone) plan.flags |= FERRY_SAMPLED;
  if (flow.sampling == Sampling::kHeaders || flow.sampling == Sampling::kSparse) plan.flags |= FERRY_HEADERS;
  if (flow.sampling == Sampling::kSparse) plan.flags |= FERRY_SPARSE;
  if (flow.sinks.size() > 1) plan.flags |= FERRY_TC_ONLY;
  // Checksums are changed, not computed: the differences are prepared here once (RFC 1624).
  const std::uint16_t addresses = sum_of(flow.peer.address, flow.local.address);
  plan.pseudo_sum = folded(std::uint64_t{addresses} + htons(IPPROTO_UDP));
  for (const OffloadSink& from : flow.sinks) {
    ferry_sink& sink = plan.sink_count == 0 ? plan.sink : more.sinks[plan.sink_count - 1];
    ++plan.sink_count;
    sink.hop = hops[plan.sink_count - 1u];
    sink.local_port_be = htons(from.local.port.value);
    sink.peer_port_be = htons(from.peer.port.value);
    sink.tos = from.tos;
    sink.silenced = from.silenced ? 1 : 0;
    sink.address_change = folded(std::uint64_t{static_cast<std::uint16_t>(~addresses)} +
                                 sum_of(from.local.address, from.peer.address));
    if (from.silenced) plan.flags |= FERRY_TC_ONLY;
    if (!from.shift) continue;
    plan.flags |= FERRY_SHIFTED;
    more.shifts[plan.sink_count - 1] = {from.shift->ssrc.value, from.shift->timestamp, from.shift->sequence,
                                        1, 0};
  }
  if (flow.takes_any_type) {
    for (std::size_t type = 0; type < flow.refused_types.size(); ++type)
      more.kind_of[type] = flow.refused_types.test(type) ? 0 : 0x80;
  }
  for (std::size_t type = 0; type < flow.other_types.size(); ++type) {
    if (flow.other_types.test(type)) more.kind_of[type] = FERRY_OTHER_TYPE;
  }
  // The kernel finds the expected type without the table. Signalling lists the preferred one first.
  plan.kind.type = 255;
  std::size_t kinds = 1;
  for (const PayloadEntry& payload : flow.payloads) {
    auto* const end = more.kinds + kinds;
    auto* known = std::find_if(more.kinds, end, [&](const ferry_kind& kind) {
      return kind.clock == payload.clock_rate_hz && kind.silence == payload.silence;
    });
    if (known == end) {
      if (kinds == FERRY_KINDS) return std::nullopt;
      *known = {payload.clock_rate_hz, payload.silence, 0, 0, clock_scale(payload.clock_rate_hz)};
      ++kinds;
    }
    more.kind_of[payload.type.value & 127] = static_cast<std::uint8_t>(0x80 | (known - more.kinds));
    if (plan.kind.type != 255) continue;
    plan.kind = *known;
    plan.kind.type = payload.type.value & 127;
  }
  return order;
}

// Converts a value to the kernel's form, and back.
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

/// Calls `copy(kernel's member, ours)` for each value that the kernel counts.
template <class Kernel, class Ours, class Copy>
void each_value(Kernel& kernel, Ours& ours, Copy copy) {
  auto& c = ours.stream.counters;
  copy(kernel.packets, c.packets);
  copy(kernel.bytes, c.bytes);
  copy(kernel.last_packet, c.last_packet);
  copy(kernel.seen, ours.stream.seen);
  copy(kernel.new_burst, ours.stream.new_burst);
  copy(kernel.transit, c.transit);
  copy(kernel.drift_transit, c.drift_transit);
  copy(kernel.drift_since, c.drift_since);
  copy(kernel.loss_bursts, c.loss_bursts);
  copy(kernel.longest_loss_burst, c.longest_loss_burst);
  copy(kernel.base_extended, c.base_extended);
  copy(kernel.highest_extended, c.highest_extended);
  copy(kernel.last_timestamp, c.last_timestamp);
  copy(kernel.duplicates, c.duplicates);
  copy(kernel.reordered, c.reordered);
  copy(kernel.jitter_q4, c.jitter_q4);
  copy(kernel.jitter_max_q4, c.jitter_max_q4);
  copy(kernel.jitter_sum_q4, c.jitter_sum_q4);
  copy(kernel.longest_gap, c.longest_gap_ticks);
  copy(kernel.clock_rate, c.clock_rate_hz);
  copy(kernel.last_payload_type, c.last_payload_type);
  copy(kernel.last_payload_size, c.last_payload_size);
  copy(kernel.bucket_packets, ours.bucket.packets);
  copy(kernel.bucket_bytes, ours.bucket.bytes);
  copy(kernel.bucket_last, ours.bucket.last);
  copy(kernel.heard_at, ours.heard_at);
  copy(kernel.heard_sequence, ours.heard_sequence);
  copy(kernel.rate_limited, ours.rate_limited);
  copy(kernel.foreign, ours.foreign);
  copy(kernel.unsampled, ours.unsampled);
  copy(kernel.other_types, ours.other_types);
}

ferry_state state_of(const OffloadState& from) {
  ferry_state state{};
  each_value(state, from, [](auto& kernel, const auto& ours) { assign(kernel, raw(ours)); });
  return state;
}

/// The state that was given at installation, with what the kernel counted since.
OffloadState merged(OffloadState given, const ferry_state& counted) {
  each_value(counted, given, [](const auto& kernel, auto& ours) { assign(ours, kernel); });
  if (counted.foreign_at != 0) {
    given.foreign_at = instant(counted.foreign_at);
    given.foreign_from = {read_address(counted.foreign_from), UdpPort{ntohs(counted.foreign_port_be)}};
  }
  return given;
}

}  // namespace

BpfOffload::BpfOffload(KernelHandles kernel, HopSource& hops)
    : kernel_(kernel),
      hops_(hops),
      // The whole map up to this worker's orders is mapped, because mappings begin at a page; only its own
      // part is used.
      memory_(kernel.orders, std::size_t{kernel.worker + 1} * FERRY_ORDERS * sizeof(ferry_order)),
      orders_(static_cast<ferry_order*>(memory_.get()) + std::size_t{kernel.worker} * FERRY_ORDERS,
              FERRY_ORDERS) {
  if (kernel.ring < 0) return;
  ring_ = ring_buffer__new(kernel.ring, on_sample, this, nullptr);
  if (ring_ == nullptr)
    throw std::system_error(errno, std::generic_category(), "the ring of a BPF program cannot be mapped");
}

BpfOffload::~BpfOffload() {
  // A flow that stayed would hold up the next owner of the port.
  std::vector<OffloadReading> all;
  for (const auto& each : installed_) all.push_back({each.first, false, {}});
  remove(all);
  ring_buffer__free(ring_);
}

bool BpfOffload::run(std::size_t count) {
  // The "packet" for the control program is an Ethernet header and the numbers of the orders.
  const ferry_run which{kernel_.worker * FERRY_ORDERS, static_cast<std::uint32_t>(count)};
  std::array<std::byte, sizeof(ether_header) + sizeof which> packet{};
  std::memcpy(packet.data() + sizeof(ether_header), &which, sizeof which);
  auto options = sized<bpf_test_run_opts>();
  options.data_in = packet.data();
  options.data_size_in = packet.size();
  return bpf_prog_test_run_opts(kernel_.control, &options) == 0 && options.retval == 1;
}

OffloadAnswer BpfOffload::acquire_hops(const OffloadFlow& flow, std::span<std::uint32_t> ids) {
  if (flow.sinks.size() > ids.size()) return OffloadAnswer::kRefused;
  for (std::size_t i = 0; i < flow.sinks.size(); ++i) {
    const OffloadSink& sink = flow.sinks[i];
    const HopAnswer answer = hops_.acquire({sink.local.address, sink.peer.address}, ids[i]);
    if (answer == HopAnswer::kFound) continue;
    release_hops(flow, i);
    return answer == HopAnswer::kLater ? OffloadAnswer::kLater : OffloadAnswer::kRefused;
  }
  return OffloadAnswer::kTaken;
}

void BpfOffload::release_hops(const OffloadFlow& flow, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i)
    hops_.release({flow.sinks[i].local.address, flow.sinks[i].peer.address});
}

void BpfOffload::install(std::span<OffloadInstallation> flows) {
  // The programs are off their interfaces: nothing would be forwarded, and nothing would be counted either.
  if (kernel_.is_off != nullptr && *kernel_.is_off) {
    for (OffloadInstallation& each : flows) each.answer = OffloadAnswer::kRefused;
    return;
  }
  for (; !flows.empty(); flows = flows.subspan(std::min(flows.size(), orders_.size()))) {
    const auto batch = flows.first(std::min(flows.size(), orders_.size()));
    std::size_t count = 0;
    std::array<OffloadInstallation*, FERRY_ORDERS> ordered{};
    for (OffloadInstallation& each : batch) {
      each.answer = OffloadAnswer::kRefused;
      // A flow by that address exists already, or its samples would have nowhere to go.
      if (installed_.contains(each.flow->local) ||
          (each.flow->sampling != Sampling::kNone && ring_ == nullptr))
        continue;
      Hops hops{};
      each.answer = acquire_hops(*each.flow, hops);
      if (each.answer != OffloadAnswer::kTaken) continue;
      auto order = order_of(*each.flow, hops, kernel_.worker, FERRY_INSTALL);
      if (!order) {
        release_hops(*each.flow);
        each.answer = OffloadAnswer::kRefused;
        continue;
      }
      order->state = state_of(*each.state);
      orders_[count] = *order;
      ordered[count++] = &each;
    }
    const bool ran = count != 0 && run(count);
    for (std::size_t i = 0; i < count; ++i) {
      if (ran && orders_[i].done == 1) {
        installed_.emplace(ordered[i]->flow->local, Installed{*ordered[i]->flow, *ordered[i]->state});
        continue;
      }
      release_hops(*ordered[i]->flow);
      ordered[i]->answer = OffloadAnswer::kRefused;
    }
  }
}

OffloadAnswer BpfOffload::update(const OffloadFlow& flow, OffloadState& before) {
  const auto known = installed_.find(flow.local);
  Hops hops{};
  if (known == installed_.end() || (flow.sampling != Sampling::kNone && ring_ == nullptr) ||
      acquire_hops(flow, hops) != OffloadAnswer::kTaken)
    return OffloadAnswer::kRefused;
  const auto order = order_of(flow, hops, kernel_.worker, FERRY_UPDATE);
  if (order) orders_[0] = *order;
  if (!order || !run(1) || orders_[0].done != 1) {
    release_hops(flow);
    return OffloadAnswer::kRefused;
  }
  before = merged(known->second.given, orders_[0].state);
  release_hops(known->second.flow);
  known->second.flow = flow;
  return OffloadAnswer::kTaken;
}

void BpfOffload::read_or_withdraw(std::span<OffloadReading> flows, unsigned what) {
  for (; !flows.empty(); flows = flows.subspan(std::min(flows.size(), orders_.size()))) {
    const auto batch = flows.first(std::min(flows.size(), orders_.size()));
    for (std::size_t i = 0; i < batch.size(); ++i) {
      orders_[i].key = key_of(batch[i].local);
      orders_[i].what = what;
      orders_[i].done = 0;
    }
    const bool ran = run(batch.size());
    for (std::size_t i = 0; i < batch.size(); ++i) {
      const auto known = installed_.find(batch[i].local);
      // Also found if the kernel could not delete it: the counters are final in any case.
      batch[i].found = ran && orders_[i].done != 0 && known != installed_.end();
      if (what == FERRY_WITHDRAW && (!ran || orders_[i].done != 1)) take_out(orders_[i].key);
      if (batch[i].found) batch[i].state = merged(known->second.given, orders_[i].state);
    }
  }
}

void BpfOffload::take_out(const ferry_key& key) const {
  // Whatever happened to the program, the flow must go: it would hold up the port's next owner. Deletion
  // fails if another CPU holds the bucket's lock at this moment, so it is tried again.
  constexpr int kTries = 100;
  for (int i = 0; i < kTries; ++i) {
    if (bpf_map_delete_elem(kernel_.flows, &key) == 0 || errno == ENOENT) return;
  }
}

void BpfOffload::remove(std::span<OffloadReading> flows) {
  read_or_withdraw(flows, FERRY_WITHDRAW);
  for (const OffloadReading& each : flows) {
    const auto known = installed_.find(each.local);
    if (known == installed_.end()) continue;
    release_hops(known->second.flow);
    installed_.erase(known);
  }
}

void BpfOffload::read(std::span<OffloadReading> flows) { read_or_withdraw(flows, FERRY_READ); }

int BpfOffload::on_sample(void* self, void* data, std::size_t size) {
  const auto& visit = *static_cast<BpfOffload*>(self)->visit_;
  ferry_sample head{};
  if (size < sizeof head) return 0;
  std::memcpy(&head, data, sizeof head);
  const auto* octets = static_cast<const std::byte*>(data) + sizeof head;
  const std::size_t kept = std::min<std::size_t>(head.kept, size - sizeof head);
  visit({{read_address(head.key.address), UdpPort{ntohs(head.key.port_be)}},
         {read_address(head.from), UdpPort{ntohs(head.from_port_be)}},
         {octets, kept},
         head.size,
         instant(head.time)});
  return 0;
}

void BpfOffload::collect(const std::function<void(const OffloadSample&)>& visit) {
  if (ring_ == nullptr) return;
  visit_ = &visit;
  ring_buffer__consume(ring_);
  visit_ = nullptr;
}

}  // namespace ferry::bpf
