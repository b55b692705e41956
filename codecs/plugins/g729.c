/* SPDX-License-Identifier: Apache-2.0 */
/* G.729 (RFC 3551 section 4.5.6) by bcg729, which is under the GPL; so this is built as a package of its own. */
#include "codecs/plugins/codec_plugin.h"

#include <bcg729/decoder.h>
#include <bcg729/encoder.h>
#include <string.h>

/* A frame has 10 octets, 80 samples (10 ms). A silence descriptor of 2 octets may end a packet (Annex B). */
enum { kFrame = 10, kSid = 2, kSamples = 80, kMaxFrames = 24 };

static void* g729_open(const char* parameters) {
  (void)parameters;
  return initBcg729DecoderChannel();
}

static void g729_close(void* state) { closeBcg729DecoderChannel(state); }

static int g729_decode(void* state, const uint8_t* payload, size_t size, int16_t* out) {
  int made = 0;
  /* The decoder hides losses itself, frame by frame. */
  if (payload == NULL) {
    for (; (size_t)made + kSamples <= size && made < kMaxFrames * kSamples; made += kSamples)
      bcg729Decoder(state, NULL, 0, 1, 0, 0, out + made);
    return made;
  }
  if (size % kFrame != 0 && size % kFrame != kSid) return -1;
  /* Room for the silence descriptor behind the frames must be left. */
  if (size / kFrame > kMaxFrames - 1) return -1;
  for (; size >= kFrame; size -= kFrame, payload += kFrame, made += kSamples)
    bcg729Decoder(state, payload, kFrame, 0, 0, 0, out + made);
  if (size == kSid) {
    bcg729Decoder(state, payload, kSid, 0, 1, 0, out + made);
    made += kSamples;
  }
  return made;
}

static void* g729_open_encoder(const char* parameters, int dtx, uint32_t bitrate_bps) {
  (void)bitrate_bps;
  /* The parameter is "yes" unless it says otherwise (RFC 4856 section 2.1.9, RFC 7261 section 3). */
  const int annexb = strstr(parameters, "annexb=no") == NULL;
  return initBcg729EncoderChannel(dtx && annexb ? 1 : 0);
}

static void g729_close_encoder(void* state) { closeBcg729EncoderChannel(state); }

/* A packet is frames without a gap, and a silence descriptor only behind them. So it begins with the first frame of
 * speech, if there is one, and ends where the stream pauses: what was said within one packet behind a pause is lost.
 * Packets of 20 ms have no room for that. */
static int g729_encode(void* state, const int16_t* samples, size_t count, uint8_t* out,
                       struct rtpferry_encoded* encoded) {
  int made = 0;
  int has_ended = 0;
  encoded->is_silence = 1;
  for (size_t at = 0; at + kSamples <= count; at += kSamples) {
    uint8_t frame[kFrame];
    uint8_t size = 0;
    bcg729Encoder(state, samples + at, frame, &size);
    if (size == kFrame && encoded->is_silence) {
      encoded->is_silence = 0;
      encoded->skipped = at;
      made = 0;
      has_ended = 0;
    }
    if (size == 0) has_ended = made > 0 ? 1 : has_ended;
    if (size == 0 || has_ended) continue;
    if (size == kSid && made == 0) encoded->skipped = at;
    memcpy(out + made, frame, size);
    made += size;
    has_ended = size == kSid;
  }
  if (made == 0) encoded->skipped = 0;
  return made;
}

const struct rtpferry_codec* rtpferry_codec_entry(void) {
  static const struct rtpferry_codec codec = {
      .abi = RTPFERRY_CODEC_ABI,
      .sample_rate_hz = 8000,
      .max_samples = kMaxFrames * kSamples,
      .open = g729_open,
      .close = g729_close,
      .decode = g729_decode,
      .frame_samples = kSamples,
      .max_packet_samples = (kMaxFrames - 1) * kSamples,
      .max_frame_octets = kFrame,
      .open_encoder = g729_open_encoder,
      .close_encoder = g729_close_encoder,
      .encode = g729_encode,
  };
  return &codec;
}
