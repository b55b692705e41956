/* What a codec in a package of its own exports: those whose licences do not allow to link them into the
 * daemon. Plain C, so that a plug-in and the daemon may come from different compilers. */
#ifndef RTPFERRY_CODEC_PLUGIN_H
#define RTPFERRY_CODEC_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RTPFERRY_CODEC_ABI 1u

struct rtpferry_codec {
  uint32_t abi; /* RTPFERRY_CODEC_ABI */
  uint32_t sample_rate_hz;
  /* Most samples that one payload may give. */
  uint32_t max_samples;
  /* `parameters`: value of a=fmtp, may be empty. NULL: cannot. */
  void* (*open)(const char* parameters);
  void (*close)(void* state);
  /* Mono samples of one payload into `out`, which holds `max_samples`; their number, or -1 if it is damaged.
   * With `payload` NULL `size` is how many samples were lost: what stands for them, at most that many. */
  int (*decode)(void* state, const uint8_t* payload, size_t size, int16_t* out);
};

/* The one symbol of a plug-in. */
const struct rtpferry_codec* rtpferry_codec_entry(void);

#ifdef __cplusplus
}
#endif
#endif
