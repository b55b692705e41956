// SPDX-License-Identifier: Apache-2.0
#include "control/call/totals.hpp"

namespace ferry {

std::string_view to_string(EndReason reason) noexcept {
  switch (reason) {
    case EndReason::kRegular:
      return "regular";
    case EndReason::kForced:
      return "forced";
    case EndReason::kTimeout:
      return "timeout";
    case EndReason::kSilentTimeout:
      return "silent-timeout";
    case EndReason::kOfferTimeout:
      return "offer-timeout";
    case EndReason::kFinalTimeout:
      return "final-timeout";
  }
  return "unknown";
}

}  // namespace ferry
