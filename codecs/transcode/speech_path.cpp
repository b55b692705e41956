// SPDX-License-Identifier: Apache-2.0
// Speech from packets to packets.
//
// Time has one axis: positions, in samples of the receiver's codec. `grid_` says when position 0 leaves, so
// the packet that begins at `next_` leaves at grid_ + next_. A timestamp of the source has a position by the
// map (`map_position_`, `map_timestamp_`).
//
// `run` makes each packet when its time has come and its samples are there. If a packet of the source is
// missing then, it waits a little longer (`patience_`), and then makes up what is missing: first by the
// codec, then as noise; after 200 ms nothing leaves, and time goes on. Behind such a pause `place` finds the
// position by the clock on the wall.
//
// Three things move the map and the grid:
// - Samples that were made up while nothing was there, although nothing was lost: the late packet follows
//   behind them, so its map moves, and the delay has grown.
// - `steer` moves the grid by up to a millisecond a packet, so that the delay becomes the target.
// - In a pause of the sender the map is placed anew at no cost.
//
// Trap: `hold` is the part of the delay that packet lengths alone make: 40 ms cannot leave before the second
// 20 ms have come. It is no jitter and does not count as delay.
#include "codecs/transcode/speech_path.hpp"

#include "codecs/transcode/sample_time.hpp"
#include "codecs/transcode/stretch.hpp"
#include "relay/base/text.hpp"

#include <algorithm>
#include <cstdlib>
#include <numeric>

