// SPDX-License-Identifier: Apache-2.0
// Makes what one receiver hears of several sources at a time.
#pragma once

#include "codecs/transcode/frame_queue.hpp"
#include "codecs/transcode/mixer.hpp"
#include "codecs/transcode/transcoder.hpp"
#include "relay/core/output/stage.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace ferry {

/// The stage of a receiver without a fax; `ReceiverStage` (codecs/stage) makes it. As long as one source
/// speaks, or its conversions do not mix
/// (`AudioConversion::mixes`), it is a `Transcoder` and costs no more. When a second source speaks, each gets
/// a transcoder of its own that makes samples of one rate: order, delay, loss, pauses and digits are judged
/// for each source alone. Their frames are added on a grid, and the sum is heard by the receiver's transcoder
/// as one source. Once a single source is left for `kGone`, everything goes back.
///
/// Sans-IO: time comes from the caller. One thread uses it; the first packets of a source allocate.
class MixingStage final : public OutputStage {
 public:
  /// Further sources are not heard until one of these has been silent for `kGone`. It bounds what one
  /// receiver costs.
  static constexpr std::size_t kMostSources = 16;
  static constexpr Duration kGone = std::chrono::seconds(5);

  MixingStage();
  ~MixingStage() override;
  MixingStage(const MixingStage&) = delete;
  MixingStage& operator=(const MixingStage&) = delete;

  void hear(std::uint64_t from, const std::shared_ptr<const AudioConversion>& conversion, const RtpView& rtp,
            Instant now, MadePackets& out) noexcept override;
  [[nodiscard]] std::optional<Instant> due() const noexcept override;
  void drive(Instant now, MadePackets& out) noexcept override;

  [[nodiscard]] const Transcoder& receiver() const noexcept { return receiver_; }
  /// Sources that are mixed now; 0 = it does not mix.
  [[nodiscard]] std::size_t sources() const noexcept { return sources_.size(); }
  /// Packets of sources that found no room.
  [[nodiscard]] std::uint64_t left_out() const noexcept { return left_out_; }

 private:
  struct Source;
  class FromSource;
  [[nodiscard]] bool is_mixing() const noexcept { return !sources_.empty(); }
  /// True if a packet of this source makes two that speak at a time.
  [[nodiscard]] bool joins(std::uint64_t from, Instant now) const noexcept;
  /// The place of a source in the mix, made if there is none. Null if there is no room.
  [[nodiscard]] Source* place_of(std::uint64_t from, Instant now);
  /// Takes on what signalling has said of a source.
  void take_on(Source& source, const std::shared_ptr<const AudioConversion>& conversion);
  /// The conversion of the sum into the receiver's codec.
  void choose_target(const AudioConversion& conversion);
  void hear_alone(std::uint64_t from, const std::shared_ptr<const AudioConversion>& conversion,
                  const RtpView& rtp, Instant now, MadePackets& out) noexcept;
  void hear_in_mix(std::uint64_t from, const std::shared_ptr<const AudioConversion>& conversion,
                   const RtpView& rtp, Instant now, MadePackets& out);
  /// Goes back to one source, which is the only one that has sent for `kGone`.
  void stop_mixing() noexcept;
  void forget_silent(Instant now) noexcept;
  /// What the transcoder of a source has made.
  void take_from(Source& source, const MadePacket& packet, Instant now, MadePackets& out);
  void pass_press(Source& source, const MadePacket& packet, Instant now, MadePackets& out);
  /// Lets the receiver's transcoder know that nobody speaks.
  void tell_pause(Instant now, MadePackets& out);
  /// Adds the frames of the turn that is due.
  void turn(Instant now, MadePackets& out);
  /// Sees to it that there is a turn for what waits.
  void await_turn(Instant now) noexcept;
  void give(PayloadType type, std::uint32_t timestamp, Bytes payload, Instant now, MadePackets& out);

  Transcoder receiver_;
  /// Without mixing: who is heard, and when that source sent last.
  std::uint64_t solo_ = 0;
  Instant solo_at_{};
  std::shared_ptr<const AudioConversion> solo_conversion_;

  /// Empty: it does not mix.
  std::vector<std::unique_ptr<Source>> sources_;
  /// What the sum becomes. Null before the first mix.
  std::shared_ptr<const AudioConversion> target_;
  /// Rate of the mix, Hz, and the length of its frames, ms.
  std::uint32_t rate_hz_ = 8000;
  std::uint32_t frame_ms_ = 20;
  Mixer mixer_;
  std::vector<Mixer::Input> inputs_;
  std::vector<std::byte> octets_;
  /// When the first frame of the grid was due, and the next turn. Unset: no grid yet; nothing waits.
  Instant grid_{};
  std::optional<Instant> turn_;
  /// The last turn had sound.
  bool sounds_ = false;
  SeqNo sequence_{};
  std::uint32_t ssrcs_ = 0;
  /// Who presses a key, and when it was heard of last; whether the key is down.
  std::uint64_t presser_ = 0;
  Instant pressed_at_{};
  bool is_pressed_ = false;
  std::uint64_t left_out_ = 0;
};

/// A stage for one receiver. Throws std::bad_alloc.
[[nodiscard]] std::unique_ptr<OutputStage> make_stage();

}  // namespace ferry
