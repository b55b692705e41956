// How an output makes one stream of prompts, DTMF and media.
//
// Every packet gets its number at the moment when it leaves, from one `OutputTimeline`. The time stamp is
// that of its maker as long as the maker stays the same: the sender's own for media, `units` apart for a
// prompt or a stage. If another maker takes over, the stream goes on by the time that has passed, with the
// marker set.
//
// Trap: a DTMF event has one time stamp for all its packets, that of its begin. What comes behind it is
// measured from there (`last_`), not from the event's last packet.
#include "relay/core/output/output.hpp"

#include <utility>

namespace ferry {

using Maker = OutputPacket::Maker;

namespace {

/// A prompt that is later than this goes on from now instead of sending all that it missed.
constexpr Duration kLatest = std::chrono::milliseconds(200);
constexpr std::uint32_t kFrameClock = 1000 * kFrameClockPerMs;

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
    const TimelinePosition at = output_.timeline_->generate(units, packet.marker || !goes_on, packet.lost);
    output_.note_own(Maker::kStage, now_);
    if (sender_.send({at, packet.type, Maker::kStage, packet.payload})) ++output_.media_out_;
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

bool Output::start_prompt(std::shared_ptr<const Prompt> prompt, std::int64_t rounds, Instant now) {
  auto player = std::make_unique<Player>();
  player->prompt = std::move(prompt);
  player->rounds = rounds;
  player->next = now;
  return std::exchange(prompt_, std::move(player)) != nullptr;
}

bool Output::send_digit(const DigitOrder& order, Instant now) {
  if (!digit_) {
    digit_.emplace(order, now);
    return true;
  }
  if (digits_.size() >= kMostDigits) return false;
  digits_.push_back(order);
  return true;
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
  const RtpView& rtp = packet.rtp;
  if (hears_nobody()) return DropReason::kPromptPlaying;
  if (packet.conversion) return through_stage(packet, now, sender);
  const bool is_first = spoke_at_ == Instant{};
  // One timeline has room for one source at a time.
  const bool is_another = !is_first && packet.from != speaker_;
  if (is_another && now - spoke_at_ < kFloor) return DropReason::kOtherSpeaks;
  if (is_another) is_senders_ = false;
  ++media_in_;
  if (packet.clock_rate_hz != 0) clock_rate_hz_ = packet.clock_rate_hz;
  const auto emit = [&](const Repacketizer::Made& made) { place(made, now, sender); };
  if (!timeline_ || (is_senders_ && timeline_->ssrc() != rtp.ssrc)) {
    // The stream of a sender that has nothing of the relay's own in it begins anew with its sender.
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
  if (!repacketizer_->take(rtp, packet.ptime_ms, emit)) return DropReason::kTooLate;
  speaker_ = packet.from;
  spoke_at_ = now;
  is_staged_ = false;
  return DropReason::kNone;
}

DropReason Output::through_stage(const SourcePacket& packet, Instant now, OutputSender& sender) noexcept {
  if (!stage_) return DropReason::kNotConverted;
  // The stage chooses among its sources. One that passes beside them keeps the floor while it speaks.
  const bool another_passes = spoke_at_ != Instant{} && !is_staged_ && packet.from != speaker_;
  if (another_passes && now - spoke_at_ < kFloor) return DropReason::kOtherSpeaks;
  if (const DropReason refusal = stage_->refusal(); refusal != DropReason::kNone) return refusal;
  if (!timeline_) {
    timeline_.emplace(packet.rtp.ssrc, packet.rtp.sequence, packet.rtp.timestamp);
    has_senders_ssrc_ = true;
  }
  ++media_in_;
  speaker_ = packet.from;
  spoke_at_ = now;
  is_staged_ = true;
  FromStage out(*this, now, sender);
  stage_->hear(packet.from, packet.conversion, packet.rtp, now, out);
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

std::optional<Instant> Output::due() const noexcept {
  // A prompt waits while a DTMF event is sent, and a stage while either of them is heard.
  if (digit_) return digit_->due();
  if (prompt_) return prompt_->next;
  return stage_ ? stage_->due() : std::nullopt;
}

bool Output::drive(Instant now, bool can_send, OutputSender& sender) noexcept {
  bool has_ended = false;
  while (digit_ && digit_->due() <= now) play_digit(now, can_send, sender);
  while (!digit_ && prompt_ && prompt_->next <= now && !has_ended) has_ended = play(now, can_send, sender);
  if (stage_ && !hears_nobody() && stage_->due() && *stage_->due() <= now) {
    FromStage out(*this, now, sender);
    stage_->drive(now, out);
  }
  return has_ended;
}

bool Output::play(Instant now, bool can_send, OutputSender& sender) noexcept {
  Player& player = *prompt_;
  const Prompt& prompt = *player.prompt;
  player.next = now - player.next > kLatest ? now + prompt.packet_time : player.next + prompt.packet_time;
  if (!can_send) return false;
  const TimelinePosition at =
      timeline_->generate(player.is_first ? elapsed(now, kFrameClock) : prompt.units, player.is_first);
  note_own(Maker::kPrompt, now);
  player.is_first = false;
  const Bytes payload = Bytes(prompt.payloads).subspan(player.position, prompt.packet_octets);
  if (sender.send({at, prompt.type, Maker::kPrompt, payload})) ++played_;
  player.position += prompt.packet_octets;
  if (player.position < prompt.payloads.size()) return false;
  player.position = 0;
  if (player.rounds == Prompt::kForEver || --player.rounds > 0) return false;
  prompt_.reset();
  return true;
}

void Output::play_digit(Instant now, bool can_send, OutputSender& sender) noexcept {
  DigitPlayer& digit = *digit_;
  const bool is_first = digit.is_first();
  const TimelinePosition at =
      timeline_->generate(is_first ? elapsed(digit.begin(), clock_rate_hz_) : 0, is_first);
  if (is_first) note_own(Maker::kDigit, digit.begin());
  const auto payload = digit.next();
  if (can_send) sender.send({at, digit.type(), Maker::kDigit, payload});
  if (!digit.is_over()) return;
  digit_.reset();
  if (digits_.empty()) return;
  digit_.emplace(digits_.front(), now);
  digits_.erase(digits_.begin());
}

}  // namespace ferry
