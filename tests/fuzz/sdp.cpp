// SPDX-License-Identifier: Apache-2.0
// PRC-3: SDP. Views lie inside the text, bounds hold, and what was written parses to as many sections.
#include "control/sdp/sdp.hpp"

#include "control/sdp/codec_list.hpp"
#include "control/sdp/edit.hpp"
#include "control/sdp/extmap.hpp"
#include "control/sdp/write.hpp"
#include "tests/fuzz/facts.hpp"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using namespace ferry;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto session = sdp::parse(text);
  if (!session) return 0;
  fact(session->media.size() <= 32);
  sdp::SessionEdit edit;
  edit.origin = session->origin;
  edit.name = session->name;
  for (const auto& media : session->media) {
    fact(inside(media.type, text) && inside(media.mid, text) && inside(media.ptime, text));
    fact(media.formats.size() <= 64 && media.codecs.size() <= media.formats.size());
    for (const auto& attribute : media.attributes)
      fact(inside(attribute.text, text) && inside(attribute.value, attribute.text));
    for (const auto& codec : media.codecs)
      fact(inside(codec.fmtp, text) && inside(codec.rtpmap, text) && codec.payload_type < 128);
    for (const sdp::Extmap& map : sdp::extmaps_of(*session, media)) {
      fact(map.id != 0 && !map.uri.empty() && inside(map.uri, text));
      const std::string line = sdp::write_extmap(map.id, map.direction, map.uri, map.attributes);
      const auto again = sdp::parse_extmap(line);
      fact(again && again->id == map.id && again->uri == map.uri && again->direction == map.direction);
    }
    sdp::SectionEdit section;
    section.source = &media;
    section.port = 30000;
    section.connection = IpAddress::v4({192, 0, 2, 1});
    section.protocol = media.protocol;
    section.codecs = media.codecs;
    sdp::CodecOperations operations;
    operations.strip = {"all"};
    operations.offer = {"PCMA", "opus/48000/2"};
    const auto chosen = sdp::choose_codecs(media.codecs, operations, false);
    fact(chosen.size() <= media.codecs.size() && chosen.empty() == media.codecs.empty());
    section.direction = media.direction;
    section.mid = media.mid;
    edit.sections.push_back(section);
  }
  const std::string written = sdp::write(*session, edit);
  fact(sdp::apply({}, written) == written);
  const sdp::AttributeEdits edits = {{sdp::AttributeEdit::Kind::kRemove, "audio", "rtpmap", {}},
                                     {sdp::AttributeEdit::Kind::kAdd, "", "added", {}}};
  fact(sdp::apply(edits, written).find("a=added\r\n") != std::string::npos);
  sdp::Limits wide;
  wide.bytes = 1 << 24;
  wide.line = 1 << 20;
  wide.lines = 1 << 20;
  const auto again = sdp::parse(written, wide);
  if (again) {
    fact(again->media.size() == session->media.size());
    for (std::size_t i = 0; i < again->media.size(); ++i)
      fact(again->media[i].direction == session->media[i].direction || !session->media[i].is_rtp());
  }
  return 0;
}
