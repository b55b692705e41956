// SPDX-License-Identifier: Apache-2.0
// Writes SDP in the order of docs/reference/ng.md#sdp: session lines, then each section.
//
// Attributes of the sender pass unchanged unless they are in one of the tables below. Those the relay writes
// itself, or leaves out on purpose: an address, a key or a candidate of the sender would lead media past the
// relay. Sections that are not RTP keep more of their attributes, because only the parties understand them.
//
// RTCP feedback is written only where the receiver's profile has it (RTC-3). Without it the receiver is no
// browser, and gets no lines that only browsers understand (FB-5).

#include "control/sdp/write.hpp"

#include "control/sdp/extmap.hpp"
#include "control/sdp/words.hpp"

#include <algorithm>
#include <array>
#include <span>

namespace ferry::sdp {

namespace {

/// Attributes of an RTP section that the relay writes itself, or not at all.
constexpr std::array<std::string_view, 28> kConsumed = {
    "rtcp",
    "rtcp-mux",
    "rtcp-mux-only",
    "crypto",
    "fingerprint",
    "setup",
    "tls-id",
    "ice-ufrag",
    "ice-pwd",
    "ice-options",
    "ice-lite",
    "ice-mismatch",
    "candidate",
    "remote-candidates",
    "end-of-candidates",
    "mid",
    "label",
    "sendrecv",
    "sendonly",
    "recvonly",
    "inactive",
    "ptime",
    "maxptime",
    "rtpmap",
    "fmtp",
    "extmap",
    "extmap-allow-mixed",
    "bundle-only",
};

/// The same for attributes of the session, with those that are defined for sections only.
constexpr std::array<std::string_view, 22> kConsumedInSession = {
    "sendrecv",  "sendonly",  "recvonly",          "inactive",           "fingerprint",  "setup",
    "tls-id",    "ice-ufrag", "ice-pwd",           "ice-options",        "ice-lite",     "ptime",
    "candidate", "crypto",    "remote-candidates", "end-of-candidates",  "ice-mismatch", "extmap",
    "rtcp",      "rtcp-mux",  "rtcp-fb",           "extmap-allow-mixed",
};

/// The same for sections that are not RTP: only attributes that would lead the parties past the relay.
constexpr std::array<std::string_view, 10> kConsumedBesideRtp = {
    "mid",       "label",   "candidate", "remote-candidates", "end-of-candidates",
    "ice-ufrag", "ice-pwd", "ice-lite",  "ice-mismatch",      "ice-options",
};

/// Attributes of RTCP feedback (RFC 4585 §4, RFC 5506 §5, RFC 3611 §5), which are not written if the profile
/// has none (RTC-3).
constexpr std::array<std::string_view, 3> kOfFeedback = {"rtcp-fb", "rtcp-rsize", "rtcp-xr"};

/// Attributes of browsers that name streams and layers: RFC 5576, RFC 8830, RFC 8851, RFC 8853 (FB-5).
constexpr std::array<std::string_view, 6> kOfStreams = {"ssrc", "ssrc-group",    "msid",
                                                        "rid",  "msid-semantic", "simulcast"};

bool contains(std::span<const std::string_view> names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

class Writer {
 public:
  template <class... Parts>
  void line(char kind, const Parts&... parts) {
    text_ += kind;
    text_ += '=';
    (append(parts), ...);
    text_ += "\r\n";
  }
  template <class... Parts>
  void attribute(const Parts&... parts) {
    line('a', parts...);
  }
  void raw(std::string_view whole_line) {
    text_ += whole_line;
    text_ += "\r\n";
  }
  void reserve(std::size_t size) { text_.reserve(size); }
  std::string take() { return std::move(text_); }

 private:
  void append(std::string_view part) { text_ += part; }
  void append(std::uint32_t number) { text_ += std::to_string(number); }

  std::string text_;
};

std::string_view address_type(const IpAddress& address) { return address.is_v6() ? "IP6" : "IP4"; }

/// Orders the b= values of a section: AS, RR, RS, then the rest (docs/reference/ng.md#sdp).
std::vector<std::string_view> ordered_bandwidth(const std::vector<std::string_view>& values) {
  const auto rank = [](std::string_view value) {
    if (value.starts_with("AS:")) return 0;
    if (value.starts_with("RR:")) return 1;
    return value.starts_with("RS:") ? 2 : 3;
  };
  auto sorted = values;
  std::ranges::stable_sort(sorted, {}, rank);
  return sorted;
}

/// True if an rtcp-fb value may be written. The receiver's profile must have feedback (RTC-3). transport-cc
/// works from end to end only, so the sender's profile must have it, too (FB-4). Both sections are RTP.
bool shows_feedback(std::string_view value, const SectionEdit& section) {
  return section.protocol.feedback && (section.source->protocol.feedback || !value.ends_with("transport-cc"));
}

/// True if the receiver gets no lines for browsers in this section (FB-5).
bool is_for_plain_phone(const SectionEdit& section) {
  return section.source != nullptr && section.source->is_rtp() &&
         is_plainer(section.protocol, section.source->protocol);
}

void write_codecs(Writer& out, const SectionEdit& section) {
  for (const Codec& codec : section.codecs) {
    const std::uint32_t type = codec.payload_type;
    if (!codec.rtpmap.empty()) {
      // "/1" means nothing, and present relays leave it out.
      std::string_view map = codec.rtpmap;
      if (codec.channels == 1 && std::ranges::count(map, '/') == 2) map = trim(map.substr(0, map.rfind('/')));
      std::string without_blanks(map);
      std::erase_if(without_blanks, [](char c) { return kBlanks.find(c) != std::string_view::npos; });
      out.attribute("rtpmap:", type, " ", without_blanks);
    } else if (!codec.name.empty()) {
      // Without a name only the parties know what the number means, and the relay invents nothing.
      out.attribute("rtpmap:", type, " ", codec.name, "/", codec.clock_rate_hz);
    }
    if (!codec.fmtp.empty()) {
      const std::string opus = equal_ignoring_case(codec.name, "opus") ? canonical_opus_fmtp(codec.fmtp) : "";
      out.attribute("fmtp:", type, " ", opus.empty() ? codec.fmtp : std::string_view(opus));
    }
    for (const std::string_view feedback : codec.feedback) {
      if (shows_feedback(feedback, section)) out.attribute("rtcp-fb:", type, " ", feedback);
    }
  }
}

bool is_codec_feedback(const Attribute& attribute) {
  return attribute.name == "rtcp-fb" && !attribute.value.starts_with('*');
}

/// A rejected section keeps its place, as RFC 3264 §6 demands, and shows no address of the sender.
void write_rejected(Writer& out, const SectionEdit& section) {
  std::string formats;
  if (section.source != nullptr) {
    for (const auto format : section.source->formats) formats.append(" ").append(format);
    out.line('m', section.source->type, " 0 ", section.protocol.text, formats);
  } else {
    for (const auto& format : section.formats) formats.append(" ").append(format);
    out.line('m', section.type, " 0 ", section.protocol_text, formats);
  }
  if (section.merged) return;
  out.line('c', "IN ", address_type(section.connection), " ",
           IpAddress::unspecified(section.connection.is_v6() ? AddressFamily::kIpv6 : AddressFamily::kIpv4)
               .to_string());
  if (!section.mid.empty()) out.attribute("mid:", section.mid);
  if (!section.label.empty()) out.attribute("label:", section.label);
}

/// True for the attributes of ICE (RFC 8839 §5).
bool is_of_ice(std::string_view name) {
  return name.starts_with("ice-") || name == "candidate" || name == "remote-candidates" ||
         name == "end-of-candidates";
}

/// Writes what the sender said for all sections at session level, where the section says nothing else. The
/// session of the receiver has none of it.
void write_inherited(Writer& out, const Session& session, const SectionEdit& section) {
  const MediaSection& media = *section.source;
  for (const Attribute& attribute : session.attributes) {
    if (!contains(kConsumedInSession, attribute.name) || attribute.name == "ice-lite") continue;
    const bool is_said =
        is_direction(attribute.name)
            ? std::ranges::any_of(media.attributes,
                                  [](const Attribute& own) { return is_direction(own.name); })
            : media.find(attribute.name) != nullptr;
    if (!is_said && !(section.leaves_out_ice && is_of_ice(attribute.name))) out.attribute(attribute.text);
  }
}

/// True for the value of an a=candidate line of type `relay` (RFC 8839 §5.1).
bool is_relayed(std::string_view value) {
  while (!value.empty()) {
    if (next_word(value) == "typ") return next_word(value) == "relay";
  }
  return false;
}

/// The parties speak to each other without the relay here, or with it as one of their candidates.
void write_untouched(Writer& out, const Session& session, const SectionEdit& section) {
  const MediaSection& media = *section.source;
  const IpAddress& connection = section.connection;
  std::string formats;
  for (const auto format : media.formats) formats.append(" ").append(format);
  out.line('m', media.type, " ", std::uint32_t{media.port}, " ", media.protocol.text, formats);
  for (const auto information : media.information) out.line('i', information);
  out.line('c', "IN ", address_type(connection), " ", connection.to_string());
  for (const auto bandwidth : ordered_bandwidth(media.bandwidth)) out.line('b', bandwidth);
  for (const Attribute& attribute : media.attributes) {
    const bool is_left_out =
        (section.leaves_out_relayed && attribute.name == "candidate" && is_relayed(attribute.value)) ||
        (section.leaves_out_ice && is_of_ice(attribute.name));
    if (!is_left_out) out.attribute(attribute.text);
  }
  if (!section.passes_through) return;
  write_inherited(out, session, section);
  for (const std::string& candidate : section.ice.candidates) out.attribute("candidate:", candidate);
}

void write_section(Writer& out, const Session& session, const SectionEdit& section) {
  const bool is_refused_channel =
      section.source != nullptr && section.source->is_data_channel() && !section.passes_through;
  if (section.source == nullptr || !section.is_alive() || is_refused_channel) {
    write_rejected(out, section);
    return;
  }
  const MediaSection& media = *section.source;
  if (section.untouched) {
    write_untouched(out, session, section);
    return;
  }
  const bool rtp = media.is_rtp();
  std::string formats;
  if (rtp && !section.codecs.empty()) {
    for (const Codec& codec : section.codecs) formats.append(" ").append(std::to_string(codec.payload_type));
  } else if (rtp && media.formats.empty()) {
    formats = " 0";
  } else {
    for (const auto format : media.formats) formats.append(" ").append(format);
  }
  out.line('m', media.type, " ", std::uint32_t{section.port}, " ", section.protocol.text, formats);
  for (const auto information : media.information) out.line('i', information);
  out.line('c', "IN ", address_type(section.connection), " ", section.connection.to_string());
  for (const auto bandwidth : ordered_bandwidth(media.bandwidth)) out.line('b', bandwidth);
  if (!section.mid.empty()) out.attribute("mid:", section.mid);
  if (!section.label.empty()) out.attribute("label:", section.label);
  if (section.bundle_only) out.attribute("bundle-only");
  if (rtp) write_codecs(out, section);
  const bool is_plain = is_for_plain_phone(section);
  // The sender may say `a=extmap-allow-mixed` once for the whole session (RFC 8285 §6). The relay writes it
  // into each section that has extensions.
  const bool is_about_it = !section.extmaps.empty() || media.find("extmap-allow-mixed") != nullptr;
  const bool is_shown =
      section.allows_mixed_extensions || (is_about_it && allows_mixed_extensions(session, media));
  if (rtp && is_shown && !is_plain) out.attribute("extmap-allow-mixed");
  for (const std::string_view extmap : section.extmaps) out.attribute("extmap:", extmap);
  for (const Attribute& attribute : media.attributes) {
    if (is_direction(attribute.name)) {
      // Other sections keep the sender's own direction; that of an RTP section is written below.
      if (!rtp && attribute.name == to_string(media.direction)) out.attribute(attribute.name);
      continue;
    }
    if (contains(rtp ? std::span<const std::string_view>(kConsumed) : kConsumedBesideRtp, attribute.name) ||
        (rtp && is_codec_feedback(attribute))) {
      continue;
    }
    if (rtp && contains(kOfFeedback, attribute.name) && !shows_feedback(attribute.value, section)) continue;
    if (is_plain && contains(kOfStreams, attribute.name)) continue;
    out.attribute(attribute.text);
  }
  if (rtp && section.print_direction) out.attribute(to_string(section.direction));
  if (section.rtcp_port) {
    if (section.rtcp_full_form) {
      out.attribute("rtcp:", std::uint32_t{*section.rtcp_port}, " IN ", address_type(section.connection), " ",
                    section.connection.to_string());
    } else {
      out.attribute("rtcp:", std::uint32_t{*section.rtcp_port});
    }
  }
  if (section.rtcp_mux) out.attribute("rtcp-mux");
  for (const std::string& line : section.crypto) out.attribute("crypto:", line);
  if (!section.dtls.setup.empty()) out.attribute("setup:", section.dtls.setup);
  if (!section.dtls.fingerprint.empty()) out.attribute("fingerprint:", section.dtls.fingerprint);
  if (!section.dtls.tls_id.empty()) out.attribute("tls-id:", section.dtls.tls_id);
  if (!section.ptime.empty()) out.attribute("ptime:", section.ptime);
  if (!section.maxptime.empty()) out.attribute("maxptime:", section.maxptime);
  if (section.ice.ufrag.empty()) return;
  out.attribute("ice-ufrag:", section.ice.ufrag);
  out.attribute("ice-pwd:", section.ice.password);
  const bool has_both = section.ice.trickles && section.ice.says_ice2;
  if (section.ice.trickles || section.ice.says_ice2)
    out.attribute("ice-options:", section.ice.trickles ? "trickle" : "", has_both ? " " : "",
                  section.ice.says_ice2 ? "ice2" : "");
  for (const std::string& candidate : section.ice.candidates) out.attribute("candidate:", candidate);
  if (section.ice.trickles) out.attribute("end-of-candidates");
  if (!section.ice.remote_candidates.empty())
    out.attribute("remote-candidates:", section.ice.remote_candidates);
}

/// True if every RTP section that is shown has feedback.
bool has_feedback(const SessionEdit& edit) {
  return std::ranges::all_of(edit.sections, [](const SectionEdit& section) {
    return !section.is_alive() || section.protocol.kind != ProtocolClass::kRtp || section.protocol.feedback;
  });
}

/// Translates the value of an a=group line to the receiver's mids (RFC 5888 §5). `value` has the semantics
/// and the sender's mids. Empty if it names no section that is shown.
std::string translated_group(std::string_view value, const SessionEdit& edit) {
  const std::string_view semantics = next_word(value);
  std::string mids;
  for (std::string_view mid = next_word(value); !mid.empty(); mid = next_word(value)) {
    const auto shown = std::ranges::find_if(edit.sections, [&](const SectionEdit& section) {
      return section.source != nullptr && section.source->mid == mid && section.is_alive();
    });
    if (shown != edit.sections.end() && !shown->mid.empty()) mids.append(" ").append(shown->mid);
  }
  return mids.empty() ? std::string() : std::string(semantics).append(mids);
}

}  // namespace

std::string canonical_opus_fmtp(std::string_view fmtp) {
  static constexpr std::array<std::string_view, 9> kOrder = {
      "stereo",          "sprop-stereo",      "useinbandfec",         "usedtx",  "cbr",
      "maxplaybackrate", "maxaveragebitrate", "sprop-maxcapturerate", "minptime"};
  std::vector<std::string_view> members;
  while (!fmtp.empty()) {
    const auto end = std::min(fmtp.find(';'), fmtp.size());
    std::string_view member = fmtp.substr(0, end);
    fmtp.remove_prefix(std::min(end + 1, fmtp.size()));
    member.remove_prefix(std::min(member.find_first_not_of(' '), member.size()));
    while (member.ends_with(' ')) member.remove_suffix(1);
    if (!member.empty()) members.push_back(member);
  }
  std::ranges::stable_sort(members, {}, [](std::string_view member) {
    return std::ranges::find(kOrder, member.substr(0, member.find('='))) - kOrder.begin();
  });
  std::string text;
  for (const auto member : members) text.append(text.empty() ? "" : "; ").append(member);
  return text;
}

std::string write(const Session& source, const SessionEdit& edit) {
  Writer out;
  out.reserve(1024);
  out.raw("v=0");
  out.line('o', edit.origin.username, " ", edit.origin.session_id, " ", edit.origin.version, " IN ",
           edit.origin.address_type, " ", edit.origin.address);
  out.line('s', edit.name);
  for (const auto line : source.descriptive) out.raw(line);
  for (const auto bandwidth : source.bandwidth) out.line('b', bandwidth);
  std::string_view timing = source.timing.empty() ? std::string_view("0 0") : source.timing;
  const std::string_view start = next_word(timing);
  const std::string_view stop = trim(timing);
  out.line('t', start, " ", stop.empty() ? std::string_view("0") : stop);
  for (const std::string& mids : edit.bundle_groups) out.attribute("group:BUNDLE ", mids);
  for (const Attribute& attribute : source.attributes) {
    const bool is_bundle =
        attribute.name == "group" && equal_ignoring_case(attribute.value.substr(0, 6), "BUNDLE");
    if (is_bundle && edit.keeps_groups) {
      out.attribute(attribute.text);
      continue;
    }
    if (contains(kConsumedInSession, attribute.name) || is_bundle) continue;
    if (contains(kOfFeedback, attribute.name) && !has_feedback(edit)) continue;
    if (contains(kOfStreams, attribute.name) && std::ranges::any_of(edit.sections, is_for_plain_phone))
      continue;
    if (attribute.name == "group") {
      if (const std::string group = translated_group(attribute.value, edit); !group.empty())
        out.attribute("group:", group);
      continue;
    }
    out.attribute(attribute.text);
  }
  const auto has_lite_agent = [](const SectionEdit& section) {
    const bool is_of_party = section.passes_through && section.source->ice_lite && !section.leaves_out_ice;
    return section.is_alive() && (section.ice.is_lite || is_of_party);
  };
  if (std::ranges::any_of(edit.sections, has_lite_agent)) out.attribute("ice-lite");
  for (const auto& extra : edit.extra_attributes) out.attribute(extra);
  for (const SectionEdit& section : edit.sections) write_section(out, source, section);
  return out.take();
}

}  // namespace ferry::sdp
