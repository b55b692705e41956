// SPDX-License-Identifier: Apache-2.0
// The daemon's side of forwarding in the kernel. The helper process has the rights and does what needs them:
// load and attach. It passes back descriptors of the maps and of the control program. With those, everything
// else here works without any right.
//
// Two things are written straight into mapped memory of maps, without a system call: `alive_until`, the
// daemon's sign of life, and the hops, which the thread of `NextHops` publishes.
//
// If the helper dies, the kernel takes the programs off their interfaces. `check_helper` then switches
// everything off for good: nobody left could attach them again.
#include "relay/bpf/bpf_engine.hpp"

#include "ferry.skel.h"  // generated
#include "relay/bpf/abi.h"
#include "relay/bpf/bpf_offload.hpp"

#include <algorithm>
#include <array>
#include <system_error>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <net/if.h>
#include <unistd.h>

namespace ferry::bpf {

namespace {

// How far ahead `keep_alive` moves the time at which the programs stop forwarding.
constexpr Duration kAlive = std::chrono::minutes(1);

using Variables = std::remove_pointer_t<decltype(ferry_bpf::bss)>;

}  // namespace

BpfEngine::BpfEngine(std::unique_ptr<Helper> helper, ProgramHandles handles)
    : helper_(std::move(helper)),
      handles_(std::move(handles)),
      variables_(handles_.variables, sizeof(Variables)),
      hop_memory_(handles_.hops, sizeof(ferry_hop_copies) * FERRY_HOPS) {}

BpfEngine::~BpfEngine() {
  // Its thread publishes into the mapped memory, so it ends first.
  hops_.reset();
  for (const int descriptor : {handles_.flows, handles_.hops, handles_.counters, handles_.orders,
                               handles_.variables, handles_.control})
    close(descriptor);
  for (const int ring : handles_.rings) close(ring);
}

Result<std::unique_ptr<BpfEngine>, std::string> BpfEngine::load(std::unique_ptr<Helper> helper,
                                                                const ProgramSettings& settings) {
  auto handles = helper->load(settings);
  if (!handles) return fail(handles.error());
  try {
    return std::unique_ptr<BpfEngine>(new BpfEngine(std::move(helper), std::move(*handles)));
  } catch (const std::system_error& e) {
    return fail(std::string(e.what()));
  }
}

const Attachment& BpfEngine::attach(const std::string& interface, OffloadMode wanted, bool is_named) {
  wanted_.push_back({wanted, is_named});
  return attachments_.emplace_back(try_attach(interface, wanted_.back()));
}

Attachment BpfEngine::try_attach(const std::string& interface, Wanted wanted) {
  Attachment got = helper_->attach(interface, wanted.mode, wanted.is_named);
  if (got.mode == OffloadMode::kXdp || got.mode == OffloadMode::kXdpGeneric) {
    const std::lock_guard lock(xdp_mutex_);
    xdp_interfaces_[got.ifindex] = got.mode;
  }
  return got;
}

void BpfEngine::keep_alive(Instant now) {
  if (is_off_) return;
  static_cast<Variables*>(variables_.get())->alive_until =
      static_cast<std::uint64_t>((now + kAlive).time_since_epoch().count());
}

bool BpfEngine::check_helper() {
  if (is_off_ || !helper_->is_gone()) return is_off_;
  is_off_ = true;
  // Old kernels keep a program on its interface although the helper is gone. This makes it leave everything
  // to the sockets.
  static_cast<Variables*>(variables_.get())->alive_until = 0;
  for (Attachment& each : attachments_) {
    each.mode = OffloadMode::kOff;
    each.reason = "the helper process is gone: restart the daemon to forward in the kernel again";
  }
  const std::lock_guard lock(xdp_mutex_);
  xdp_interfaces_.clear();
  return true;
}

std::vector<Attachment> BpfEngine::check_interfaces() {
  std::vector<Attachment> back;
  if (is_off_) return back;
  for (std::size_t i = 0; i < attachments_.size(); ++i) {
    Attachment& known = attachments_[i];
    const unsigned now = if_nametoindex(known.interface.c_str());
    // An interface that was removed and made again has another index, and no programs.
    if (now == known.ifindex) continue;
    {
      const std::lock_guard lock(xdp_mutex_);
      xdp_interfaces_.erase(known.ifindex);
    }
    known = try_attach(known.interface, wanted_[i]);
    back.push_back(known);
  }
  return back;
}

std::vector<PacketCount> BpfEngine::counts() const {
  static constexpr std::array<std::string_view, FERRY_COUNTERS> kNames = {
      "none", "form", "not-rtp", "payload-type", "ssrc", "sequence",
      // The names are in the order of `enum ferry_punt`.
      "source", "next-hop", "mtu", "xdp", "tc"};
  std::vector<PacketCount> counts;
  std::vector<std::uint64_t> cpus(static_cast<std::size_t>(libbpf_num_possible_cpus()));
  for (std::uint32_t reason = 1; reason < FERRY_COUNTERS; ++reason) {
    std::uint64_t sum = 0;
    if (bpf_map_lookup_elem(handles_.counters, &reason, cpus.data()) == 0) {
      for (const std::uint64_t cpu : cpus) sum += cpu;
    }
    counts.push_back({kNames[reason], sum, reason < FERRY_PUNT_REASONS});
  }
  return counts;
}

std::unique_ptr<FlowOffload> BpfEngine::make_offload() {
  // More workers than rings: the others go without.
  if (workers_ >= handles_.rings.size()) return nullptr;
  try {
    if (!hops_) {
      hops_ =
          std::make_unique<NextHops>(FERRY_HOPS - 1, [this](std::uint32_t id, const NextHops::Pair& pair,
                                                            const NextHop* hop) { publish(id, pair, hop); });
    }
    KernelHandles mine;
    mine.flows = handles_.flows;
    mine.control = handles_.control;
    mine.orders = handles_.orders;
    mine.ring = handles_.rings[workers_];
    mine.worker = workers_;
    mine.is_off = &is_off_;
    auto offload = std::make_unique<BpfOffload>(mine, *hops_);
    ++workers_;
    return offload;
  } catch (const std::system_error&) {
    return nullptr;
  }
}

void BpfEngine::publish(std::uint32_t id, const NextHops::Pair& pair, const NextHop* hop) const {
  ferry_hop value{};
  if (hop != nullptr) {
    write_address(value.local, pair.first);
    write_address(value.remote, pair.second);
    value.ifindex = hop->ifindex;
    value.mtu = hop->mtu;
    std::copy(hop->destination.begin(), hop->destination.end(), value.destination_mac);
    std::copy(hop->source.begin(), hop->source.end(), value.source_mac);
    const std::lock_guard lock(xdp_mutex_);
    // XDP can only redirect to a driver that runs a program itself, and native and generic mode do not mix.
    const bool one_mode = std::ranges::all_of(
        xdp_interfaces_, [&](const auto& each) { return each.second == xdp_interfaces_.begin()->second; });
    value.xdp = one_mode && xdp_interfaces_.contains(hop->ifindex) ? 1 : 0;
  }
  publish_hop(static_cast<ferry_hop_copies*>(hop_memory_.get())[id], value);
}

}  // namespace ferry::bpf
