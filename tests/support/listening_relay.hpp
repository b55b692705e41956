// SPDX-License-Identifier: Apache-2.0
// A relay that plays sounds, and what its parties hear of them.
#pragma once

#include "codecs/audio/codec_table.hpp"
#include "codecs/prompts/prompt_library.hpp"
#include "relay/core/rtp/rtp.hpp"
#include "tests/support/packets.hpp"
#include "tests/support/small_relay.hpp"

#include <cmath>
#include <numbers>
#include <utility>
#include <vector>

namespace ferry::test {

/// The share of the energy of samples that lies at one frequency, 0 to 1.
inline double share_at(std::span<const std::int16_t> samples, double hertz, double rate_hz = 8000) {
  double re = 0;
  double im = 0;
  double energy = 0;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const double angle = 2 * std::numbers::pi * hertz * static_cast<double>(i) / rate_hz;
    re += samples[i] * std::cos(angle);
    im += samples[i] * std::sin(angle);
    energy += static_cast<double>(samples[i]) * samples[i];
  }
  return energy == 0 ? 0 : 2 * (re * re + im * im) / (energy * static_cast<double>(samples.size()));
}

/// The relay of `SmallRelay` with a library of sounds, in virtual time. It notes each RTP packet that a party
/// gets.
class ListeningRelay {
 public:
  struct Heard {
    Instant at;
    Endpoint to;
    unsigned type = 0;
    bool marker = false;
    Ssrc ssrc;
    std::uint16_t sequence = 0;
    std::uint32_t timestamp = 0;
    Packet payload;
  };

  explicit ListeningRelay(PromptLibraryConfig config = {})
      : sounds(without_thread(std::move(config))), relay(options()) {
    relay.network.set_outlet([this](const SimDatagram& sent) {
      const auto rtp = parse_rtp(sent.payload);
      if (rtp)
        all.push_back({relay.network.now(), sent.to, rtp->payload_type.value, rtp->marker, rtp->ssrc,
                       rtp->sequence.value, rtp->timestamp,
                       Packet(rtp->payload.begin(), rtp->payload.end())});
      return true;
    });
  }

  /// Passes time in steps of 5 ms. Every 20 ms each of `speakers` sends a packet of PCMA.
  void pass(Duration time, std::initializer_list<std::pair<Leg*, Endpoint>> speakers = {}) {
    using namespace std::chrono_literals;
    for (Duration gone{0}; gone < time; gone += 5ms) {
      if (gone % 20ms == Duration{0}) {
        for (const auto& [leg, from] : speakers) speak(*leg, from);
      }
      relay.network.advance_to(relay.network.now() + 5ms);
      relay.plane.worker(0).run_until_idle();
    }
  }
  void speak(Leg& leg, const Endpoint& from) {
    const LocalPorts& ports = *leg.medias.front()->via->active_ports();
    Packet packet = rtp('s', 0x1000u + leg.number, sequence_, 8, 160);
    write_u32(packet, 4, 160u * sequence_);
    ++sequence_;
    relay.network.send_to_relay({from, {ports.local->address, ports.port}, packet});
    relay.plane.worker(0).run_until_idle();
  }
  /// What was sent to an address since the last call.
  std::vector<Heard> heard(const Endpoint& to) {
    std::vector<Heard> own;
    std::erase_if(all, [&](Heard& each) {
      if (each.to != to) return false;
      own.push_back(std::move(each));
      return true;
    });
    return own;
  }
  /// The samples of packets of PCMA, one after another.
  static std::vector<std::int16_t> decoded(const std::vector<Heard>& packets) {
    auto decoder = make_audio_decoder({"PCMA", 8000, 1, ""}).value();
    std::vector<std::int16_t> samples;
    std::vector<std::int16_t> room(decoder->max_samples());
    for (const Heard& each : packets) {
      const auto got = decoder->decode(each.payload, room).value_or(0);
      samples.insert(samples.end(), room.begin(), room.begin() + static_cast<std::ptrdiff_t>(got));
    }
    return samples;
  }

  PromptLibrary sounds;
  SmallRelay relay;
  std::vector<Heard> all;

 private:
  static PromptLibraryConfig without_thread(PromptLibraryConfig config) {
    config.has_thread = false;
    return config;
  }
  SmallRelay::Options options() {
    SmallRelay::Options made;
    made.sounds = &sounds;
    return made;
  }
  std::uint16_t sequence_ = 1;
};

}  // namespace ferry::test
