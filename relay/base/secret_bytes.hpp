// Octets of a secret.
#pragma once

#include "relay/base/bytes.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

#include <string.h>

namespace ferry {

/// Wiped when they die (media-security SRT-15). Never printed.
template <std::size_t Capacity>
class SecretBytes {
 public:
  SecretBytes() = default;
  explicit SecretBytes(Bytes from) : size_(std::min(from.size(), Capacity)) {
    std::copy_n(from.begin(), size_, octets_.begin());
  }
  SecretBytes(const SecretBytes&) = default;
  SecretBytes& operator=(const SecretBytes&) = default;
  ~SecretBytes() { explicit_bzero(octets_.data(), octets_.size()); }

  [[nodiscard]] Bytes get() const noexcept { return Bytes(octets_).first(size_); }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  bool operator==(const SecretBytes&) const = default;

 private:
  std::array<std::byte, Capacity> octets_{};
  std::size_t size_ = 0;
};

}  // namespace ferry
