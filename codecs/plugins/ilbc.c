/* SPDX-License-Identifier: Apache-2.0 */
/* iLBC (RFC 3952) by FFmpeg, which Debian builds with GPL parts; so this is built as a package of its own. */
#include "codecs/plugins/codec_plugin.h"

#include <libavcodec/avcodec.h>
#include <stdlib.h>
#include <string.h>

/* Octets of a frame of 20 ms and of 30 ms; samples of 240 ms. */
enum { kFrame20 = 38, kFrame30 = 50, kMaxSamples = 8 * 240 };

struct ilbc {
  AVCodecContext* context;
  AVPacket* packet;
  AVFrame* frame;
  int frame_size;
};

static void ilbc_close(void* state) {
  struct ilbc* self = state;
  if (self == NULL) return;
  avcodec_free_context(&self->context);
  av_packet_free(&self->packet);
  av_frame_free(&self->frame);
  free(self);
}

static void* ilbc_open(const char* parameters) {
  const AVCodec* codec = avcodec_find_decoder(AV_CODEC_ID_ILBC);
  struct ilbc* self = codec == NULL ? NULL : calloc(1, sizeof *self);
  if (self == NULL) return NULL;
  /* The parameter "mode" of RFC 3952 section 5; 30 ms without it. */
  self->frame_size = strstr(parameters, "mode=20") != NULL ? kFrame20 : kFrame30;
  self->context = avcodec_alloc_context3(codec);
  self->packet = av_packet_alloc();
  self->frame = av_frame_alloc();
  if (self->context != NULL) {
    /* FFmpeg tells the two modes apart by this number alone. */
    self->context->block_align = self->frame_size;
    self->context->sample_rate = 8000;
    self->context->ch_layout = (AVChannelLayout)AV_CHANNEL_LAYOUT_MONO;
  }
  if (self->context == NULL || self->packet == NULL || self->frame == NULL ||
      avcodec_open2(self->context, codec, NULL) != 0) {
    ilbc_close(self);
    return NULL;
  }
  return self;
}

static int ilbc_decode(void* state, const uint8_t* payload, size_t size, int16_t* out) {
  struct ilbc* self = state;
  int made = 0;
  /* FFmpeg's decoder hides no loss; the caller repeats instead. */
  if (payload == NULL) return 0;
  /* A packet has whole frames of one mode only (RFC 3952 section 3). */
  if (size == 0 || size % (size_t)self->frame_size != 0) return -1;
  for (; size > 0; size -= (size_t)self->frame_size, payload += self->frame_size) {
    if (av_new_packet(self->packet, self->frame_size) != 0) return -1;
    memcpy(self->packet->data, payload, (size_t)self->frame_size);
    const int sent = avcodec_send_packet(self->context, self->packet);
    av_packet_unref(self->packet);
    if (sent != 0 || avcodec_receive_frame(self->context, self->frame) != 0) return -1;
    const int samples = self->frame->nb_samples;
    /* Checked for each frame, since another version of FFmpeg might give another form. */
    const int is_s16 = self->frame->format == AV_SAMPLE_FMT_S16 || self->frame->format == AV_SAMPLE_FMT_S16P;
    const int fits = made + samples <= kMaxSamples;
    if (is_s16 && fits) memcpy(out + made, self->frame->data[0], (size_t)samples * sizeof *out);
    av_frame_unref(self->frame);
    if (!is_s16 || !fits) return -1;
    made += samples;
  }
  return made;
}

const struct rtpferry_codec* rtpferry_codec_entry(void) {
  /* FFmpeg has no encoder. */
  static const struct rtpferry_codec codec = {
      .abi = RTPFERRY_CODEC_ABI,
      .sample_rate_hz = 8000,
      .max_samples = kMaxSamples,
      .open = ilbc_open,
      .close = ilbc_close,
      .decode = ilbc_decode,
  };
  return &codec;
}
