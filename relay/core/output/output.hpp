// SPDX-License-Identifier: Apache-2.0
// What one receiver hears, where the relay makes it: prompts, DTMF, streams with another packet time.
#pragma once

#include "relay/core/forward/drop_reason.hpp"
#include "relay/core/output/digit.hpp"
#include "relay/core/output/passing.hpp"
#include "relay/core/output/prompt_player.hpp"
#include "relay/core/output/repacketizer.hpp"
#include "relay/core/output/stage.hpp"
#include "relay/core/output/timeline.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace ferry {

/// A packet that an output sends.
struct OutputPacket {
  /// What made it, for statistics.
  enum class Maker : std::uint8_t { kMedia, kPrompt, kDigit, kStage, kSilence };
  TimelinePosition at;
  PayloadType type;
  Maker maker = Maker::kMedia;
  /// Borrowed for the call.
  Bytes payload;
};

/// A packet that a source of this receiver has sent.
struct SourcePacket {
  /// Tells the sources of the receiver apart.
  std::uint64_t from = 0;
  /// Borrowed for the call, as the next one.
  const RtpView& rtp;
  /// How the receiver's stage makes its audio; null: it has none.
  const std::shared_ptr<const AudioConversion>& conversion;
  /// Packet time that the receiver is to get, in ms; 0 = as the packets come.
  unsigned ptime_ms = 0;
  /// Clock of its payload type in Hz; 0 = unknown.
  std::uint32_t clock_rate_hz = 0;
  /// Its sender began its sequence anew with it (SSR-4).
  bool restarts = false;
  /// How far behind its stream's newest packet a packet may come and still pass, in packets.
  int most_behind = PassedStream::kMostBehind;
};

/// A datagram of a source whose section is no RTP (UDPTL). Its receiver's stage makes sound of it.
struct SourceDatagram {
  /// As in `SourcePacket`.
  std::uint64_t from = 0;
  /// Borrowed for the call, as the next one.
  Bytes datagram;
  /// Not null.
  const std::shared_ptr<const AudioConversion>& conversion;
  /// Where the relay's stream begins if nothing has left for the receiver so far.
  struct Begin {
    Ssrc ssrc;
    SeqNo sequence;
    std::uint32_t timestamp = 0;
  };
  Begin begin;
};

/// Sends what an output makes, in order. Not called for packets that leave as they came.
class OutputSender {
 public:
  /// False if the packet could not be sent; its place on the timeline stays empty.
  virtual bool send(const OutputPacket& packet) noexcept = 0;
  /// Sends a datagram of another protocol as it is (UDPTL); borrowed for the call. False if it could not be
  /// sent.
  virtual bool send_datagram(Bytes datagram) noexcept = 0;

 protected:
  ~OutputSender() = default;
};

/// Makes what one receiver hears of its sources, on one timeline (SSR-2). The receiving transport owns it; it
/// has none as long as all its packets leave as they came. Sans-IO; one worker uses it, without locks. Only
/// the orders of control allocate, packets do not.
///
/// While a prompt or DTMF plays, the receiver hears nobody else, unless the prompt goes into the stage, as
/// one source of several (`PromptOrder::conversion`). Otherwise a stage makes the audio of sources with a
/// conversion, and the repacketizer that of the others; without either, packets leave as they came. A source
/// without a conversion and those of the stage take turns: one of them has the floor. A prompt over packets
/// that leave as they came is a stream of its own beside theirs. Everything else is one stream. It begins
/// with the numbers of the sender whose packet is the first. It keeps its SSRC from the moment when the relay
/// puts something of its own into it.
///
/// A source that needs nothing but other numbers is passed on (`pass`): its packets leave as they came, by a
/// constant shift of their numbers, and the output does not see what leaves. Before anything else is put into
/// the stream, `stop_passing` tells it how far the stream has come.
class Output {
 public:
  /// A source that has sent nothing for so long gives way to another one.
  static constexpr Duration kFloor = std::chrono::milliseconds(200);
  /// Most DTMF events that wait.
  static constexpr std::size_t kMostDigits = 32;

