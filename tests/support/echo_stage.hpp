// SPDX-License-Identifier: Apache-2.0
// A stage for tests: it says what it hears in the type that the conversion wants, and keeps what it was told.
#pragma once

#include "relay/core/output/stage.hpp"

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

namespace ferry::test {

/// Says each payload again. It may hold each one for a while, as a jitter buffer does.
class EchoStage final : public OutputStage {
 public:
  /// `delay`: how long a payload waits; 0 = it is said at once. `alive` counts these objects.
  EchoStage(Duration delay, std::size_t& alive) : delay_(delay), alive_(alive) { ++alive_; }
  ~EchoStage() override { --alive_; }
  EchoStage(const EchoStage&) = delete;
  EchoStage& operator=(const EchoStage&) = delete;

  void hear(std::uint64_t, const std::shared_ptr<const AudioConversion>& conversion, const RtpView& rtp,
            Instant now, MadePackets& out) noexcept override {
    if (delay_ == Duration{0})
      say(conversion->type, rtp.payload, out);
    else
      waiting_.push_back({now + delay_, conversion->type, {rtp.payload.begin(), rtp.payload.end()}});
  }
  /// A datagram comes back at once.
  void hear_datagram(std::uint64_t, const std::shared_ptr<const AudioConversion>&, Bytes datagram, Instant,
                     MadePackets& out) noexcept override {
    out.take_datagram(datagram);
  }
  [[nodiscard]] std::optional<Instant> due() const noexcept override {
    return waiting_.empty() ? std::nullopt : std::optional(waiting_.front().at);
  }
  void drive(Instant now, MadePackets& out) noexcept override {
    for (; !waiting_.empty() && waiting_.front().at <= now; waiting_.pop_front())
      say(waiting_.front().type, waiting_.front().payload, out);
  }

 private:
  struct Waiting {
    Instant at;
    PayloadType type;
    std::vector<std::byte> payload;
  };
  static void say(PayloadType type, Bytes payload, MadePackets& out) {
    out.take({type, false, 160, payload, 8000});
  }

  Duration delay_;
  std::size_t& alive_;
  std::deque<Waiting> waiting_;
};

/// Makes them, and keeps for whom.
class EchoStages : public StageMaker {
 public:
  [[nodiscard]] std::unique_ptr<OutputStage> make(const StageOwner& owner) override {
    if (is_full) return nullptr;
    owners.push_back(owner);
    return std::make_unique<EchoStage>(delay, alive);
  }
  /// Delay of the stages that are made from now on.
  Duration delay{0};
  /// True: no further stage can be had.
  bool is_full = false;
  std::vector<StageOwner> owners;
  /// Stages that live.
  std::size_t alive = 0;
};

}  // namespace ferry::test
