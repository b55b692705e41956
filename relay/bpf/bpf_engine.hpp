// SPDX-License-Identifier: Apache-2.0
// Forwarding in the kernel as the daemon sees it: it has the helper load and attach the programs, and gives
// each worker its part of the table of flows.
#pragma once

#include "relay/base/result.hpp"
#include "relay/base/types.hpp"
#include "relay/bpf/helper.hpp"
#include "relay/bpf/kernel_forms.hpp"
#include "relay/core/offload/flow_offload.hpp"
#include "relay/netlink/next_hops.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::bpf {

/// One of the kernel's counters: packets of known ports, by the reason why they were left to the sockets, or
/// by the program that forwarded them.
struct PacketCount {
  std::string_view name;
  std::uint64_t packets = 0;
  /// True: `name` is a reason; false: a program.
  bool is_punt = true;
};

/// The programs of this process. Used on the control thread, except for what `make_offload` returns: that
/// belongs to one worker each. It needs no rights itself.
class BpfEngine {
 public:
  /// Has the helper load the programs. The error is a sentence for the operator.
  static Result<std::unique_ptr<BpfEngine>, std::string> load(std::unique_ptr<Helper> helper,
                                                              const ProgramSettings& settings);
  /// Everything returned by `make_offload` must be gone before.
  ~BpfEngine();
  BpfEngine(const BpfEngine&) = delete;
  BpfEngine& operator=(const BpfEngine&) = delete;

  /// Attaches the programs to an interface, as well as `wanted` and the host allow, and returns what it got.
  /// `is_named`: the operator asked for this interface, so that loopback gets programs too.
  const Attachment& attach(const std::string& interface, OffloadMode wanted, bool is_named);
  /// The attachments of all interfaces, in the order of `attach`.
  [[nodiscard]] const std::vector<Attachment>& attachments() const noexcept { return attachments_; }
  /// The kernel's counters since the load.
  [[nodiscard]] std::vector<PacketCount> counts() const;
  /// The daemon's sign of life. Call it every few seconds: a minute after the last call the programs leave
  /// everything to the sockets.
  void keep_alive(Instant now);
  /// Attaches the programs anew to interfaces that went and came back under their name. Returns those.
  std::vector<Attachment> check_interfaces();
  /// The descriptor to watch: it becomes readable when the helper is gone. Then call `check_helper`.
  [[nodiscard]] int helper_descriptor() const noexcept { return helper_->descriptor(); }
  /// The helper's process id.
  [[nodiscard]] pid_t helper_process() const noexcept { return helper_->process(); }
  /// True if the helper is gone, which takes the programs with it. From this call on nothing is forwarded in
  /// the kernel, no stream is taken there, and each attachment says why. Nobody without the helper's rights
  /// can start another one.
  bool check_helper();
  /// True once `check_helper` has found the helper gone.
  [[nodiscard]] bool is_off() const noexcept { return is_off_; }
  /// The part of the next worker; the first call starts the thread that watches routes and neighbours. Null
  /// if there are more workers than the programs were loaded for, or if the kernel's memory cannot be had.
  [[nodiscard]] std::unique_ptr<FlowOffload> make_offload();

 private:
  BpfEngine(std::unique_ptr<Helper> helper, ProgramHandles handles);
  /// The arguments of `attach`, so that an interface that comes back gets the same.
  struct Wanted {
    OffloadMode mode = OffloadMode::kAuto;
    bool is_named = false;
  };
  Attachment try_attach(const std::string& interface, Wanted wanted);
  /// Writes a hop where the programs read it; `hop` null: there is no way now. Called by the thread of
  /// `NextHops`.
  void publish(std::uint32_t id, const NextHops::Pair& pair, const NextHop* hop) const;

  std::unique_ptr<Helper> helper_;
  ProgramHandles handles_;
  /// The programs' variables and their table of hops, mapped.
  MappedMap variables_;
  MappedMap hop_memory_;
  /// Workers that have got their part.
  unsigned workers_ = 0;
  std::vector<Attachment> attachments_;
  /// Parallel to `attachments_`.
  std::vector<Wanted> wanted_;
  /// Guards `xdp_interfaces_`: another thread publishes hops.
  mutable std::mutex xdp_mutex_;
  /// Interfaces with an XDP program, and in which mode.
  std::map<unsigned, OffloadMode> xdp_interfaces_;
  std::unique_ptr<NextHops> hops_;
  /// Written once; the workers read it.
  std::atomic<bool> is_off_{false};
};

}  // namespace ferry::bpf
