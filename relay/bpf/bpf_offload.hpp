// The flows of one worker in the kernel's map.
#pragma once

#include "relay/bpf/kernel_forms.hpp"
#include "relay/core/offload/flow_offload.hpp"
#include "relay/netlink/next_hops.hpp"

#include <atomic>
#include <unordered_map>

struct ferry_order;
struct ring_buffer;

namespace ferry::bpf {

/// What the kernel holds for one worker; descriptors are owned by the engine.
struct KernelHandles {
  int flows = -1;    // map
  int control = -1;  // program that carries out orders
  int orders = -1;   // map, memory of its entries can be mapped
  int ring = -1;     // map with samples, -1 = no sampling
  unsigned worker = 0;
  /// Set once the programs are off their interfaces: nothing is installed any more.
  const std::atomic<bool>* is_off = nullptr;
};

class BpfOffload final : public FlowOffload {
 public:
  /// Throws std::system_error if the kernel's memory cannot be mapped.
  BpfOffload(KernelHandles kernel, HopSource& hops);
  ~BpfOffload() override;
  BpfOffload(const BpfOffload&) = delete;
  BpfOffload& operator=(const BpfOffload&) = delete;

  void install(std::span<OffloadInstallation> flows) override;
  [[nodiscard]] OffloadAnswer update(const OffloadFlow& flow, OffloadState& before) override;
  void remove(std::span<OffloadReading> flows) override;
  void read(std::span<OffloadReading> flows) override;
  void collect(const std::function<void(const OffloadSample&)>& visit) override;

 private:
  struct Installed {
    OffloadFlow flow;
    /// What the kernel does not count goes back as it came.
    OffloadState given;
  };
  [[nodiscard]] OffloadAnswer acquire_hops(const OffloadFlow& flow, std::span<std::uint32_t> ids);
  void release_hops(const OffloadFlow& flow, std::size_t count);
  void release_hops(const OffloadFlow& flow) { release_hops(flow, flow.sinks.size()); }
  /// Has the kernel carry out the first `count` orders.
  bool run(std::size_t count);
  /// Orders `what` for those of `flows` that are installed, and takes over what was counted.
  void read_or_withdraw(std::span<OffloadReading> flows, unsigned what);
  /// From the map itself, without the control program.
  void take_out(const ferry_key& key) const;
  static int on_sample(void* self, void* data, std::size_t size);

  KernelHandles kernel_;
  HopSource& hops_;
  MappedMap memory_;
  std::span<ferry_order> orders_;
  ring_buffer* ring_ = nullptr;
  const std::function<void(const OffloadSample&)>* visit_ = nullptr;  // while `collect` runs
  std::unordered_map<Endpoint, Installed> installed_;
};

}  // namespace ferry::bpf
