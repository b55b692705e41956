#include "relay/bpf/bpf_engine.hpp"

#include "ferry.skel.h"  // generated
#include "relay/bpf/abi.h"
#include "relay/bpf/bpf_offload.hpp"
#include "relay/bpf/kernel_forms.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

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

constexpr Duration kAlive = std::chrono::minutes(1);
constexpr std::uint32_t kTcHandle = 0xfe44;
constexpr std::uint32_t kTcPriority = 0xfe44;

/// What kind of interface it is.
struct Kind {
  std::string driver;  // empty if it has none
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

/// What keeps a program on an interface.
struct BpfEngine::Hold {
  unsigned ifindex = 0;
  int xdp_link = -1;
  bool tc = false;
  bool made_hook = false;
};

BpfEngine::BpfEngine(ferry_bpf* skeleton) : skeleton_(skeleton) {}

BpfEngine::~BpfEngine() {
  for (const Hold& hold : holds_) {
    if (hold.xdp_link >= 0) close(hold.xdp_link);
    if (!hold.tc) continue;
    auto hook = ingress_of(hold.ifindex);
    auto options = our_filter();
    bpf_tc_detach(&hook, &options);
    if (hold.made_hook) {
      hook.attach_point = static_cast<bpf_tc_attach_point>(BPF_TC_INGRESS | BPF_TC_EGRESS);
      bpf_tc_hook_destroy(&hook);
    }
  }
  hops_.reset();
  ferry_bpf__destroy(skeleton_);
}

Result<std::unique_ptr<BpfEngine>, std::string> BpfEngine::load(UdpPort first, UdpPort last) {
  // What the kernel thinks of a program that it refuses is no line for an operator's log.
  libbpf_set_print(nullptr);
  ferry_bpf* skeleton = ferry_bpf__open();
  if (skeleton == nullptr)
    return fail(fmt::format("the BPF object cannot be opened: {}", std::strerror(errno)));
  skeleton->bss->port_first = first.value;
  skeleton->bss->port_last = last.value;
  if (const int error = ferry_bpf__load(skeleton); error != 0) {
    ferry_bpf__destroy(skeleton);
    if (error == -EPERM)
      return fail(std::string("no rights: it needs CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON"));
    return fail(fmt::format("the kernel refuses the BPF programs: {}", std::strerror(-error)));
  }
  std::unique_ptr<BpfEngine> engine(new BpfEngine(skeleton));
  try {
    engine->hops_ = std::make_unique<NextHops>(
        [self = engine.get()](const NextHops::Pair& pair, const NextHop* hop) { self->publish(pair, hop); });
  } catch (const std::system_error& e) {
    return fail(fmt::format("routes cannot be asked for: {}", e.what()));
  }
  return engine;
}

bool BpfEngine::attach_xdp(unsigned ifindex, bool generic, std::string& why) {
  auto options = sized<bpf_link_create_opts>();
  options.flags = generic ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE;
  const int link = bpf_link_create(bpf_program__fd(skeleton_->progs.ferry_xdp), static_cast<int>(ifindex),
                                   BPF_XDP, &options);
  if (link < 0) {
    why = link == -EBUSY ? std::string("another XDP program is on the interface")
                         : fmt::format("no {} XDP: {}", generic ? "generic" : "native", std::strerror(-link));
    return false;
  }
  Hold hold;
  hold.ifindex = ifindex;
  hold.xdp_link = link;
  holds_.push_back(hold);
  return true;
}

bool BpfEngine::attach_tc(unsigned ifindex, std::string& why) {
  auto hook = ingress_of(ifindex);
  const int made = bpf_tc_hook_create(&hook);
  if (made != 0 && made != -EEXIST) {
    why = fmt::format("no clsact: {}", std::strerror(-made));
    return false;
  }
  // A filter that a killed process left is replaced.
  auto options = our_filter();
  options.prog_fd = bpf_program__fd(skeleton_->progs.ferry_tc);
  options.flags = BPF_TC_F_REPLACE;
  if (const int error = bpf_tc_attach(&hook, &options); error != 0) {
    why = fmt::format("no tc filter: {}", std::strerror(-error));
    return false;
  }
  Hold hold;
  hold.ifindex = ifindex;
  hold.tc = true;
  hold.made_hook = made == 0;
  holds_.push_back(hold);
  return true;
}

const Attachment& BpfEngine::attach(const std::string& interface, OffloadMode wanted, bool is_named) {
  wanted_.push_back({wanted, is_named});
  return attachments_.emplace_back(try_attach(interface, wanted_.back()));
}

void BpfEngine::keep_alive(Instant now) {
  skeleton_->bss->alive_until = static_cast<std::uint64_t>((now + kAlive).time_since_epoch().count());
}

std::vector<Attachment> BpfEngine::check_interfaces() {
  std::vector<Attachment> back;
  for (std::size_t i = 0; i < attachments_.size(); ++i) {
    Attachment& known = attachments_[i];
    const unsigned now = if_nametoindex(known.interface.c_str());
    if (now == known.ifindex) continue;
    // The programs went with the old interface.
    std::erase_if(holds_, [&](const Hold& hold) {
      if (hold.ifindex == known.ifindex && hold.xdp_link >= 0) close(hold.xdp_link);
      return hold.ifindex == known.ifindex;
    });
    {
      const std::lock_guard lock(xdp_mutex_);
      xdp_interfaces_.erase(known.ifindex);
    }
    known = try_attach(known.interface, wanted_[i]);
    back.push_back(known);
  }
  return back;
}

Attachment BpfEngine::try_attach(const std::string& interface, Wanted asked) {
  const auto [wanted, is_named] = asked;
  Attachment result{interface, if_nametoindex(interface.c_str()), OffloadMode::kOff, {}};
  const auto [driver, has_ethernet_frames] = kind_of(interface);
  std::string why;
  if (result.ifindex == 0) {
    result.reason = "there is no such interface";
  } else if (!has_ethernet_frames) {
    result.reason = "its frames are not Ethernet";
  } else if (wanted == OffloadMode::kOff) {
    result.reason = "switched off";
  } else if (interface == "lo" && !is_named) {
    result.reason = "loopback, not named in offload";
  } else if (!attach_tc(result.ifindex, why)) {
    // XDP needs it beside: it takes what leaves by another interface, and counts and limits what is punted.
    result.reason = why;
  } else {
    result.mode = OffloadMode::kTc;
    // Whoever receives from XDP over a veth must do NAPI, and nothing tells whether it does.
    const bool is_veth = wanted == OffloadMode::kAuto && driver == "veth";
    if (is_veth) why = "veth loses what XDP sends to a peer without NAPI";
    const bool native =
        wanted == OffloadMode::kXdp || (wanted == OffloadMode::kAuto && !is_veth && interface != "lo");
    const bool generic = wanted == OffloadMode::kXdpGeneric;
    if ((native || generic) && attach_xdp(result.ifindex, generic, why)) {
      result.mode = generic ? OffloadMode::kXdpGeneric : OffloadMode::kXdp;
      const std::lock_guard lock(xdp_mutex_);
      xdp_interfaces_[result.ifindex] = result.mode;
    }
    result.reason = !why.empty() ? why : wanted == OffloadMode::kAuto ? "the best it offers" : "asked for";
  }
  return result;
}

std::vector<PacketCount> BpfEngine::counts() const {
  static constexpr std::array<std::string_view, FERRY_COUNTERS> kNames = {
      "none",   "form",     "not-rtp", "payload-type", "ssrc", "sequence",
      "source", "next-hop", "mtu",     "xdp",          "tc"};
  std::vector<PacketCount> counts;
  std::vector<std::uint64_t> cpus(static_cast<std::size_t>(libbpf_num_possible_cpus()));
  const int map = bpf_map__fd(skeleton_->maps.counters);
  for (std::uint32_t reason = 1; reason < FERRY_COUNTERS; ++reason) {
    std::uint64_t sum = 0;
    if (bpf_map_lookup_elem(map, &reason, cpus.data()) == 0) {
      for (const std::uint64_t cpu : cpus) sum += cpu;
    }
    counts.push_back({kNames[reason], sum, reason < FERRY_PUNT_REASONS});
  }
  return counts;
}

std::unique_ptr<FlowOffload> BpfEngine::make_offload() {
  return std::make_unique<BpfOffload>(
      KernelHandles{bpf_map__fd(skeleton_->maps.flows), bpf_program__fd(skeleton_->progs.ferry_control)},
      *hops_);
}

void BpfEngine::publish(const NextHops::Pair& pair, const NextHop* hop) const {
  ferry_hop_key key{};
  write_address(key.local, pair.first);
  write_address(key.remote, pair.second);
  const int map = bpf_map__fd(skeleton_->maps.hops);
  if (hop == nullptr) {
    bpf_map_delete_elem(map, &key);
    return;
  }
  ferry_hop value{};
  value.ifindex = hop->ifindex;
  value.mtu = hop->mtu;
  std::copy(hop->destination.begin(), hop->destination.end(), value.destination_mac);
  std::copy(hop->source.begin(), hop->source.end(), value.source_mac);
  const std::lock_guard lock(xdp_mutex_);
  // A driver takes redirected frames if it has a program itself; native and generic XDP do not mix.
  const bool one_mode = std::ranges::all_of(
      xdp_interfaces_, [&](const auto& each) { return each.second == xdp_interfaces_.begin()->second; });
  value.xdp = one_mode && xdp_interfaces_.contains(hop->ifindex) ? 1 : 0;
  bpf_map_update_elem(map, &key, &value, BPF_ANY);
}

}  // namespace ferry::bpf
