/* SPDX-License-Identifier: Apache-2.0 */
/* The interface of a codec in a package of its own. Such codecs are those whose licences do not allow to link them
 * into the daemon. Plain C, so that a plug-in and the daemon may come from different compilers. */
#ifndef RTPFERRY_CODEC_PLUGIN_H
#define RTPFERRY_CODEC_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Rises with every change below; the daemon refuses plug-ins of another version. */
#define RTPFERRY_CODEC_ABI 2u

/* What `encode` says beside the size. All 0 before the call. */
struct rtpferry_encoded {
  /* So many of the first samples are not in the payload: a pause ended behind them. */
  size_t skipped;
  /* 1: the payload only describes silence, or there is none. */
  int is_silence;
};

/* What `feedback` is about. */
enum rtpferry_feedback {
  /* The mode in which the far side wants to hear us; 15: no preference. */
  RTPFERRY_FEEDBACK_MODE = 0,
  /* Highest bitrate, bit/s; 0: the encoder's own. */
  RTPFERRY_FEEDBACK_BITRATE = 1,
  /* Share of our packets that it lost, percent. */
  RTPFERRY_FEEDBACK_LOSS = 2,
  /* The mode that our payloads shall ask the far side for; 15: no preference. */
  RTPFERRY_FEEDBACK_OUR_REQUEST = 3
};

/* A codec: functions that any thread may call, and state that one thread uses at a time. */
struct rtpferry_codec {
  /* RTPFERRY_CODEC_ABI. */
  uint32_t abi;
  /* Rate of the samples. */
  uint32_t sample_rate_hz;
  /* Most samples that one payload may give. */
  uint32_t max_samples;
  /* Makes the state of one stream. `parameters`: the value of a=fmtp, may be empty. NULL: it cannot. */
  void* (*open)(const char* parameters);
  /* Frees the state. */
  void (*close)(void* state);
  /* Decodes one payload into mono samples. `out` holds `max_samples`. Returns their number; -1: the payload is
   * damaged. `payload` NULL: `size` samples were lost; writes what stands for them, at most that many. */
  int (*decode)(void* state, const uint8_t* payload, size_t size, int16_t* out);
  /* The mode in which the peer of a decoder wants to hear us, as its last payload said; 15: no preference; -1:
   * nothing was said. NULL: the codec has no such requests. */
  int (*requested_mode)(const void* state);

  /* What follows is the encoder (since version 2). `open_encoder` NULL: there is none. */

  /* Samples of the smallest part that can be encoded, and of the longest packet: a multiple of the former. */
  uint32_t frame_samples;
  uint32_t max_packet_samples;
  /* Most octets that one frame becomes, its share of all headers included. */
  uint32_t max_frame_octets;
  /* Makes the state of one stream for a receiver that wrote `parameters`. `dtx`: 1 if nothing should be sent in
   * silence. `bitrate_bps`: highest bitrate, 0: its own. NULL: it cannot. */
  void* (*open_encoder)(const char* parameters, int dtx, uint32_t bitrate_bps);
  /* Frees that state. */
  void (*close_encoder)(void* state);
  /* Encodes `count` samples, whole frames of one packet, into `out`, which holds `max_frame_octets` for each frame.
   * Returns the octets of the payload; 0: nothing is sent; -1: it could not. */
  int (*encode)(void* state, const int16_t* samples, size_t count, uint8_t* out,
                struct rtpferry_encoded* encoded);
  /* Does what the far side asks for; what it does not know it ignores. NULL: it can nothing of it. */
  void (*feedback)(void* state, enum rtpferry_feedback what, uint32_t value);
};

/* The one symbol of a plug-in. The result lives as long as the process. */
const struct rtpferry_codec* rtpferry_codec_entry(void);

#ifdef __cplusplus
}
#endif
#endif
