// SPDX-License-Identifier: Apache-2.0
#include "codecs/stage/receiver_stage.hpp"

#include "codecs/fax/stages.hpp"
#include "codecs/transcode/mixing_stage.hpp"
#include "relay/base/memory.hpp"
#include "relay/base/text.hpp"

#include <utility>

namespace ferry {

namespace {

FaxSound sound_of(const AudioConversion& conversion) {
  return {equal_ignoring_case(conversion.format.encoding, "PCMU") ? Law::kMu : Law::kA, conversion.type};
}

/// `shown`: the gateway; null unless the conversion is one side of a fax call.
std::unique_ptr<OutputStage> stage_for(const AudioConversion& conversion,
                                       const std::shared_ptr<ShownGateway>& shown, Instant now) {
  if (!conversion.fax) return make_stage();
  std::shared_ptr<T38Gateway> gateway(shown, &shown->gateway);
  if (conversion.fax->role == FaxSide::Role::kToDatagrams)
    return std::make_unique<T38Stage>(std::move(gateway), now);
  return std::make_unique<FaxSoundStage>(std::move(gateway), sound_of(conversion), now);
}

}  // namespace

void ReceiverStage::drive(Instant now, MadePackets& out) noexcept {
  if (!stage_) return;
  stage_->drive(now, out);
  if (!gateway_ || now < shown_from_) return;
  constexpr Duration kSometimes = std::chrono::seconds(1);
  shown_from_ = now + kSometimes;
  gateway_->show();
}

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
    gateway_.reset();
    const bool is_made = had_memory([&] {
      if (conversion->fax) gateway_ = gateways_->find_or_make(conversion->fax->gateway, conversion->fax->t38);
      stage_ = stage_for(*conversion, gateway_, now);
    });
    if (!is_made) return false;
  }
  conversion_ = conversion;
  from_ = from;
  return true;
}

}  // namespace ferry
