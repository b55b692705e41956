// SPDX-License-Identifier: Apache-2.0
// One section of the SDP that a party is shown. Commands of one party and of two write their sections with
// it. Pure. Control thread only.
#pragma once

#include "control/call/call.hpp"
#include "control/negotiate/side.hpp"
#include "control/sdp/sdp.hpp"
#include "control/sdp/write.hpp"

#include <cstdint>
#include <span>
#include <string_view>

namespace ferry {

/// Whose direction a section shows.
enum class DirectionPolicy : std::uint8_t {
  /// The partner's direction goes on. A partner that is on hold by its address does not receive (hold of
  /// RFC 2543). With flag `original-sendrecv` the direction stays as it is, and there is a line only if the
  /// partner wrote one.
  kHandedOn,
  /// The relay decided, because it is the other party itself. Flag `original-sendrecv` means nothing then,
  /// because there is no line of a partner.
  kDecided,
};

/// Writes what an SDP says about one media of a party, step by step: `begin`, and for a section that is not
/// rejected `open`, `show_direction` and, for RTP, `show_transport`. The caller adds codecs and extensions.
/// It borrows everything, and lives for one section of one message.
class SectionWriter {
 public:
  /// `media`: that of the party. `is_answer`: the SDP is an answer to the party, else an offer.
  SectionWriter(const Media& media, const SideInput& input, bool is_answer)
      : media_(media), input_(input), side_(*media.via, input), is_answer_(is_answer) {}

  /// Begins a section with port 0 that shows `source`. Null: there is nothing to show. The m-line then has
  /// `formats`; if these are empty, the payload types of the party, because it needs one (RFC 8866 §5.14).
  [[nodiscard]] sdp::SectionEdit begin(const sdp::MediaSection* source,
                                       std::span<const std::string_view> formats = {}) const;
  /// Writes port and address of the media, which must have ports. The address may be the client's (key
  /// `media-address`). `is_on_hold`: the partner named the unspecified address, which the party is shown
  /// unless the client wants it replaced (key `replace`, word `zero-address`).
  void open(sdp::SectionEdit& edit, bool is_on_hold) const;
  /// Writes the direction of an RTP section. Sections of other kinds keep the line of their source.
  /// `decided` counts with that policy only.
  void show_direction(sdp::SectionEdit& edit, DirectionPolicy policy, sdp::Direction decided = {}) const;

  /// True if ICE lines will be written, so that `show_transport` needs candidates.
  [[nodiscard]] bool shows_ice() const { return side_.shows_ice(is_answer_); }
  /// Writes the transport of an RTP section (`Side::print`) and the packet times of its source.
  void show_transport(sdp::SectionEdit& edit, Side::Candidates candidates) const;

 private:
  const Media& media_;
  const SideInput& input_;
  Side side_;
  bool is_answer_;
};

}  // namespace ferry
