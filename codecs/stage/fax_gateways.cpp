// SPDX-License-Identifier: Apache-2.0
#include "codecs/stage/fax_gateways.hpp"

namespace ferry {

void ShownGateway::show() noexcept {
  const T38Gateway::Progress progress = gateway.progress();
  const UdptlReader::Figures& figures = gateway.figures();
  slot->pages.store(progress.pages, std::memory_order_relaxed);
  slot->bit_rate_bps.store(progress.bit_rate, std::memory_order_relaxed);
  slot->is_corrected.store(progress.is_corrected, std::memory_order_relaxed);
  slot->lost.store(figures.lost, std::memory_order_relaxed);
  slot->recovered.store(figures.repeated_earlier + figures.recovered_by_parity, std::memory_order_relaxed);
}

std::shared_ptr<ShownGateway> FaxGateways::find_or_make(std::uint64_t number, const T38Settings& settings) {
  std::erase_if(gateways_, [](const auto& each) { return each.second.expired(); });
  std::weak_ptr<ShownGateway>& known = gateways_[number];
  auto gateway = known.lock();
  if (!gateway) {
    gateway = std::make_shared<ShownGateway>(settings, board_->add(number));
    known = gateway;
  }
  return gateway;
}

}  // namespace ferry
