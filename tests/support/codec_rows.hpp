// SPDX-License-Identifier: Apache-2.0
// The codecs that a build can encode, each with its library called without the relay's code, and what others
// hear in a codec's payloads.
#pragma once

#include "codecs/audio/codec_table.hpp"
#include "codecs/audio/resampler.hpp"
#include "tests/support/codec_judge.hpp"
#include "tests/support/speech.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

// spandsp's headers need these before them.
#include <cmath>
#include <cstdio>

extern "C" {
#ifdef FERRY_HAS_BCG729
#include <bcg729/decoder.h>
#include <bcg729/encoder.h>
#endif
#include <opencore-amrnb/interf_dec.h>
#include <opencore-amrnb/interf_enc.h>
#include <opencore-amrwb/dec_if.h>
#include <vo-amrwbenc/enc_if.h>
}
#include <opus/opus.h>
#include <spandsp.h>
#include <speex/speex.h>

namespace ferry::test {

using Samples = std::vector<std::int16_t>;

/// A library without us: frames of one length, forth and back at once.
using BareCodec = std::function<void(const std::int16_t* in, std::int16_t* out)>;

struct CodecRow {
  AudioFormat format;
  CodecSettings settings;
  /// Samples of one packet.
  std::size_t packet;
  /// Null: no library but the one that only we have at hand.
  std::function<BareCodec()> bare;
};

template <class State, class Free>
std::shared_ptr<State> own(State* state, Free free) {
  return std::shared_ptr<State>(state, free);
}

inline BareCodec bare_g711(bool mu) {
  return [mu](const std::int16_t* in, std::int16_t* out) {
    for (int i = 0; i < 160; ++i)
      out[i] = mu ? ulaw_to_linear(linear_to_ulaw(in[i])) : alaw_to_linear(linear_to_alaw(in[i]));
  };
}

inline BareCodec bare_g722() {
  auto forth = own(g722_encode_init(nullptr, 64'000, 0), g722_encode_free);
  auto back = own(g722_decode_init(nullptr, 64'000, 0), g722_decode_free);
  return [=](const std::int16_t* in, std::int16_t* out) {
    std::array<std::uint8_t, 160> octets;
    g722_encode(forth.get(), octets.data(), in, 320);
    g722_decode(back.get(), out, octets.data(), 160);
  };
}

inline BareCodec bare_g726(int kilobits) {
  const auto make = [&] {
    return own(g726_init(nullptr, kilobits * 1000, G726_ENCODING_LINEAR, G726_PACKING_NONE), g726_free);
  };
  return [forth = make(), back = make()](const std::int16_t* in, std::int16_t* out) {
    std::array<std::uint8_t, 160> codes;
    g726_encode(forth.get(), codes.data(), in, 160);
    g726_decode(back.get(), out, codes.data(), 160);
  };
}

inline BareCodec bare_gsm() {
  const auto make = [] { return own(gsm0610_init(nullptr, GSM0610_PACKING_VOIP), gsm0610_free); };
  return [forth = make(), back = make()](const std::int16_t* in, std::int16_t* out) {
    std::array<std::uint8_t, 33> octets;
    gsm0610_encode(forth.get(), octets.data(), in, 160);
    gsm0610_decode(back.get(), out, octets.data(), 33);
  };
}

inline BareCodec bare_opus(int rate) {
  auto forth = own(opus_encoder_create(rate, 1, OPUS_APPLICATION_VOIP, nullptr), opus_encoder_destroy);
  auto back = own(opus_decoder_create(rate, 1, nullptr), opus_decoder_destroy);
  opus_encoder_ctl(forth.get(), OPUS_SET_BITRATE(24'000));
  opus_encoder_ctl(forth.get(), OPUS_SET_COMPLEXITY(5));
  return [=](const std::int16_t* in, std::int16_t* out) {
    std::array<std::uint8_t, 1500> octets;
    const int size = opus_encode(forth.get(), in, rate / 50, octets.data(), 1500);
    EXPECT_EQ(opus_decode(back.get(), octets.data(), size, out, rate / 50, 0), rate / 50);
  };
}

inline BareCodec bare_speex(int mode_id, int frame) {
  auto forth = own(speex_encoder_init(speex_lib_get_mode(mode_id)), speex_encoder_destroy);
  auto back = own(speex_decoder_init(speex_lib_get_mode(mode_id)), speex_decoder_destroy);
  auto bits = std::shared_ptr<SpeexBits>(new SpeexBits, [](SpeexBits* each) {
    speex_bits_destroy(each);
    delete each;
  });
  speex_bits_init(bits.get());
  int quality = 8;
  int complexity = 3;
  speex_encoder_ctl(forth.get(), SPEEX_SET_QUALITY, &quality);
  speex_encoder_ctl(forth.get(), SPEEX_SET_COMPLEXITY, &complexity);
  return [=](const std::int16_t* in, std::int16_t* out) {
    Samples copy(in, in + frame);
    std::array<char, 200> octets;
    speex_bits_reset(bits.get());
    speex_encode_int(forth.get(), copy.data(), bits.get());
    const int size = speex_bits_write(bits.get(), octets.data(), 200);
    speex_bits_read_from(bits.get(), octets.data(), size);
    speex_decode_int(back.get(), bits.get(), out);
  };
}

inline BareCodec bare_amr() {
  auto forth = own(Encoder_Interface_init(0), Encoder_Interface_exit);
  auto back = own(Decoder_Interface_init(), Decoder_Interface_exit);
  return [=](const std::int16_t* in, std::int16_t* out) {
    std::array<std::uint8_t, 64> octets;
    Encoder_Interface_Encode(forth.get(), MR122, in, octets.data(), 0);
    Decoder_Interface_Decode(back.get(), octets.data(), out, 0);
  };
}

inline BareCodec bare_amr_wb(int mode) {
  auto forth = own(E_IF_init(), E_IF_exit);
  auto back = own(D_IF_init(), D_IF_exit);
  return [=](const std::int16_t* in, std::int16_t* out) {
    std::array<std::uint8_t, 64> octets;
    E_IF_encode(forth.get(), mode, in, octets.data(), 0);
    D_IF_decode(back.get(), octets.data(), out, 0);
  };
}

#ifdef FERRY_HAS_BCG729
inline BareCodec bare_g729() {
  auto forth = own(initBcg729EncoderChannel(0), closeBcg729EncoderChannel);
  auto back = own(initBcg729DecoderChannel(), closeBcg729DecoderChannel);
  return [=](const std::int16_t* in, std::int16_t* out) {
    for (int half = 0; half < 2; ++half) {
      std::array<std::uint8_t, 10> octets;
      std::uint8_t size = 0;
      bcg729Encoder(forth.get(), in + 80 * half, octets.data(), &size);
      bcg729Decoder(back.get(), octets.data(), 10, 0, 0, 0, out + 80 * half);
    }
  };
}
#endif

/// The rows that this build can encode.
inline std::vector<CodecRow> codec_rows() {
  const auto row = [](const char* name, std::uint32_t clock, std::size_t packet,
                      std::function<BareCodec()> bare, const char* parameters = "") {
    return CodecRow{
        {name, clock, std::string_view(name) == "opus" ? 2u : 1u, parameters}, {}, packet, std::move(bare)};
  };
  std::vector<CodecRow> all = {
      row("PCMU", 8000, 160, [] { return bare_g711(true); }),
      row("PCMA", 8000, 160, [] { return bare_g711(false); }),
      row("G722", 8000, 320, bare_g722),
      row("GSM", 8000, 160, bare_gsm),
      row("L16", 16'000, 320,
          [] { return BareCodec([](const auto* in, auto* out) { std::copy_n(in, 320, out); }); }),
      row("speex", 8000, 160, [] { return bare_speex(SPEEX_MODEID_NB, 160); }),
      row("speex", 16'000, 320, [] { return bare_speex(SPEEX_MODEID_WB, 320); }),
      row("speex", 32'000, 640, [] { return bare_speex(SPEEX_MODEID_UWB, 640); }),
      row("AMR", 8000, 160, bare_amr),
      row("AMR", 8000, 160, bare_amr, "octet-align=1"),
      row("AMR-WB", 16'000, 320, [] { return bare_amr_wb(2); }),
      row(
          "AMR-WB", 16'000, 320, [] { return bare_amr_wb(8); }, "octet-align=1;mode-set=8"),
      row("iLBC", 8000, 160, nullptr, "mode=20"),
      row("iLBC", 8000, 240, nullptr),
  };
  for (const int kilobits : {16, 24, 32, 40}) {
    for (const char* packing : {"G726-", "AAL2-G726-"}) {
      const std::string name = packing + std::to_string(kilobits);
      all.push_back(row(name.c_str(), 8000, 160, [kilobits] { return bare_g726(kilobits); }));
    }
  }
  for (const std::uint32_t rate : {48'000u, 16'000u, 8000u}) {
    all.push_back(row("opus", 48'000, rate / 50, [rate] { return bare_opus(static_cast<int>(rate)); }));
    all.back().settings.sample_rate_hz = rate;
  }
#ifdef FERRY_HAS_BCG729
  all.push_back(row("G729", 8000, 160, bare_g729));
#endif
  std::erase_if(all, [](const CodecRow& each) { return !make_audio_encoder(each.format); });
  return all;
}

inline std::string name_of(const CodecRow& row) {
  return row.format.encoding + "/" + std::to_string(row.format.clock_rate_hz) + " at " +
         std::to_string(row.packet) + " " + row.format.parameters;
}

inline Samples resampled(std::span<const std::int16_t> samples, std::uint32_t from, std::uint32_t to) {
  Resampler resampler(from, to);
  Samples out(resampler.room_for(samples.size()) + resampler.drain_room());
  std::size_t made = resampler.run(samples, out);
  made += resampler.drain(std::span(out).subspan(made));
  out.resize(made);
  return out;
}

/// What our encoder makes of the samples, each payload 20 or 30 ms.
inline Payloads encoded(const CodecRow& row, std::span<const std::int16_t> samples) {
  const auto encoder = make_audio_encoder(row.format, row.settings);
  Payloads payloads;
  for (; samples.size() >= row.packet; samples = samples.subspan(row.packet)) {
    std::vector<std::byte> payload((*encoder)->octets_for(row.packet));
    payload.resize((*encoder)->encode(samples.first(row.packet), payload).octets);
    payloads.push_back(std::move(payload));
  }
  return payloads;
}

inline Samples decoded_by_us(const CodecRow& row, const Payloads& payloads) {
  const auto decoder = make_audio_decoder(row.format, row.settings);
  Samples all;
  Samples room((*decoder)->max_samples());
  for (const auto& payload : payloads) {
    const auto made = (*decoder)->decode(payload, room);
    EXPECT_TRUE(made) << name_of(row);
    if (made) all.insert(all.end(), room.begin(), room.begin() + static_cast<std::ptrdiff_t>(*made));
  }
  return all;
}

inline Samples through_bare(const CodecRow& row, std::span<const std::int16_t> samples) {
  const BareCodec run = row.bare();
  Samples out(samples.size() / row.packet * row.packet);
  for (std::size_t at = 0; at + row.packet <= samples.size(); at += row.packet)
    run(samples.data() + at, out.data() + at);
  return out;
}

inline std::uint32_t rate_of(const CodecRow& row) {
  return (*make_audio_encoder(row.format, row.settings))->sample_rate_hz();
}

/// At 8 kHz, without the delay against `original` (8 kHz), and as long as that.
inline Samples aligned(std::span<const std::int16_t> original, std::span<const std::int16_t> heard,
                       std::uint32_t rate_hz) {
  Samples out = resampled(heard, rate_hz, 8000);
  const std::size_t judged = std::min<std::size_t>(original.size(), 4800);
  const std::size_t delay = delay_of(original.first(judged), out, 480);
  out.erase(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(std::min(delay, out.size())));
  out.resize(original.size());
  return out;
}

/// By FFmpeg; but it and everybody else differ about G.726 at 40 kbit/s, so that libsndfile is asked about
/// that.
inline std::optional<Samples> heard_by_others(const CodecRow& row, const Payloads& payloads,
                                              std::uint32_t rate_hz) {
  const std::string& name = row.format.encoding;
  if (name.ends_with("G726-40")) return heard_by_sndfile(payloads, 5, name.starts_with("AAL2"));
  return heard_by_ffmpeg(row.format, payloads, row.packet * rate_hz / rate_of(row), rate_hz);
}

}  // namespace ferry::test
