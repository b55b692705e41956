// SPDX-License-Identifier: Apache-2.0
// Trickle fragments that came before the SDP that they belong to.
#pragma once

#include "relay/base/types.hpp"

#include <chrono>
#include <cstddef>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace ferry {

/// Keeps ICE fragments (RFC 8840) for a short time. A proxy may hand a fragment over before the offer or the
/// answer that has its credentials: they are two SIP messages. Pure; control thread only.
class EarlyFragments {
 public:
  /// For so long a fragment waits for its SDP.
  static constexpr Duration kKept = std::chrono::seconds(3);
  /// The most fragments that wait, of all parties and of one. With one more, the oldest goes.
  static constexpr std::size_t kMost = 512;
  static constexpr std::size_t kMostOfOne = 16;
  /// The longest fragment that waits, in octets. Longer ones are forgotten.
  static constexpr std::size_t kLongest = 4096;

  /// Keeps the text of a fragment of the party `tag`. Throws std::bad_alloc, with no effect.
  void hold(std::string_view call_id, std::string_view tag, std::string_view fragment, Instant now);
  /// Hands over what waits for the party, the oldest first, and forgets it.
  [[nodiscard]] std::vector<std::string> take(std::string_view call_id, std::string_view tag, Instant now);
  /// How many wait.
  [[nodiscard]] std::size_t size() const { return held_.size(); }

 private:
  struct Held {
    std::string call_id;
    std::string tag;
    std::string text;
    Instant at{};
    [[nodiscard]] bool is_of(std::string_view call, std::string_view party) const {
      return call_id == call && tag == party;
    }
  };
  void drop_old(Instant now);

  /// The newest stands last.
  std::deque<Held> held_;
};

}  // namespace ferry