namespace ferry {

namespace {

using std::chrono::milliseconds;

/// Made-up sound fades into noise after the first time and ends after the second one.
constexpr Duration kConceal = milliseconds(60);
constexpr Duration kFade = milliseconds(200);
/// Noise of a pause ends when nothing has come for so long.
constexpr Duration kLongestPause = std::chrono::seconds(60);
/// A packet that is later than this is not made any more; time goes on without it.
constexpr Duration kStall = milliseconds(200);
/// A press that is said to be over has lasted at most so much longer than the clock on the wall shows: its
/// first packet came late, and its last one did not.
constexpr Duration kMostAhead = milliseconds(100);
/// A timestamp that lies so far beyond its time has jumped.
constexpr Duration kJump = milliseconds(150);
/// Share of the packets that the delay is made for.
constexpr double kInTime = 0.97;
/// Packets after which the delay of the network is known.
constexpr std::uint64_t kKnown = 50;
constexpr unsigned kSlackWindow = 16;
/// Time by which speech is held back so that a tone is found before it leaves, ms.
constexpr unsigned kToFind = 60;

/// True if the receiver's encoder may go on.
bool is_for_same_receiver(const AudioConversion& a, const AudioConversion& b) {
  return a.type == b.type && a.format == b.format && a.ptime_ms == b.ptime_ms && a.settings == b.settings &&
         a.comfort_noise == b.comfort_noise;
}

}  // namespace

bool SpeechPath::configure(const std::shared_ptr<const AudioConversion>& conversion) {
  std::uint32_t highest = 8000;
  for (const AudioInput& each : conversion->inputs) {
    if (each.kind != AudioInput::Kind::kSpeech) continue;
    const bool is_wide = equal_ignoring_case(each.format.encoding, "G722");
    highest = std::max(highest, is_wide ? 16'000 : each.format.clock_rate_hz);
  }
  const auto former = std::exchange(conversion_, conversion);
  is_muted_ = false;
  tone_.reset();
  tone_news_.clear();
  cover_ends_ = false;
  if (!former || !encoder_.is_ready() || !is_for_same_receiver(*former, *conversion)) {
    stop();
    has_begun_ = false;
    next_ = 0;
    if (!encoder_.configure(*conversion, highest)) return false;
    rate_hz_ = encoder_.rate_hz();
    packet_ = encoder_.packet_samples();
  }
  source_.configure(conversion, rate_hz_);
  if (!hears_tones()) listener_.reset();
  cover_.reset();
  choose_delay();
  return true;
}

void SpeechPath::adopt(const std::shared_ptr<const AudioConversion>& conversion) {
  conversion_ = conversion;
  source_.configure(conversion, rate_hz_);
}

void SpeechPath::change_source() noexcept {
  map_clock_hz_ = 0;
  listener_.reset();
  cover_.reset();
}

Instant SpeechPath::leave(std::int64_t position) const noexcept {
  return grid_ + time_of(position, rate_hz_);
}

std::int64_t SpeechPath::samples_in(Duration time) const noexcept { return units_in(time, rate_hz_); }

std::int64_t SpeechPath::hold(std::int64_t position, std::size_t length) const noexcept {
  const std::size_t step = std::gcd(packet_, length);
  const auto phase = static_cast<std::size_t>(position - next_) % step;
  return static_cast<std::int64_t>(packet_ - step + phase + look_ahead());
}

void SpeechPath::choose_delay() noexcept {
  const Duration packet = time_of(static_cast<std::int64_t>(packet_), rate_hz_);
  const Duration most = milliseconds(conversion_->most_delay_ms);
  const DelayMeter& delays = source_.delays();
  target_ = delays.quantile(kInTime);
  const Duration worst = delays.quantile(0.999);
  patience_ = std::max<Duration>(worst - target_ + milliseconds(1), milliseconds(2));
  if (delays.noted() < kKnown) patience_ = packet;
  // The packet behind a lost one must be there before the lost one is due.
  if (source_.can_recover())
    target_ = std::max(target_, time_of(static_cast<std::int64_t>(length_), rate_hz_));
  patience_ = std::min(patience_, packet / 2);
  if (source_.loses() && delays.noted() >= kKnown) {
    // What is made up then leaves as regularly as the rest.
    target_ += patience_;
    patience_ = Duration{0};
  }
  target_ = std::min(target_, most);
  if (most == Duration{0}) patience_ = milliseconds(1);
  figures_.delay = target_;
}

void SpeechPath::stop() noexcept {
  is_playing_ = false;
  next_ = end();
  samples_.clear();
  encoder_.mark();
}

void SpeechPath::place(Instant now, Instant least, std::size_t length) {
  const std::size_t step = std::gcd(packet_, length);
  const Instant due = std::max(now, least + target_) +
                      time_of(static_cast<std::int64_t>(packet_ - step + look_ahead()), rate_hz_);
  if (!has_begun_) {
    // What others have left the timeline ahead is given back, a pitch period at a time.
    const Duration packet = time_of(static_cast<std::int64_t>(packet_), rate_hz_);
    line_ = due - time_of(next_, rate_hz_) + std::min(line_clock_.ahead(due), packet);
    grid_ = line_;
  }
  has_begun_ = true;
  // Whole milliseconds, so that positions fit every clock.
  const std::int64_t fine = std::max<std::int64_t>(rate_hz_ / 1000, 1);
  const std::int64_t wanted = (samples_in(due - line_) + fine / 2) / fine * fine;
  if (wanted > next_ + static_cast<std::int64_t>(packet_)) encoder_.mark();
  next_ = std::max(next_, wanted);
  speech_end_ = next_;
  grid_ = due - time_of(next_, rate_hz_);
  made_up_ = 0;
  slack_ = slack_before_ = Duration::max();
  edit_ = 0;
  extra_ = Duration{0};
  is_playing_ = true;
}

bool SpeechPath::start(Instant now) {
  while (source_.front() != nullptr) {
    if (!source_.front_is_audio()) {
      (void)source_.decode();
      continue;
    }
    (void)source_.take_restart();
    const bool is_noise = source_.front_is_noise();
    const std::int64_t timestamp = source_.front()->timestamp;
    const std::uint32_t clock_hz = source_.front_clock_hz();
    const Instant least = source_.front_least();
    const std::span<const std::int16_t> samples = source_.decode();
    if (samples.empty() && !(is_noise && source_.is_pausing())) continue;
    length_ = samples.empty() ? packet_ : samples.size();
    place(now, least, length_);
    map_position_ = next_;
    map_timestamp_ = timestamp;
    map_clock_hz_ = clock_hz;
    listen();
    append(samples);
    if (!source_.is_pausing()) speech_end_ = end();
    return true;
  }
  return false;
}

void SpeechPath::append(std::span<const std::int16_t> samples) {
  const std::size_t before = samples_.size();
  samples_.insert(samples_.end(), samples.begin(), samples.end());
  if (cover_) cover_->fill(std::span(samples_).subspan(before), false);
  if (std::exchange(cover_ends_, false)) cover_.reset();
}

std::int64_t SpeechPath::front_position() const noexcept {
  return map_position_ + scaled_units(source_.front()->timestamp - map_timestamp_, map_clock_hz_, rate_hz_);
}

void SpeechPath::rebase() noexcept {
  map_position_ = end();
  map_timestamp_ = source_.front()->timestamp;
  map_clock_hz_ = source_.front_clock_hz();
}

void SpeechPath::absorb(std::int64_t excess) noexcept {
  // Noise of a pause that has not left yet gives way.
  const std::int64_t noise = std::min(excess, end() - std::max(speech_end_, next_));
  if (noise > 0) samples_.resize(samples_.size() - static_cast<std::size_t>(noise));
  map_position_ += excess - std::max<std::int64_t>(noise, 0);
}

void SpeechPath::place_front_anew() noexcept {
  const Instant least = source_.front_least();
  const std::int64_t wanted = samples_in(least + target_ - grid_) + hold(next_, length_);
  map_position_ += std::max(wanted, std::max(speech_end_, next_)) - front_position();
}

bool SpeechPath::make_up(std::int64_t most, bool is_before_front) {
  const std::int64_t usual = length_ == 0 ? rate_hz_ / 50 : static_cast<std::int64_t>(length_);
  std::int64_t count = std::min(most, usual);
  const std::size_t before = samples_.size();
  if (source_.is_pausing()) {
    if (made_up_ > samples_in(kLongestPause)) return stop(), false;
    append(source_.conceal(static_cast<std::size_t>(count), false));
    samples_.resize(std::max(samples_.size(), before + 1));
    made_up_ += count;
    return true;
  }
  const std::int64_t fade = samples_in(kConceal) - made_up_;
  // What is held back by more than that has to leave before the sound ends.
  const auto held = static_cast<std::int64_t>(look_ahead()) - samples_in(milliseconds(kToFind));
  if (made_up_ >= samples_in(kFade) + std::max<std::int64_t>(held, 0)) return stop(), false;
  // A gap that its codec can bridge is bridged at once, so that the copy in the packet behind it is found.
  if (fade > 0 && is_before_front && most <= fade) count = most;
  if (fade > 0) {
    count = std::min(count, fade);
    append(source_.conceal(static_cast<std::size_t>(count), is_before_front && count == most));
    figures_.concealed_ms += static_cast<std::uint64_t>(count * 1000 / rate_hz_);
  } else {
    append(source_.noise(static_cast<std::size_t>(count)));
  }
  // Time passes, whatever a codec makes of few samples.
  samples_.resize(std::max(samples_.size(), before + 1));
  made_up_ += count;
  speech_end_ = end();
  return true;
}

void SpeechPath::steer(Instant at, Instant least, std::size_t length) noexcept {
  const Duration held = time_of(hold(end(), length), rate_hz_);
  const Duration depth = leave(end()) - least - held;
  slack_ = std::min(slack_, leave(end()) - held - at);
  if (++slack_count_ % kSlackWindow == 0) {
    slack_before_ = slack_;
    slack_ = Duration::max();
  }
  const Duration slack = std::min(slack_, slack_before_);
  const Duration target = target_ + extra_;
  if (depth < target - milliseconds(1)) {
    grid_ += std::min<Duration>(target - depth, milliseconds(1));
  } else if (depth > target + milliseconds(1) && slack > milliseconds(1) && slack != Duration::max()) {
    const Duration step = std::min<Duration>(depth - target, std::chrono::microseconds(500));
    grid_ -= step;
    slack_ -= slack_ == Duration::max() ? Duration{0} : step;
    slack_before_ -= slack_before_ == Duration::max() ? Duration{0} : step;
  }
}

void SpeechPath::plan_edit(Duration depth) noexcept {
  const Duration off = grid_ - line_;
  const Duration packet = time_of(static_cast<std::int64_t>(packet_), rate_hz_);
  if (edit_ != 0 || std::chrono::abs(off) < packet * 3 / 5) return;
  // What was added last has not brought the grid back yet: the delay shows it.
  if (off > Duration{0} && depth > target_ + milliseconds(3)) return;
  // Whole steps: a part of one would be held until the next packet of the source, and gain nothing.
  const auto step = static_cast<std::int64_t>(std::gcd(packet_, length_));
  edit_ = off > Duration{0} ? step : -step;
  extra_ = off > Duration{0} ? Duration{0} : time_of(step, rate_hz_);
}

void SpeechPath::keep_line(std::span<const std::int16_t>& samples, Instant least) {
  const Duration depth = leave(end()) - least - time_of(hold(end(), length_), rate_hz_);
  plan_edit(depth);
  if (edit_ == 0) return;
  const Duration packet = time_of(static_cast<std::int64_t>(packet_), rate_hz_);
  if (edit_ < 0 && depth < target_ + extra_ - milliseconds(1))
    return;  // `steer` has not made room for it yet
  // What cannot be done well is done badly before the line is lost.
  const bool any_will_do = source_.is_quiet() || std::chrono::abs(grid_ - line_) > packet;
  stretched_.assign(samples.begin(), samples.end());
  const std::ptrdiff_t added = stretch(stretched_, rate_hz_, edit_, any_will_do);
  if (added == 0) return;
  samples = stretched_;
  map_position_ += added;
  edit_ -= added;
  // What is left is less than a period: so little does not matter.
  if (std::abs(edit_) < rate_hz_ / 400) edit_ = 0;
  extra_ = Duration{0};
}

void SpeechPath::take_speech() {
  const Instant at = source_.front()->at;
  const Instant least = source_.front_least();
  std::span<const std::int16_t> samples = source_.decode();
  if (samples.empty()) return;
  length_ = samples.size();
  listen();
  steer(at, least, length_);
  keep_line(samples, least);
  append(samples);
  made_up_ = 0;
  if (!source_.is_pausing()) speech_end_ = end();
}

bool SpeechPath::take_front(bool gives_up) {
  if (source_.missing() > 0 && !gives_up) return false;
  if (!source_.front_is_audio() || source_.front_is_noise()) {
    (void)source_.decode();
    return true;
  }
  if (source_.take_restart() || source_.front_clock_hz() != map_clock_hz_) rebase();
  if (source_.is_pausing()) place_front_anew();
  // A millisecond is rounding.
  const std::int64_t tolerance = rate_hz_ / 1000;
  std::int64_t gap = front_position() - end();
  if (gap > tolerance) {
    const Instant ideal = source_.front_least() + target_;
    const Duration ahead = leave(front_position()) -
                           time_of(hold(front_position(), std::max<std::size_t>(length_, 1)), rate_hz_) -
                           ideal;
    if (ahead <= kJump || source_.is_pausing()) return make_up(gap, source_.missing() > 0);
    rebase();
    gap = 0;
  }
  if (gap < -tolerance) absorb(-gap);
  take_speech();
  return true;
}

void SpeechPath::note_time(Instant now) noexcept {
  if (!encoder_.last_position()) encoder_.go_on_after(line_clock_.units_to(now, encoder_.clock_hz()));
}

std::int64_t SpeechPath::interrupt(Instant now) {
  note_time(now);
  if (!has_begun_) {
    has_begun_ = true;
    line_ = grid_ = now - time_of(next_, rate_hz_);
  }
  const Instant start = is_playing_ ? grid_ : line_;
  const std::int64_t fine = std::max<std::int64_t>(rate_hz_ / 1000, 1);
  next_ = std::max(next_, samples_in(now - start) / fine * fine);
  // Time never goes back, whatever was sent before.
  next_ = std::max(next_, encoder_.last_position().value_or(next_));
  samples_.clear();
  // Those who detect tones go on to hear what waits.
  if (!listener_) source_.clear();
  tone_.reset();
  is_playing_ = false;
  is_muted_ = true;
  return next_;
}

void SpeechPath::resume(std::int64_t position, Instant now) noexcept {
  is_muted_ = false;
  // Else every press of a source that counts in a wrong clock would put the timeline farther ahead.
  const std::int64_t latest = samples_in(now + kMostAhead - (is_playing_ ? grid_ : line_));
  next_ = std::max(next_, std::min(position, latest));
  encoder_.unmark();
}

void SpeechPath::run_muted() {
  due_.reset();
  while (source_.front() != nullptr && !has_tone_news()) {
    if (!listener_) {
      source_.clear();
      return;
    }
    // A missing packet counts as lost once three later ones have come.
    if (source_.missing() > 0 && source_.waiting() < 3) return;
    (void)source_.decode();
    listen();
  }
}

std::size_t SpeechPath::look_ahead() const noexcept {
  if (!conversion_) return 0;
  const unsigned wanted = conversion_->guard ? conversion_->guard->delay_ms : 0U;
  return std::size_t{rate_hz_} * std::max(wanted, hears_tones() ? kToFind : 0U) / 1000;
}

void SpeechPath::listen() {
  if (!hears_tones() || source_.decoded().empty()) return;
  if (!listener_ || listener_->rate_hz() != source_.decoded_rate_hz())
    listener_ = std::make_unique<ToneEar>(source_.decoded_rate_hz());
  listener_->hear(source_.decoded(), [&](const DigitDetector::Change& change) {
    tone_news_.push_back({change, std::max(next_, end() - samples_in(DigitDetector::kLatency))});
    // At once: what leaves next must have nothing of it. The packet in which it ends has a part of it still.
    if (covers() && change.begins) cover(CoverSound{}, tone_news_.back().position);
    cover_ends_ = !change.begins;
  });
}

void SpeechPath::cover(const CoverSound& sound, std::int64_t position) noexcept {
  cover_ = sound;
  const std::int64_t from = std::clamp<std::int64_t>(position - next_, 0, end() - next_);
  cover_->fill(std::span(samples_).subspan(static_cast<std::size_t>(from)), false);
}

void SpeechPath::begin_tone(std::uint8_t event, std::uint8_t volume, Instant now) {
  begin_sound(CoverSound::of_digit(event, volume, rate_hz_), now);
}

void SpeechPath::begin_cover(const CoverSound& sound, Instant now) {
  CoverSound{}.fill(samples_, false);
  begin_sound(sound, now);
}

void SpeechPath::begin_sound(const CoverSound& sound, Instant now) {
  source_.clear();
  if (!is_playing_) {
    (void)interrupt(now);
    is_muted_ = false;
    place(now, now, packet_);
  }
  // What follows is no speech that could be gone on from.
  made_up_ = samples_in(kConceal);
  tone_.emplace(Tone{sound, 0, 0, false, 0});
  // Less than 40 ms do not separate two digits (ITU-T Q.24).
  tone_->pause = std::clamp<std::int64_t>(tone_end_ + samples_in(milliseconds(40)) - end(), 0,
                                          samples_in(milliseconds(40)));
}

void SpeechPath::go_on_tone(Duration length, bool ends) noexcept {
  if (!tone_) return;
  tone_->known = std::max(tone_->known, samples_in(length));
  // Shorter ones are not heard as digits.
  if (ends) tone_->known = std::max(tone_->known, samples_in(milliseconds(50)));
  tone_->ends = tone_->ends || ends;
}

bool SpeechPath::fill_tone(bool gives_up) {
  Tone& tone = *tone_;
  source_.clear();
  auto wanted = static_cast<std::int64_t>(packet_ + look_ahead() - samples_.size());
  if (tone.pause > 0) {
    const std::int64_t count = std::min(wanted, tone.pause);
    append(source_.noise(static_cast<std::size_t>(count)));
    tone.pause -= count;
  } else {
    const std::int64_t left = tone.known - tone.made;
    // It goes on until its end is known.
    if (!tone.ends && left < wanted && !gives_up) return false;
    if (tone.ends) wanted = std::clamp<std::int64_t>(left, 0, wanted);
    const bool is_last = tone.ends && tone.made + wanted >= tone.known;
    const std::size_t before = samples_.size();
    samples_.resize(before + static_cast<std::size_t>(wanted));
    tone.sound.fill(std::span(samples_).subspan(before), is_last);
    tone.made += wanted;
    tone_end_ = end();
    if (is_last) tone_.reset();
  }
  speech_end_ = end();
  return true;
}

bool SpeechPath::fill(bool gives_up) {
  while (samples_.size() < packet_ + look_ahead()) {
    if (tone_) {
      if (!fill_tone(gives_up)) return false;
      continue;
    }
    if (source_.front() != nullptr) {
      if (!take_front(gives_up)) return false;
    } else {
      if (!gives_up || !make_up(INT64_MAX, false)) return false;
    }
    if (!is_playing_) return false;
  }
  return true;
}

bool SpeechPath::fill_ahead() {
  if (look_ahead() <= static_cast<std::size_t>(samples_in(milliseconds(kToFind)))) return true;
  while (is_playing_ && !tone_ && !has_tone_news() && samples_.size() < packet_ + look_ahead() &&
         source_.front() != nullptr && take_front(false)) {
  }
  return is_playing_;
}

void SpeechPath::leave_out_excess() {
  // More came than time passes, or it was held up on its way: the oldest goes.
  const Duration most = milliseconds(conversion_->most_delay_ms) + milliseconds(kToFind) +
                        time_of(static_cast<std::int64_t>(length_ + packet_), rate_hz_);
  bool has_left_out = false;
  while (source_.waiting() > 1 && source_.waiting_time() > most) {
    source_.discard();
    has_left_out = true;
  }
  if (has_left_out && is_playing_ && source_.front() != nullptr && source_.front_is_audio()) rebase();
}

void SpeechPath::send(MadePackets& out) {
  const std::span<const std::int16_t> samples = std::span(samples_).first(packet_);
  const bool is_silence = speech_end_ <= next_;
  if (encoder_.encode(samples, next_, is_silence, out)) ++figures_.packets_out;
  next_ += static_cast<std::int64_t>(packet_);
  samples_.erase(samples_.begin(), samples_.begin() + static_cast<std::ptrdiff_t>(packet_));
}

void SpeechPath::run(Instant now, MadePackets& out) {
  due_.reset();
  if (!encoder_.is_ready()) return;
  note_time(now);
  choose_delay();
  for (;;) {
    leave_out_excess();
    if (is_muted_) return run_muted();
    if (!is_playing_ && !start(now)) return;
    if (!fill_ahead()) continue;
    if (has_tone_news()) return;
    const Instant at = leave(next_);
    if (now - at > kStall) {
      stop();
      continue;
    }
    const bool is_there = samples_.size() >= packet_ + look_ahead() || source_.front() != nullptr;
    if (at > now + kEarly) {
      due_ = is_there || tone_ ? at : at + patience_;
      return;
    }
    const Duration patience = tone_ ? std::max<Duration>(patience_, milliseconds(10)) : patience_;
    if (fill(now >= at + patience)) {
      send(out);
    } else if (is_playing_) {
      due_ = at + patience;
      return;
    }
    if (has_tone_news()) return;
  }
}

}  // namespace ferry
