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
#define RTPFERRY_CODEC_ABI 1u

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
};

/* The one symbol of a plug-in. The result lives as long as the process. */
const struct rtpferry_codec* rtpferry_codec_entry(void);

#ifdef __cplusplus
}
#endif
#endif
