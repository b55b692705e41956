// SPDX-License-Identifier: Apache-2.0
// The stages that live on one media thread.
#pragma once

#include "relay/core/output/stage.hpp"
#include "relay/media/lanes.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

namespace ferry {

/// Makes a stage, on the thread that will run it. Throws std::bad_alloc.
using MakeStage = std::function<std::unique_ptr<OutputStage>(const StageOwner&)>;

/// Takes what the stages of a host make.
class HostOutlet {
 public:
  /// `worker` is the one that began the stage of `owner`.
  virtual void take(unsigned worker, const StageOwner& owner, const MadePacket& packet) noexcept = 0;
  /// The same for a datagram of another protocol; borrowed for the call.
  virtual void take_datagram(unsigned worker, const StageOwner& owner, Bytes datagram) noexcept = 0;

 protected:
  ~HostOutlet() = default;
};

/// Keeps stages by their serials, lets them hear, and drives each when it is due. Pure: no clock, no sleep.
/// One thread uses it; packets allocate nothing.
class StageHost {
 public:
  StageHost(MakeStage make, HostOutlet& outlet) : make_(std::move(make)), outlet_(outlet) {}

  /// Begins a stage of `worker`. Without memory there is none, and its packets are lost.
  void begin(unsigned worker, const StageOwner& owner) noexcept;
  /// Ends a stage.
  void end(std::uint64_t serial) noexcept {
    stages_.erase(serial);
    tidy();
  }
  /// Ends all stages of `worker`.
  void end_all(unsigned worker) noexcept {
    std::erase_if(stages_, [&](const auto& each) { return each.second.worker == worker; });
    tidy();
  }
  /// Gives a packet to its stage. False if the stage is gone.
  bool hear(HeardPacket& packet, Bytes payload) noexcept;
  /// Drives all stages that are due.
  void drive(Instant now) noexcept;
  /// When `drive` has something to do; nothing = never.
  [[nodiscard]] std::optional<Instant> due() const noexcept {
    return queue_.empty() ? std::nullopt : std::optional(queue_.front().at);
  }
  /// Entries of its queue: at most a few for each stage.
  [[nodiscard]] std::size_t queued() const noexcept { return queue_.size(); }
  [[nodiscard]] std::size_t stages() const noexcept { return stages_.size(); }

 private:
  /// A source, and what its audio becomes.
  struct Told {
    std::uint64_t from = 0;
    std::shared_ptr<const AudioConversion> conversion;
  };
  struct Hosted {
    std::unique_ptr<OutputStage> stage;
    unsigned worker = 0;
    StageOwner owner;
    /// The last time that the stage was told: times never go back.
    Instant told{};
    /// When the queue has it; unset = it does not.
    Instant queued{};
    std::vector<Told> sources;
  };
  /// Gives what a stage makes to the outlet.
  class FromHosted;
  struct Due {
    Instant at;
    std::uint64_t serial = 0;
    bool operator>(const Due& other) const noexcept { return at > other.at; }
  };
  /// Queues the stage for when it is due.
  void await(Hosted& hosted) noexcept;
  /// True if an entry of the queue counts.
  [[nodiscard]] bool is_current(const Due& entry) const noexcept;
  void take_first() noexcept;
  /// Takes entries that count for nothing off the top of the queue, and all of them once they are most of it.
  void tidy() noexcept;

  MakeStage make_;
  HostOutlet& outlet_;
  std::unordered_map<std::uint64_t, Hosted> stages_;
  /// Stages that are due: a heap, the earliest first. What is queued for another time than `Hosted::queued`
  /// counts for nothing, and is never first.
  std::vector<Due> queue_;
};

}  // namespace ferry
