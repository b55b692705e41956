// SPDX-License-Identifier: Apache-2.0
// Loads the programs and attaches them. Runs in the helper process, with its rights.
//
// What an interface gets (mode auto): tc always, because only tc can send by every interface and to several
// receivers; XDP before it, native if the driver can, generic only if tc cannot be attached. The order
// matters: tc is attached first, because the XDP program to choose depends on it (`ferry_xdp` leaves work to
// tc, `ferry_xdp_alone` does not).
//
// How it goes away again: links (XDP, tcx) are descriptors of this process and end with it, however it dies.
// A clsact filter, which kernels before 6.6 need, stays if the process is killed. Its fixed handle and
// priority let the next daemon replace it, and `alive_until` makes it forward nothing in the meantime.
#include "relay/bpf/programs.hpp"

#include "ferry.skel.h"  // generated
#include "relay/bpf/abi.h"
#include "relay/bpf/kernel_forms.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace ferry::bpf {

namespace {

// Names our filter, so that a later process finds and replaces it.
constexpr std::uint32_t kTcHandle = 0xfe44;
constexpr std::uint32_t kTcPriority = 0xfe44;
// BPF_TCX_INGRESS, from Linux 6.6 on; older headers do not have the name.
constexpr auto kTcxIngress = static_cast<bpf_attach_type>(46);

/// The facts about an interface that decide which programs it can have.
struct Kind {
  // Empty if it has none.
  std::string driver;
  bool has_ethernet_frames = false;
};
Kind kind_of(const std::string& interface) {
  Kind kind;
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return kind;
  ifreq request{};
  std::strncpy(request.ifr_name, interface.c_str(), IFNAMSIZ - 1);
  if (ioctl(fd, SIOCGIFHWADDR, &request) == 0) {
    const auto type = request.ifr_hwaddr.sa_family;
    kind.has_ethernet_frames = type == ARPHRD_ETHER || type == ARPHRD_LOOPBACK;
  }
  ethtool_drvinfo info{};
  info.cmd = ETHTOOL_GDRVINFO;
  request.ifr_data = reinterpret_cast<char*>(&info);
  if (ioctl(fd, SIOCETHTOOL, &request) == 0) kind.driver = info.driver;
  close(fd);
  return kind;
}

bpf_tc_hook ingress_of(unsigned ifindex) {
  auto hook = sized<bpf_tc_hook>();
  hook.ifindex = static_cast<int>(ifindex);
  hook.attach_point = BPF_TC_INGRESS;
  return hook;
}

bpf_tc_opts our_filter() {
  auto options = sized<bpf_tc_opts>();
  options.handle = kTcHandle;
  options.priority = kTcPriority;
  return options;
}

}  // namespace

Programs::~Programs() {
  for (const auto& hold : holds_) let_go(hold.second);
  for (const int ring : rings_) close(ring);
  ferry_bpf__destroy(skeleton_);
}

void Programs::let_go(const Hold& hold) {
  for (const int link : hold.links) close(link);
  if (!hold.filter) return;
  auto hook = ingress_of(hold.ifindex);
  auto options = our_filter();
  bpf_tc_detach(&hook, &options);
  // Removed only if it was made here: filters of others may hang on it.
  if (hold.made_hook) {
    hook.attach_point = static_cast<bpf_tc_attach_point>(BPF_TC_INGRESS | BPF_TC_EGRESS);
    bpf_tc_hook_destroy(&hook);
  }
}

Result<std::unique_ptr<Programs>, std::string> Programs::load(const ProgramSettings& settings) {
  // libbpf prints hundreds of lines about a program that the kernel refuses; they do not belong into an
  // operator's log.
  libbpf_set_print(nullptr);
  ferry_bpf* skeleton = ferry_bpf__open();
  if (skeleton == nullptr)
    return fail(fmt::format("the BPF object cannot be opened: {}", std::strerror(errno)));
  // Constants and sizes are set between open and load; afterwards the kernel does not let them change.
  skeleton->bss->port_first = settings.first.value;
  skeleton->bss->port_last = settings.last.value;
  const unsigned workers = std::min<unsigned>(settings.workers, FERRY_WORKERS);
  bpf_map__set_max_entries(skeleton->maps.orders, workers * FERRY_ORDERS);
  std::unique_ptr<Programs> programs(new Programs(skeleton));
  if (const int error = ferry_bpf__load(skeleton); error != 0) {
    if (error == -EPERM)
      return fail(std::string("no rights: it needs CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON"));
    return fail(fmt::format("the kernel refuses the BPF programs: {}", std::strerror(-error)));
  }
  // The rings are made here, because a map of maps is filled after loading.
  for (std::uint32_t worker = 0; worker < workers; ++worker) {
    const int ring = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "ferry_ring", 0, 0, settings.ring_octets, nullptr);
    if (ring < 0) return fail(fmt::format("no memory for samples: {}", std::strerror(-ring)));
    programs->rings_.push_back(ring);
    if (bpf_map_update_elem(bpf_map__fd(skeleton->maps.rings), &worker, &ring, BPF_ANY) != 0)
      return fail(fmt::format("a ring for samples is refused: {}", std::strerror(errno)));
  }
  return programs;
}

