#include "codecs/stage/receiver_stage.hpp"

#include "codecs/fax/stages.hpp"
#include "codecs/transcode/transcoder.hpp"
#include "relay/base/memory.hpp"
#include "relay/base/text.hpp"

namespace ferry {

namespace {

FaxSound sound_of(const AudioConversion& conversion) {
  return {equal_ignoring_case(conversion.format.encoding, "PCMU") ? Law::kMu : Law::kA, conversion.type};
}

std::unique_ptr<OutputStage> make_stage(const AudioConversion& conversion, FaxGateways& gateways,
                                        Instant now) {
  if (!conversion.fax) return make_transcoder();
  const FaxSide& fax = *conversion.fax;
  switch (fax.role) {
    case FaxSide::Role::kToDatagrams:
      return std::make_unique<T38Stage>(gateways.find_or_make(fax.gateway, fax.t38), now);
    case FaxSide::Role::kToSound:
      return std::make_unique<FaxSoundStage>(gateways.find_or_make(fax.gateway, fax.t38),
                                             sound_of(conversion), now);
    case FaxSide::Role::kSteadySound:
      break;
  }
  return std::make_unique<SteadySoundStage>(sound_of(conversion));
}

}  // namespace

bool ReceiverStage::does(const AudioConversion& wanted) const noexcept {
  if (!wanted.fax || !conversion_->fax) return !wanted.fax && !conversion_->fax;
  return *wanted.fax == *conversion_->fax && wanted.type == conversion_->type &&
         wanted.format == conversion_->format;
}

bool ReceiverStage::settle(std::uint64_t from, const std::shared_ptr<const AudioConversion>& conversion,
                           Instant now) noexcept {
  if (stage_ && conversion_->fax && !conversion->fax && from != from_) return false;
  if (!stage_ || (conversion != conversion_ && !does(*conversion))) {
    // The old one goes first: a gateway of the same number may be made anew.
    stage_.reset();
    if (!had_memory([&] { stage_ = make_stage(*conversion, *gateways_, now); })) return false;
  }
  conversion_ = conversion;
  from_ = from;
  return true;
}

}  // namespace ferry
