// SPDX-License-Identifier: Apache-2.0
// Packet memory that an engine owns, behind a handle that everybody else moves (docs/architecture.md, seam
// 4).
#pragma once

#include "relay/base/address.hpp"
#include "relay/base/bytes.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

namespace ferry {

/// Free octets before and behind each datagram, so that SRTP tags and longer headers are written in place.
constexpr std::size_t kHeadroom = 64;
constexpr std::size_t kTailroom = 64;
/// Longest datagram that is relayed, in octets; a longer one is dropped and counted as `too-long`. The kernel
/// fragments a datagram that does not fit a link, and reassembles fragments before an engine sees them.
constexpr std::size_t kMaxDatagram = 9000;

/// Names a port to its engine: what `PortProvider::activate` returned. A negative number is no port.
struct PortHandle {
  std::int32_t native = -1;
  /// False: the handle names no port.
  [[nodiscard]] bool is_open() const { return native >= 0; }
  bool operator==(const PortHandle&) const = default;
};

class PacketOwner;

/// The memory of one datagram and what the engine and the worker say of it. It stays in the engine; everybody
/// else moves `PacketBuffer` handles.
struct PacketSlot {
  /// The engine's object that takes the slot back. Never null once the slot is in a stock.
  PacketOwner* owner = nullptr;
  /// The engine's list of free slots; meaningless while the slot is in use.
  PacketSlot* next_free = nullptr;
  /// Receiving: the source. Sending: the destination.
  Endpoint remote;
  /// Receiving: the cookie of the port that it came to. Sending: unused.
  std::uint64_t cookie = 0;
  /// Sending: the port that it leaves from (LAT-1). Receiving: unused.
  PortHandle via;
  /// Sending: `remote` is the locked peer of `via`, so an engine may use a faster path that it keeps for that
  /// peer. Must be set for each packet.
  bool to_locked_peer = false;
  /// Offset of the datagram in `bytes`, and its length in octets.
  std::uint32_t offset = kHeadroom;
  std::uint32_t length = 0;
  /// Receiving: the datagram was longer than the buffer, and its end is lost.
  bool truncated = false;
  /// If it came as SRTP: which of its transport's keys has opened it (0: none, it came plain), and its packet
  /// index (RFC 3711 §3.3.1). A receiver with the same key gets it under this index again.
  std::uint32_t srtp_key = 0;
  std::uint64_t srtp_index = 0;
  /// The memory, `capacity` octets, head- and tailroom included. The engine's.
  std::byte* bytes = nullptr;
  std::uint32_t capacity = 0;

  /// Makes an empty datagram of it; `remote`, `via` and `cookie` stay as they were.
  void clear() noexcept {
    offset = kHeadroom;
    length = 0;
    truncated = false;
  }
};

/// About the memory that one buffer takes once it was used in full, in octets.
constexpr std::size_t kBufferMemory = sizeof(PacketSlot) + kHeadroom + kMaxDatagram + kTailroom;

/// Takes slots back when their handles die. Each engine implements it.
class PacketOwner {
 public:
  virtual ~PacketOwner() = default;
  /// Takes `slot`, on the thread of the worker that it belongs to.
  virtual void release(PacketSlot* slot) noexcept = 0;
};

/// A handle to one datagram; empty or the only one. It gives the memory back to the engine when it dies. The
/// octets are only valid while the handle lives. Everything but `operator bool` and `reset` needs a handle
/// that is not empty.
class PacketBuffer {
 public:
  PacketBuffer() = default;
  /// Takes a slot; null makes an empty handle.
  explicit PacketBuffer(PacketSlot* slot) : slot_(slot) {}
  PacketBuffer(PacketBuffer&& other) noexcept : slot_(std::exchange(other.slot_, nullptr)) {}
  PacketBuffer& operator=(PacketBuffer&& other) noexcept {
    if (this != &other) {
      reset();
      slot_ = std::exchange(other.slot_, nullptr);
    }
    return *this;
  }
  PacketBuffer(const PacketBuffer&) = delete;
  PacketBuffer& operator=(const PacketBuffer&) = delete;
  ~PacketBuffer() { reset(); }

