// SPDX-License-Identifier: Apache-2.0
// One worker's queues: receives, sends and sleeps without the kernel.
//
// Receiving. `poll` takes frames out of the worker's inbox and out of its queue of each device, up to
// `kMostStaged`, and stages them. `take` looks at one staged frame after the other. It becomes a packet of
// this worker, or goes to the kernel (no media port has it), to another worker (the call is there), or is
// dropped and counted. Frames that were handed over are looked up again by the new worker, for the call may
// have moved once more.
//
// Sending. `find_way` gives the device and the MAC addresses for a receiver; headers are written into the
// headroom of the same buffer. Frames are collected for each device and given to it at once. What has no way,
// does not fit the MTU or needs another family goes by the port's socket, and the kernel does the rest.
//
// Waiting. `wait` polls. After a while without packets it sleeps for short times, longer ones as the silence
// goes on, if the operator allows it. Sockets are looked at every 500 µs, because each look is a system call.
//
// Traps:
// - Only worker 0 looks into the outboxes, so it must never stop polling.
// - `now` is the time of this turn. It is read once per turn, because reading the clock for each step would
//   be felt.
// - Buffers of other pools (net_ring) and frames in several pieces are copied by `adopt` first: a slot lies
//   only in buffers of this pool.
#include "relay/io/dpdk/dpdk_io.hpp"

#include "relay/base/memory.hpp"

#include <algorithm>
#include <cstring>

#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_pause.h>
#include <rte_prefetch.h>
#include <sys/prctl.h>
#include <time.h>

