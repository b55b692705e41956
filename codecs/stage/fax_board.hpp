// SPDX-License-Identifier: Apache-2.0
// Progress of the fax gateways of all threads: pages, rate, packets lost and recovered.
#pragma once

#include "relay/core/audio/fax_progress.hpp"

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

namespace ferry {

/// Gateways write their figures here, each into a slot of its own. Any thread. It is locked when a gateway is
/// made and when somebody asks, never for a packet.
class FaxBoard final : public FaxWatch {
 public:
  /// One thread writes it.
  struct Slot {
    std::atomic<int> pages{0};
    std::atomic<int> bit_rate_bps{0};
    std::atomic<bool> is_corrected{false};
    std::atomic<std::uint64_t> lost{0};
    std::atomic<std::uint64_t> recovered{0};
  };
  /// A slot for the gateway `number`, which keeps it as long as it lives. Throws std::bad_alloc.
  [[nodiscard]] std::shared_ptr<Slot> add(std::uint64_t number) {
    auto slot = std::make_shared<Slot>();
    const std::scoped_lock lock(mutex_);
    std::erase_if(slots_, [](const auto& each) { return each.second.expired(); });
    slots_[number] = slot;
    return slot;
  }
  [[nodiscard]] std::optional<FaxProgress> progress_of(std::uint64_t gateway) const override {
    const std::scoped_lock lock(mutex_);
    const auto found = slots_.find(gateway);
    const auto slot = found == slots_.end() ? nullptr : found->second.lock();
    if (!slot) return std::nullopt;
    return FaxProgress{slot->pages.load(), slot->bit_rate_bps.load(), slot->is_corrected.load(),
                       slot->lost.load(), slot->recovered.load()};
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::uint64_t, std::weak_ptr<Slot>> slots_;
};

}  // namespace ferry
