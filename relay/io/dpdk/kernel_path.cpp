// SPDX-License-Identifier: Apache-2.0
// The thread between DPDK's ports and the kernel. Each port has a TAP interface with its MAC address, to
// which the operator gives addresses and routes as to any other. Frames that are not media go in there, and
// what the kernel sends comes out and leaves by the port.
//
// To the kernel: workers put frames into one queue and ring a bell, at most once until this thread has
// looked. From the kernel: frames go into the port's outbox, and worker 0 sends them, because a transmit
// queue is for one thread.
//
// Trap: frames of senders on this host may carry a checksum that is only begun (veth, virtio). The kernel
// drops those unless the header in front of the frame (IFF_VNET_HDR) says where the checksum belongs.
#include "relay/io/dpdk/kernel_path.hpp"

#include "relay/base/thread_name.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <poll.h>
#include <rte_ethdev.h>
#include <rte_ether.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

namespace ferry::dpdk {

namespace {

// Frames taken at a time, and how often links are looked at.
constexpr std::size_t kFramesAtOnce = 64;
constexpr std::chrono::milliseconds kLinksEvery{1000};

/// The header before each frame of a TAP interface with IFF_VNET_HDR (virtio 1.2, section 5.1.6), in host
/// order. The kernel's own header file does not compile as C++.
struct VirtioHeader {
  static constexpr std::uint8_t kNeedsChecksum = 1;
  std::uint8_t flags = 0;
  std::uint8_t gso_type = 0;
  std::uint16_t header_length = 0;
  std::uint16_t gso_size = 0;
  std::uint16_t checksum_start = 0;
  std::uint16_t checksum_offset = 0;
};
static_assert(sizeof(VirtioHeader) == 10);

// Closes a descriptor when it dies.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

// A request about an interface.
ifreq named(const std::string& name) {
  ifreq request{};
  name.copy(request.ifr_name, IFNAMSIZ - 1);
  return request;
}

}  // namespace

Result<void, std::string> open_tap(EtherPort& port) {
  const auto failed = [&](std::string_view what) {
    return fail(fmt::format("dpdk-port: {}: {}: {}", port.interface, what, std::strerror(errno)));
  };
  if (port.interface.empty() || port.interface.size() >= IFNAMSIZ)
    return fail(fmt::format("dpdk-port: '{}' is no name of an interface", port.interface));
  Descriptor tap(open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (tap.get() < 0) return failed("/dev/net/tun");
  ifreq request = named(port.interface);
  // IFF_VNET_HDR: the header in front of each frame carries checksums that the sender has left to hardware.
  request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
  if (ioctl(tap.get(), TUNSETIFF, &request) != 0)
    return failed("no TAP interface under this name (it may be another kind, or in use)");
  const Descriptor control(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  request = named(port.interface);
  // The same address as the device, so that ARP answers of the kernel lead frames to it.
  request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
  std::ranges::copy(port.mac, reinterpret_cast<std::uint8_t*>(request.ifr_hwaddr.sa_data));
  if (ioctl(control.get(), SIOCSIFHWADDR, &request) != 0) return failed("MAC address");
  request = named(port.interface);
  request.ifr_mtu = static_cast<int>(port.mtu);
  if (ioctl(control.get(), SIOCSIFMTU, &request) != 0) return failed("MTU");
  request = named(port.interface);
  if (ioctl(control.get(), SIOCGIFFLAGS, &request) != 0) return failed("flags");
  request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
  if (ioctl(control.get(), SIOCSIFFLAGS, &request) != 0) return failed("cannot be set up");
  port.ifindex = if_nametoindex(port.interface.c_str());
  port.tap = tap.release();
  return {};
}

KernelPath::KernelPath(Shared& shared) : shared_(shared), is_up_(shared.ports.size(), true) {
  // Once before the thread starts, so that VLANs are known with the first frame.
  watch_links();
  thread_ = std::thread([this] {
    name_thread("dpdk-kernel");
    run();
  });
}

KernelPath::~KernelPath() {
  stop_ = true;
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto n = write(shared_.kernel_bell, &one, sizeof one);
  thread_.join();
}

void KernelPath::run() {
  std::vector<pollfd> wait;
  wait.push_back({shared_.kernel_bell, POLLIN, 0});
  for (const auto& port : shared_.ports) wait.push_back({port->tap, POLLIN, 0});
  auto links_at = std::chrono::steady_clock::now() + kLinksEvery;
  while (!stop_) {
    const auto now = std::chrono::steady_clock::now();
    if (now >= links_at) {
      watch_links();
      links_at = now + kLinksEvery;
    }
    // At least once in a second, for the links.
    poll(wait.data(), wait.size(), static_cast<int>(kLinksEvery.count()));
    if ((wait[0].revents & POLLIN) != 0) {
      std::uint64_t count = 0;
      [[maybe_unused]] const auto n = read(shared_.kernel_bell, &count, sizeof count);
    }
    to_kernel();
    for (std::size_t i = 0; i < shared_.ports.size(); ++i) {
      if ((wait[i + 1].revents & POLLIN) != 0) from_kernel(*shared_.ports[i]);
      // The interface was taken away. Nothing will come, and poll would report it for ever.
      if ((wait[i + 1].revents & (POLLERR | POLLHUP | POLLNVAL)) != 0) wait[i + 1].fd = -1;
    }
  }
}

void KernelPath::to_kernel() {
  // Cleared before the queue is looked at, so that whatever comes later rings again.
  shared_.kernel_is_rung.store(false, std::memory_order_seq_cst);
  void* frames[kFramesAtOnce];
  for (unsigned count = 0;
       (count = rte_ring_sc_dequeue_burst(shared_.kernel_queue.get(), frames, kFramesAtOnce, nullptr)) > 0;) {
    for (unsigned i = 0; i < count; ++i) {
      auto* frame = static_cast<rte_mbuf*>(frames[i]);
      const EtherPort* port = shared_.port_of(frame->port);
      const bool was_stripped = (frame->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) != 0;
      // The kernel wants the tag inside the frame and the frame in one piece.
      if (port == nullptr || (was_stripped && rte_vlan_insert(&frame) != 0) ||
          rte_pktmbuf_linearize(frame) != 0) {
        shared_.kernel_counts.add(Count::kDropKernelFull);
        rte_pktmbuf_free(frame);
        continue;
      }
      VirtioHeader header;
      const Bytes octets(rte_pktmbuf_mtod(frame, const std::byte*), frame->data_len);
      if (const PartialChecksum partial = find_partial_checksum(octets); partial.size != 0) {
        header.flags = VirtioHeader::kNeedsChecksum;
        header.checksum_start = partial.start;
        header.checksum_offset = partial.offset;
      }
      const std::array<iovec, 2> parts = {
          {{&header, sizeof header}, {rte_pktmbuf_mtod(frame, void*), frame->data_len}}};
      if (writev(port->tap, parts.data(), parts.size()) < 0)
        shared_.kernel_counts.add(Count::kDropKernelFull);
      else
        shared_.kernel_counts.add(Count::kToKernel);
      rte_pktmbuf_free(frame);
    }
  }
}

void KernelPath::from_kernel(EtherPort& port) {
  for (std::size_t i = 0; i < kFramesAtOnce; ++i) {
    // Without a buffer the frame is read all the same, and lost: poll would otherwise report it for ever.
    rte_mbuf* frame = rte_pktmbuf_alloc(shared_.pool);
    VirtioHeader header;
    std::array<std::byte, kMbufRoom> lost;
    void* room = frame != nullptr ? rte_pktmbuf_mtod(frame, void*) : lost.data();
    const std::size_t size = frame != nullptr ? rte_pktmbuf_tailroom(frame) : lost.size();
    const std::array<iovec, 2> parts = {{{&header, sizeof header}, {room, size}}};
    const ssize_t got = readv(port.tap, parts.data(), parts.size());
    const ssize_t octets = got - static_cast<ssize_t>(sizeof header);
    if (octets <= 0) {
      rte_pktmbuf_free(frame);
      return;
    }
    if (frame == nullptr) {
      shared_.kernel_counts.add(Count::kDropOutboxFull);
      continue;
    }
    frame->data_len = static_cast<std::uint16_t>(octets);
    frame->pkt_len = frame->data_len;
    frame->port = port.id;
    if (rte_ring_mp_enqueue(port.outbox.get(), frame) != 0) {
      shared_.kernel_counts.add(Count::kDropOutboxFull);
      rte_pktmbuf_free(frame);
      continue;
    }
    shared_.kernel_counts.add(Count::kFromKernel);
  }
}

void KernelPath::watch_links() {
  // Queried every second, since VLANs come and go without an event that is listened to here.
  for (std::size_t i = 0; i < shared_.ports.size(); ++i) {
    EtherPort& port = *shared_.ports[i];
    port.vlans.set(links_.vlans_on(port.ifindex));
    rte_eth_link link{};
    if (rte_eth_link_get_nowait(port.id, &link) != 0) continue;
    const bool is_up = link.link_status == RTE_ETH_LINK_UP;
    if (is_up == is_up_[i]) continue;
    // The TAP interface is up or down with the cable, so that routing protocols notice.
    int carrier = is_up ? 1 : 0;
    if (ioctl(port.tap, TUNSETCARRIER, &carrier) == 0) is_up_[i] = is_up;
  }
}

}  // namespace ferry::dpdk
