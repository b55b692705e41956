// SPDX-License-Identifier: Apache-2.0
// Limits how many handshakes a worker has in hand (DTL-12, DTL-14).
#pragma once

#include "relay/base/address.hpp"

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>

namespace ferry {

/// Counts the handshakes of one worker that are under way; finished ones do not count. Used by that worker
/// only.
class DtlsBudget {
 public:
  /// Handshakes of all clients together.
  static constexpr std::size_t kMost = 4096;
  /// Handshakes of one client.
  static constexpr std::size_t kMostOfOne = 32;

  /// Whose handshakes are counted together: those of one address in one call. So a carrier's NAT or a session
  /// border controller does not count as one client (DTL-14).
  struct Client {
    std::uint64_t call = 0;
    IpAddress address;
    auto operator<=>(const Client&) const = default;
  };

  /// A place in the budget. The destructor gives it back, so the budget has to live longer.
  class Place {
   public:
    Place() = default;
    Place(DtlsBudget& budget, const Client& client) : budget_(&budget), client_(client) {}
    Place(Place&& other) noexcept : budget_(std::exchange(other.budget_, nullptr)), client_(other.client_) {}
    Place& operator=(Place&& other) noexcept {
      if (this == &other) return *this;
      reset();
      budget_ = std::exchange(other.budget_, nullptr);
      client_ = other.client_;
      return *this;
    }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    ~Place() { reset(); }
    /// Gives the place back early.
    void reset() noexcept {
      if (budget_ != nullptr) std::exchange(budget_, nullptr)->give_back(client_);
    }
    /// True if it holds a place.
    explicit operator bool() const noexcept { return budget_ != nullptr; }

   private:
    DtlsBudget* budget_ = nullptr;
    Client client_;
  };

  /// Takes a place. The result is empty if all or this client's are taken.
  [[nodiscard]] Place take(const Client& client) {
    if (total_ >= kMost) return {};
    std::size_t& of_one = by_client_[client];
    if (of_one >= kMostOfOne) return {};
    ++total_;
    ++of_one;
    return {*this, client};
  }
  /// Handshakes under way.
  [[nodiscard]] std::size_t pending() const noexcept { return total_; }

 private:
  void give_back(const Client& client) noexcept {
    const auto found = by_client_.find(client);
    if (found == by_client_.end()) return;
    --total_;
    if (--found->second == 0) by_client_.erase(found);
  }
  std::size_t total_ = 0;
  std::map<Client, std::size_t> by_client_;
};

}  // namespace ferry
