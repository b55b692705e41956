// SPDX-License-Identifier: Apache-2.0
#include "control/negotiate/section_writer.hpp"

#include "control/negotiate/directions.hpp"

#include <string>
#include <utility>

namespace ferry {

sdp::SectionEdit SectionWriter::begin(const sdp::MediaSection* source,
                                      std::span<const std::string_view> formats) const {
  sdp::SectionEdit edit;
  edit.source = source;
  const LocalPorts* ports = media_.via->active_ports();
  edit.connection = ports != nullptr ? ports->local->advertised : IpAddress::unspecified(media_.via->family);
  edit.mid = media_.mid;
  if (source != nullptr) {
    edit.protocol = sdp::parse_protocol(media_.protocol);
    return edit;
  }
  edit.type = media_.type;
  edit.protocol_text = media_.protocol;
  edit.formats.assign(formats.begin(), formats.end());
  if (edit.formats.empty()) {
    for (const PayloadEntry& payload : media_.payloads)
      edit.formats.push_back(std::to_string(payload.type.value));
  }
  if (edit.formats.empty()) edit.formats.emplace_back("0");
  return edit;
}

void SectionWriter::open(sdp::SectionEdit& edit, bool is_on_hold) const {
  edit.port = media_.via->active_ports()->port.value;
  if (input_.request.media_address) edit.connection = *input_.request.media_address;
  if (is_on_hold && !has(input_.request.replaces, Replace::kZeroAddress))
    edit.connection = IpAddress::unspecified(edit.connection.family());
}

void SectionWriter::show_direction(sdp::SectionEdit& edit, DirectionPolicy policy,
                                   sdp::Direction decided) const {
  const bool is_rtp = edit.source->is_rtp();
  if (policy == DirectionPolicy::kDecided) {
    edit.print_direction = is_rtp;
    edit.direction = decided;
    return;
  }
  const bool is_original = input_.request.has_flag(Flag::kOriginalSendrecv);
  edit.print_direction = is_rtp && (edit.source->has_direction || !is_original);
  edit.direction = edit.source->direction;
  if (!is_original && is_on_hold(*edit.source)) edit.direction.receive = false;
}

void SectionWriter::show_transport(sdp::SectionEdit& edit, Side::Candidates candidates) const {
  side_.print(edit, is_answer_, std::move(candidates));
  edit.ptime = edit.source->ptime;
  edit.maxptime = edit.source->maxptime;
}

}  // namespace ferry
