// SPDX-License-Identifier: Apache-2.0
// What the relay gives each receiver as its stage: a `MixingStage`, or one side of a fax.
#pragma once

#include "codecs/stage/fax_gateways.hpp"
#include "relay/core/output/stage.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

namespace ferry {

/// Has the stage that the conversion of the newest packet asks for. Signalling may turn a call into a fax and
/// back: the next packet then replaces the stage. During a fax only its own source is heard. One thread uses
/// it.
class ReceiverStage final : public OutputStage {
 public:
  /// `gateways`: those of its thread; not null.
  explicit ReceiverStage(std::shared_ptr<FaxGateways> gateways) : gateways_(std::move(gateways)) {}

  void hear(std::uint64_t from, const std::shared_ptr<const AudioConversion>& conversion, const RtpView& rtp,
            Instant now, MadePackets& out) noexcept override {
    if (settle(from, conversion, now)) stage_->hear(from, conversion, rtp, now, out);
  }
  void hear_datagram(std::uint64_t from, const std::shared_ptr<const AudioConversion>& conversion,
                     Bytes datagram, Instant now, MadePackets& out) noexcept override {
    if (settle(from, conversion, now)) stage_->hear_datagram(from, conversion, datagram, now, out);
  }
  [[nodiscard]] std::optional<Instant> due() const noexcept override {
    return stage_ ? stage_->due() : std::nullopt;
  }
  void drive(Instant now, MadePackets& out) noexcept override;

 private:
  /// Makes the stage that `conversion` needs, unless it is there. False if `from` is not heard now: a fax is
  /// made of another source, or memory has run out.
  [[nodiscard]] bool settle(std::uint64_t from, const std::shared_ptr<const AudioConversion>& conversion,
                            Instant now) noexcept;
  /// True if the present stage does what `wanted` asks for.
  [[nodiscard]] bool does(const AudioConversion& wanted) const noexcept;

  std::shared_ptr<FaxGateways> gateways_;
  /// Null before the first packet, and after memory has run out.
  std::unique_ptr<OutputStage> stage_;
  /// Null unless the stage is one side of it.
  std::shared_ptr<ShownGateway> gateway_;
  /// When the gateway's figures are written next.
  Instant shown_from_{};
  /// The conversion that the stage was made for, or a later one that it does as well. Null without a stage.
  std::shared_ptr<const AudioConversion> conversion_;
  /// The source that it heard last.
  std::uint64_t from_ = 0;
};

/// Makes stages for the receivers of one thread (`MakeStage`, relay/media/stage_host.hpp). A copy has no
/// gateway in common with its original, so that each thread gets a copy of its own.
class StageFactory {
 public:
  /// `board`: where the gateways of all copies tell how far they are; not null.
  explicit StageFactory(std::shared_ptr<FaxBoard> board = std::make_shared<FaxBoard>())
      : board_(std::move(board)), gateways_(std::make_shared<FaxGateways>(board_)) {}
  StageFactory(const StageFactory& other) : StageFactory(other.board_) {}
  StageFactory& operator=(const StageFactory&) = delete;
  ~StageFactory() = default;

  /// Throws std::bad_alloc.
  [[nodiscard]] std::unique_ptr<OutputStage> operator()(const StageOwner&) const {
    return std::make_unique<ReceiverStage>(gateways_);
  }

 private:
  std::shared_ptr<FaxBoard> board_;
  std::shared_ptr<FaxGateways> gateways_;
};

}  // namespace ferry