  /// True if media leaves as it came: the buffer itself may go on, and the kernel may forward it.
  [[nodiscard]] bool is_plain() const noexcept { return !hears_nobody() && !makes_media(); }
  /// True if the relay makes the stream of this receiver from what its sources send.
  [[nodiscard]] bool makes_media() const noexcept { return repacketizer_ || stage_; }
  /// True while a prompt plays.
  [[nodiscard]] bool plays_prompt() const noexcept { return prompt_ != nullptr; }
  /// True while a prompt plays whose end is an event.
  [[nodiscard]] bool tells_prompt_end() const noexcept { return prompt_ && !prompt_->order().progress; }
  /// True while the receiver hears nobody but the relay.
  [[nodiscard]] bool hears_nobody() const noexcept { return (prompt_ && !mixes_prompt()) || digit_ || tone_; }

  /// Gives the relay's own stream its first numbers, unless it has begun already. `needs_own_ssrc`: the
  /// receiver has the key of a sender, so that the relay may not send under that sender's SSRC (RFC 3711
  /// §9.1); a stream that has it ends, and another one begins.
  void begin(Ssrc ssrc, SeqNo sequence, std::uint32_t timestamp, bool needs_own_ssrc = false);
  /// From now on the relay makes the media of this receiver, whose stream has left as it came until now. The
  /// arguments are those of its last packet and when that left. Call it before a digit or a stage over a
  /// stream that is under way. Throws std::bad_alloc.
  void take_over(Ssrc ssrc, SeqNo last_sequence, std::uint32_t last_timestamp, Instant last_at);
  /// From now on media is remade with another packet time, or renumbered. Throws std::bad_alloc.
  void make_media();
  /// Begins a prompt in place of one that plays; true if one played. `take_over` or `begin` was called.
  /// Throws std::bad_alloc.
  bool start_prompt(PromptOrder order, Instant now);
  /// Ends the prompt; false if none played.
  bool stop_prompt() noexcept { return std::exchange(prompt_, nullptr) != nullptr; }
  /// Sends a DTMF digit, behind those that wait. False if too many wait. `take_over` or `begin` was called.
  /// Throws std::bad_alloc.
  bool send_digit(DigitOrder order, Instant now);
  /// Lets `stage` make the media of sources with a conversion, in place of one that did. `serial` is that of
  /// its owner. Null: there is no such source any more, and packets leave as their sources send them,
  /// renumbered. Throws std::bad_alloc.
  void set_stage(std::unique_ptr<OutputStage> stage, std::uint64_t serial = 0);
  /// Takes the stage away, as `set_stage` with null does.
  void end_stage() noexcept { stage_.reset(); }
  /// True if it has a stage.
  [[nodiscard]] bool has_stage() const noexcept { return stage_ != nullptr; }
  /// True if it has the stage with this serial.
  [[nodiscard]] bool has_stage(std::uint64_t serial) const noexcept {
    return stage_ != nullptr && stage_serial_ == serial;
  }
  /// True if the stage has heard `from` last.
  [[nodiscard]] bool is_heard_by_stage(std::uint64_t from) const noexcept {
    return stage_ != nullptr && is_staged_ && speaker_ == from;
  }

  /// Sends one packet of silence, because nothing has left for a while. Comfort noise has no marker (RFC 3389
  /// §4), and the media behind it has. `take_over` or `begin` was called.
  void keep_alive(PayloadType type, Bytes payload, std::uint32_t clock_rate_hz, bool is_noise, Instant now,
                  OutputSender& sender) noexcept;
  /// True if the last packet was one of silence.
  [[nodiscard]] bool keeps_alive() const noexcept { return last_maker_ == OutputPacket::Maker::kSilence; }