namespace ferry::dpdk {

using namespace std::chrono_literals;

namespace {

// How often the sockets are looked at: each look costs a system call.
constexpr Duration kSocketsEvery = 500us;
// How long a receiver without a way goes by the socket before the kernel is asked about it again; doubles
// from the first to the last.
constexpr Duration kFirstPatience = 100ms;
constexpr Duration kLastPatience = 5s;
// How long a narrow path is remembered: as long as the kernel remembers the MTU of a path.
constexpr Duration kNarrowFor = 10min;
// Receivers remembered with a narrow path. More of them are sent as before.
constexpr std::size_t kMostNarrow = 1024;

/// How long to sleep when nothing came for `idle`. A frame may have to wait that long, so a busy worker never
/// sleeps.
Duration nap_after(Duration idle) noexcept {
  if (idle < 1ms) return 0ns;
  if (idle < 100ms) return 50us;
  return idle < 1s ? 250us : 1ms;
}

/// Addresses that no host on a link sends from (RFC 1812 section 5.3.7, RFC 4291 section 2.5.3). The kernel
/// would drop such frames too.
bool is_martian(const IpAddress& source) noexcept {
  return source.is_loopback() || source.is_multicast() || source.is_broadcast() || source.is_unspecified();
}

}  // namespace

PacketBuffer MbufStock::allocate() noexcept {
  rte_mbuf* mbuf = rte_pktmbuf_alloc(pool_);
  if (mbuf == nullptr) return {};
  PacketSlot* slot = slot_of(mbuf);
  slot->owner = this;
  slot->bytes = static_cast<std::byte*>(mbuf->buf_addr) + kBeforeSlot;
  slot->capacity = static_cast<std::uint32_t>(mbuf->buf_len - kBeforeSlot);
  slot->clear();
  return PacketBuffer(slot);
}

PacketBuffer MbufStock::wrap(rte_mbuf* mbuf, std::size_t at, std::size_t size) noexcept {
  PacketSlot* slot = slot_of(mbuf);
  slot->owner = this;
  slot->bytes = static_cast<std::byte*>(mbuf->buf_addr) + kBeforeSlot;
  slot->capacity = static_cast<std::uint32_t>(mbuf->buf_len - kBeforeSlot);
  // The slot's room begins in front of the received headers, so that longer ones fit when the packet leaves.
  slot->offset = static_cast<std::uint32_t>(mbuf->data_off + at - kBeforeSlot);
  slot->length = static_cast<std::uint32_t>(std::min(size, kMaxFrameDatagram));
  slot->truncated = size > kMaxFrameDatagram;
  return PacketBuffer(slot);
}

DpdkIo::DpdkIo(Shared& shared, unsigned worker)
    : shared_(shared),
      worker_(worker),
      counts_(*shared.counts[worker]),
      stock_(shared.pool),
      sockets_(nullptr, stock_),
      outgoing_(shared.ports.size()) {
  look_at_clock();
}

DpdkIo::~DpdkIo() {
  // Ways are counted references; frames that are collected still leave.
  for (Port& port : ports_) forget_way(port);
  transmit_all();
  while (staged_next_ < staged_count_) rte_pktmbuf_free(staged_[staged_next_++]);
}

void DpdkIo::enter_thread() noexcept {
  pthread_setaffinity_np(pthread_self(), sizeof(cpu_set_t), &shared_.cpus[worker_]);
  // Registered threads have a cache of buffers of their own. Without it everything works, but slower.
  rte_thread_register();
  // Otherwise the kernel stretches a sleep of 50 µs by as much again.
  prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
}

void DpdkIo::leave_thread() noexcept { rte_thread_unregister(); }

DpdkIo::Port* DpdkIo::port_at(PortHandle port) noexcept {
  const auto index = static_cast<std::size_t>(port.native);
  return port.is_open() && index < ports_.size() && ports_[index].is_attached ? &ports_[index] : nullptr;
}

bool DpdkIo::attach(PortHandle port, std::uint64_t cookie) noexcept {
  const auto index = static_cast<std::size_t>(port.native);
  if (index >= ports_.size() && !had_memory([&] { ports_.resize(index + 64); })) return false;
  if (!sockets_.attach(port, cookie)) return false;
  // The descriptor may have belonged to another port before.
  ports_[index] = {};
  ports_[index].is_attached = true;
  ports_[index].cookie = cookie;
  ports_[index].local = sockets_.local_of(port);
  shared_.claims.claim(ports_[index].local, {worker_, cookie});
  // Datagrams in the socket came before the claim, so they are older than anything that comes now.
  next_sockets_ = {};
  return true;
}

void DpdkIo::detach(PortHandle port) noexcept {
  // Frames of this port that were collected still leave.
  transmit_all();
  if (Port* known = port_at(port)) {
    shared_.claims.give_up(known->local);
    forget_way(*known);
    known->is_attached = false;
  }
  sockets_.detach(port);
}

Endpoint DpdkIo::local_of(PortHandle port) const noexcept { return sockets_.local_of(port); }

PacketIo::Stock DpdkIo::stock() const noexcept {
  // It looks into the caches of all threads, so it is not asked at every turn.
  constexpr unsigned kCallsBetween = 1024;
  if (stock_asked_++ % kCallsBetween == 0) known_stock_ = {stock_.size(), stock_.free_count()};
  return known_stock_;
}

void DpdkIo::drop(rte_mbuf* frame, Count why) noexcept {
  counts_.add(why);
  rte_pktmbuf_free(frame);
}

void DpdkIo::hand_over(rte_mbuf* frame, unsigned worker) noexcept {
  // The ring is full, or the claim names a worker that is not there.
  if (worker >= shared_.inboxes.size() || rte_ring_enqueue(shared_.inboxes[worker].get(), frame) != 0) {
    drop(frame, Count::kDropHandOverFull);
    return;
  }
  counts_.add(Count::kHandedOver);
}

Instant DpdkIo::look_at_clock() noexcept {
  const Instant time = std::chrono::steady_clock::now();
  time_.store(time.time_since_epoch().count(), std::memory_order_relaxed);
  return time;
}

void DpdkIo::poll() noexcept {
  // Handed-over frames come first: they are older.
  staged_next_ = 0;
  void* waiting[kBurst];
  const unsigned handed = rte_ring_sc_dequeue_burst(shared_.inboxes[worker_].get(), waiting, kBurst, nullptr);
  for (unsigned i = 0; i < handed; ++i) staged_[i] = static_cast<rte_mbuf*>(waiting[i]);
  staged_count_ = handed;
  // Each turn begins with another device, so that a busy one cannot keep the others out.
  const std::size_t devices = shared_.ports.size();
  for (std::size_t i = 0; i < devices && staged_count_ < kMostStaged; ++i) {
    const EtherPort& device = *shared_.ports[(next_device_ + i) % devices];
    if (worker_ >= device.rx_queues) continue;
    std::uint16_t count = kBurst;
    while (count == kBurst && staged_count_ < kMostStaged) {
      count = rte_eth_rx_burst(device.id, static_cast<std::uint16_t>(worker_), staged_.data() + staged_count_,
                               static_cast<std::uint16_t>(kBurst));
      counts_.add(Count::kReceived, count);
      for (std::uint16_t n = 0; n < count; ++n)
        // net_ring does not set it.
        staged_[staged_count_ + n]->port = device.id;
      staged_count_ += count;
    }
  }
  if (devices != 0) next_device_ = (next_device_ + 1) % devices;
  // Frames of the kernel path, and of workers without a transmit queue of their own.
  if (worker_ == 0) drain_outboxes();
}

void DpdkIo::drain_outboxes() noexcept {
  for (const auto& device : shared_.ports) {
    void* frames[kBurst];
    const unsigned count = rte_ring_sc_dequeue_burst(device->outbox.get(), frames, kBurst, nullptr);
    if (count == 0) continue;
    auto** mbufs = reinterpret_cast<rte_mbuf**>(frames);
    // For devices that compute checksums: checks the frames and prepares the fields they need.
    std::uint16_t ready = static_cast<std::uint16_t>(count);
    if (device->offload() != Offload::kNone) ready = rte_eth_tx_prepare(device->id, 0, mbufs, ready);
    const std::uint16_t sent = rte_eth_tx_burst(device->id, 0, mbufs, ready);
    for (unsigned i = sent; i < count; ++i) drop(mbufs[i], Count::kDropSendFull);
  }
}

rte_mbuf* DpdkIo::adopt(rte_mbuf* frame) noexcept {
  if (frame->pool == shared_.pool && frame->nb_segs == 1 && RTE_MBUF_DIRECT(frame) &&
      frame->data_off >= kBeforeSlot)
    return frame;
  // Everything else is copied; a frame that is longer than a buffer cannot be carried at all.
  rte_mbuf* copy =
      frame->pkt_len <= kMbufRoom - RTE_PKTMBUF_HEADROOM ? rte_pktmbuf_alloc(shared_.pool) : nullptr;
  if (copy == nullptr) {
    drop(frame, Count::kDropNoBuffer);
    return nullptr;
  }
  for (const rte_mbuf* part = frame; part != nullptr; part = part->next) {
    std::memcpy(rte_pktmbuf_mtod_offset(copy, std::byte*, copy->data_len),
                rte_pktmbuf_mtod(part, const std::byte*), part->data_len);
    copy->data_len = static_cast<std::uint16_t>(copy->data_len + part->data_len);
  }
  copy->pkt_len = copy->data_len;
  copy->port = frame->port;
  copy->ol_flags = frame->ol_flags & (RTE_MBUF_F_RX_L4_CKSUM_MASK | RTE_MBUF_F_RX_VLAN_STRIPPED);
  copy->vlan_tci = frame->vlan_tci;
  rte_pktmbuf_free(frame);
  return copy;
}

void DpdkIo::take(rte_mbuf* frame, std::span<PacketBuffer> batch, std::size_t& filled) noexcept {
  frame = adopt(frame);
  if (frame == nullptr) return;
  const EtherPort* device = shared_.port_of(frame->port);
  const auto* start = rte_pktmbuf_mtod(frame, const std::byte*);
  const Bytes octets(start, frame->data_len);
  // No device of ours, or no complete address.
  if (device == nullptr || octets.size() < device->mac.size()) {
    drop(frame, Count::kDropMalformed);
    return;
  }
  MacAddress to;
  std::memcpy(to.data(), start, to.size());
  // A switch that does not know the address yet sends to everybody.
  if (to != device->mac) {
    const bool is_group = (to[0] & 1) != 0;
    if (is_group)
      shared_.to_kernel(frame, counts_);
    else
      drop(frame, Count::kDropOtherMac);
    return;
  }
  UdpFrame udp;
  const FrameKind kind = parse_frame(octets, udp);
  if (kind == FrameKind::kMalformed) {
    drop(frame, Count::kDropMalformed);
    return;
  }
  // The device may have taken the tag out of the frame.
  const bool is_stripped = (frame->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) != 0;
  const std::uint16_t vlan = is_stripped ? frame->vlan_tci & 0x0fff : udp.vlan;
  // A VLAN that the kernel has not set up on this port is no way to our addresses.
  const auto claim = kind == FrameKind::kUdp && (vlan == 0 || device->vlans.contains(vlan))
                         ? shared_.claims.find(udp.to)
                         : std::nullopt;
  if (!claim) {
    // ARP, ICMP, other ports: everything that is not media is the kernel's.
    shared_.to_kernel(frame, counts_);
    return;
  }
  if (claim->worker != worker_) {
    hand_over(frame, claim->worker);
    return;
  }
  if (is_martian(udp.from.address)) {
    drop(frame, Count::kDropMartian);
    return;
  }
  // If the device has not looked at the checksum, it is computed here. A partial one is fine: the sender is
  // on this host.
  const auto checked = frame->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK;
  const bool is_bad = checked == RTE_MBUF_F_RX_L4_CKSUM_BAD || (checked == RTE_MBUF_F_RX_L4_CKSUM_UNKNOWN &&
                                                                check_udp(octets, udp) == UdpChecksum::kBad);
  if (is_bad) {
    drop(frame, Count::kDropBadChecksum);
    return;
  }
  counts_.add(Count::kMedia);
  PacketBuffer packet = stock_.wrap(frame, udp.payload_at, udp.payload_size);
  packet->remote = udp.from;
  packet->cookie = claim->cookie;
  batch[filled++] = std::move(packet);
}

std::size_t DpdkIo::receive(std::span<PacketBuffer> batch) noexcept {
  std::size_t filled = 0;
  if (!std::exchange(has_time_, false)) look_at_clock();
  if (sockets_.is_ready()) {
    filled = sockets_.receive(batch);
    // More may wait there.
    if (filled > 0) next_sockets_ = {};
  }
  if (staged_next_ == staged_count_) {
    // Frames that were collected, while all staged ones were for others.
    transmit_all();
    poll();
  }
  while (filled < batch.size() && staged_next_ < staged_count_) {
    // The data and the slot of a frame a few places ahead are fetched into the cache.
    if (staged_next_ + kPrefetch < staged_count_) {
      rte_mbuf* coming = staged_[staged_next_ + kPrefetch];
      rte_prefetch0(rte_pktmbuf_mtod(coming, void*));
      rte_prefetch0(slot_of(coming));
    }
    take(staged_[staged_next_++], batch, filled);
  }
  if (filled > 0) last_packet_ = now();
  return filled;
}

void DpdkIo::wait(Instant deadline) noexcept {
  has_time_ = true;
  for (;;) {
    const Instant time = look_at_clock();
    // The clock decides, so the sockets are looked at while the devices are busy, too.
    if (time >= next_sockets_) {
      next_sockets_ = time + kSocketsEvery;
      // A time in the past: looks without waiting.
      sockets_.wait(Instant{});
    }
    if (staged_next_ == staged_count_) {
      transmit_all();
      poll();
    }
    if (staged_next_ < staged_count_ || sockets_.is_ready()) return;
    // Loaded first: an exchange for every round would be dear.
    if (is_woken_.load(std::memory_order_relaxed) && is_woken_.exchange(false, std::memory_order_acquire))
      return;
    if (time >= deadline) return;
    const Duration nap = shared_.settings.sleeps ? nap_after(time - last_packet_) : Duration{0};
    if (nap == Duration{0}) {
      rte_pause();
      continue;
    }
    const timespec pause{0, std::min<Duration>(nap, deadline - time).count()};
    nanosleep(&pause, nullptr);
  }
}

void DpdkIo::forget_way(Port& port) noexcept {
  if (port.way != 0) shared_.hops->release({port.local.address, port.remote});
  port.way = 0;
}

bool DpdkIo::find_way(PortHandle via, Port& from, const Endpoint& to, Way& way, Instant now) noexcept {
  // A port mostly sends to one host, so one way is remembered for each.
  if (to.address != from.remote) {
    forget_way(from);
    from.remote = to.address;
    from.ask_again = {};
    from.patience = kFirstPatience;
  }
  // The path is known to be narrow: the kernel fragments by the MTU that it knows.
  if (!narrow_.empty() && std::ranges::any_of(narrow_, [&](const Narrow& each) {
        return each.remote == to.address && now < each.until;
      }))
    return false;
  if (from.way == 0) {
    if (now < from.ask_again) return false;
    const HopAnswer answer = shared_.hops->acquire({from.local.address, to.address}, from.way);
    if (answer != HopAnswer::kFound) {
      from.way = 0;
      from.ask_again = now + (answer == HopAnswer::kLater ? from.patience : kLastPatience);
      from.patience = std::min(2 * from.patience, kLastPatience);
      return false;
    }
    // ICMP about frames that leave here comes back to the kernel, which finds the port's socket: there it is
    // heard.
    sockets_.hear_problems(via, to.address.family());
  }
  return shared_.ways.read(from.way, way);
}

void DpdkIo::send(std::span<PacketBuffer> batch, std::span<SendError> errors) noexcept {
  const Instant time = now();
  for (std::size_t i = 0; i < batch.size(); ++i) {
    PacketBuffer& packet = batch[i];
    errors[i] = SendError::kNone;
    Port* from = port_at(packet->via);
    Way way;
    const bool has_way = from != nullptr && from->local.address.family() == packet->remote.address.family() &&
                         find_way(packet->via, *from, packet->remote, way, time);
    EtherPort* device = has_way ? shared_.port_of(way.port) : nullptr;
    FrameAddresses addresses;
    std::size_t headers = 0;
    if (device != nullptr) {
      addresses = {way.source,  way.destination, way.vlan,
                   from->local, packet->remote,  shared_.claims.tos_of(packet->via)};
      headers = headers_size(addresses);
      const std::size_t link = 14u + (way.vlan != 0 ? 4u : 0u);
      if (headers - link + packet->length > way.mtu) device = nullptr;  // the kernel fragments
    }
    if (device == nullptr) {
      counts_.add(Count::kSentBySocket);
      sockets_.send(batch.subspan(i, 1), errors.subspan(i, 1));
      continue;
    }
    const Endpoint packet_to = packet->remote;
    PacketSlot* slot = packet.release();
    rte_mbuf* frame = mbuf_of(slot);
    frame->data_off = static_cast<std::uint16_t>(kBeforeSlot + slot->offset - headers);
    frame->data_len = static_cast<std::uint16_t>(headers + slot->length);
    frame->pkt_len = frame->data_len;
    frame->ol_flags = 0;
    const Offload offload = device->offload();
    if (offload != Offload::kNone) {
      const bool is_v6 = addresses.to.address.is_v6();
      frame->l2_len = 14u + (way.vlan != 0 ? 4u : 0u);
      frame->l3_len = is_v6 ? 40 : 20;
      frame->ol_flags = RTE_MBUF_F_TX_UDP_CKSUM | (is_v6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4);
      if (!is_v6 && offload == Offload::kIpAndUdp) frame->ol_flags |= RTE_MBUF_F_TX_IP_CKSUM;
    }
    write_headers({rte_pktmbuf_mtod(frame, std::byte*), frame->data_len}, addresses, offload);
    Outgoing& out = outgoing_[device->index];
    out.frames[out.count] = frame;
    out.senders[out.count++] = {from->cookie, packet_to};
    if (out.count == out.frames.size()) transmit(out, *device);
  }
  // While staged frames wait, more packets will follow and leave with these.
  if (staged_next_ == staged_count_) transmit_all();
}

void DpdkIo::transmit_all() noexcept {
  for (const auto& device : shared_.ports) {
    if (outgoing_[device->index].count != 0) transmit(outgoing_[device->index], *device);
  }
}

// Gives the collected frames to their device. What it does not take is dropped, and its sender is told.
void DpdkIo::transmit(Outgoing& out, const EtherPort& device) noexcept {
  const auto count = static_cast<std::uint16_t>(out.count);
  const bool has_queue = worker_ < device.tx_queues;
  std::size_t sent = 0;
  if (has_queue) {
    const auto queue = static_cast<std::uint16_t>(worker_);
    std::uint16_t ready = count;
    if (device.offload() != Offload::kNone)
      ready = rte_eth_tx_prepare(device.id, queue, out.frames.data(), ready);
    sent = rte_eth_tx_burst(device.id, queue, out.frames.data(), ready);
  } else {
    sent = rte_ring_mp_enqueue_burst(device.outbox.get(), reinterpret_cast<void**>(out.frames.data()), count,
                                     nullptr);
  }
  counts_.add(Count::kSent, sent);
  for (std::size_t i = sent; i < out.count; ++i) {
    drop(out.frames[i], has_queue ? Count::kDropSendFull : Count::kDropOutboxFull);
    if (problem_count_ < problems_.size())
      problems_[problem_count_++] = {out.senders[i].cookie, out.senders[i].to, SendError::kNoBuffers, {}};
  }
  out.count = 0;
}

std::size_t DpdkIo::take_problems(std::span<PortProblem> into) noexcept {
  std::size_t count = sockets_.take_problems(into);
  // The socket reports the ICMP message "too big": remembered for `find_way`.
  for (const PortProblem& problem : into.first(count)) {
    if (problem.error != SendError::kTooLong) continue;
    const Instant time = now();
    std::erase_if(
        narrow_, [&](const Narrow& each) { return each.until <= time || each.remote == problem.to.address; });
    if (narrow_.size() < kMostNarrow) narrow_.push_back({problem.to.address, time + kNarrowFor});
  }
  while (count < into.size() && problem_count_ > 0) into[count++] = problems_[--problem_count_];
  return count;
}

}  // namespace ferry::dpdk
