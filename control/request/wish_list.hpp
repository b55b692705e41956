// SPDX-License-Identifier: Apache-2.0
// The lists of a request whose members are more than words: one struct for each kind of member. The protocols
// read them; commands look up what they name. Plain values.
#pragma once

#include "control/request/fault.hpp"
#include "relay/base/address.hpp"
#include "relay/base/types.hpp"
#include "relay/core/audio/codec.hpp"

#include <optional>
#include <string>
#include <vector>

namespace ferry {

/// A list of a request: its members in the client's order, up to the first that is wrong in itself. No
/// members and no fault = the request has no such list.
template <class Member>
struct WishList {
  std::vector<Member> members;
  /// What is wrong with the member behind the last of `members`, or with the list as a whole. Unset =
  /// nothing. A command judges `members` first, so that the client reads about the first one that is wrong.
  std::optional<RequestFault> fault;
};

/// `mesh`: who shall hear the party `from`. All are tags.
struct WishedFlows {
  std::string from;
  std::vector<std::string> to;
};

/// `create`: a section of the offer, such as `audio`, and its codecs as `NAME/CLOCK/CHANNELS`.
struct WishedSection {
  std::string type;
  std::vector<std::string> codecs;
};

/// `transform`: a payload type, and what its payloads are.
struct WishedCodec {
  PayloadType type;
  AudioFormat format;
  bool operator==(const WishedCodec&) const = default;
};

/// `transform`: a stream, and where it is sent to.
struct WishedStream {
  /// The client's name for it; it stands in the reply.
  std::string id;
  /// Type of its section. Empty = audio.
  std::string type;
  Endpoint destination;
  /// What comes in, and what the destination is to get of each. Empty = whatever comes goes on as it is.
  struct Pair {
    WishedCodec input;
    WishedCodec output;
  };
  std::vector<Pair> codecs{};
};

}  // namespace ferry
