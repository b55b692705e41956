// A worker's transports and what it keeps for each of them.
#pragma once

#include "relay/base/prefetch.hpp"
#include "relay/core/forward/transport.hpp"
#include "relay/core/latch/early_media.hpp"
#include "relay/core/tap.hpp"
#include "relay/io/packet_buffer.hpp"
#include "relay/worker/player.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

namespace ferry {

/// A flow that the kernel forwards, and what was counted for it when it was read last.
struct Offloaded {
  OffloadFlow flow;
  OffloadState seen;
  /// One for each sink that gets nothing: why.
  std::vector<DropReason> refusals;
  struct Receiver {
    TransportId via;
    MediaId to;
    bool operator==(const Receiver&) const = default;
  };
  /// In the order of the flow's sinks.
  std::vector<Receiver> receivers;
  /// Those who would receive it, but hear a prompt instead.
  std::vector<TransportId> distracted;
  /// Index in the offloader's list.
  std::size_t place = 0;
  /// The offloader's turn that read it last.
  std::uint64_t turn = 0;
};

/// A port's cookie: slot of the transport, which of its local addresses, which component.
constexpr std::uint64_t make_cookie(TransportId id, LocalPort port) {
  return (static_cast<std::uint64_t>(id.slot) << 4) | (static_cast<std::uint64_t>(port.local) << 1) |
         static_cast<std::uint64_t>(port.component);
}
constexpr std::size_t slot_of(std::uint64_t cookie) { return static_cast<std::size_t>(cookie >> 4); }
constexpr LocalPort port_of(std::uint64_t cookie) {
  return {static_cast<Component>(cookie & 1), static_cast<std::uint8_t>((cookie >> 1) & 7)};
}
/// Of one transport: what a cookie can tell apart.
constexpr std::size_t kMaxLocals = 8;

/// A transport with everything the worker keeps for it. Moves between workers whole (design seam 7).
struct TransportEntry {
  TransportEntry(TransportId id, std::shared_ptr<const TransportPlan> plan,
                 std::shared_ptr<TransportActivity> activity, Instant now, const Endpoint& barred)
      : state(id, std::move(plan), std::move(activity), now, barred) {}
  Transport state;
  std::array<PortHandle, 2> ports;
  /// At its other local addresses (ICE): those from 1.
  std::vector<std::array<PortHandle, 2>> more_ports;
  [[nodiscard]] PortHandle port(LocalPort which) const noexcept {
    const auto component = static_cast<std::size_t>(which.component);
    if (which.local == 0) return ports[component];
    return which.local <= more_ports.size() ? more_ports[which.local - 1u][component] : PortHandle{};
  }
  [[nodiscard]] std::size_t locals() const noexcept { return 1 + more_ports.size(); }
  std::vector<PacketTap*> taps;
  /// LAT-14, by component: what came before the answer, and while it is let out. Null: nothing.
  std::array<std::unique_ptr<EarlyMedia>, 2> early;
  /// When some of it is to go out; unset: none.
  Instant early_due{};
  /// A first packet under probation, and which of the worker's held packets it is.
  struct Held {
    PacketBuffer packet;
    std::uint64_t serial = 0;
  };
  /// Made when the first one must wait.
  std::unique_ptr<std::array<Held, Transport::kHoldSlots>> held;
  /// Its media is forwarded below the sockets; `Offloader`'s.
  std::unique_ptr<Offloaded> offloaded;
  /// Before that its media is not offered to the kernel.
  Instant offer_after{};
  /// When its handshakes have their turn; unset: they wait for the peer.
  Instant due{};
  /// Datagrams of its handshakes that wait for their turn.
  std::size_t waiting = 0;
  /// Made for those whose party gets something else than what the other one sends.
  std::unique_ptr<OutputStage> output;

  OutputStage& made_output() {
    if (!output) output = std::make_unique<OutputStage>();
    return *output;
  }
  [[nodiscard]] bool hears_prompt() const noexcept { return output && output->player; }
  [[nodiscard]] bool is_repacketized() const noexcept { return output && output->repacketizer; }
};

/// By slot. Owned by one worker.
class TransportTable {
 public:
  [[nodiscard]] TransportEntry* find(TransportId id) const noexcept {
    TransportEntry* entry = at(id.slot);
    return entry != nullptr && entry->state.id() == id ? entry : nullptr;
  }
  /// Whoever has the slot now; null if nobody has.
  [[nodiscard]] TransportEntry* at(std::size_t slot) const noexcept {
    return slot < entries_.size() ? entries_[slot].get() : nullptr;
  }
  /// Octets of an entry that every packet needs.
  static constexpr std::size_t kFetched = 256;
  void prefetch(std::size_t slot) const noexcept { prefetch_octets(at(slot), kFetched); }
  void put(TransportId id, std::unique_ptr<TransportEntry> entry) {
    if (id.slot >= entries_.size()) entries_.resize(id.slot + 1);
    if (!entries_[id.slot]) ++size_;
    entry->state.set_id(id);
    entries_[id.slot] = std::move(entry);
  }
  std::unique_ptr<TransportEntry> take(TransportId id) {
    if (find(id) == nullptr) return nullptr;
    --size_;
    return std::move(entries_[id.slot]);
  }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  /// Places there are, taken or not.
  [[nodiscard]] std::size_t slots() const noexcept { return entries_.size(); }
  template <class Visit>
  void for_each(Visit visit) const {
    for (const auto& entry : entries_) {
      if (entry) visit(*entry);
    }
  }
  void clear() noexcept { entries_.clear(); }

 private:
  std::vector<std::unique_ptr<TransportEntry>> entries_;
  std::size_t size_ = 0;
};

}  // namespace ferry
