// SPDX-License-Identifier: Apache-2.0
// How an output makes one stream of prompts, DTMF and media.
//
// Every packet gets its number at the moment when it leaves, from one `OutputTimeline`. The time stamp is
// that of its maker as long as the maker stays the same: the sender's own for media, `units` apart for a
// prompt or a stage. If another maker takes over, the stream goes on by the time that has passed, with the
// marker set.
//
// A source whose packets need other numbers and nothing else is passed on: the timeline gives the first of
// them its place, and the others follow by the same distance. So they may leave through the kernel, which the
// output does not see. Before it places anything else, `stop_passing` has to put the timeline behind them.
//
// Trap: a DTMF event has one time stamp for all its packets, that of its begin. What comes behind it is
// measured from there (`last_`), not from the event's last packet.
#include "relay/core/output/output.hpp"

#include "relay/base/memory.hpp"

#include <algorithm>
#include <utility>

namespace ferry {

using Maker = OutputPacket::Maker;

namespace {

/// The source that a prompt is for a stage. No media has this number.
constexpr std::uint64_t kPromptSource = UINT64_MAX - 1;

}  // namespace

class Output::FromStage final : public MadePackets {
 public:
  FromStage(Output& output, Instant now, OutputSender& sender)
      : output_(output), now_(now), sender_(sender) {}
  void take(const MadePacket& packet) noexcept override {
    if (!output_.timeline_) return;
    const bool goes_on = output_.last_maker_ == Maker::kStage && output_.last_ != Instant{};
    const std::uint32_t units = goes_on ? packet.units : output_.elapsed(now_, packet.clock_rate_hz);
    output_.clock_rate_hz_ = packet.clock_rate_hz;
    // What the stage has not heard, because something else left meanwhile, is no loss.
    const std::uint16_t lost = goes_on ? packet.lost : std::uint16_t{0};
    const TimelinePosition at = output_.timeline_->generate(units, packet.marker || !goes_on, lost);
    output_.note_own(Maker::kStage, now_);
    if (sender_.send({at, packet.type, Maker::kStage, packet.payload})) ++output_.media_out_;
  }
  void take_datagram(Bytes datagram) noexcept override {
    if (sender_.send_datagram(datagram)) ++output_.media_out_;
  }

