// SPDX-License-Identifier: Apache-2.0
// The fax gateways of one thread.
#pragma once

#include "codecs/fax/gateway.hpp"
#include "codecs/stage/fax_board.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <utility>

namespace ferry {

/// A gateway with its slot on the board.
struct ShownGateway {
  ShownGateway(const T38Settings& settings, std::shared_ptr<FaxBoard::Slot> shown)
      : gateway(settings), slot(std::move(shown)) {}
  /// Writes its figures onto the board.
  void show() noexcept;

  T38Gateway gateway;
  /// Never null.
  std::shared_ptr<FaxBoard::Slot> slot;
};

/// Finds the gateway that both stages of a fax call share, by the number that control gave it
/// (`FaxSide::gateway`). A gateway lives as long as one of its stages. For one thread.
class FaxGateways {
 public:
  /// `board` has room for the gateways of all threads; not null.
  explicit FaxGateways(std::shared_ptr<FaxBoard> board) : board_(std::move(board)) {}
  /// Returns the gateway `number`, and makes it with `settings` if there is none. Never null. Throws
  /// std::bad_alloc.
  [[nodiscard]] std::shared_ptr<ShownGateway> find_or_make(std::uint64_t number, const T38Settings& settings);

 private:
  std::shared_ptr<FaxBoard> board_;
  std::map<std::uint64_t, std::weak_ptr<ShownGateway>> gateways_;
};

}  // namespace ferry
