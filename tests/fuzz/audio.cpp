// SPDX-License-Identifier: Apache-2.0
// PRC-3: payloads of recorded audio. Each decoder takes or refuses whatever a peer may send, and what it
// makes of it is bounded; a stream puts any order of packets onto its time.
#include "codecs/audio/amr.hpp"
#include "codecs/audio/codec_table.hpp"
#include "recorder/audio/audio_stream.hpp"
#include "tests/fuzz/facts.hpp"

#include <algorithm>
#include <array>

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using namespace ferry;
  if (size < 4) return 0;
  static const std::array<AudioFormat, 15> formats = {{{"PCMU", 8000, 1, ""},
                                                       {"PCMA", 8000, 1, ""},
                                                       {"G722", 8000, 1, ""},
                                                       {"L16", 16000, 2, ""},
                                                       {"GSM", 8000, 1, ""},
                                                       {"G726-24", 8000, 1, ""},
                                                       {"AAL2-G726-40", 8000, 1, ""},
                                                       {"opus", 48000, 2, "sprop-stereo=1"},
                                                       {"speex", 16000, 1, ""},
                                                       {"AMR", 8000, 1, "octet-align=1"},
                                                       {"AMR", 8000, 1, ""},
                                                       {"AMR-WB", 16000, 1, ""},
                                                       {"CN", 8000, 1, ""},
                                                       {"iLBC", 8000, 1, "mode=20"},
                                                       {"iLBC", 8000, 1, ""}}};
  const AudioFormat& format = formats[data[0] % formats.size()];
  const Bytes rest(reinterpret_cast<const std::byte*>(data + 1), size - 1);
  const bool is_amr = format.encoding.starts_with("AMR");
  if (is_amr) {
    const AmrLayout layout{format.clock_rate_hz == 16000, !format.parameters.empty()};
    const auto frames = amr_frames(rest, layout);
    fact(!frames || (frames->count > 0 && frames->count <= AmrFrames::kMost));
    if (frames) {
      // What was read is written again, and read again as the same.
      std::vector<std::byte> payload(amr_most_octets(frames->count, layout.wideband));
      payload.resize(write_amr_payload(std::span(frames->frames).first(frames->count), frames->request,
                                       layout, payload));
      const auto again = amr_frames(payload, layout);
      fact(again && again->count == frames->count && again->request == frames->request);
      for (std::size_t i = 0; again && i < again->count; ++i)
        fact(again->frames[i].storage == frames->frames[i].storage);
    }
  }
  const auto decoder = make_audio_decoder(format);
  // iLBC is not in every build.
  if (!decoder && format.encoding == "iLBC") return 0;
  fact(decoder.has_value());
  // The libraries behind AMR trust the bits of a frame; only its shape is ours to check.
  if (!is_amr) {
    // Room to the very sample: the address sanitizer sees whoever writes more than was said.
    std::vector<std::int16_t> samples((*decoder)->max_samples());
    fact(samples.size() <= 65'535);
    const auto made = (*decoder)->decode(rest, samples);
    fact(!made || *made <= samples.size());
    fact(!made || *made % (*decoder)->channels() == 0);
    // The same octets as the packet behind a loss.
    (*decoder)->recover(rest, std::span(samples).first(std::min<std::size_t>(samples.size(), 1000)));
  }

  // The same octets as packets: a length, then sequence and timestamp, then the payload.
  const std::vector<RecordedFormat> known = {
      {PayloadType{96}, format.encoding, format.clock_rate_hz, format.channels, format.parameters},
      {PayloadType{101}, "telephone-event", 8000, 1, ""}};
  if (is_amr) return 0;
  AudioStream stream(Instant{}, 8000, LossPolicy::kConceal, EventPolicy::kTone);
  const auto place = [](const AudioFrame& placed) {
    fact(placed.samples.size() <= 200'000);
    return std::size_t{0};
  };
  Instant now{};
  for (Bytes left = rest; left.size() >= 6;) {
    const std::size_t length = std::min<std::size_t>(read_u8(left, 0), left.size() - 6);
    RtpView packet;
    packet.sequence = SeqNo{static_cast<std::uint16_t>(read_u8(left, 1) * 16)};
    packet.timestamp = read_u16(left, 2) * 80u;
    packet.payload_type = PayloadType{read_u8(left, 4) % 3 == 0 ? std::uint8_t{101} : std::uint8_t{96}};
    packet.payload = left.subspan(6, length);
    now += std::chrono::milliseconds(read_u8(left, 5));
    stream.on_packet(packet, now, known);
    stream.release(now, place);
    left = left.subspan(6 + length);
  }
  stream.finish(place);
  return 0;
}
