// How many handshakes a worker has in hand (media-security DTL-12).
#pragma once

#include "relay/base/address.hpp"

#include <cstddef>
#include <map>
#include <utility>

namespace ferry {

/// One worker's. Handshakes that are finished do not count.
class DtlsBudget {
 public:
  static constexpr std::size_t kMost = 4096;
  static constexpr std::size_t kMostOfOne = 32;

  /// A place in the budget, given back when it dies. The budget outlives it.
  class Place {
   public:
    Place() = default;
    Place(Place&& other) noexcept : budget_(std::exchange(other.budget_, nullptr)), from_(other.from_) {}
    Place& operator=(Place&& other) noexcept {
      if (this == &other) return *this;
      reset();
      budget_ = std::exchange(other.budget_, nullptr);
      from_ = other.from_;
      return *this;
    }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    ~Place() { reset(); }
    void reset() noexcept {
      if (budget_ != nullptr) std::exchange(budget_, nullptr)->give_back(from_);
    }
    explicit operator bool() const noexcept { return budget_ != nullptr; }

   private:
    friend class DtlsBudget;
    Place(DtlsBudget* budget, const IpAddress& from) : budget_(budget), from_(from) {}
    DtlsBudget* budget_ = nullptr;
    IpAddress from_;
  };

  /// Empty if there are too many, in all or with this address.
  [[nodiscard]] Place take(const IpAddress& with) {
    std::size_t& of_one = by_address_[with];
    if (total_ >= kMost || of_one >= kMostOfOne) {
      if (of_one == 0) by_address_.erase(with);
      return {};
    }
    ++total_;
    ++of_one;
    return {this, with};
  }
  [[nodiscard]] std::size_t pending() const noexcept { return total_; }

 private:
  void give_back(const IpAddress& with) noexcept {
    const auto found = by_address_.find(with);
    if (found == by_address_.end()) return;
    --total_;
    if (--found->second == 0) by_address_.erase(found);
  }
  std::size_t total_ = 0;
  std::map<IpAddress, std::size_t> by_address_;
};

}  // namespace ferry