ProgramHandles Programs::handles() const {
  ProgramHandles handles;
  handles.flows = bpf_map__fd(skeleton_->maps.flows);
  handles.hops = bpf_map__fd(skeleton_->maps.hops);
  handles.counters = bpf_map__fd(skeleton_->maps.counters);
  handles.orders = bpf_map__fd(skeleton_->maps.orders);
  handles.variables = bpf_map__fd(skeleton_->maps.bss);
  handles.control = bpf_program__fd(skeleton_->progs.ferry_control);
  handles.rings = rings_;
  return handles;
}

bool Programs::attach_xdp(Hold& hold, bool generic, bool is_alone, std::string& why) {
  auto options = sized<bpf_link_create_opts>();
  options.flags = generic ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE;
  const bpf_program* program = is_alone ? skeleton_->progs.ferry_xdp_alone : skeleton_->progs.ferry_xdp;
  const int link =
      bpf_link_create(bpf_program__fd(program), static_cast<int>(hold.ifindex), BPF_XDP, &options);
  if (link < 0) {
    why = link == -EBUSY ? std::string("another XDP program is on the interface")
                         : fmt::format("no {} XDP: {}", generic ? "generic" : "native", std::strerror(-link));
    return false;
  }
  hold.links.push_back(link);
  return true;
}

bool Programs::attach_tc(Hold& hold, bool classic, std::string& how) {
  const int program = bpf_program__fd(skeleton_->progs.ferry_tc);
  if (!classic) {
    // tcx: a link that ends with this process and comes before the filters of others.
    if (const int link = bpf_link_create(program, static_cast<int>(hold.ifindex), kTcxIngress, nullptr);
        link >= 0) {
      hold.links.push_back(link);
      how = "tcx";
      return true;
    }
  }
  auto hook = ingress_of(hold.ifindex);
  const int made = bpf_tc_hook_create(&hook);
  if (made != 0 && made != -EEXIST) {
    how = fmt::format("no clsact: {}", std::strerror(-made));
    return false;
  }
  // clsact: a filter that a killed process left is replaced.
  auto options = our_filter();
  options.prog_fd = program;
  options.flags = BPF_TC_F_REPLACE;
  if (const int error = bpf_tc_attach(&hook, &options); error != 0) {
    how = fmt::format("no tc filter: {}", std::strerror(-error));
    return false;
  }
  hold.filter = true;
  hold.made_hook = made == 0;
  how = "clsact";
  return true;
}

Attachment Programs::attach(const std::string& interface, OffloadMode wanted, bool is_named) {
  // The interface came back under another index, or the daemon asks anew.
  if (const auto known = holds_.find(interface); known != holds_.end()) {
    let_go(known->second);
    holds_.erase(known);
  }
  Attachment result{interface, if_nametoindex(interface.c_str()), OffloadMode::kOff, {}};
  const auto [driver, has_ethernet_frames] = kind_of(interface);
  Hold hold;
  hold.ifindex = result.ifindex;
  const bool classic = wanted == OffloadMode::kClsact;
  std::string how;
  if (result.ifindex == 0) {
    result.reason = "there is no such interface";
  } else if (!has_ethernet_frames) {
    result.reason = "its frames are not Ethernet";
  } else if (wanted == OffloadMode::kOff) {
    result.reason = "switched off";
  } else if (interface == "lo" && !is_named) {
    result.reason = "loopback, not named in offload";
  } else {
    // tc first, and also beside XDP: it takes what leaves by another interface, and streams with several
    // receivers.
    const bool has_tc = attach_tc(hold, classic, how);
    if (has_tc) result.mode = classic ? OffloadMode::kClsact : OffloadMode::kTc;
    // Over a veth, XDP loses what it sends unless the far end does NAPI, and nothing tells whether it does.
    // So auto does not use it there; the operator may.
    const bool is_auto = wanted == OffloadMode::kAuto;
    const bool is_veth = is_auto && driver == "veth";
    std::string why = is_veth ? "veth loses what XDP sends to a peer without NAPI" : "";
    const bool native = wanted == OffloadMode::kXdp || (is_auto && !is_veth && interface != "lo");
    const bool generic = wanted == OffloadMode::kXdpGeneric || (is_auto && !has_tc);
    if (native && attach_xdp(hold, false, !has_tc, why))
      result.mode = OffloadMode::kXdp;
    else if (generic && attach_xdp(hold, true, !has_tc, why))
      result.mode = OffloadMode::kXdpGeneric;
    const bool is_tc = result.mode == OffloadMode::kTc || result.mode == OffloadMode::kClsact;
    if (why.empty()) why = is_auto ? "the best it offers" : "asked for";
    if (is_tc) how = "by " + how;
    result.reason = is_tc || !has_tc ? fmt::format("{}; {}", why, how) : why;
  }
  if (result.mode != OffloadMode::kOff) holds_[interface] = std::move(hold);
  return result;
}

}  // namespace ferry::bpf
