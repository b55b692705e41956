// SPDX-License-Identifier: Apache-2.0
// How far faxes are, for the operator.
#pragma once

#include <cstdint>
#include <optional>

namespace ferry {

/// What a fax gateway has seen of its fax.
struct FaxProgress {
  /// Whole pages so far.
  int pages = 0;
  /// Of the modems, bit/s.
  int bit_rate_bps = 0;
  /// True if pages are corrected (ECM).
  bool is_corrected = false;
  /// IFP packets of the T.38 party that are lost for good, and those that its datagrams brought back.
  std::uint64_t lost = 0;
  std::uint64_t recovered = 0;
  bool operator==(const FaxProgress&) const = default;
};

/// Knows the gateways that are at work, on whatever thread. Any thread may ask.
class FaxWatch {
 public:
  virtual ~FaxWatch() = default;
  /// The gateway with this number (`FaxSide::gateway`); nothing if it is not at work.
  [[nodiscard]] virtual std::optional<FaxProgress> progress_of(std::uint64_t gateway) const = 0;
};

}  // namespace ferry
