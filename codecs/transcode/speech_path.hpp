// SPDX-License-Identifier: Apache-2.0
// The way of speech from a source to the packets of a receiver: order, time, decoding, encoding, pacing.
#pragma once

#include "codecs/tone/cover_sound.hpp"
#include "codecs/tone/digit_detector.hpp"
#include "codecs/transcode/line_clock.hpp"
#include "codecs/transcode/packet_encoder.hpp"
#include "codecs/transcode/speech_source.hpp"
#include "codecs/transcode/tone_ear.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace ferry {

/// Makes packets of speech on a grid of the receiver's packet time. What comes in order and in time leaves at
/// once; the more the network jitters, the longer packets wait. Sans-IO; for one thread.
class SpeechPath {
 public:
  /// `line`: where the receiver's timeline has come to; whoever takes the packets notes them there.
  SpeechPath(TranscodeFigures& figures, const LineClock& line)
      : figures_(figures), line_clock_(line), source_(figures) {}

  /// Takes on what the source sends and the receiver gets; not null. False if there is no encoder. Throws
  /// std::bad_alloc.
  bool configure(const std::shared_ptr<const AudioConversion>& conversion);
  /// Takes on another object that says the same as the one before. What is going on goes on.
  void adopt(const std::shared_ptr<const AudioConversion>& conversion);
  /// Packets of somebody else have left since the last one: the next one goes on behind them.
  void go_on_behind() noexcept { encoder_.forget_last(); }
  /// Another source begins.
  void change_source() noexcept;
  [[nodiscard]] bool is_ready() const noexcept { return encoder_.is_ready(); }

  /// Takes a packet. Call `run` behind it.
  void add(const RtpView& rtp, const AudioInput& input, Instant now) { source_.add(rtp, input, now); }
  /// Notes the number of a packet that carries something else.
  void add_other(const RtpView& rtp, Instant now) { source_.add_other(rtp, now); }
  /// Makes what is due.
  void run(Instant now, MadePackets& out);
  /// When `run` has something to do, if no packet comes before.
  [[nodiscard]] std::optional<Instant> due() const noexcept { return due_; }

  /// Something else leaves from now on, and speech is left out. Returns the position at which that begins.
  [[nodiscard]] std::int64_t interrupt(Instant now);
  /// What interrupted it ends at a position, as its source says: speech goes on behind that, but no later
  /// than the clock on the wall allows.
  void resume(std::int64_t position, Instant now) noexcept;

  /// A tone takes the place of speech. `event` is a digit (RFC 4733), `volume` its level below 0 dBm0.
  void begin_tone(std::uint8_t event, std::uint8_t volume, Instant now);
  /// The same with any sound. Speech that waits is left out, too: it may be of what the sound takes the place
  /// of.
  void begin_cover(const CoverSound& sound, Instant now);
  /// It has lasted so long; `ends`: and no longer.
  void go_on_tone(Duration length, bool ends) noexcept;

  /// A guarded digit is in the speech, from a position on: `sound` takes its place until it has ended.
  void cover(const CoverSound& sound, std::int64_t position) noexcept;

  /// A digit was found in the source's speech, or has ended. `position`: where it begins. Nothing: no news.
  struct ToneNews {
    DigitDetector::Change change;
    std::int64_t position = 0;
  };
  [[nodiscard]] std::optional<ToneNews> take_tone_news() noexcept {
    if (tone_news_.empty()) return std::nullopt;
    const ToneNews first = tone_news_.front();
    tone_news_.erase(tone_news_.begin());
    return first;
  }
  [[nodiscard]] bool has_tone_news() const noexcept { return !tone_news_.empty(); }

  [[nodiscard]] const SpeechSource& source() const noexcept { return source_; }
  [[nodiscard]] PacketEncoder& encoder() noexcept { return encoder_; }

 private:
  /// A packet leaves so much before its time, rather than to wake up again for it.
  static constexpr Duration kEarly = std::chrono::milliseconds(1);

  /// Lets the listener hear what was decoded last.
  void listen();
  /// Speech while something else leaves: only the listener hears it.
  void run_muted();
  /// Puts samples of the tone behind what is there. False if it waits to hear whether the tone goes on.
  bool fill_tone(bool gives_up);
  /// Samples that are held back: so that a tone is found before it leaves, or because a client wants it.
  [[nodiscard]] std::size_t look_ahead() const noexcept;
  /// True if digits in the source's speech do not pass.
  [[nodiscard]] bool covers() const noexcept {
    return conversion_ && conversion_->guard && conversion_->guard->cover != DigitCover::kNone;
  }
  /// True if the source's speech is listened to.
  [[nodiscard]] bool hears_tones() const noexcept {
    return conversion_ && (conversion_->detects_tones || covers());
  }
  void begin_sound(const CoverSound& sound, Instant now);

