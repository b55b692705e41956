// In-kernel forwarding as the daemon sees it: has the helper load and attach the programs, and takes flows
// for workers.
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

/// Packets of known ports: left to the sockets, by reason, or sent on, by program.
struct PacketCount {
  std::string_view name;
  std::uint64_t packets = 0;
  bool is_punt = true;
};

/// One per process. Control thread, but for what `make_offload` returns, which belongs to one worker each.
/// Needs no rights itself.
class BpfEngine {
 public:
  /// Fails with a sentence for the operator.
  static Result<std::unique_ptr<BpfEngine>, std::string> load(std::unique_ptr<Helper> helper,
                                                              const ProgramSettings& settings);
  ~BpfEngine();
  BpfEngine(const BpfEngine&) = delete;
  BpfEngine& operator=(const BpfEngine&) = delete;

  /// `is_named`: the operator asked for this interface, so that loopback and veth get what was asked for.
  const Attachment& attach(const std::string& interface, OffloadMode wanted, bool is_named);
  [[nodiscard]] const std::vector<Attachment>& attachments() const noexcept { return attachments_; }
  [[nodiscard]] std::vector<PacketCount> counts() const;
  /// To be called every few seconds: without it the programs leave everything to the sockets after a minute.
  void keep_alive(Instant now);
  /// Interfaces that went and came back under their name get their programs again. Returns those that did.
  std::vector<Attachment> check_interfaces();
  /// Readable once the helper is gone: then `check_helper`.
  [[nodiscard]] int helper_descriptor() const noexcept { return helper_->descriptor(); }
  [[nodiscard]] pid_t helper_process() const noexcept { return helper_->process(); }
  /// True if the helper is gone, which takes the programs with it: from the call on nothing is forwarded in
  /// the kernel, no stream is taken there, and each attachment says why. Nobody without its rights can start
  /// another one.
  bool check_helper();
  [[nodiscard]] bool is_off() const noexcept { return is_off_; }
  /// Starts the thread that watches routes and neighbours, with the first.
  [[nodiscard]] std::unique_ptr<FlowOffload> make_offload();

 private:
  BpfEngine(std::unique_ptr<Helper> helper, ProgramHandles handles);
  /// What was asked for an interface.
  struct Wanted {
    OffloadMode mode = OffloadMode::kAuto;
    bool is_named = false;
  };
  Attachment try_attach(const std::string& interface, Wanted wanted);
  void publish(std::uint32_t id, const NextHops::Pair& pair, const NextHop* hop) const;

  std::unique_ptr<Helper> helper_;
  ProgramHandles handles_;
  MappedMap variables_;
  MappedMap hop_memory_;
  unsigned workers_ = 0;
  std::vector<Attachment> attachments_;
  std::vector<Wanted> wanted_;    // parallel
  mutable std::mutex xdp_mutex_;  // hops are published by other threads
  std::map<unsigned, OffloadMode> xdp_interfaces_;
  std::unique_ptr<NextHops> hops_;
  std::atomic<bool> is_off_{false};  // read by the workers
};

}  // namespace ferry::bpf