 private:
  Output& output_;
  Instant now_;
  OutputSender& sender_;
};

void Output::begin(Ssrc ssrc, SeqNo sequence, std::uint32_t timestamp, bool needs_own_ssrc) {
  if (timeline_ && !(needs_own_ssrc && has_senders_ssrc_)) return;
  timeline_.emplace(ssrc, sequence, timestamp);
  has_senders_ssrc_ = is_senders_ = false;
  last_ = {};
}

void Output::take_over(Ssrc ssrc, SeqNo last_sequence, std::uint32_t last_timestamp, Instant last_at) {
  make_media();
  if (timeline_) return;
  timeline_ = OutputTimeline::behind(ssrc, last_sequence, last_timestamp);
  has_senders_ssrc_ = is_senders_ = true;
  last_ = last_at;
}

void Output::make_media() {
  if (!repacketizer_) repacketizer_ = std::make_unique<Repacketizer>();
}

bool Output::start_prompt(PromptOrder order, Instant now) {
  ++into_stage_.ssrc.value;
  return std::exchange(prompt_, std::make_unique<PromptPlayer>(std::move(order), now)) != nullptr;
}

bool Output::send_digit(DigitOrder order, Instant now) {
  if (!sends_digit() && digits_.empty() && digits_from_ <= now) {
    begin_digit(std::move(order), now);
    return true;
  }
  if (digits_.size() >= kMostDigits) return false;
  digits_.push_back(std::move(order));
  return true;
}

void Output::begin_digit(DigitOrder order, Instant now) noexcept {
  pause_ = order.pause;
  if (order.tone == nullptr) {
    digit_.emplace(order, now);
    return;
  }
  PromptOrder sound;
  sound.prompt = std::move(order.tone);
  sound.type = order.type;
  tone_ = make_unique_or_null<PromptPlayer>(std::move(sound), now);
}

void Output::set_stage(std::unique_ptr<OutputStage> stage, std::uint64_t serial) {
  // Without the stage the media goes on on the same timeline.
  make_media();
  stage_ = std::move(stage);
  stage_serial_ = serial;
}

std::uint32_t Output::elapsed(Instant now, std::uint32_t clock_rate_hz) const noexcept {
  if (last_ == Instant{}) return 0;
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(now - last_).count();
  return static_cast<std::uint32_t>(ms * clock_rate_hz / 1000);
}

void Output::note_own(Maker maker, Instant now) noexcept {
  last_ = now;
  last_maker_ = maker;
  is_senders_ = false;
}

DropReason Output::on_packet(const SourcePacket& packet, Instant now, OutputSender& sender) noexcept {
  if (hears_nobody()) return DropReason::kPromptPlaying;
  if (packet.conversion) return through_stage(packet, now, sender);
  if (mixes_prompt()) return DropReason::kPromptPlaying;
  if (is_interrupting(packet, now)) return DropReason::kOtherSpeaks;
  ++media_in_;
  take_up(packet, now, sender);
  const auto emit = [&](const Repacketizer::Made& made) { place(made, now, sender); };
  if (!repacketizer_->take(packet.rtp, packet.ptime_ms, emit)) return DropReason::kTooLate;
  speaker_ = packet.from;
  spoke_at_ = now;
  is_staged_ = false;
  return DropReason::kNone;
}

void Output::take_up(const SourcePacket& packet, Instant now, OutputSender& sender) noexcept {
  const RtpView& rtp = packet.rtp;
  const bool is_another = spoke_at_ != Instant{} && packet.from != speaker_;
  if (is_another) is_senders_ = false;
  if (packet.clock_rate_hz != 0) clock_rate_hz_ = packet.clock_rate_hz;
  if (!timeline_ || (is_senders_ && timeline_->ssrc() != rtp.ssrc)) {
    // The stream of a sender that has nothing of the relay's own in it begins anew with its sender.
    const auto emit = [&](const Repacketizer::Made& made) { place(made, now, sender); };
    repacketizer_->flush(emit);
    timeline_.emplace(rtp.ssrc, rtp.sequence, rtp.timestamp);
    has_senders_ssrc_ = is_senders_ = true;
  } else if (is_another || packet.restarts || repacketizer_->ssrc() != rtp.ssrc) {
    // The numbers of this packet have nothing to do with those of the one before.
    repacketizer_->restart();
    timeline_->change_input();
  } else if (last_maker_ != Maker::kMedia) {
    // What waits is from before the prompt.
    repacketizer_->discard();
  }
  last_maker_ = Maker::kMedia;
}

bool Output::keeps_floor(const SourcePacket& packet, Instant last, Instant now) noexcept {
  spoke_at_ = std::max(spoke_at_, last);
  if (!passing_ || !is_interrupting(packet, now)) return false;
  passing_->unsettle();
  return true;
}

Passage Output::pass(const SourcePacket& packet, Instant now, OutputSender& sender) noexcept {
  const RtpView& rtp = packet.rtp;
  if (is_interrupting(packet, now)) return {DropReason::kOtherSpeaks, {}, false};
  bool marker = false;
  if (!passing_) {
    take_up(packet, now, sender);
    const auto emit = [&](const Repacketizer::Made& made) { place(made, now, sender); };
    repacketizer_->flush(emit);
    repacketizer_->restart();
    const TimelinePosition at =
        timeline_->follow(rtp.ssrc, rtp.timestamp, rtp.marker, elapsed(now, clock_rate_hz_));
    last_ = now;
    marker = at.marker;
    const StreamShift shift{at.ssrc, static_cast<std::uint16_t>(at.sequence.value - rtp.sequence.value),
                            at.timestamp - rtp.timestamp};
    passing_.emplace(rtp.ssrc, rtp.sequence, shift, packet.most_behind);
    speaker_ = packet.from;
    is_staged_ = false;
  }
  if (packet.clock_rate_hz != 0) clock_rate_hz_ = packet.clock_rate_hz;
  if (!passing_->take(rtp.sequence)) return {DropReason::kTooLate, passing_->shift(), false};
  spoke_at_ = now;
  return {DropReason::kNone, passing_->shift(), marker};
}

void Output::stop_passing(Ssrc ssrc, SeqNo sequence, std::uint32_t timestamp, Instant at) noexcept {
  if (!passing_) return;
  // A stream of another SSRC is not this one: nothing of this one has left.
  if (ssrc == passing_->shift().ssrc) {
    timeline_ = OutputTimeline::behind(ssrc, sequence, timestamp);
    last_ = at;
  }
  spoke_at_ = std::max(spoke_at_, last_);
  passing_.reset();
}

DropReason Output::give_floor(std::uint64_t from, Instant now) noexcept {
  if (!stage_) return DropReason::kNotConverted;
  // The stage chooses among its sources. One that passes beside them keeps the floor while it speaks.
  const bool another_passes = spoke_at_ != Instant{} && !is_staged_ && from != speaker_;
  if (another_passes && now - spoke_at_ < kFloor) return DropReason::kOtherSpeaks;
  if (const DropReason refusal = stage_->refusal(); refusal != DropReason::kNone) return refusal;
  ++media_in_;
  speaker_ = from;
  spoke_at_ = now;
  is_staged_ = true;
  return DropReason::kNone;
}

DropReason Output::through_stage(const SourcePacket& packet, Instant now, OutputSender& sender) noexcept {
  if (const DropReason refusal = give_floor(packet.from, now); refusal != DropReason::kNone) return refusal;
  if (!timeline_) {
    timeline_.emplace(packet.rtp.ssrc, packet.rtp.sequence, packet.rtp.timestamp);
    has_senders_ssrc_ = true;
  }
  FromStage out(*this, now, sender);
  stage_->hear(packet.from, packet.conversion, packet.rtp, now, out);
  return DropReason::kNone;
}

DropReason Output::on_datagram(const SourceDatagram& packet, Instant now, OutputSender& sender) noexcept {
  if (hears_nobody()) return DropReason::kPromptPlaying;
  if (const DropReason refusal = give_floor(packet.from, now); refusal != DropReason::kNone) return refusal;
  begin(packet.begin.ssrc, packet.begin.sequence, packet.begin.timestamp);
  FromStage out(*this, now, sender);
  stage_->hear_datagram(packet.from, packet.conversion, packet.datagram, now, out);
  return DropReason::kNone;
}

DropReason Output::place_datagram(Bytes datagram, OutputSender& sender) noexcept {
  if (hears_nobody()) return DropReason::kPromptPlaying;
  if (sender.send_datagram(datagram)) ++media_out_;
  return DropReason::kNone;
}

DropReason Output::place_made(const MadePacket& packet, Instant now, OutputSender& sender) noexcept {
  if (hears_nobody()) return DropReason::kPromptPlaying;
  FromStage(*this, now, sender).take(packet);
  return DropReason::kNone;
}

void Output::place(const Repacketizer::Made& made, Instant now, OutputSender& sender) noexcept {
  const TimelinePosition at =
      timeline_->follow(made.ssrc, made.timestamp, made.marker, elapsed(now, clock_rate_hz_));
  last_ = now;
  last_maker_ = Maker::kMedia;
  if (sender.send({at, made.type, Maker::kMedia, made.payload})) ++media_out_;
}

void Output::keep_alive(PayloadType type, Bytes payload, std::uint32_t clock_rate_hz, bool is_noise,
                        Instant now, OutputSender& sender) noexcept {
  const TimelinePosition at = timeline_->generate(elapsed(now, clock_rate_hz), !is_noise);
  note_own(Maker::kSilence, now);
  sender.send({at, type, Maker::kSilence, payload});
}

std::optional<Instant> Output::due() const noexcept {
  // A prompt waits while a digit is sent, and a stage while either of them is heard.
  if (digit_) return digit_->due();
  if (tone_) return tone_->due();
  std::optional<Instant> first;
  if (prompt_) first = prompt_->due();
  if (stage_ && (!prompt_ || mixes_prompt())) {
    if (const auto made = stage_->due(); made && (!first || *made < *first)) first = made;
  }
  if (!digits_.empty() && (!first || digits_from_ < *first)) first = digits_from_;
  return first;
}

bool Output::drive(Instant now, bool can_send, OutputSender& sender) noexcept {
  bool has_ended = false;
  drive_digits(now, can_send, sender);
  while (!sends_digit() && prompt_ && prompt_->due() <= now) {
    const bool is_over = mixes_prompt() ? play_into_stage(now, can_send, sender)
                                        : play(*prompt_, Maker::kPrompt, now, can_send, sender);
    if (!is_over) continue;
    prompt_.reset();
    has_ended = true;
  }
  if (stage_ && !hears_nobody() && stage_->due() && *stage_->due() <= now) {
    FromStage out(*this, now, sender);
    stage_->drive(now, out);
  }
  return has_ended;
}

void Output::drive_digits(Instant now, bool can_send, OutputSender& sender) noexcept {
  while (true) {
    if (sends_digit()) {
      if ((digit_ ? digit_->due() : tone_->due()) > now) return;
      if (digit_)
        play_event(can_send, sender);
      else if (play(*tone_, Maker::kDigit, now, can_send, sender))
        tone_.reset();
      if (!sends_digit()) digits_from_ = now + pause_;
    } else if (!digits_.empty() && digits_from_ <= now) {
      begin_digit(std::move(digits_.front()), now);
      digits_.erase(digits_.begin());
    } else {
      return;
    }
  }
}

bool Output::play(PromptPlayer& player, Maker maker, Instant now, bool can_send,
                  OutputSender& sender) noexcept {
  const auto packet = player.take(now, can_send);
  if (!packet) return player.is_over();
  const bool begins = packet->begins || last_maker_ != maker;
  const std::uint32_t units = begins ? elapsed(now, player.timing().clock_rate_hz) : packet->units;
  const TimelinePosition at = timeline_->generate(units, begins || packet->ends_pause);
  note_own(maker, now);
  if (sender.send({at, player.order().type, maker, packet->payload}) && maker == Maker::kPrompt) ++played_;
  return false;
}

bool Output::play_into_stage(Instant now, bool can_send, OutputSender& sender) noexcept {
  const auto packet = prompt_->take(now, can_send);
  if (!packet) return prompt_->is_over();
  RtpView rtp;
  rtp.ssrc = into_stage_.ssrc;
  rtp.sequence = into_stage_.sequence;
  rtp.timestamp = into_stage_.timestamp += packet->units;
  rtp.marker = packet->begins || packet->ends_pause;
  rtp.payload_type = prompt_->order().type;
  rtp.payload = packet->payload;
  into_stage_.sequence.value = static_cast<std::uint16_t>(into_stage_.sequence.value + 1);
  if (stage_->refusal() != DropReason::kNone) return false;
  FromStage out(*this, now, sender);
  stage_->hear(kPromptSource, prompt_->order().conversion, rtp, now, out);
  ++played_;
  return false;
}

void Output::play_event(bool can_send, OutputSender& sender) noexcept {
  DigitPlayer& digit = *digit_;
  const bool is_first = digit.is_first();
  const TimelinePosition at =
      timeline_->generate(is_first ? elapsed(digit.begin(), clock_rate_hz_) : 0, is_first);
  if (is_first) note_own(Maker::kDigit, digit.begin());
  const auto payload = digit.next();
  if (can_send) sender.send({at, digit.type(), Maker::kDigit, payload});
  if (digit.is_over()) digit_.reset();
}

}  // namespace ferry
