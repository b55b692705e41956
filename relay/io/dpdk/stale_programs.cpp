// SPDX-License-Identifier: Apache-2.0
#include "relay/io/dpdk/stale_programs.hpp"

#include <string_view>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <net/if.h>
#include <unistd.h>

namespace ferry::dpdk {

namespace {

/// libxdp's program for AF_XDP sockets.
constexpr std::string_view kDefaultProgram = "xsk_def_prog";

// The name tells: programs of others are never touched.
bool is_default_program(__u32 id) {
  const int program = bpf_prog_get_fd_by_id(id);
  if (program < 0) return false;
  bpf_prog_info info{};
  __u32 size = sizeof info;
  const bool is_known = bpf_obj_get_info_by_fd(program, &info, &size) == 0;
  close(program);
  return is_known && std::string_view(info.name) == kDefaultProgram;
}

}  // namespace

// Only devices that the operator has named to this process are looked at.
void remove_stale_programs(const std::vector<std::string>& eal) {
  for (const std::string& argument : eal) {
    const auto device = argument.find("net_af_xdp");
    const auto name = argument.find("iface=", device);
    if (device == std::string::npos || name == std::string::npos) continue;
    const auto start = name + std::string_view("iface=").size();
    const std::string link = argument.substr(start, argument.find(',', start) - start);
    const unsigned ifindex = if_nametoindex(link.c_str());
    __u32 id = 0;
    if (ifindex != 0 && bpf_xdp_query_id(static_cast<int>(ifindex), 0, &id) == 0 && id != 0 &&
        is_default_program(id))
      bpf_xdp_detach(static_cast<int>(ifindex), 0, nullptr);
  }
}

}  // namespace ferry::dpdk
