// SPDX-License-Identifier: Apache-2.0
// A stream over a link that loses, delays and reorders, through a transcoder in virtual time: what that costs
// in delay and in sound.
//
// `play_numbers` sends L16 in which every sample is the number of its packet, so each sample of the output
// says which packet it came in and how long it was held. `play_speech` sends speech, and compares spectra.
#pragma once

#include "codecs/transcode/sample_time.hpp"
#include "relay/base/bytes.hpp"
#include "tests/support/speech.hpp"
#include "tests/support/transcode.hpp"

#include <algorithm>
#include <map>
#include <span>
#include <vector>

namespace ferry::test {

/// The value that this share of `all` does not exceed; 0 of nothing.
inline Duration quantile(std::vector<Duration> all, double share) {
  if (all.empty()) return Duration{0};
  std::ranges::sort(all);
  return all[std::min(all.size() - 1, static_cast<std::size_t>(share * static_cast<double>(all.size())))];
}

/// What became of the packets of a stream.
struct PlayedNumbers {
  /// How long the packets that were heard were held in the stage, from their arrival on.
  Duration held_p50{0};
  Duration held_p95{0};
  /// From the moment in which the first sample of a packet was spoken until it left the stage.
  Duration mouth_to_ear_p50{0};
  Duration mouth_to_ear_p95{0};
  /// The least delay of the network, and the delay of packets beyond it.
  Duration least{0};
  Duration jitter_p99{0};
  /// Share of the packets that came and were heard, at least in part.
  double heard = 0;
  /// Share of the output that was made up, because its packet was lost or late.
  double made_up = 0;
  /// Sound that was made up, and time for which nothing left, ms a minute.
  double concealed_ms = 0;
  double empty_ms = 0;
  /// Share of packets that left within 1 ms of the packet time behind the one before.
  double paced = 0;
  /// Farthest that a timestamp was off the clock on the wall.
  Duration off_line{0};
};

/// Sends `count` packets of 20 ms; the sender's clock is fast by `drift`.
inline PlayedNumbers play_numbers(const Trouble& trouble, std::uint16_t count, double drift = 0,
                                  std::uint64_t seed = 1) {
  const AudioFormat l16{"L16", 8000, 1, ""};
  TranscodeWorld world(conversion(l16, l16));
  LinkPath link(seed, 1);
  link.set(trouble);
  const auto spoken_at = [&](int number) {
    return Duration(static_cast<std::int64_t>((number - 1) * 20e6 * (1 - drift)));
  };
  std::map<int, Instant> arrived;
  std::vector<Duration> delays;
  for (std::uint16_t i = 0; i < count; ++i) {
    Sent packet;
    packet.type = PayloadType{96};
    packet.sequence = static_cast<std::uint16_t>(i + 65'000);
    packet.timestamp = i * 160u + 0xffff'f000u;
    packet.payload.resize(320);
    for (std::size_t k = 0; k < 320; k += 2) write_u16(packet.payload, k, static_cast<std::uint16_t>(i + 1));
    const Duration spoken = spoken_at(i + 1);
    for (const Duration travel : link.carry(spoken)) {
      world.arrive(TranscodeWorld::kStart + spoken + travel, packet);
      if (arrived.contains(i + 1)) continue;
      arrived[i + 1] = TranscodeWorld::kStart + spoken + travel;
      delays.push_back(travel);
    }
  }
  world.run(TranscodeWorld::kStart + std::chrono::milliseconds(20 * count + 1000));
  PlayedNumbers played;
  std::vector<Duration> held;
  std::vector<Duration> ages;
  std::map<int, bool> was_heard;
  std::size_t samples = 0;
  std::size_t made_up = 0;
  std::size_t regular = 0;
  for (std::size_t i = 0; i < world.heard.size(); ++i) {
    const Heard& each = world.heard[i];
    for (std::size_t k = 0; k + 1 < each.payload.size(); k += 2, ++samples) {
      const int value = read_u16(each.payload, k);
      const auto from = arrived.find(value);
      if (from == arrived.end()) {
        ++made_up;
      } else if (was_heard.emplace(value, true).second) {
        held.push_back(each.at - from->second);
        // The sender has a packet 20 ms after it began to speak it.
        ages.push_back(each.at - (TranscodeWorld::kStart + spoken_at(value)) + std::chrono::milliseconds(20));
      }
    }
    const Duration line = each.at - world.heard[0].at - time_of(each.position, 8000);
    played.off_line = std::max<Duration>(played.off_line, std::chrono::abs(line));
    if (i > 0 && std::chrono::abs(each.at - world.heard[i - 1].at - std::chrono::milliseconds(20)) <=
                     std::chrono::milliseconds(1))
      ++regular;
  }
  played.least = *std::ranges::min_element(delays);
  for (Duration& each : delays) each -= played.least;
  played.jitter_p99 = quantile(delays, 0.99);
  played.held_p50 = quantile(held, 0.5);
  played.held_p95 = quantile(held, 0.95);
  played.mouth_to_ear_p50 = quantile(ages, 0.5);
  played.mouth_to_ear_p95 = quantile(ages, 0.95);
  played.heard = static_cast<double>(was_heard.size()) / static_cast<double>(arrived.size());
  played.made_up = static_cast<double>(made_up) / static_cast<double>(samples);
  played.paced = static_cast<double>(regular) / static_cast<double>(world.heard.size() - 1);
  const auto line_samples = static_cast<double>(world.heard.back().position + 160);
  const double minutes = line_samples / (8000.0 * 60);
  played.concealed_ms = static_cast<double>(made_up) / 8 / minutes;
  played.empty_ms = (line_samples - static_cast<double>(samples)) / 8 / minutes;
  return played;
}

/// How far what is heard lies from what was said.
struct PlayedSpeech {
  /// Mean distance of the spectra, dB (`spectral_distance`).
  double distance_db = 0;
  /// Median signal to noise of pieces of half a second, each aligned by itself, dB.
  double snr_db = 0;
};

/// Sends speech of `seconds` in packets of 20 ms of a codec of 8 kHz, or one that opens at it; the receiver
/// has L16.
inline PlayedSpeech play_speech(const Trouble& trouble, const AudioFormat& format, unsigned seconds,
                                std::uint64_t seed = 1) {
  constexpr std::size_t kPiece = 4000;
  /// What is heard may lie so far before or behind its place on the timeline.
  constexpr std::size_t kMostOff = 1000;
  const AudioFormat l16{"L16", 8000, 1, ""};
  const auto said = speech(8000, seconds);
  CodecSettings settings;
  settings.sample_rate_hz = 8000;
  settings.channels = 1;
  TranscodeSender sender(format, settings, 20);
  TranscodeWorld world(conversion(format, l16));
  LinkPath link(seed, 1);
  link.set(trouble);
  Duration spoken{0};
  for (const Sent& packet : sender.packets(said)) {
    for (const Duration travel : link.carry(spoken))
      world.arrive(TranscodeWorld::kStart + spoken + travel, packet);
    spoken += std::chrono::milliseconds(20);
  }
  world.run(TranscodeWorld::kStart + std::chrono::seconds(seconds + 1));
  std::vector<std::int16_t> heard(kMostOff);
  const auto decoded = samples_of(world.heard, l16);
  heard.insert(heard.end(), decoded.begin(), decoded.end());
  PlayedSpeech played;
  std::vector<double> ratios;
  double distance = 0;
  for (std::size_t at = 0; at + 2 * kMostOff + kPiece <= std::min(said.size(), decoded.size());
       at += kPiece) {
    const auto piece = std::span<const std::int16_t>(said).subspan(at, kPiece);
    const auto around = std::span<const std::int16_t>(heard).subspan(at, kPiece + 2 * kMostOff);
    const auto found = around.subspan(delay_of(piece, around, 2 * kMostOff), kPiece);
    ratios.push_back(snr_of(piece, found));
    distance += spectral_distance(piece, found);
  }
  std::ranges::sort(ratios);
  played.distance_db = distance / static_cast<double>(ratios.size());
  played.snr_db = ratios[ratios.size() / 2];
  return played;
}

}  // namespace ferry::test
