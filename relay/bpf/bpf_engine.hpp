// In-kernel forwarding: loads the programs, attaches them to network interfaces, and takes flows for workers.
#pragma once

#include "relay/base/result.hpp"
#include "relay/base/types.hpp"
#include "relay/bpf/next_hops.hpp"
#include "relay/core/offload/flow_offload.hpp"
#include "relay/core/offload/offload_mode.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct ferry_bpf;

namespace ferry::bpf {

/// What an interface got, and why.
struct Attachment {
  std::string interface;
  unsigned ifindex = 0;
  OffloadMode mode = OffloadMode::kOff;
  std::string reason;
};

/// Packets of known ports: left to the sockets, by reason, or sent on, by program.
struct PacketCount {
  std::string_view name;
  std::uint64_t packets = 0;
  bool is_punt = true;
};

/// One per process. Control thread, but for what `make_offload` returns, which belongs to one worker each.
/// Everything attached goes when it dies.
class BpfEngine {
 public:
  /// Fails with a sentence for the operator: no rights, or a kernel that refuses the programs.
  static Result<std::unique_ptr<BpfEngine>, std::string> load(UdpPort first, UdpPort last);
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
  [[nodiscard]] std::unique_ptr<FlowOffload> make_offload();

 private:
  explicit BpfEngine(ferry_bpf* skeleton);
  struct Hold;
  /// What was asked for an interface.
  struct Wanted {
    OffloadMode mode = OffloadMode::kAuto;
    bool is_named = false;
  };
  [[nodiscard]] Attachment try_attach(const std::string& interface, Wanted wanted);
  bool attach_xdp(unsigned ifindex, bool generic, std::string& why);
  bool attach_tc(unsigned ifindex, std::string& why);
  void publish(const NextHops::Pair& pair, const NextHop* hop) const;

  ferry_bpf* skeleton_;
  std::vector<Attachment> attachments_;
  std::vector<Wanted> wanted_;  // parallel
  std::vector<Hold> holds_;
  mutable std::mutex xdp_mutex_;  // hops are published by other threads
  std::map<unsigned, OffloadMode> xdp_interfaces_;
  std::unique_ptr<NextHops> hops_;
};

}  // namespace ferry::bpf
