// SPDX-License-Identifier: Apache-2.0
// Bounded queue of records of any length between exactly one producer thread and one consumer thread.
#pragma once

#include "relay/base/bytes.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>

namespace ferry {

/// Lock-free ring of records: a `Head` and some octets behind it. Only the producer calls `has_room` and
/// `push`, only the consumer calls `end` and `drain`. The constructor reserves address space for all records;
/// memory is taken by a ring that is used.
template <class Head>
class RecordRing {
 public:
  /// `octets` is rounded up to a power of two. Throws std::bad_alloc.
  explicit RecordRing(std::size_t octets)
      : size_(std::bit_ceil(std::max(octets, 4 * kLeast))),
        memory_(static_cast<std::byte*>(::operator new (size_, std::align_val_t{kAlign}))) {}
  ~RecordRing() {
    drain(end(), [](Head&, Bytes) {});
  }
  RecordRing(const RecordRing&) = delete;
  RecordRing& operator=(const RecordRing&) = delete;

  /// Producer: true if `push` takes a record with so many octets.
  [[nodiscard]] bool has_room(std::size_t octets) noexcept {
    const std::size_t wanted = length_of(octets);
    // A record lies in one piece. The rest of the ring before its end may be too short for it.
    const std::size_t most = wanted + std::min(wanted, rest_at(head_.load(std::memory_order_relaxed)));
    if (wanted > size_ / 2) return false;
    if (free(tail_seen_) >= most) return true;
    tail_seen_ = tail_.load(std::memory_order_acquire);
    return free(tail_seen_) >= most;
  }
  /// Producer: false if there is no room; `head` is then left as it was.
  bool push(Head&& head, Bytes octets) noexcept {
    if (!has_room(octets.size())) return false;
    const std::size_t length = length_of(octets.size());
    std::size_t at = head_.load(std::memory_order_relaxed);
    if (const std::size_t rest = rest_at(at); rest < length) {
      new (place(at)) Mark{static_cast<std::uint32_t>(rest), kSkipped};
      at += rest;
    }
    std::byte* const to = place(at);
    new (to) Mark{static_cast<std::uint32_t>(length), static_cast<std::uint32_t>(octets.size())};
    new (to + kHeadAt) Head(std::move(head));
    std::ranges::copy(octets, to + kOctetsAt);
    head_.store(at + length, std::memory_order_release);
    return true;
  }

  /// Consumer: the place behind all records that are there now.
  [[nodiscard]] std::size_t end() const noexcept { return head_.load(std::memory_order_acquire); }
  /// Consumer: calls `visit(head, octets)` for each record before `until`, and returns their number. The
  /// octets are valid during the call.
  template <class Visit>
  std::size_t drain(std::size_t until, Visit visit) noexcept {
    std::size_t count = 0;
    for (std::size_t at = tail_.load(std::memory_order_relaxed); at != until;) {
      std::byte* const from = place(at);
      const Mark mark = *std::launder(reinterpret_cast<Mark*>(from));
      if (mark.octets != kSkipped) {
        Head& head = *std::launder(reinterpret_cast<Head*>(from + kHeadAt));
        visit(head, Bytes(from + kOctetsAt, mark.octets));
        std::destroy_at(&head);
        ++count;
      }
      at += mark.length;
      tail_.store(at, std::memory_order_release);
    }
    return count;
  }

 private:
  /// Stands before each record.
  struct Mark {
    /// Octets up to the next mark.
    std::uint32_t length;
    /// Octets of the record behind its head; kSkipped: there is no record, the next one begins at the start
    /// of the ring.
    std::uint32_t octets;
  };
  static constexpr std::uint32_t kSkipped = 0xffffffff;
  static constexpr std::size_t kAlign = std::max<std::size_t>(16, alignof(Head));
  static constexpr std::size_t rounded(std::size_t octets) { return (octets + kAlign - 1) / kAlign * kAlign; }
  static constexpr std::size_t kHeadAt = rounded(sizeof(Mark));
  static constexpr std::size_t kOctetsAt = kHeadAt + sizeof(Head);
  static constexpr std::size_t kLeast = rounded(kOctetsAt);
  static constexpr std::size_t length_of(std::size_t octets) { return rounded(kOctetsAt + octets); }
  [[nodiscard]] std::byte* place(std::size_t at) const noexcept { return memory_.get() + (at & (size_ - 1)); }
  /// Octets from `at` to the end of the memory.
  [[nodiscard]] std::size_t rest_at(std::size_t at) const noexcept { return size_ - (at & (size_ - 1)); }
  [[nodiscard]] std::size_t free(std::size_t tail) const noexcept {
    return size_ - (head_.load(std::memory_order_relaxed) - tail);
  }
  struct Free {
    void operator()(std::byte* memory) const noexcept {
      ::operator delete (memory, std::align_val_t{kAlign});
    }
  };

  std::size_t size_;
  std::unique_ptr<std::byte[], Free> memory_;
  // Both only rise; a place is the counter modulo the size. Each lies in a cache line of its own.
  alignas(64) std::atomic<std::size_t> head_{0};
  /// The producer's: `tail_` as it was seen last.
  std::size_t tail_seen_ = 0;
  alignas(64) std::atomic<std::size_t> tail_{0};
};

}  // namespace ferry
