// SPDX-License-Identifier: Apache-2.0
// The stages of one worker that run on media threads, as the worker sees them.
#pragma once

#include "relay/core/output/stage.hpp"
#include "relay/media/media_thread.hpp"
#include "relay/media/stage_host.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace ferry {

class RemoteStages;

/// Stands in a worker for a stage on a media thread. As long as all that it hears is light work, the stage
/// runs in the worker itself, and the thread knows nothing of it.
class RemoteStage final : public OutputStage {
 public:
  /// `home` outlives it.
  RemoteStage(RemoteStages& home, const StageOwner& owner);
  ~RemoteStage() override;
  RemoteStage(const RemoteStage&) = delete;
  RemoteStage& operator=(const RemoteStage&) = delete;

  [[nodiscard]] DropReason refusal() const noexcept override;
  void hear(std::uint64_t from, const std::shared_ptr<const AudioConversion>& conversion, const RtpView& rtp,
            Instant now, MadePackets& out) noexcept override;
  void hear_datagram(std::uint64_t from, const std::shared_ptr<const AudioConversion>& conversion,
                     Bytes datagram, Instant now, MadePackets& out) noexcept override;
  [[nodiscard]] std::optional<Instant> due() const noexcept override {
    return local_ ? local_->due() : std::nullopt;
  }
  void drive(Instant now, MadePackets& out) noexcept override {
    if (local_) local_->drive(now, out);
  }

 private:
  /// Where the stage is: not made yet, in the worker, or on a thread, where it stays.
  enum class Place : std::uint8_t { kNone, kWorker, kThread };
  /// A source, and the conversion of it that the stage knows. The object is kept, so that another one never
  /// has its address.
  struct Told {
    std::uint64_t from = 0;
    std::shared_ptr<const AudioConversion> conversion;
    /// What it takes of the lane. Null before it is on a thread.
    std::shared_ptr<LaneShare> share{};
  };
  /// Puts the stage where its work belongs, now that it hears `conversion`. False without memory.
  [[nodiscard]] bool settle(const AudioConversion& conversion) noexcept;
  /// Finds what the stage knows of `from`, once it is where work of `conversion` belongs. Null without
  /// memory. `is_known`: it has this conversion already.
  [[nodiscard]] Told* ready_for(std::uint64_t from, const std::shared_ptr<const AudioConversion>& conversion,
                                bool& is_known) noexcept;
  /// Sends a packet to the thread, with its octets and with its conversion if the stage does not know that.
  /// Counts it as lost if the lane has no room for it, or its source has no more of its share.
  void send(Told& told, bool is_known, const std::shared_ptr<const AudioConversion>& conversion,
            HeardPacket packet, Bytes octets) noexcept;

  RemoteStages& home_;
  StageOwner owner_;
  Place place_ = Place::kNone;
  /// Null unless the stage is in the worker.
  std::unique_ptr<OutputStage> local_;
  /// Null unless the stage is on a thread.
  MediaThread* thread_ = nullptr;
  std::vector<Told> told_;
  /// The order by which the stage ends, made before it is needed.
  std::unique_ptr<MediaOrder> end_;
};

/// Makes the stages of one worker and brings back what they make. Used on the worker's thread.
class RemoteStages final : public StageMaker {
 public:
  /// `threads` outlive it; there is at least one. `make` makes stages of light work, on the worker's thread.
  /// `wake` ends the worker's sleep, on any thread. `are_running`: the threads run by themselves.
  RemoteStages(std::span<const std::unique_ptr<MediaThread>> threads, unsigned worker, MakeStage make,
               std::function<void()> wake, const std::atomic<bool>& are_running);
  ~RemoteStages() override;
  RemoteStages(const RemoteStages&) = delete;
  RemoteStages& operator=(const RemoteStages&) = delete;

  [[nodiscard]] std::unique_ptr<OutputStage> make(const StageOwner& owner) override {
    return std::make_unique<RemoteStage>(*this, owner);
  }
  [[nodiscard]] bool has_made() const noexcept override { return client_.has_made.load(); }
  std::size_t collect(MadeElsewhere& out) noexcept override;
  void flush() noexcept override;

  // For its stages.
  [[nodiscard]] unsigned worker() const noexcept { return worker_; }
  /// Makes a stage that runs in the worker. Throws std::bad_alloc.
  [[nodiscard]] std::unique_ptr<OutputStage> make_here(const StageOwner& owner) { return make_(owner); }
  /// Begins a stage on a thread, which is that of the other party's stage if it has one. Throws
  /// std::bad_alloc.
  [[nodiscard]] MediaThread& begin(const StageOwner& owner);
  /// Ends a stage that `begin` has begun; `order` is of kind kEnd.
  void end(MediaThread& thread, const StageOwner& owner, std::unique_ptr<MediaOrder> order) noexcept;
  /// Counts a packet that found no room in the lane.
  void count_lost() noexcept { ++lost_; }
  /// Notes that something was put into the lane to `thread`.
  void note_given(const MediaThread& thread) noexcept { given_[thread.number()] = true; }

 private:
  /// The thread of a receiver's stages, and how many it has there.
  struct Seat {
    MediaThread* thread = nullptr;
    unsigned stages = 0;
  };
  [[nodiscard]] MediaThread& choose(const StageOwner& owner) const noexcept;

  std::span<const std::unique_ptr<MediaThread>> threads_;
  unsigned worker_;
  MakeStage make_;
  const std::atomic<bool>& are_running_;
  MediaClient client_;
  std::map<TransportId, Seat> seats_;
  std::size_t lost_ = 0;
  /// By thread: it is to be woken.
  std::vector<bool> given_;
};

}  // namespace ferry
