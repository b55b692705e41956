// The part of in-kernel forwarding that needs rights: loading the programs and attaching them to interfaces.
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

struct ProgramSettings {
  /// Of the media ports; packets to others are not looked at.
  UdpPort first;
  UdpPort last;
  unsigned workers = 1;
  /// Of the ring of each worker, for samples: a power of two, at least a page.
  std::uint32_t ring_octets = 1 << 20;
};

/// What the kernel holds. Descriptors, owned by whoever got them.
struct ProgramHandles {
  int flows = -1;
  int hops = -1;
  int counters = -1;
  int orders = -1;
  int variables = -1;
  int control = -1;
  std::vector<int> rings;
};

/// What an interface got, and why.
struct Attachment {
  std::string interface;
  unsigned ifindex = 0;
  OffloadMode mode = OffloadMode::kOff;
  std::string reason;
};

/// Not thread-safe. Everything attached goes when it dies.
class Programs {
 public:
  /// Fails with a sentence for the operator: no rights, or a kernel that refuses the programs.
  static Result<std::unique_ptr<Programs>, std::string> load(const ProgramSettings& settings);
  ~Programs();
  Programs(const Programs&) = delete;
  Programs& operator=(const Programs&) = delete;

  /// Owned by this object.
  [[nodiscard]] ProgramHandles handles() const;
  /// `is_named`: the operator asked for this interface, so that loopback and veth get what was asked for. An
  /// interface that has programs of ours, also under an index that is gone, gets them anew.
  Attachment attach(const std::string& interface, OffloadMode wanted, bool is_named);

 private:
  explicit Programs(ferry_bpf* skeleton) : skeleton_(skeleton) {}
  /// What keeps programs on an interface.
  struct Hold {
    unsigned ifindex = 0;
    std::vector<int> links;
    bool filter = false;
    bool made_hook = false;
  };
  void let_go(const Hold& hold);
  /// `is_alone`: without a tc program behind it.
  bool attach_xdp(Hold& hold, bool generic, bool is_alone, std::string& why);
  bool attach_tc(Hold& hold, bool classic, std::string& how);

  ferry_bpf* skeleton_;
  std::vector<int> rings_;
  std::map<std::string, Hold> holds_;  // by interface
};

}  // namespace ferry::bpf
