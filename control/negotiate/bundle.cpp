// SPDX-License-Identifier: Apache-2.0
// Trap: `a=bundle-only` means something only inside a group (RFC 9143 §6). A section with port 0 lives if the
// group names it and the attribute is there; without the attribute it is rejected.
#include "control/negotiate/bundle.hpp"

#include "control/sdp/words.hpp"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <string_view>

namespace ferry {

namespace {

/// True if the section can share a transport and is not rejected.
bool lives(const sdp::MediaSection& section) {
  return section.is_rtp() && (section.port != 0 || section.find("bundle-only") != nullptr);
}

bool is_crypto(const sdp::Attribute& attribute) { return attribute.name == "crypto"; }

/// Index of the section with this MID; the number of sections if there is none.
std::size_t section_named(const sdp::Session& session, std::string_view mid) {
  return static_cast<std::size_t>(std::ranges::find(session.media, mid, &sdp::MediaSection::mid) -
                                  session.media.begin());
}

/// Sorts the sections that one group line names. `is_taken` marks the sections of earlier groups, which are
/// left out, and gets these.
BundleGroup read_group(const sdp::Session& session, std::string_view mids, std::vector<bool>& is_taken,
                       const std::function<bool(std::size_t)>& is_refused) {
  BundleGroup group;
  for (std::string_view mid = sdp::next_word(mids); !mid.empty(); mid = sdp::next_word(mids)) {
    const std::size_t at = section_named(session, mid);
    if (at == session.media.size() || is_taken[at]) continue;
    is_taken[at] = true;
    const bool is_member = lives(session.media[at]) && !(is_refused && is_refused(at));
    (is_member ? group.sections : group.others).push_back(at);
  }
  // If no section has a port, nothing says where the transport is, and the group does not count.
  const auto carrier =
      std::ranges::find_if(group.sections, [&](std::size_t at) { return session.media[at].port != 0; });
  if (carrier == group.sections.end()) {
    group.sections.clear();
  } else {
    std::rotate(group.sections.begin(), carrier, carrier + 1);
    // One transport has one profile, so sections with another one stay out (BND-10).
    const std::string_view profile = session.media[group.sections.front()].protocol.text;
    const auto differing = std::stable_partition(
        group.sections.begin(), group.sections.end(),
        [&](std::size_t at) { return equal_ignoring_case(session.media[at].protocol.text, profile); });
    group.others.insert(group.others.end(), differing, group.sections.end());
    group.sections.erase(differing, group.sections.end());
  }
  return group;
}

}  // namespace

std::vector<BundleGroup> bundle_groups(const sdp::Session& session,
                                       const std::function<bool(std::size_t)>& is_refused) {
  std::vector<BundleGroup> groups;
  std::vector<bool> is_taken(session.media.size(), false);
  for (const sdp::Attribute& attribute : session.attributes) {
    std::string_view rest = attribute.value;
    if (attribute.name != "group" || !equal_ignoring_case(sdp::next_word(rest), "BUNDLE")) continue;
    BundleGroup group = read_group(session, rest, is_taken, is_refused);
    if (!group.sections.empty()) groups.push_back(std::move(group));
  }
  return groups;
}

bool may_need_group(const sdp::Session& session) {
  constexpr std::uint16_t kDiscard = 9;
  return std::ranges::any_of(bundle_groups(session), [&](const BundleGroup& group) {
    const std::uint16_t common = session.media[group.sections.front()].port;
    return std::ranges::all_of(group.sections, [&](std::size_t at) {
      const std::uint16_t port = session.media[at].port;
      return port == common || port == 0 || port == kDiscard;
    });
  });
}

void share_transport(sdp::Session& session, const std::vector<BundleGroup>& groups) {
  for (const BundleGroup& group : groups) {
    sdp::MediaSection& carrier = session.media[group.sections.front()];
    for (const auto* named : {&group.sections, &group.others}) {
      for (const std::size_t at : *named) {
        if (carrier.candidates.empty()) carrier.candidates = session.media[at].candidates;
      }
    }
    for (const std::size_t at : group.sections)
      carrier.rtcp_reduced_size |= session.media[at].rtcp_reduced_size;
    for (const std::size_t at : group.sections) {
      sdp::MediaSection& member = session.media[at];
      if (&member == &carrier) continue;
      member.port = carrier.port;
      member.port_count = carrier.port_count;
      member.connection = carrier.connection;
      member.rtcp = carrier.rtcp;
      member.rtcp_mux = carrier.rtcp_mux;
      member.rtcp_reduced_size = carrier.rtcp_reduced_size;
      member.has_crypto = carrier.has_crypto;
      std::erase_if(member.attributes, is_crypto);
      std::ranges::copy_if(carrier.attributes, std::back_inserter(member.attributes), is_crypto);
      member.fingerprints = carrier.fingerprints;
      member.setup = carrier.setup;
      member.tls_id = carrier.tls_id;
      member.ice_ufrag = carrier.ice_ufrag;
      member.ice_password = carrier.ice_password;
      member.ice_options = carrier.ice_options;
      member.ice_lite = carrier.ice_lite;
      member.candidates = carrier.candidates;
    }
  }
}

}  // namespace ferry
