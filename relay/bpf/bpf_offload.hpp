// SPDX-License-Identifier: Apache-2.0
// The flows of one worker in the kernel's table.
#pragma once

#include "relay/bpf/kernel_forms.hpp"
#include "relay/core/offload/flow_offload.hpp"
#include "relay/netlink/next_hops.hpp"

#include <atomic>
#include <unordered_map>

struct ferry_order;
struct ring_buffer;

namespace ferry::bpf {

/// The kernel's objects that one worker needs. The engine owns the descriptors and closes them after the
/// workers.
struct KernelHandles {
  /// The map of flows.
  int flows = -1;
  /// The program that carries out orders.
  int control = -1;
  /// The map of orders; its memory can be mapped.
  int orders = -1;
  /// The map that samples come through; -1: flows of this worker cannot be sampled.
  int ring = -1;
  /// Which orders are this worker's: FERRY_ORDERS from `worker * FERRY_ORDERS` on.
  unsigned worker = 0;
  /// Becomes true once the programs are off their interfaces: nothing is installed any more. Null: never.
  const std::atomic<bool>* is_off = nullptr;
};

/// `FlowOffload` by the kernel's programs. For one worker, on its thread.
class BpfOffload final : public FlowOffload {
 public:
  /// `hops` outlives it. Throws std::system_error if the kernel's memory cannot be mapped.
  BpfOffload(KernelHandles kernel, HopSource& hops);
  /// Withdraws all flows that are still installed.
  ~BpfOffload() override;
  BpfOffload(const BpfOffload&) = delete;
  BpfOffload& operator=(const BpfOffload&) = delete;

  void install(std::span<OffloadInstallation> flows) override;
  [[nodiscard]] OffloadAnswer update(const OffloadFlow& flow, OffloadState& before) override;
  void remove(std::span<OffloadReading> flows) override;
  void read(std::span<OffloadReading> flows) override;
  void collect(const std::function<void(const OffloadSample&)>& visit) override;

 private:
  /// A flow in the table.
  struct Installed {
    OffloadFlow flow;
    /// The state it was installed with. What the kernel does not count is taken from here when it is read.
    OffloadState given;
  };
  /// Finds the way to each receiver and holds it. All or none; `ids` gets their numbers.
  [[nodiscard]] OffloadAnswer acquire_hops(const OffloadFlow& flow, std::span<std::uint32_t> ids);
  /// Gives the ways to the first `count` receivers back.
  void release_hops(const OffloadFlow& flow, std::size_t count);
  void release_hops(const OffloadFlow& flow) { release_hops(flow, flow.sinks.size()); }
  /// Has the kernel carry out the first `count` orders. False if it would not run the program.
  bool run(std::size_t count);
  /// Gives the order `what` for those of `flows` that are installed, and takes over what was counted.
  void read_or_withdraw(std::span<OffloadReading> flows, unsigned what);
  /// Deletes a flow from the map itself, without the control program.
  void take_out(const ferry_key& key) const;
  /// libbpf's callback for each sample; always 0, to go on.
  static int on_sample(void* self, void* data, std::size_t size);

  KernelHandles kernel_;
  HopSource& hops_;
  MappedMap memory_;
  /// This worker's orders, in `memory_`.
  std::span<ferry_order> orders_;
  /// Null: no samples.
  ring_buffer* ring_ = nullptr;
  /// Set while `collect` runs.
  const std::function<void(const OffloadSample&)>* visit_ = nullptr;
  /// The installed flows, by local endpoint.
  std::unordered_map<Endpoint, Installed> installed_;
};

}  // namespace ferry::bpf
