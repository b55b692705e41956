// Engine-owned packet memory behind a movable handle (design seam 4).
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

/// Room before and after the payload, so that SRTP tags and headers are written in place.
constexpr std::size_t kHeadroom = 64;
constexpr std::size_t kTailroom = 64;
/// Longest datagram that is relayed; longer ones are counted as too long. The kernel fragments what does not
/// fit a link, and puts fragments together before an engine sees them.
constexpr std::size_t kMaxDatagram = 9000;

/// Identifies a port to its engine: what `PortProvider::activate` returned.
struct PortHandle {
  std::int32_t native = -1;
  [[nodiscard]] bool is_open() const { return native >= 0; }
  bool operator==(const PortHandle&) const = default;
};

class PacketOwner;

/// The memory of one datagram. Lives in the engine; everybody else moves `PacketBuffer` handles.
struct PacketSlot {
  PacketOwner* owner = nullptr;
  PacketSlot* next_free = nullptr;
  /// Receiving: source. Sending: destination.
  Endpoint remote;
  /// Receiving: the cookie of the local port. Sending: unused.
  std::uint64_t cookie = 0;
  /// Sending: the port that the datagram leaves from (LAT-1).
  PortHandle via;
  /// Sending: `remote` is the locked peer of `via`; an engine may keep a path of its own to it.
  bool to_locked_peer = false;
  std::uint32_t offset = kHeadroom;
  std::uint32_t length = 0;
  bool truncated = false;
  /// Of a packet that came encrypted: which of its transport's keys (0 = none), and its index.
  std::uint32_t srtp_key = 0;
  std::uint64_t srtp_index = 0;
  /// The octets, `capacity` of them; `offset` counts from here.
  std::byte* bytes = nullptr;
  std::uint32_t capacity = 0;

  /// As if nobody had used it.
  void clear() noexcept {
    offset = kHeadroom;
    length = 0;
    truncated = false;
  }
};

/// About what one buffer takes in memory once it was used.
constexpr std::size_t kBufferMemory = sizeof(PacketSlot) + kHeadroom + kMaxDatagram + kTailroom;

/// Takes back slots. Implemented by each engine.
class PacketOwner {
 public:
  virtual ~PacketOwner() = default;
  virtual void release(PacketSlot* slot) noexcept = 0;
};

/// Move-only handle to one datagram; gives the memory back when it dies.
class PacketBuffer {
 public:
  PacketBuffer() = default;
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
  void reset() noexcept {
    if (slot_ != nullptr) slot_->owner->release(std::exchange(slot_, nullptr));
  }

  [[nodiscard]] MutableBytes data() const { return {slot_->bytes + slot_->offset, slot_->length}; }
  /// Whole space for a datagram to be written, without head- and tailroom. Engines have buffers of different
  /// sizes.
  [[nodiscard]] MutableBytes space() const {
    return {slot_->bytes + kHeadroom, slot_->capacity - kHeadroom - kTailroom};
  }
  /// The datagram and all the room behind it.
  [[nodiscard]] MutableBytes data_and_tailroom() const {
    return {slot_->bytes + slot_->offset, slot_->capacity - slot_->offset};
  }
  void set_data_size(std::size_t size) const {
    slot_->offset = kHeadroom;
    slot_->length = static_cast<std::uint32_t>(size);
  }
  /// The slot is the caller's from now on.
  [[nodiscard]] PacketSlot* release() noexcept { return std::exchange(slot_, nullptr); }

 private:
  PacketSlot* slot_ = nullptr;
};

/// Where an engine has its buffers from. One worker's thread.
class PacketStock : public PacketOwner {
 public:
  /// Empty handle when the stock is used up.
  [[nodiscard]] virtual PacketBuffer allocate() noexcept = 0;
  [[nodiscard]] virtual std::size_t free_count() const noexcept = 0;
  [[nodiscard]] virtual std::size_t size() const noexcept = 0;
  /// How many were ever in use at a time: the others may take no memory.
  [[nodiscard]] virtual std::size_t touched() const noexcept { return size(); }
};

/// Fixed stock of slots for one worker thread. No lock, no allocation after construction.
///
/// A slot that was never in use takes address space alone, and of a used one only the pages that its
/// datagrams reached: room for the longest datagram costs nothing where nobody sends such.
class PacketPool final : public PacketStock {
 public:
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
  struct Memory {
    PacketSlot slot;
    std::byte bytes[kHeadroom + kMaxDatagram + kTailroom];
  };
  static_assert(std::is_trivially_destructible_v<Memory>);
  struct Free {
    void operator()(Memory* memory) const noexcept { ::operator delete(memory); }
  };
  /// The next slot that nobody has used yet.
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
  std::size_t touched_ = 0;
  std::size_t size_;
  std::size_t free_count_;
};

}  // namespace ferry
