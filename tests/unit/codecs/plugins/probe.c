/* SPDX-License-Identifier: Apache-2.0 */
/* A codec plug-in for tests: it says what it was told, and with the mode "lies" in its parameters it says more than it
 * may. A frame is 80 samples, and becomes one octet. */
#include "codecs/plugins/codec_plugin.h"

#include <stdlib.h>
#include <string.h>

enum { kFrame = 80 };

struct probe {
  int lies;
  uint8_t heard[4];
};

static void* probe_open(const char* parameters) {
  struct probe* self = calloc(1, sizeof *self);
  if (self != NULL) self->lies = strstr(parameters, "lies") != NULL;
  return self;
}

static int probe_decode(void* state, const uint8_t* payload, size_t size, int16_t* out) {
  struct probe* self = state;
  if (payload == NULL) return 0;
  if (size > 0) self->heard[0] = payload[0];
  memset(out, 0, kFrame * sizeof *out);
  return self->lies ? 1000000 : kFrame;
}

static int probe_requested_mode(const void* state) {
  const struct probe* self = state;
  return self->lies ? 1000 : self->heard[0] == 0 ? -1 : self->heard[0];
}

static void* probe_open_encoder(const char* parameters, int dtx, uint32_t bitrate_bps) {
  struct probe* self = probe_open(parameters);
  if (strstr(parameters, "refuses") != NULL || self == NULL) {
    free(self);
    return NULL;
  }
  self->heard[RTPFERRY_FEEDBACK_MODE] = (uint8_t)dtx;
  self->heard[RTPFERRY_FEEDBACK_BITRATE] = (uint8_t)bitrate_bps;
  return self;
}

static int probe_encode(void* state, const int16_t* samples, size_t count, uint8_t* out,
                        struct rtpferry_encoded* encoded) {
  struct probe* self = state;
  (void)samples;
  for (size_t i = 0; i < count / kFrame; ++i) out[i] = self->heard[i % sizeof self->heard];
  encoded->is_silence = 1;
  encoded->skipped = self->lies ? 1000000 : kFrame;
  return self->lies ? 1000000 : (int)(count / kFrame);
}

static void probe_feedback(void* state, enum rtpferry_feedback what, uint32_t value) {
  struct probe* self = state;
  self->heard[what] = (uint8_t)value;
}

const struct rtpferry_codec* rtpferry_codec_entry(void) {
  static const struct rtpferry_codec codec = {
      .abi = RTPFERRY_CODEC_ABI,
      .sample_rate_hz = 8000,
      .max_samples = kFrame,
      .open = probe_open,
      .close = free,
      .decode = probe_decode,
      .requested_mode = probe_requested_mode,
      .frame_samples = kFrame,
      .max_packet_samples = 4 * kFrame,
      .max_frame_octets = 1,
      .open_encoder = probe_open_encoder,
      .close_encoder = free,
      .encode = probe_encode,
      .feedback = probe_feedback,
  };
  return &codec;
}
