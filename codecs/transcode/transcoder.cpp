// The stage of transcoding.
//
// Two paths make packets. `LawPath` translates one law of G.711 into the other, and cannot do anything else.
// `SpeechPath` can do everything, at the cost of a decoder and an encoder. A conversion begins with the first
// if nothing of it needs the second, and goes over to the second with the first packet that does. Wherever
// the maker of packets changes, the timeline goes on by the time that has passed since the last one left.
#include "codecs/transcode/transcoder.hpp"

#include "codecs/transcode/sample_time.hpp"

#include <algorithm>
#include <new>

namespace ferry {

class Transcoder::Outlet final : public MadePackets {
 public:
  Outlet(Transcoder& owner, Instant now, MadePackets& out) : owner_(owner), now_(now), out_(out) {}
  void take(const MadePacket& packet) noexcept override {
    owner_.sent_at_ = now_;
    out_.take(packet);
  }

 private:
  Transcoder& owner_;
  Instant now_;
  MadePackets& out_;
};

Transcoder::Transcoder() : law_(figures_), speech_(figures_) {}

bool Transcoder::has_floor(std::uint64_t from, Instant now) noexcept {
  const bool is_first = spoke_at_ == Instant{};
  if (!is_first && from != speaker_) {
    if (now - spoke_at_ < kFloor) return false;
    speech_.change_source();
  }
  speaker_ = from;
  spoke_at_ = now;
  return true;
}

std::uint32_t Transcoder::elapsed(Instant now, std::uint32_t clock_hz) const noexcept {
  if (sent_at_ == Instant{}) return 0;
  const Duration least = std::chrono::milliseconds(conversion_ ? conversion_->ptime_ms : 20);
  return static_cast<std::uint32_t>(units_in(std::max<Duration>(now - sent_at_, least), clock_hz));
}

void Transcoder::change_path(bool by_law, Instant now) {
  by_law_ = by_law;
  if (by_law) {
    law_.configure(conversion_);
    law_.restart();
    law_.go_on_after(elapsed(now, conversion_->format.clock_rate_hz));
    return;
  }
  speech_.change_source();
  if (speech_.configure(conversion_)) speech_.go_on_after(elapsed(now, conversion_->format.clock_rate_hz));
}

void Transcoder::take_on(const std::shared_ptr<const AudioConversion>& conversion, Instant now) {
  if (conversion == conversion_) return;
  const auto former = std::exchange(conversion_, conversion);
  // Equal ones may be two objects.
  if (former && *former == *conversion) {
    if (by_law_) law_.configure(conversion);
    if (!by_law_) speech_.configure(conversion);
    return;
  }
  change_path(translates_only(*conversion), now);
}

void Transcoder::hear_packet(const RtpView& rtp, Instant now, MadePackets& out) {
  const auto input = std::ranges::find(conversion_->inputs, rtp.payload_type, &AudioInput::type);
  if (input == conversion_->inputs.end()) {
    ++figures_.unknown_type;
    return;
  }
  if (by_law_ && !law_.takes(rtp, *input)) change_path(false, now);
  if (by_law_) {
    law_.hear(rtp, *input, now, out);
    return;
  }
  if (!speech_.is_ready()) {
    ++figures_.no_encoder;
    return;
  }
  if (input->kind == AudioInput::Kind::kEvents) {
    speech_.add_other(rtp, now);
  } else {
    speech_.add(rtp, *input, now);
  }
  speech_.run(now, out);
}

void Transcoder::hear(std::uint64_t from, const std::shared_ptr<const AudioConversion>& conversion,
                      const RtpView& rtp, Instant now, MadePackets& out) noexcept {
  if (!conversion) return;
  try {
    ++figures_.packets_in;
    if (!has_floor(from, now)) {
      ++figures_.other_speaks;
      return;
    }
    take_on(conversion, now);
    Outlet outlet(*this, now, out);
    hear_packet(rtp, now, outlet);
  } catch (const std::bad_alloc&) {
    ++figures_.no_encoder;
  }
}

std::optional<Instant> Transcoder::due() const noexcept { return by_law_ ? law_.due() : speech_.due(); }

void Transcoder::drive(Instant now, MadePackets& out) noexcept {
  if (!conversion_) return;
  try {
    Outlet outlet(*this, now, out);
    if (by_law_)
      law_.run(now, outlet);
    else
      speech_.run(now, outlet);
  } catch (const std::bad_alloc&) {
    ++figures_.no_encoder;
  }
}

void Transcoder::on_feedback(const EncoderFeedback& feedback) noexcept {
  if (!by_law_) speech_.encoder().on_feedback(feedback);
}

std::unique_ptr<OutputStage> make_transcoder() { return std::make_unique<Transcoder>(); }

}  // namespace ferry
