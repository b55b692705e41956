// SPDX-License-Identifier: Apache-2.0
// The part of forwarding in the kernel that needs rights: loads the programs and attaches them to interfaces.
#pragma once

#include "relay/base/result.hpp"
#include "relay/base/types.hpp"
#include "relay/core/offload/offload_mode.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

struct ferry_bpf;

namespace ferry::bpf {

/// The arguments of a load.
struct ProgramSettings {
  /// The range of media ports, both included; packets to other ports are not looked at.
  UdpPort first;
  UdpPort last;
  /// Workers that will have flows, at most FERRY_WORKERS.
  unsigned workers = 1;
  /// Size of each worker's ring of samples, in octets: a power of two, at least a page.
  std::uint32_t ring_octets = 1 << 20;
};

/// Descriptors of what the kernel holds. Whoever got them owns them; -1: none. The members are maps, but
/// `control`, which is the program that carries out orders.
struct ProgramHandles {
  int flows = -1;
  int hops = -1;
  int counters = -1;
  int orders = -1;
  int variables = -1;
  int control = -1;
  /// One ring of samples for each worker.
  std::vector<int> rings;
};

/// The programs that an interface got.
struct Attachment {
  std::string interface;
  /// 0: there is no such interface.
  unsigned ifindex = 0;
  /// kOff: it has no program.
  OffloadMode mode = OffloadMode::kOff;
  /// Why it got this, for the operator.
  std::string reason;
};

/// The programs in the kernel. Everything attached goes when it dies. For one thread; needs CAP_BPF,
/// CAP_NET_ADMIN and CAP_PERFMON.
class Programs {
 public:
  /// Loads the programs. The error is a sentence for the operator: no rights, or a kernel that refuses them.
  static Result<std::unique_ptr<Programs>, std::string> load(const ProgramSettings& settings);
  ~Programs();
  Programs(const Programs&) = delete;
  Programs& operator=(const Programs&) = delete;

  /// The descriptors; this object owns them.
  [[nodiscard]] ProgramHandles handles() const;
  /// Attaches the programs to an interface, as well as `wanted` and the host allow. `is_named`: the operator
  /// asked for this interface, so that loopback gets programs too. An interface that has programs of ours,
  /// also under an index that is gone, gets them anew.
  Attachment attach(const std::string& interface, OffloadMode wanted, bool is_named);

 private:
  explicit Programs(ferry_bpf* skeleton) : skeleton_(skeleton) {}
  /// The links and filters that keep our programs on one interface.
  struct Hold {
    unsigned ifindex = 0;
    /// Descriptors of XDP and tcx links.
    std::vector<int> links;
    /// There is a clsact filter of ours; and the hook under it was made by us.
    bool filter = false;
    bool made_hook = false;
  };
  /// Takes the programs off an interface.
  void let_go(const Hold& hold);
  /// Attaches an XDP program. `is_alone`: there is no tc program behind it. False: `why` says why not.
  bool attach_xdp(Hold& hold, bool generic, bool is_alone, std::string& why);
  /// Attaches the tc program, by tcx unless `classic` asks for a clsact filter. `how` says how, or why not.
  bool attach_tc(Hold& hold, bool classic, std::string& how);

  ferry_bpf* skeleton_;
  std::vector<int> rings_;
  /// The programs on each interface, by its name.
  std::map<std::string, Hold> holds_;
};

}  // namespace ferry::bpf
