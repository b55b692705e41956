// Header extensions of one media: which number each has toward its party, and which are agreed (RFC 8285
// §5-6, webrtc EXT-1 to EXT-5).
#pragma once

#include "control/sdp/extmap.hpp"
#include "relay/core/rtp/header_extensions.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ferry {

/// Between this relay and one party, for one section. Made with the first description that has an extmap.
struct MediaExtensions {
  /// A URI and its number. A number that a party had once is never given to another URI (EXT-1), so entries
  /// stay until the party itself uses their number for something else.
  struct Entry {
    std::string uri;
    /// 1-255; 0 = the party left the choice to us, and none was made so far.
    std::uint8_t id = 0;
    /// In the last offer from or to the party, from its point of view; unset = not in it.
    std::optional<sdp::Direction> offered;
    /// What the last answer settled.
    std::optional<sdp::Direction> agreed;
    /// The other side is not told of it (key `extmap`, mask), as of the party's last offer.
    bool is_masked = false;
    bool operator==(const Entry&) const = default;
  };
  std::vector<Entry> entries;
  /// An answer came: `agreed` is in force. Before, `offered` is.
  bool is_settled = false;
  /// Numbers above 14 may be given (a=extmap-allow-mixed, RFC 8285 §6): set by the party's own descriptions.
  bool allows_mixed = false;

  [[nodiscard]] Entry* find(std::string_view uri);
  [[nodiscard]] const Entry* find(std::string_view uri) const;
  /// What the party may do with an extension now; unset = nothing.
  [[nodiscard]] std::optional<sdp::Direction> in_force(const Entry& entry) const {
    return is_settled ? entry.agreed : entry.offered;
  }
};

/// What a request wishes, and what numbers are free toward the receiver of an offer.
struct ExtensionRules {
  std::span<const std::string> strip;  // URIs or `all`: never negotiated
  std::span<const std::string> mask;   // the same: accepted from the sender, removed toward the receiver
  /// Feedback goes both ways: transport-cc is of use (FB-4). Looked at in answers.
  bool has_feedback = true;
  /// The receiver gave a description before: then `allows_mixed` says whether it takes numbers above 14.
  bool knows_receiver = false;
  /// Of the receiver's other sections.
  std::vector<const MediaExtensions*> others;
  /// The receiver's sections are a group: a URI has one number in all of them (RFC 9143 §12).
  bool is_group = false;
};

/// Takes the numbers of a party's own description. The party decides: what it uses anew is replaced.
void note_extensions(MediaExtensions& own, std::span<const sdp::Extmap> theirs);

/// A party's offer: `sender` notes it, `receiver` is offered the rest, under its own numbers. Gives the
/// values of the a=extmap lines to show to the receiver.
std::vector<std::string> offer_extensions(MediaExtensions& sender, MediaExtensions& receiver,
                                          std::span<const sdp::Extmap> offer, const ExtensionRules& rules);

/// A party's answer: settles both sides on what both know. Gives the lines to show to the offerer `receiver`.
std::vector<std::string> answer_extensions(MediaExtensions& sender, MediaExtensions& receiver,
                                           std::span<const sdp::Extmap> answer, const ExtensionRules& rules);

/// Offers a subscriber what `source` may send, which has these lines in its own SDP; null = it has none.
/// Gives the lines to show.
std::vector<std::string> show_extensions(const MediaExtensions* source, MediaExtensions& subscriber,
                                         std::span<const sdp::Extmap> lines, const ExtensionRules& rules);

/// A party's answer to what it was shown, where nobody waits for an answer of ours.
void settle_extensions(MediaExtensions& own, std::span<const sdp::Extmap> answer);

/// What packets of `source` must become for `sink`; null = a party that never spoke of extensions.
/// `same_mid`: both name the section alike, so that the MID element means the same to both (EXT-4).
HeaderExtensionMap extension_map(const MediaExtensions* source, const MediaExtensions* sink, bool same_mid);

}  // namespace ferry