  explicit operator bool() const { return slot_ != nullptr; }
  PacketSlot* operator->() const { return slot_; }
  /// Gives the memory back; the handle is empty then.
  void reset() noexcept {
    if (slot_ != nullptr) slot_->owner->release(std::exchange(slot_, nullptr));
  }

  /// The datagram, in network byte order.
  [[nodiscard]] MutableBytes data() const { return {slot_->bytes + slot_->offset, slot_->length}; }
  /// The whole space for a datagram to be written, without head- and tailroom. Its size depends on the
  /// engine.
  [[nodiscard]] MutableBytes space() const {
    return {slot_->bytes + kHeadroom, slot_->capacity - kHeadroom - kTailroom};
  }
  /// The datagram and all the room behind it, for whoever makes it longer in place.
  [[nodiscard]] MutableBytes data_and_tailroom() const {
    return {slot_->bytes + slot_->offset, slot_->capacity - slot_->offset};
  }
  /// Says that a datagram of `size` octets was written to `space`.
  void set_data_size(std::size_t size) const {
    slot_->offset = kHeadroom;
    slot_->length = static_cast<std::uint32_t>(size);
  }
  /// Gives the slot to the caller, who must return it to its owner. Null if the handle is empty.
  [[nodiscard]] PacketSlot* release() noexcept { return std::exchange(slot_, nullptr); }

 private:
  PacketSlot* slot_ = nullptr;
};

/// The stock that an engine takes its buffers from. It belongs to one worker's thread.
class PacketStock : public PacketOwner {
 public:
  /// A free buffer. The handle is empty if the stock is used up.
  [[nodiscard]] virtual PacketBuffer allocate() noexcept = 0;
  /// Buffers that are free now, and buffers in all.
  [[nodiscard]] virtual std::size_t free_count() const noexcept = 0;
  [[nodiscard]] virtual std::size_t size() const noexcept = 0;
  /// The most buffers that were ever in use at a time. The others may take no memory yet.
  [[nodiscard]] virtual std::size_t touched() const noexcept { return size(); }
};

/// A fixed number of slots for one worker thread. No lock, and no allocation after construction.
///
/// A slot that was never used takes address space only. A used one takes memory for the pages that its
/// datagrams reached. So room for the longest datagram costs nothing where nobody sends such datagrams.
class PacketPool final : public PacketStock {
 public:
  /// Reserves `slots` slots. Throws std::bad_alloc.
  explicit PacketPool(std::size_t slots)
      : memory_(static_cast<Memory*>(::operator new(slots * sizeof(Memory)))),
        size_(slots),
        free_count_(slots) {}
  [[nodiscard]] PacketBuffer allocate() noexcept override {
    if (free_ == nullptr && touched_ == size_) return {};
    PacketSlot* slot = free_ != nullptr ? std::exchange(free_, free_->next_free) : touch();
    slot->clear();
    --free_count_;
    return PacketBuffer(slot);
  }
  void release(PacketSlot* slot) noexcept override {
    slot->next_free = std::exchange(free_, slot);
    ++free_count_;
  }
  [[nodiscard]] std::size_t free_count() const noexcept override { return free_count_; }
  [[nodiscard]] std::size_t size() const noexcept override { return size_; }
  [[nodiscard]] std::size_t touched() const noexcept override { return touched_; }

 private:
  /// A slot and its octets, side by side.
  struct Memory {
    PacketSlot slot;
    std::byte bytes[kHeadroom + kMaxDatagram + kTailroom];
  };
  static_assert(std::is_trivially_destructible_v<Memory>);
  struct Free {
    void operator()(Memory* memory) const noexcept { ::operator delete(memory); }
  };
  /// The next slot that nobody has used yet. There must be one.
  PacketSlot* touch() noexcept {
    Memory* memory = memory_.get() + touched_++;
    auto* slot = new (&memory->slot) PacketSlot;
    slot->owner = this;
    slot->bytes = memory->bytes;
    slot->capacity = sizeof memory->bytes;
    return slot;
  }
  std::unique_ptr<Memory, Free> memory_;
  PacketSlot* free_ = nullptr;
  /// Slots that were ever used: those before it in `memory_`.
  std::size_t touched_ = 0;
  std::size_t size_;
  std::size_t free_count_;
};

}  // namespace ferry
