/* G.729 (RFC 3551 section 4.5.6) by bcg729, which is under the GPL; so this is built as a package of its own. */
#include "codecs/plugins/codec_plugin.h"

#include <bcg729/decoder.h>

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

const struct rtpferry_codec* rtpferry_codec_entry(void) {
  static const struct rtpferry_codec codec = {RTPFERRY_CODEC_ABI, 8000,        kMaxFrames * kSamples,
                                              g729_open,          g729_close, g729_decode};
  return &codec;
}
