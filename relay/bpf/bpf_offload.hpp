// The flows of one worker in the kernel's map.
#pragma once

#include "relay/bpf/next_hops.hpp"
#include "relay/core/offload/flow_offload.hpp"

#include <unordered_map>

namespace ferry::bpf {

/// Descriptors of what the kernel holds; owned by the engine.
struct KernelHandles {
  int flows = -1;    // map
  int control = -1;  // program that changes flows under their lock
};

class BpfOffload final : public FlowOffload {
 public:
  BpfOffload(KernelHandles kernel, HopSource& hops) : kernel_(kernel), hops_(hops) {}
  ~BpfOffload() override;
  BpfOffload(const BpfOffload&) = delete;
  BpfOffload& operator=(const BpfOffload&) = delete;

  [[nodiscard]] OffloadAnswer install(const OffloadFlow& flow, const OffloadState& state) override;
  [[nodiscard]] OffloadAnswer update(const OffloadFlow& flow) override;
  bool remove(const Endpoint& local, OffloadState& last) override;
  void read(std::span<OffloadReading> readings) override;

 private:
  struct Installed {
    OffloadFlow flow;
    /// What the kernel does not count goes back as it came.
    OffloadState given;
  };
  [[nodiscard]] OffloadAnswer acquire_hop(const OffloadFlow& flow);
  void release_hop(const OffloadFlow& flow);

  KernelHandles kernel_;
  HopSource& hops_;
  std::unordered_map<Endpoint, Installed> installed_;
};

}  // namespace ferry::bpf
