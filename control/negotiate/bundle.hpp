// SPDX-License-Identifier: Apache-2.0
// BUNDLE groups of one SDP (RFC 9143): which sections share a transport, and which of them says where it is.
// Pure; any thread.
#pragma once

#include "control/sdp/sdp.hpp"

#include <cstddef>
#include <functional>
#include <vector>

namespace ferry {

/// One BUNDLE group. Sections are given by their index in the SDP.
struct BundleGroup {
  /// The bundled sections: RTP sections that are not rejected, all with the profile of the first (BND-10); at
  /// least one. The first is the tagged section, which carries the transport (BND-1): the first one that has
  /// a port. The others stand in the order of the group's line.
  std::vector<std::size_t> sections;
  /// The other sections that the line names: rejected ones, and those that cannot share a transport, such as
  /// data channels (SCT-1) and sections with another profile.
  std::vector<std::size_t> others;
  bool operator==(const BundleGroup&) const = default;
};

/// Reads the groups of `session`. A section is in one group at most, and names without a section mean nothing
/// (BND-12). `is_refused` says which sections the far side does not take; null = none. Groups in which no
/// section lives are left out.
[[nodiscard]] std::vector<BundleGroup> bundle_groups(const sdp::Session& session,
                                                     const std::function<bool(std::size_t)>& is_refused = {});

/// True if a group of `session` has one place for all its sections, so that its party may be unable to use an
/// answer without the group (BND-9): the sections behind the first have its port, none, or port 9.
[[nodiscard]] bool may_need_group(const sdp::Session& session);

/// Copies the transport of each group's tagged section to the other bundled sections (BND-1): port, address,
/// ICE, fingerprint, setup and rtcp-mux. Afterwards each section reads as if it stood alone, and a
/// bundle-only section with port 0 has a port (BND-5).
///
/// If the tagged section has no candidates, those of another section that the line names count, because there
/// is one transport only. Reduced-size RTCP counts for the group if one of its sections has it.
void share_transport(sdp::Session& session, const std::vector<BundleGroup>& groups);

}  // namespace ferry