  /// Takes an RTP packet of a source. Call it only if `makes_media` or `hears_nobody`. Returns kNone, or why
  /// the receiver does not hear it.
  [[nodiscard]] DropReason on_packet(const SourcePacket& packet, Instant now, OutputSender& sender) noexcept;
  /// Lets the stage hear a datagram. Returns as `on_packet` does.
  [[nodiscard]] DropReason on_datagram(const SourceDatagram& packet, Instant now,
                                       OutputSender& sender) noexcept;
  /// True if `packet` needs no more than other numbers. Call it only if `makes_media`.
  [[nodiscard]] bool can_pass(const SourcePacket& packet) const noexcept {
    return !stage_ && !hears_nobody() && packet.conversion == nullptr && packet.ptime_ms == 0;
  }
  /// True while packets of a source are passed on.
  [[nodiscard]] bool is_passing() const noexcept { return passing_.has_value(); }
  /// True if `packet` goes on with what is passed on. If not, and something is passed on, call `stop_passing`
  /// before `pass`, unless the packet is another source's that has no floor (`keeps_floor`).
  [[nodiscard]] bool goes_on_passing(const SourcePacket& packet) const noexcept {
    return passing_ && packet.from == speaker_ && packet.rtp.ssrc == passing_->input() && !packet.restarts;
  }
  /// Another source has sent at `now` while one is passed on, whose last packet left at `last`. True if that
  /// one is still heard, so that the other one is refused.
  [[nodiscard]] bool keeps_floor(const SourcePacket& packet, Instant last, Instant now) noexcept;
  /// Passes on a packet that it `can_pass`. What waits to be joined with it leaves first.
  [[nodiscard]] Passage pass(const SourcePacket& packet, Instant now, OutputSender& sender) noexcept;
  /// The packets that were passed on ended with these numbers, at `at`: what follows is placed behind them.
  void stop_passing(Ssrc ssrc, SeqNo sequence, std::uint32_t timestamp, Instant at) noexcept;
  /// The numbers by which any further packet of the stream `ssrc` of the source `from` leaves. Null if they
  /// are not known beforehand.
  [[nodiscard]] const StreamShift* settled_shift(std::uint64_t from, Ssrc ssrc) const noexcept {
    const bool is_known =
        passing_ && passing_->is_settled() && from == speaker_ && !stage_ && !hears_nobody();
    return is_known && passing_->input() == ssrc ? &passing_->shift() : nullptr;
  }
  /// Sends a packet that the stage has made somewhere else. Returns kNone, or why the receiver does not hear
  /// it.
  [[nodiscard]] DropReason place_made(const MadePacket& packet, Instant now, OutputSender& sender) noexcept;
  /// The same for a datagram.
  [[nodiscard]] DropReason place_datagram(Bytes datagram, OutputSender& sender) noexcept;
  /// When `drive` has something to send; nothing = never.
  [[nodiscard]] std::optional<Instant> due() const noexcept;
  /// Sends what is due. `can_send`: the receiver has an address; without it a prompt waits, and DTMF is not
  /// heard. True if the prompt has ended by it.
  bool drive(Instant now, bool can_send, OutputSender& sender) noexcept;

  /// True if its stream has the SSRC of a sender. Nothing of the relay's own may leave in it under that
  /// sender's key (RFC 3711 §9.1).
  [[nodiscard]] bool has_senders_ssrc() const noexcept { return has_senders_ssrc_; }
  /// Packets of prompts that were sent.
  [[nodiscard]] std::uint64_t played() const noexcept { return played_; }
  /// Packets of sources that were remade, and the packets that were made of them.
  [[nodiscard]] std::uint64_t media_in() const noexcept { return media_in_; }
  [[nodiscard]] std::uint64_t media_out() const noexcept { return media_out_; }

 private:
  /// Places on the timeline what a stage makes.
  class FromStage;

