// SPDX-License-Identifier: Apache-2.0
// Makes what one receiver hears of what its sources send in other codecs.
#pragma once

#include "codecs/transcode/digit_disguise.hpp"
#include "codecs/transcode/digit_listener.hpp"
#include "codecs/transcode/event_packets.hpp"
#include "codecs/transcode/event_source.hpp"
#include "codecs/transcode/figures.hpp"
#include "codecs/transcode/law_path.hpp"
#include "codecs/transcode/line_clock.hpp"
#include "codecs/transcode/speech_path.hpp"
#include "relay/core/output/stage.hpp"

#include <cstdint>
#include <memory>
#include <optional>

namespace ferry {

/// The stage of transcoding: packets of sources with their `AudioConversion` become packets of the receiver's
/// codec, on one timeline. Codecs are made when sound flows. Sans-IO: time comes from the caller. One thread
/// uses it; the first packets allocate, later ones do not.
///
/// Several sources: who speaks has the floor, and the others are not heard until it has been silent for
/// `kFloor`. `MixingStage` hears them at a time.
class Transcoder final : public OutputStage {
 public:
  /// A source that has sent nothing for so long gives way to another one.
  static constexpr Duration kFloor = std::chrono::milliseconds(200);

  Transcoder();

  void hear(std::uint64_t from, const std::shared_ptr<const AudioConversion>& conversion, const RtpView& rtp,
            Instant now, MadePackets& out) noexcept override;
  [[nodiscard]] std::optional<Instant> due() const noexcept override;
  void drive(Instant now, MadePackets& out) noexcept override;

  /// The next packet may be of any source: nobody has to be silent before.
  void yield_floor() noexcept { spoke_at_ = {}; }
  /// What is heard of the receiver: what its payloads ask for (CMR) and what its RTCP says.
  void on_feedback(const EncoderFeedback& feedback) noexcept;
  /// The mode that the source which is heard asks for in its payloads (RFC 4867 §4.3.1). It is for the stage
  /// whose receiver is that source.
  [[nodiscard]] std::optional<std::uint8_t> requested_mode() const noexcept {
    return speech_.source().requested_mode();
  }
  [[nodiscard]] const TranscodeFigures& figures() const noexcept { return figures_; }

 private:
  /// Passes packets on and remembers when the last one left.
  class Outlet;
  class BehindEvents;
  /// True if this source may be heard now.
  [[nodiscard]] bool has_floor(std::uint64_t from, Instant now) noexcept;
  /// Takes on what signalling has changed.
  void take_on(const std::shared_ptr<const AudioConversion>& conversion);
  /// Memory has run out half-way: the next packet makes everything anew.
  void start_over() noexcept;
  /// The receiver gets digits as events.
  [[nodiscard]] bool tells_events() const noexcept {
    return conversion_->events && EventPackets::can_tell(*conversion_->events);
  }
  /// Lets another path make the packets from now on.
  void change_path(bool by_law);
  void hear_packet(const RtpView& rtp, Instant now, MadePackets& out);
  /// Lets the receiver hear what became of a press of the source: as an event or as a tone.
  void tell(const EventSource::News& news, Instant now, MadePackets& out);
  void begin_press(std::uint8_t event, std::uint8_t volume, std::int64_t position);
  void end_press(Duration length, Instant now, MadePackets& out);
  /// Tones in the source's speech become events.
  void follow_tones(Instant now, MadePackets& out);
  /// Takes a packet of events whose time has come.
  void hear_events(const RtpView& rtp, std::uint32_t clock_rate_hz, Instant now, MadePackets& out);
  /// As `tell`, for a digit of a guarded source.
  void tell_covered(EventSource::News news, Instant now, MadePackets& out);
  /// As `follow_tones` does with each, for tones of a guarded source.
  void cover_tone(const SpeechPath::ToneNews& news, Instant now, MadePackets& out);
  /// The receiver gets a press, whether as an event or as a tone.
  void tell_event(const EventSource::News& news, Instant now, MadePackets& out);
  void tell_tone(const EventSource::News& news, Instant now);
  /// Everything of `speech_` that is due.
  void run_speech(Instant now, MadePackets& out);

  TranscodeFigures figures_;
  LineClock line_;
  /// Null before the first packet, and after memory has run out.
  std::shared_ptr<const AudioConversion> conversion_;
  LawPath law_;
  SpeechPath speech_;
  EventSource presses_;
  DigitDisguise disguise_;
  /// When the source's newest event packet was heard: tones of the same press are no press of their own.
  Instant event_at_{};
  /// Null unless a conversion `only_listens`.
  std::unique_ptr<DigitListener> listener_;
  EventPackets events_;
  /// Position of the press that is sent; when its tone was found in the speech, if it was: then it is
  /// measured by the clock on the wall.
  std::int64_t press_position_ = 0;
  Instant found_at_{};
  Instant next_update_{};
  /// True: `law_` makes the packets; else `speech_` does.
  bool by_law_ = false;
  std::uint64_t speaker_ = 0;
  /// When it sent last. Unset: nobody was heard yet.
  Instant spoke_at_{};
};

}  // namespace ferry
