// SPDX-License-Identifier: Apache-2.0
// Requests made of octets: each octet chooses one thing of a table. For fuzzing and for random tests, so that
// what is sent is mostly valid and every change of an octet is a change of meaning.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>
#include <string>

#include <nlohmann/json.hpp>

namespace ferry::test {

/// Octets that choose, one after the other. Behind their end everything chooses the first thing.
class Choices {
 public:
  /// `octets` is borrowed.
  explicit Choices(std::span<const std::uint8_t> octets) : octets_(octets) {}
  [[nodiscard]] bool is_over() const { return at_ >= octets_.size(); }
  /// 0 to `count` - 1; `count` is at most 256.
  std::size_t below(std::size_t count) { return is_over() ? 0 : octets_[at_++] % count; }
  /// True for one octet of `count`.
  bool rarely(std::size_t count) { return below(count) == count - 1; }
  template <class Table>
  const auto& of(const Table& table) {
    return table[below(std::size(table))];
  }

 private:
  std::span<const std::uint8_t> octets_;
  std::size_t at_ = 0;
};

/// Call-IDs that requests use.
inline constexpr const char* kCallIds[] = {"c0", "c1", "c2"};

/// Octets of an SDP: host, port, number of sections (of three), then for each its kind and direction; a last
/// one says how many lines are changed.
std::string make_sdp(Choices& choices);
/// Octets of a request: command, call, two tags, its SDP if it has one, number of further keys, and each of
/// them; a last one says whether something of it is spoiled. tests/fuzz/session_seeds.py writes the same.
nlohmann::json make_request(Choices& choices);
/// A command of the rtpproxy protocol.
std::string make_classic_command(Choices& choices);

}  // namespace ferry::test
