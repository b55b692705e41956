// BUNDLE groups of one SDP (RFC 9143): which sections share a transport, and which of them says where it is.
// Pure; any thread.
#pragma once

#include "control/sdp/sdp.hpp"

#include <cstddef>
#include <functional>
#include <vector>

namespace ferry {

/// One group. Sections are named by their index in the SDP.
struct BundleGroup {
  /// The living sections of RTP, in the order of the group's tags but for the first: it carries the transport
  /// (BND-3). There is at least one.
  std::vector<std::size_t> sections;
  /// The other sections that the group names: rejected ones, and those that cannot share the transport, such
  /// as data channels (SCT-1).
  std::vector<std::size_t> others;
  bool operator==(const BundleGroup&) const = default;
};

/// Reads the groups of `session`. A section is in one group at most, and names without a section mean nothing
/// (BND-12). `is_refused` says which sections the far side does not take; null = none. Groups in which no
/// section lives are left out.
[[nodiscard]] std::vector<BundleGroup> bundle_groups(const sdp::Session& session,
                                                     const std::function<bool(std::size_t)>& is_refused = {});

/// Copies the transport of the first section of each group to the group's other sections (BND-1): port,
/// address, ICE, fingerprint, setup and rtcp-mux. Afterwards each reads as if it stood alone, and sections
/// that had port 0 for `bundle-only` have a port (BND-5). If the first section has no candidates, those of
/// another one that the group names count, because there is one transport only.
void share_transport(sdp::Session& session, const std::vector<BundleGroup>& groups);

}  // namespace ferry
