// SPDX-License-Identifier: Apache-2.0
#include "control/command/player.hpp"

#include "control/call/treated_flows.hpp"
#include "control/session/media_plane.hpp"
#include "control/session/random_numbers.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace ferry {

namespace {

// The shortest and the longest digit and pause, and those of a request that names none, in ms.
constexpr std::int64_t kLeastMs = 100;
constexpr std::int64_t kMostMs = 5000;
constexpr std::int64_t kUsualDigitMs = 250;
constexpr std::int64_t kUsualPauseMs = 100;
constexpr std::int64_t kUsualLevel = -8;
constexpr std::int64_t kLowestLevel = -63;

/// So many turns of a tone, from 1 to a million of them; no more than a `Duration` holds.
Duration turns_of(Duration turn, std::int64_t times) {
  const std::int64_t turns = std::clamp<std::int64_t>(times, 1, 1'000'000);
  return turn > Duration::max() / turns ? Duration::max() : turn * turns;
}

Duration within_bounds(std::optional<std::int64_t> ms, std::int64_t usual) {
  return std::chrono::milliseconds(std::clamp(ms.value_or(usual), kLeastMs, kMostMs));
}

std::string words_of(const SoundName& name) {
  switch (name.kind) {
    case SoundName::Kind::kFile:
      return name.text;
    case SoundName::Kind::kContent:
      return fmt::format("a content of {} octets", name.text.size());
    case SoundName::Kind::kNumber:
      return "number " + name.text;
    default:
      return "tone " + name.text;
  }
}

/// The open ports that packets to the media leave from. Null if its worker knows none.
const LocalPorts* ports_toward(const Media& media) {
  const LocalPorts* ports = media.via->sending_ports();
  return ports != nullptr && !ports->closed && ports->plan ? ports : nullptr;
}

/// How a sound in this format is heard beside what others send to the media. Null if the client did not ask
/// for it (key `audio-player`), or if the relay does not make what the media hears.
std::shared_ptr<const AudioConversion> mixed_with_others(const Media& media, const PlaybackFormat& format) {
  const auto& wishes = media.in_force().codec_wishes;
  const AudioPlayer player = wishes ? wishes->player : AudioPlayer::kDefault;
  if (player != AudioPlayer::kTranscoding && player != AudioPlayer::kAlways) return nullptr;
  const std::vector<TreatedFlow> flows = treated_flows(*media.call);
  const auto made = std::ranges::find_if(flows, [&](const TreatedFlow& flow) {
    return flow.to == &media && flow.sink->conversion && flow.sink->conversion->mixes;
  });
  if (made == flows.end()) return nullptr;
  AudioConversion sound = *made->sink->conversion;
  sound.inputs = {{format.type, AudioInput::Kind::kSpeech, format.format}};
  sound.detects_tones = false;
  sound.guard = nullptr;
  return std::make_shared<const AudioConversion>(std::move(sound));
}

}  // namespace

RequestError unplayable(SoundName::Kind kind, std::string why) {
  const RequestFault fault = kind == SoundName::Kind::kContent  ? RequestFault::kUnplayableBlob
                             : kind == SoundName::Kind::kNumber ? RequestFault::kUnplayableNumber
                                                                : RequestFault::kUnplayableFile;
  return {fault, std::move(why)};
}

Result<Player::Found, RequestError> Player::find(const SoundName& name) const {
  if (services_.sounds == nullptr) return fail(unplayable(name.kind, "this relay plays nothing"));
  auto sound = services_.sounds->open(name);
  if (!sound) return fail(unplayable(name.kind, to_string(sound.error())));
  return Found{std::move(*sound), name};
}

bool Player::start(Leg& leg, const Found& found, const Order& order) const {
  for (const auto& media : leg.medias) {
    const LocalPorts* ports = ports_toward(*media);
    const auto format = ports != nullptr ? playback_format(*media, *services_.sounds) : std::nullopt;
    auto prompt = format ? services_.sounds->prompt(found.sound, format->format, format->packet_ms) : nullptr;
    if (!prompt) continue;
    stop(leg);
    // The stream goes on with numbers of the relay from now on, so the relay reports about it.
    media->via->is_made = true;
    const Duration packet_time = prompt->timing().packet_time;
    auto playback = std::make_unique<Playback>();
    playback->what = words_of(found.name);
    playback->progress = std::make_shared<PromptProgress>();
    playback->rate_hz = found.sound->rate_hz();
    playback->packet_time = packet_time;
    playback->holder = order.holder;
    PromptOrder play{std::move(prompt), format->type,      order.times.value_or(1), 0,
                     order.longest,     playback->progress};
    if (found.sound->is_endless()) {
      play.rounds = Prompt::kForEver;
      // The prompt may have several turns of the cadence.
      if (order.times && found.sound->length() && play.longest == Duration{0})
        play.longest = turns_of(*found.sound->length(), *order.times);
    } else {
      playback->length = found.sound->length();
      const std::int64_t from_ns = std::clamp<std::int64_t>(order.from_sample, 0, std::int64_t{1} << 32) *
                                   1'000'000 / playback->rate_hz * 1'000;
      play.skipped = static_cast<std::uint64_t>(from_ns / packet_time.count());
    }
    if (order.may_mix) play.conversion = mixed_with_others(*media, *format);
    services_.plane.post(leg.call->worker,
                         StartPrompt{ports->transport, std::move(play), random_numbers(), media->id, true},
                         true);
    leg.ensure_sounds().playback = std::move(playback);
    return true;
  }
  return false;
}

void Player::stop(Leg& leg) const {
  Playback* playback = leg.playback();
  if (playback == nullptr || !playback->is_running()) return;
  for (const auto& media : leg.medias) {
    if (media->type != "audio") continue;
    // The party may have other ports now than at its begin.
    for (const LocalPorts& ports : media->via->ports) {
      if (!ports.closed && ports.plan)
        services_.plane.post(leg.call->worker, StopPrompt{ports.transport, media->id}, true);
    }
  }
  playback->progress.reset();
}

bool Player::send_digit(const Media& media, const DigitWish& wish) const {
  const LocalPorts* ports = ports_toward(media);
  const auto format = ports != nullptr ? playback_format(media, *services_.sounds) : std::nullopt;
  if (!format) return false;
  const std::int64_t said = wish.level_db.value_or(kUsualLevel);
  const std::int64_t level = std::clamp(said > 0 ? -said : said, kLowestLevel, std::int64_t{0});
  DigitOrder digit;
  digit.event = *wish.event;
  digit.volume = static_cast<std::uint8_t>(-level);
  digit.length = within_bounds(wish.length_ms, kUsualDigitMs);
  digit.pause = within_bounds(wish.pause_ms, kUsualPauseMs);
  digit.type = format->type;
  if (format->events) {
    digit.type = format->events->type;
    digit.clock_rate_hz = format->events->clock_rate_hz;
  } else {
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(digit.length).count();
    const auto sound =
        services_.sounds->open({SoundName::Kind::kDigit, fmt::format("{} {} {}", digit.event, level, ms)});
    if (sound) digit.tone = services_.sounds->prompt(*sound, format->format, format->packet_ms);
    if (!digit.tone) return false;
  }
  media.via->is_made = true;
  services_.plane.post(media.call->worker,
                       SendDigit{ports->transport, std::move(digit), random_numbers(), media.id}, true);
  return true;
}

}  // namespace ferry
