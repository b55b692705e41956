// SPDX-License-Identifier: Apache-2.0
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

namespace {

/// A tone that is found so soon behind an event packet is of the same press.
constexpr Duration kSamePress = std::chrono::milliseconds(500);

}  // namespace

class Transcoder::Outlet final : public MadePackets {
 public:
  Outlet(Transcoder& owner, Instant now, MadePackets& out) : owner_(owner), now_(now), out_(out) {}
  void take(const MadePacket& packet) noexcept override {
    owner_.line_.note(packet, now_);
    // Events are as long as their key is down, and noise as long as nobody speaks.
    if (packet.type == owner_.conversion_->type)
      owner_.line_.note_length(std::chrono::milliseconds(owner_.conversion_->ptime_ms));
    out_.take(packet);
  }

 private:
  Transcoder& owner_;
  Instant now_;
  MadePackets& out_;
};

/// Speech leaves behind the packets of the press before it.
class Transcoder::BehindEvents final : public MadePackets {
 public:
  BehindEvents(Transcoder& owner, MadePackets& out) : owner_(owner), out_(out) {}
  void take(const MadePacket& packet) noexcept override {
    owner_.events_.flush(owner_.speech_.encoder(), out_);
    out_.take(packet);
  }

 private:
  Transcoder& owner_;
  MadePackets& out_;
};

Transcoder::Transcoder() : law_(figures_, line_), speech_(figures_, line_) {}

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

void Transcoder::change_path(bool by_law) {
  by_law_ = by_law;
  if (by_law) {
    law_.configure(conversion_);
    law_.restart();
    return;
  }
  speech_.change_source();
  speech_.configure(conversion_);
  speech_.go_on_behind();
}

void Transcoder::take_on(const std::shared_ptr<const AudioConversion>& conversion) {
  if (conversion == conversion_) return;
  const auto former = std::exchange(conversion_, conversion);
  // Equal ones may be two objects.
  if (former && *former == *conversion) {
    if (by_law_) law_.configure(conversion);
    // A press may be going on: speech stays left out until it ends.
    if (!by_law_) speech_.adopt(conversion);
    return;
  }
  presses_ = {};
  events_ = {};
  found_at_ = {};
  disguise_.configure(*conversion);
  change_path(translates_only(*conversion));
}

void Transcoder::start_over() noexcept {
  ++figures_.no_encoder;
  conversion_ = nullptr;
  speech_.encoder().stop();
}

void Transcoder::hear_packet(const RtpView& rtp, Instant now, MadePackets& out) {
  const auto input = std::ranges::find(conversion_->inputs, rtp.payload_type, &AudioInput::type);
  if (input == conversion_->inputs.end()) {
    ++figures_.unknown_type;
    return;
  }
  if (by_law_ && !law_.takes(rtp, *input)) change_path(false);
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
    event_at_ = now;
    const std::uint32_t clock_hz = input->format.clock_rate_hz == 0 ? 8000 : input->format.clock_rate_hz;
    const Duration delay = disguise_.events_delay();
    if (delay == Duration{0} || !disguise_.delayed().keep(rtp, clock_hz, now + delay))
      hear_events(rtp, clock_hz, now, out);
  } else {
    speech_.add(rtp, *input, now);
  }
  run_speech(now, out);
}

void Transcoder::begin_press(std::uint8_t event, std::uint8_t volume, std::int64_t position) {
  ++figures_.digits;
  press_position_ = position;
  events_.begin(*conversion_->events, event, volume, position);
}

void Transcoder::end_press(Duration length, Instant now, MadePackets& out) {
  if (!events_.is_open()) return;
  events_.end(length, speech_.encoder(), now, out);
  speech_.resume(press_position_ + units_in(length, speech_.encoder().rate_hz()), now);
}

void Transcoder::hear_events(const RtpView& rtp, std::uint32_t clock_rate_hz, Instant now, MadePackets& out) {
  if (const auto news = presses_.hear(rtp, clock_rate_hz, now)) tell(*news, now, out);
}

void Transcoder::tell(const EventSource::News& news, Instant now, MadePackets& out) {
  if (disguise_.covers())
    tell_covered(news, now, out);
  else if (tells_events())
    tell_event(news, now, out);
  else
    tell_tone(news, now);
}

void Transcoder::tell_covered(EventSource::News news, Instant now, MadePackets& out) {
  // Flash and others are no digits, and nothing could take their place.
  if (news.event >= kDigits) return;
  if (news.begins) {
    disguise_.choose(news.event);
    // What was made of its tone, if that was found first, ends here.
    if (found_at_ != Instant{}) end_press(now - found_at_, now, out);
    found_at_ = {};
  }
  if (disguise_.is_digit() && tells_events()) {
    news.event = disguise_.digit();
    tell_event(news, now, out);
    return;
  }
  if (news.begins) {
    ++figures_.digits;
    speech_.begin_cover(disguise_.sound(news.volume, speech_.encoder().rate_hz()), now);
  }
  speech_.go_on_tone(news.length, news.ends);
}