  /// Says when it is, for a packet that goes on behind somebody else's.
  void note_time(Instant now) noexcept;
  /// When the packet that begins at a position leaves.
  [[nodiscard]] Instant leave(std::int64_t position) const noexcept;
  /// The position behind the last sample.
  [[nodiscard]] std::int64_t end() const noexcept {
    return next_ + static_cast<std::int64_t>(samples_.size());
  }
  [[nodiscard]] std::int64_t samples_in(Duration time) const noexcept;
  /// How long packets wait for late ones (target), and how much longer for one that is missing.
  void choose_delay() noexcept;
  /// Samples that must come behind a position before its packet can leave.
  [[nodiscard]] std::int64_t hold(std::int64_t position, std::size_t length) const noexcept;

  /// Begins sound behind a pause with the first packet that waits. False if there is none.
  bool start(Instant now);
  /// Ends the sound: nothing leaves until a packet comes.
  void stop() noexcept;
  /// Places samples that begin behind a pause: `least` is when they would have come with the least delay.
  void place(Instant now, Instant least, std::size_t length);
  /// Gathers the samples of the next packet. False if they are not there yet, or the sound has stopped.
  bool fill(bool gives_up);
  /// Does what the first packet that waits needs. False if it has to wait.
  bool take_front(bool gives_up);
  /// Decodes the first packet behind what is there.
  void take_speech();
  /// Makes up samples, at most so many. False if there was enough of that, and the sound has stopped.
  bool make_up(std::int64_t most, bool is_before_front);
  /// Where the first packet's samples belong.
  [[nodiscard]] std::int64_t front_position() const noexcept;
  /// Lets the first packet's samples follow at once, whatever its timestamp.
  void rebase() noexcept;
  /// In a pause of the sender the first packet may lie anywhere: where the delay is as it should be.
  void place_front_anew() noexcept;
  /// The front lies so many samples before the end.
  void absorb(std::int64_t excess) noexcept;
  void leave_out_excess();
  /// Decodes what is in order as it comes, if it is held back so long that it would fill the queue of the
  /// source. False if the sound has stopped.
  bool fill_ahead();
  /// Moves the grid toward the delay that is wanted.
  void steer(Instant at, Instant least, std::size_t length) noexcept;
  /// Makes the samples that come next longer or shorter, if the grid has left the line of the clock on the
  /// wall: silence at once, speech when it is far off. Decides whether something is to be added or left out.
  /// `depth`: the delay now.
  void plan_edit(Duration depth) noexcept;
  void keep_line(std::span<const std::int16_t>& samples, Instant least);
  void append(std::span<const std::int16_t> samples);
  void send(MadePackets& out);

  TranscodeFigures& figures_;
  const LineClock& line_clock_;
  /// Null before `configure`.
  std::shared_ptr<const AudioConversion> conversion_;
  SpeechSource source_;
  PacketEncoder encoder_;
  std::uint32_t rate_hz_ = 8000;
  std::size_t packet_ = 160;

  bool is_playing_ = false;
  bool has_begun_ = false;
  /// Speech is left out.
  bool is_muted_ = false;
  /// When position 0 leaves: by the first packet of all, and now.
  Instant line_{};
  Instant grid_{};
  /// Position of the next packet, and its samples so far.
  std::int64_t next_ = 0;
  std::vector<std::int16_t> samples_;
  /// Samples that are made longer or shorter.
  std::vector<std::int16_t> stretched_;
  /// The position behind the last sample that is no noise of a pause.
  std::int64_t speech_end_ = 0;
  /// Where a timestamp lies; clock 0: none yet.
  std::int64_t map_position_ = 0;
  std::int64_t map_timestamp_ = 0;
  std::uint32_t map_clock_hz_ = 0;
  /// Samples of the last packet of the source; samples made up since it.
  std::size_t length_ = 0;
  std::int64_t made_up_ = 0;

  Duration target_{0};
  Duration patience_{0};
  /// The least time that packets came before they were needed, lately and in the window before.
  Duration slack_ = Duration::max();
  Duration slack_before_ = Duration::max();
  unsigned slack_count_ = 0;
  /// Samples that are to be added, or left out if negative, so that the grid comes back to the line; and the
  /// delay that is needed until that begins.
  std::int64_t edit_ = 0;
  Duration extra_{0};
  std::optional<Instant> due_;

  /// A tone that takes the place of speech.
  struct Tone {
    CoverSound sound;
    /// Samples that it is known to last, and samples made so far.
    std::int64_t known = 0;
    std::int64_t made = 0;
    bool ends = false;
    /// Silence before it, samples: what separates it from the tone before.
    std::int64_t pause = 0;
  };
  std::optional<Tone> tone_;
  /// Position behind the last tone.
  std::int64_t tone_end_ = INT64_MIN / 2;

  /// Null: tones in the source's speech stay what they are.
  std::unique_ptr<ToneEar> listener_;
  /// What takes the place of the speech that comes, because a guarded digit is in it. Nothing: none is.
  std::optional<CoverSound> cover_;
  /// The digit that is covered has ended in the packet that is taken now, which is covered to its end.
  bool cover_ends_ = false;
  /// In their order: one long packet may have several.
  std::vector<ToneNews> tone_news_;
};

}  // namespace ferry
