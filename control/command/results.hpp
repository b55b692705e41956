// SPDX-License-Identifier: Apache-2.0
// The answers of commands, as plain values. A protocol writes its reply from them. A command whose answer is
// only "done" returns `Result<void>` and has no struct here.
#pragma once

#include "control/sdp/sdp.hpp"
#include "relay/base/address.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace ferry {

/// An offer or an answer was taken.
struct MessageTaken {
  /// The SDP for the other party. Unset for a trickle ICE fragment, which is not passed on.
  std::optional<std::string> sdp;
  /// Paths of the files that packets of the call are recorded to. Empty = there are none.
  std::vector<std::string> packet_files;
  /// Words of the client that could not be obeyed, a sentence each. Empty = all were.
  std::vector<std::string> warnings{};
};

/// `block DTMF` or `unblock DTMF`: digits have other rules now.
struct DigitRulesSet {
  /// As in `MessageTaken`.
  std::vector<std::string> warnings{};
};

/// `publish` or `create`: the command made a party, or went on in the dialogue of one that it had made
/// before.
struct PartyMade {
  std::string call_id;
  std::string tag;
  /// The SDP for the party: the answer to its offer, or an offer of the relay.
  std::string sdp;
  /// As in `MessageTaken`. `create` leaves it empty, because it takes no message of a party.
  std::vector<std::string> packet_files;
};

/// A media that a subscriber gets a copy of: the first one that its section copies.
struct SubscribedMedia {
  /// Tag and label of the party that sends it. An empty label = the party has none.
  std::string tag;
  std::string party_label;
  /// The number of its m-line in the SDP of that party, from 1, and its type, such as `audio`.
  unsigned index = 0;
  std::string type;
  /// The direction that the party agreed to in its dialogue.
  sdp::Direction direction;
  /// The label of the section that copies it (RFC 4574). Empty without flag `siprec`.
  std::string label;
};

/// `subscribe request`: the subscriber is made and is offered what others send.
struct SubscriptionMade {
  /// Tag of the subscriber.
  std::string tag;
  /// The offer for it.
  std::string sdp;
  /// One for each section of the offer, except for sections whose sources are gone.
  std::vector<SubscribedMedia> medias;
  /// True if the client wants to be told of each media (flag `siprec`).
  bool tells_medias = false;
  /// As in `MessageTaken`.
  std::vector<std::string> warnings{};
};

/// `transform`: a port of the relay whose packets go on to a destination.
struct TransformedStream {
  /// The client's name for it.
  std::string id;
  /// Where the relay receives the packets: its advertised address and the port.
  Endpoint at;
};

/// `transform`: the streams, in the order in which the client named them.
struct TransformMade {
  std::string call_id;
  std::string tag;
  std::vector<TransformedStream> streams;
};

/// `play media`: the sound has begun, or begins once the party has an address.
struct PlaybackStarted {
  /// How long it is, in ms. Unset = it has no end, or nobody knows.
  std::optional<std::int64_t> duration_ms;
};

/// `stop media`.
struct PlaybackStopped {
  /// The sample of the sound at which the packet begins that was sent last; 0 = nothing was being played.
  std::int64_t position = 0;
};

}  // namespace ferry
