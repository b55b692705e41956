// SPDX-License-Identifier: Apache-2.0
#include "control/call/codec_catalogue.hpp"

#include "relay/base/text.hpp"

#include <algorithm>

namespace ferry {

const KnownCodec* CodecCatalogue::find(const AudioFormat& format) const {
  const auto found = std::ranges::find_if(codecs_, [&](const KnownCodec& known) {
    return equal_ignoring_case(known.format.encoding, format.encoding) &&
           known.format.clock_rate_hz == format.clock_rate_hz && known.format.channels == format.channels;
  });
  return found == codecs_.end() ? nullptr : &*found;
}

bool CodecCatalogue::decodes(const AudioFormat& format) const {
  const KnownCodec* known = find(format);
  return known != nullptr && known->decodes;
}

bool CodecCatalogue::encodes(const AudioFormat& format) const {
  const KnownCodec* known = find(format);
  return known != nullptr && known->encodes;
}

}  // namespace ferry
