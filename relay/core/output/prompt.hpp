// SPDX-License-Identifier: Apache-2.0
// Encoded sound that is played to parties: prompts, music, tones.
#pragma once

#include "relay/base/bytes.hpp"
#include "relay/base/types.hpp"
#include "relay/core/audio/conversion.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace ferry {

/// How the packets of a prompt follow each other. All of them last equally long.
struct PromptTiming {
  /// Time that one packet lasts. Never 0.
  Duration packet_time = std::chrono::milliseconds(20);
  /// Time stamp units of one packet.
  std::uint32_t units = 160;
  /// Clock of these units in Hz.
  std::uint32_t clock_rate_hz = 8000;
  bool operator==(const PromptTiming&) const = default;
};

/// Some packets of a prompt that follow each other.
struct PromptPart {
  /// Payloads, one behind the other.
  std::vector<std::byte> payloads;
  /// Octets of each payload, in order. 0: nothing is sent for the time of this packet, because the codec
  /// pauses.
  std::vector<std::uint16_t> sizes;
};

/// Sound in one encoding. It grows at its end until it is complete; what it has does not change any more. One
/// thread writes it. Any number of listeners read it meanwhile on other threads, without a lock
/// (`PromptReader`). The payload number is not part of it, because each listener has its own.
class Prompt {
 public:
  /// Number of repetitions that means "until it is stopped".
  static constexpr std::int64_t kForEver = -1;

  explicit Prompt(const PromptTiming& timing) : timing_(timing) {}
  ~Prompt();
  Prompt(const Prompt&) = delete;
  Prompt& operator=(const Prompt&) = delete;

  [[nodiscard]] const PromptTiming& timing() const noexcept { return timing_; }

  // For the writer.
  /// Adds packets behind the others. The sizes of `part` add up to its payloads. Throws std::bad_alloc.
  void append(PromptPart part);
  /// Nothing is added any more.
  void finish() noexcept { is_complete_.store(true, std::memory_order_release); }

  /// True once nothing is added any more. Any thread.
  [[nodiscard]] bool is_complete() const noexcept { return is_complete_.load(std::memory_order_acquire); }
  /// Octets that its packets take so far. Any thread.
  [[nodiscard]] std::size_t octets() const noexcept { return octets_.load(std::memory_order_relaxed); }

  /// A part, and the one behind it once there is one; null so far.
  struct Node {
    PromptPart part;
    std::atomic<Node*> next{nullptr};
  };
  /// The first part; null before there is one. Any thread.
  [[nodiscard]] const Node* first() const noexcept { return first_.load(std::memory_order_acquire); }

 private:
  PromptTiming timing_;
  /// The first part; null before there is one. The nodes own each other in a row.
  std::atomic<Node*> first_{nullptr};
  /// The writer's: the last part.
  Node* last_ = nullptr;
  std::atomic<std::size_t> octets_{0};
  std::atomic<bool> is_complete_{false};
};

/// A complete prompt of packets of one size. What does not fill a packet at the end is left out.
[[nodiscard]] std::shared_ptr<const Prompt> whole_prompt(const PromptTiming& timing,
                                                         std::vector<std::byte> payloads,
                                                         std::size_t packet_octets);

/// A place in a prompt. Borrows the prompt; for one thread; allocates nothing.
class PromptReader {
 public:
  /// What is at a place: a packet, nothing so far, or the end.
  enum class Found : std::uint8_t { kPacket, kWaiting, kEnd };

  /// Begins behind the first `skipped` packets.
  explicit PromptReader(const Prompt& prompt, std::uint64_t skipped = 0) noexcept
      : prompt_(&prompt), skipped_(skipped) {}

  /// Says what is at this place. A place that waits may have a packet at the next call.
  [[nodiscard]] Found look() noexcept;
  /// The payload here; empty if nothing is sent for its time. Only if `look` has found a packet.
  [[nodiscard]] Bytes payload() const noexcept {
    return Bytes(node_->part.payloads).subspan(octet_, node_->part.sizes[packet_]);
  }
  /// Moves on to the next place. Only if `look` has found a packet.
  void advance() noexcept {
    octet_ += node_->part.sizes[packet_++];
    ++number_;
  }
  /// Moves back to the first packet of the prompt.
  void rewind() noexcept { *this = PromptReader(*prompt_); }
  /// How many packets lie before this place.
  [[nodiscard]] std::uint64_t number() const noexcept { return number_; }

 private:
  const Prompt* prompt_;
  /// Null before the first part.
  const Prompt::Node* node_ = nullptr;
  /// Place in the part.
  std::size_t packet_ = 0;
  std::size_t octet_ = 0;
  std::uint64_t number_ = 0;
  /// Packets that are still to be passed over.
  std::uint64_t skipped_;
};

/// How far a prompt is that is played to somebody. The worker writes it, control reads it at any time.
struct PromptProgress {
  /// Number of the packet that was sent last, counted from the first of the prompt, from 0; 0 before the
  /// first one.
  std::atomic<std::uint64_t> packet{0};
  /// True once it is not played any more.
  std::atomic<bool> is_over{false};
};

/// What is to be played to one media, and how often.
struct PromptOrder {
  /// Never null.
  std::shared_ptr<const Prompt> prompt;
  /// Payload number of its codec at the receiver.
  PayloadType type;
  /// How often it is played; `Prompt::kForEver`: until it is stopped.
  std::int64_t rounds = 1;
  /// Packets that the first round leaves out.
  std::uint64_t skipped = 0;
  /// It ends after so much time, whatever the rounds. 0 = no bound.
  Duration longest{0};
  /// Where its listener's worker notes how far it is, and its end. Null: nobody asks, and the worker tells
  /// the end by an event instead.
  std::shared_ptr<PromptProgress> progress;
  /// How it is heard beside what others send, through the listener's stage: what its packets are, and what
  /// the listener gets. Null: in place of everybody else.
  std::shared_ptr<const AudioConversion> conversion{};
};

}  // namespace ferry
