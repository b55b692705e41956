// SPDX-License-Identifier: Apache-2.0
// Storage for keys and other secrets.
#pragma once

#include "relay/base/bytes.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

#include <string.h>

namespace ferry {

/// Up to `Capacity` octets of a secret, held in place. The destructor wipes them (SRT-15). Never print or log
/// them.
template <std::size_t Capacity>
class SecretBytes {
 public:
  SecretBytes() = default;
  /// Copies the secret. Octets beyond `Capacity` are left out without notice.
  explicit SecretBytes(Bytes from) : size_(std::min(from.size(), Capacity)) {
    std::copy_n(from.begin(), size_, octets_.begin());
  }
  SecretBytes(const SecretBytes&) = default;
  SecretBytes& operator=(const SecretBytes&) = default;
  ~SecretBytes() { explicit_bzero(octets_.data(), octets_.size()); }

  /// A view of the secret; it must not outlive this object.
  [[nodiscard]] Bytes get() const noexcept { return Bytes(octets_).first(size_); }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  bool operator==(const SecretBytes&) const = default;

 private:
  std::array<std::byte, Capacity> octets_{};
  std::size_t size_ = 0;
};

}  // namespace ferry