  /// Sends the packet of a prompt, or of a digit as sound, that is due. True if it has ended.
  bool play(PromptPlayer& player, OutputPacket::Maker maker, Instant now, bool can_send,
            OutputSender& sender) noexcept;
  /// True if the prompt is heard beside others.
  [[nodiscard]] bool mixes_prompt() const noexcept {
    return prompt_ && prompt_->order().conversion && stage_;
  }
  /// Lets the stage hear the packet of the prompt that is due. True if the prompt has ended.
  bool play_into_stage(Instant now, bool can_send, OutputSender& sender) noexcept;
  /// Sends the packet of the DTMF event that is due.
  void play_event(bool can_send, OutputSender& sender) noexcept;
  /// Sends what is due of digits.
  void drive_digits(Instant now, bool can_send, OutputSender& sender) noexcept;
  /// Begins a digit. If there is no memory for its sound, it is left out.
  void begin_digit(DigitOrder order, Instant now) noexcept;
  /// True while a digit is sent.
  [[nodiscard]] bool sends_digit() const noexcept { return digit_ || tone_; }
  /// Why the stage does not hear `from` now; kNone: it does, and `from` has the floor from now on.
  [[nodiscard]] DropReason give_floor(std::uint64_t from, Instant now) noexcept;
  /// Lets the stage hear a packet of a source with a conversion. Returns as `on_packet` does.
  [[nodiscard]] DropReason through_stage(const SourcePacket& packet, Instant now,
                                         OutputSender& sender) noexcept;
  /// True if the packet is of another source than the one that has the floor at `now`.
  [[nodiscard]] bool is_interrupting(const SourcePacket& packet, Instant now) const noexcept {
    return spoke_at_ != Instant{} && packet.from != speaker_ && now - spoke_at_ < kFloor;
  }
  /// Readies timeline and repacketizer for a packet of a source that has the floor.
  void take_up(const SourcePacket& packet, Instant now, OutputSender& sender) noexcept;
  /// Puts a packet of the repacketizer on the timeline and sends it.
  void place(const Repacketizer::Made& made, Instant now, OutputSender& sender) noexcept;
  /// Clock units since the last packet left; 0 if none did.
  [[nodiscard]] std::uint32_t elapsed(Instant now, std::uint32_t clock_rate_hz) const noexcept;
  /// Notes a packet of the relay's own at `now`: the stream keeps its SSRC from now on.
  void note_own(OutputPacket::Maker maker, Instant now) noexcept;

  std::optional<OutputTimeline> timeline_;
  /// When the last packet left; of a DTMF event, its first one. Unset: none did.
  Instant last_{};
  /// What made the last packet.
  OutputPacket::Maker last_maker_ = OutputPacket::Maker::kMedia;
  /// True as long as nothing but packets of one source is on the timeline, which then has that sender's SSRC.
  bool is_senders_ = false;
  /// True if the timeline has the SSRC of a sender, whoever is on it since.
  bool has_senders_ssrc_ = false;
  /// The source that is heard now, and when it sent last. Unset time: nobody was heard yet.
  std::uint64_t speaker_ = 0;
  Instant spoke_at_{};
  /// True if the stage hears that source.
  bool is_staged_ = false;
  /// Clock rate of the media that was placed last, in Hz.
  std::uint32_t clock_rate_hz_ = 8000;
  /// The source that is passed on: `timeline_` and `last_` stand still meanwhile. Nothing: none is.
  std::optional<PassedStream> passing_;
  /// Null: no prompt plays.
  std::unique_ptr<PromptPlayer> prompt_;
  /// The stream of prompts that the stage hears. Each prompt has an SSRC of its own.
  TimelinePosition into_stage_;
  /// Made with the first packet that needs it. It stays, so that sequence numbers go on.
  std::unique_ptr<Repacketizer> repacketizer_;
  /// Null: no source has a conversion.
  std::unique_ptr<OutputStage> stage_;
  /// Serial of the stage; of no meaning without one.
  std::uint64_t stage_serial_ = 0;
  /// The DTMF digit that is sent now: an event, or sound. Nothing and null: none.
  std::optional<DigitPlayer> digit_;
  std::unique_ptr<PromptPlayer> tone_;
  /// The pause behind the digit that is sent now; no digit begins before `digits_from_`.
  Duration pause_{0};
  Instant digits_from_{};
  /// The digits that wait.
  std::vector<DigitOrder> digits_;
  std::uint64_t played_ = 0;
  std::uint64_t media_in_ = 0;
  std::uint64_t media_out_ = 0;
};

}  // namespace ferry