void Transcoder::tell_event(const EventSource::News& news, Instant now, MadePackets& out) {
  if (news.ends_former) {
    // Nothing said how long it was: as long as it was heard of.
    end_press(events_.length(), now, out);
  }
  if (news.begins) {
    events_.flush(speech_.encoder(), out);
    // Its first packet says how long the key is down already.
    begin_press(news.event, news.volume, speech_.interrupt(now - news.length));
  }
  if (news.ends)
    end_press(news.length, now, out);
  else
    events_.go_on(news.length, speech_.encoder(), out);
}

void Transcoder::tell_tone(const EventSource::News& news, Instant now) {
  // Flash and others have no tone.
  if (news.event >= kDigits) return;
  if (news.begins) {
    ++figures_.digits;
    speech_.begin_tone(news.event, news.volume, now);
  }
  speech_.go_on_tone(news.length, news.ends);
}

void Transcoder::cover_tone(const SpeechPath::ToneNews& news, Instant now, MadePackets& out) {
  // Silence covers it already. The party tells the same press by events as well: that is enough.
  const bool is_told = event_at_ != Instant{} && now - event_at_ < kSamePress;
  if (news.change.begins && !is_told) {
    disguise_.choose(news.change.event);
    if (disguise_.is_digit() && tells_events()) {
      events_.flush(speech_.encoder(), out);
      begin_press(disguise_.digit(), news.change.volume, std::max(news.position, speech_.interrupt(now)));
      found_at_ = now - DigitDetector::kLatency;
      events_.go_on(DigitDetector::kLatency, speech_.encoder(), out);
      next_update_ = now + EventPackets::kInterval;
    } else {
      ++figures_.digits;
      speech_.cover(disguise_.sound(news.change.volume, speech_.encoder().rate_hz()), news.position);
    }
  } else if (!news.change.begins && found_at_ != Instant{}) {
    end_press(news.change.length, now, out);
    found_at_ = {};
  }
}

void Transcoder::follow_tones(Instant now, MadePackets& out) {
  while (const auto news = speech_.take_tone_news()) {
    if (disguise_.covers()) {
      cover_tone(*news, now, out);
    } else if (!tells_events()) {
      // Nothing can be told of it.
    } else if (news->change.begins) {
      events_.flush(speech_.encoder(), out);
      const std::int64_t from = std::max(news->position, speech_.interrupt(now));
      begin_press(news->change.event, news->change.volume, from);
      found_at_ = now - DigitDetector::kLatency;
      events_.go_on(DigitDetector::kLatency, speech_.encoder(), out);
      next_update_ = now + EventPackets::kInterval;
    } else if (found_at_ != Instant{}) {
      end_press(news->change.length, now, out);
      found_at_ = {};
    }
    speech_.run(now, out);
  }
  if (found_at_ == Instant{}) return;
  if (now - spoke_at_ > EventSource::kNoUpdate) {
    // Whoever pressed the key has fallen silent, with the key down.
    end_press(now - found_at_, now, out);
    found_at_ = {};
    return;
  }
  while (next_update_ <= now) {
    events_.go_on(next_update_ - found_at_, speech_.encoder(), out);
    next_update_ += EventPackets::kInterval;
  }
}

void Transcoder::run_speech(Instant now, MadePackets& out) {
  disguise_.delayed().release(now, [&](const RtpView& rtp, std::uint32_t clock_rate_hz) {
    hear_events(rtp, clock_rate_hz, now, out);
  });
  if (const auto news = presses_.expire(now)) tell(*news, now, out);
  BehindEvents behind(*this, out);
  speech_.run(now, behind);
  follow_tones(now, behind);
  events_.run(now, speech_.encoder(), out);
}

void Transcoder::hear(std::uint64_t from, const std::shared_ptr<const AudioConversion>& conversion,
                      const RtpView& rtp, Instant now, MadePackets& out) noexcept {
  if (!conversion) return;
  try {
    if (conversion->only_listens) {
      if (!listener_) listener_ = std::make_unique<DigitListener>();
      listener_->hear(conversion, rtp, now, out);
      return;
    }
    ++figures_.packets_in;
    if (!has_floor(from, now)) {
      ++figures_.other_speaks;
      return;
    }
    take_on(conversion);
    Outlet outlet(*this, now, out);
    hear_packet(rtp, now, outlet);
  } catch (const std::bad_alloc&) {
    start_over();
  }
}

std::optional<Instant> Transcoder::due() const noexcept {
  if (listener_) return listener_->due();
  if (!conversion_) return std::nullopt;
  if (by_law_) return law_.due();
  std::optional<Instant> first = speech_.due();
  const auto consider = [&](std::optional<Instant> other) {
    if (other && (!first || *other < *first)) first = other;
  };
  consider(presses_.due());
  consider(disguise_.delayed().due());
  consider(events_.due());
  if (found_at_ != Instant{}) consider(next_update_);
  return first;
}

void Transcoder::drive(Instant now, MadePackets& out) noexcept {
  if (!conversion_ && !listener_) return;
  try {
    if (listener_) return listener_->drive(now, out);
    Outlet outlet(*this, now, out);
    if (by_law_)
      law_.run(now, outlet);
    else
      run_speech(now, outlet);
  } catch (const std::bad_alloc&) {
    start_over();
  }
}

void Transcoder::on_feedback(const EncoderFeedback& feedback) noexcept {
  if (!by_law_) speech_.encoder().on_feedback(feedback);
}

}  // namespace ferry
