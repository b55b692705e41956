// SPDX-License-Identifier: Apache-2.0
// Turns a dictionary into a request by two tables, `kKeys` and `kFlags`.
//
// Templates are applied first and the request's own keys afterwards, so the request counts more. Words of a
// template are written like `rtpp-flags`, and both pass through `rtpp_flags`. There, words of the transport
// are collected and count after all others.
//
// Nothing is an error here. Keys and flags that nobody knows are listed in the request, and `rtpferryctl
// unknown-flags` shows them. Those that are known and not in force are listed as well, and `rtpferryctl show`
// shows them.

#include "control/protocol/ng/request_parser.hpp"

#include "control/protocol/ng/request_lists.hpp"
#include "control/protocol/ng/request_sounds.hpp"
#include "control/protocol/ng/request_words.hpp"
#include "control/protocol/ng/rtpp_flags.hpp"

#include <algorithm>

namespace ferry::ng {

namespace {

using C = Capability;

using namespace words;

void flag_word(Request& request, std::string_view word);
void rtpp_flags(Request& request, std::string_view text);

// clang-format off
constexpr KeyRow kKeys[] = {
  {"command", [](Request& r, const Value& v) { set_string(r.command, v); }, C::kNow, "what to do"},
  {"call-id", [](Request& r, const Value& v) { set_string(r.call_id, v); }, C::kNow, "call key"},
  {"from-tag", [](Request& r, const Value& v) { set_string(r.from_tag, v); }, C::kNow, "tag of the offerer, in offers and answers; elsewhere it selects the party"},
  {"to-tag", [](Request& r, const Value& v) { set_string(r.to_tag, v); }, C::kNow, "tag of the other party; in an answer, of the answerer, who sends the SDP"},
  {"via-branch", [](Request& r, const Value& v) { set_string(r.via_branch, v); }, C::kNow, "branch key of a forked call"},
  {"label", [](Request& r, const Value& v) { set_string(r.label, v); }, C::kNow, "names the party"},
  {"from-label", [](Request& r, const Value& v) { set_string(r.label, v); }, C::kNow, "same as label"},
  {"set-label", [](Request& r, const Value& v) { set_string(r.set_label, v); }, C::kNow, "names the selected party"},
  {"sdp", [](Request& r, const Value& v) { set_string(r.sdp, v); }, C::kNow, "the SDP body"},
  {"metadata", [](Request& r, const Value& v) { set_string(r.metadata, v); }, C::kNow, "free text kept with the party"},
  {"limit", [](Request& r, const Value& v) { r.limit = v.as_integer(true); }, C::kNow, "list: at most that many calls"},
  {"delete-delay", [](Request& r, const Value& v) { r.delete_delay_s = v.as_integer(true); }, C::kNow, "delete: seconds the call lives on"},
  {"flags", [](Request& r, const Value& v) { each_word(v, [&](auto w) { flag_word(r, w); }); }, C::kNow, "list of words"},
  {"replace", [](Request& r, const Value& v) { each_word(v, [&](auto w) { replace_word(r, w); }); }, C::kNow, "what of the SDP is replaced"},
  {"rtcp-mux", [](Request& r, const Value& v) { each_word(v, [&](auto w) { rtcp_mux_word(r, w); }); }, C::kNow, "offer, require, demux, accept, reject"},
  {"received-from", [](Request& r, const Value& v) {
     // The value is [family, address], a bare address, or an empty list from a proxy that had no message at
     // hand.
     if (const auto* list = v.list()) {
       if (list->size() == 2 && (*list)[1].string() != nullptr) r.received_from = IpAddress::parse(*(*list)[1].string());
     } else if (const auto* text = v.string()) {
       r.received_from = IpAddress::parse(*text);
     }
   }, C::kNow, "source address of the SIP message"},
  {"media-address", [](Request& r, const Value& v) { if (const auto* t = v.string()) r.media_address = IpAddress::parse(*t); }, C::kNow, "address printed in the SDP"},
  {"address-family", [](Request& r, const Value& v) { if (const auto* t = v.string()) r.address_family = family_of(*t); }, C::kNow, "IP4 or IP6 for the receiver's side"},
  {"direction", [](Request& r, const Value& v) {
     const auto* list = v.list();
     if (list == nullptr) return;  // a string is ignored (docs/reference/ng.md#addresses)
     r.sender_interface.clear();
     r.receiver_interface.clear();
     for (const Value& member : *list) if (const auto* t = member.string()) add_direction(r, *t);
   }, C::kNow, "logical interfaces of sender's and receiver's side"},
  {"from-interface", [](Request& r, const Value& v) { set_string(r.sender_interface, v); }, C::kNow, "interface of the sender's side"},
  {"to-interface", [](Request& r, const Value& v) { set_string(r.receiver_interface, v); }, C::kNow, "interface of the receiver's side"},
  {"transport-protocol", [](Request& r, const Value& v) { set_string(r.transport_protocol, v); }, C::kNow, "profile toward the receiver"},
  {"tos", [](Request& r, const Value& v) { if (const auto n = v.as_integer(true)) r.tos = static_cast<int>(std::clamp<std::int64_t>(*n, -1, 256)); }, C::kNow, "DSCP octet of the call's packets"},
  {"strict-payload-types", [](Request& r, const Value& v) { if (const auto* t = v.string()) switch_word(r, r.strict_payload_types, "strict-payload-types", *t); }, C::kNow, "yes or no: drop packets of payload types that were not negotiated, from locked sources too; for the call, whatever interface and daemon say"},
  {"passthrough-unknown", [](Request& r, const Value& v) { if (const auto* t = v.string()) switch_word(r, r.passthrough_unknown, "passthrough-unknown", *t); }, C::kNow, "yes or no: relay sections of protocols that nobody knows to be spoken over UDP, datagram by datagram; for the call"},
  {"latch", [](Request& r, const Value& v) { if (const auto* t = v.string()) if (const auto p = parse_latch_policy(normalise(*t))) r.latch = p; }, C::kNow, "which sources may be learned: off, signalled, uncontested, any (unsafe)"},
  {"endpoint-learning", [](Request& r, const Value& v) { each_word(v, [&](auto w) { learning_word(r, w); }); }, C::kNow, "off, or a learning algorithm that accepts any source (unsafe)"},
  {"supports", [](Request& r, const Value& v) { each_word(v, [&](auto w) { if (normalise(w) == "load-limit") r.supports_load_limit = true; }); }, C::kNow, "what the client understands"},
  {"sip-message-type", [](Request& r, const Value& v) {
     if (const auto* t = v.string()) {
       const std::string name = normalise(*t);
       if (name.ends_with("request")) r.sip_message = SipMessage::kRequest;
       if (name.ends_with("reply") || name.ends_with("response")) r.sip_message = SipMessage::kReply;
     }
   }, C::kNow, "sip-request or sip-reply"},
  {"sip-code", [](Request& r, const Value& v) { r.sip_code = v.as_integer(true).value_or(0); }, C::kNow, "response code"},
  {"sip-response-code", [](Request& r, const Value& v) { r.sip_code = v.as_integer(true).value_or(0); }, C::kNow, "response code"},
  {"body", [](Request& r, const Value& v) { set_string(r.body, v); }, C::kNow, "cli: command line"},
  {"rtpp-flags", [](Request& r, const Value& v) { if (const auto* t = v.string()) rtpp_flags(r, *t); }, C::kNow, "flags string parsed by the relay"},
  {"template", [](Request&, const Value&) {}, C::kNow, "name of a template, applied before the request's own keys"},
  {"alias-key", [](Request& r, const Value& v) { if (const auto* t = v.string()) alias_key_word(r, *t); }, C::kNow, "from-tags with the same sdp or address are one party"},
  {"all", [](Request& r, const Value& v) { if (const auto* t = v.string()) all_word(r, *t); }, C::kNow, "party selection: all, offer-answer, except-offer-answer, flows"},
  {"address", [](Request& r, const Value& v) { set_string(r.address, v); }, C::kNow, "selects the party that advertised this address"},
  {"to-label", [](Request& r, const Value& v) { set_string(r.to_label, v); }, C::kNow, "second party by label"},
  {"from-tags", [](Request& r, const Value& v) { each_word(v, [&](auto w) { r.from_tags.emplace_back(w); }); }, C::kNow, "source parties of a subscription"},
  {"to-call-id", [](Request& r, const Value& v) { set_string(r.to_call_id, v); }, C::kNow, "connect: the other call"},
  {"source-tag", [](Request& r, const Value& v) { set_string(r.source_tag, v); }, C::kNow, "inject: whose audio"},
  {"source-call-id", [](Request& r, const Value& v) { set_string(r.source_call_id, v); }, C::kNow, "inject: call of that party"},
  {"calls", calls_list, C::kNow, "mesh: calls to merge"},
  {"tags", flows_list, C::kNow, "mesh: flows to make"},
  {"media", medias_list, C::kNow, "transform: streams"},
  {"medias", medias_list, C::kNow, "create: sections of the offer"},
  {"instance", [](Request& r, const Value& v) { set_string(r.instance, v); }, C::kNow, "transform: who asks"},
  {"interface", [](Request& r, const Value& v) { set_string(r.interface, v); }, C::kNow, "interface of one-party commands"},
  {"peer", [](Request& r, const Value& v) { set_address(r.inbound_peer, v); }, C::kNow, "one-party commands: interface by route to this address"},
  {"inbound-peer", [](Request& r, const Value& v) { set_address(r.inbound_peer, v); }, C::kNow, "sender's interface by route to this address"},
  {"outbound-peer", [](Request& r, const Value& v) { set_address(r.outbound_peer, v); }, C::kNow, "receiver's interface by route to this address"},
  {"xmlrpc-callback", [](Request& r, const Value& v) { set_string(r.xmlrpc_callback, v); }, C::kNow, "address for the time-out call-back; the client's own, local or in `control-allow` (CTL-9)"},
  {"sdp-attr", sdp_attr, C::kNow, "SDP text edits: add, remove, substitute per section"},
  {"sdp-media-remove", media_remove, C::kNow, "sections hidden from the far side"},
  {"extmap", extmap_dict, C::kNow, "header extensions: strip, mask"},
  {"bundle", [](Request& r, const Value& v) { each_word(v, [&](auto w) { bundle_word(r, w); }); }, C::kNow, "several sections on one transport: accept, offer, require, strict, reject"},
  {"drop-traffic", drop_traffic_word, C::kNow, "start or stop dropping all RTP of the call"},
  {"media-echo", [](Request& r, const Value& v) { each_word(v, [&](auto w) { echo_word(r, w); }); }, C::kNow, "blackhole, forward, backwards, both"},
  {"passthrough", nullptr, C::kSrtp, "relay datagrams without parsing them"},
  {"passthru", nullptr, C::kSrtp, "relay datagrams without parsing them"},
  {"repacketize", [](Request& r, const Value& v) { r.repacketize = v.as_integer(true); }, C::kNow, "packet time of what the sender of the message sends, ms"},
  {"codec", codec_dict, C::kNow, "codec operations"},
  {"codecs", codec_dict, C::kNow, "codec operations"},
  {"ptime", [](Request& r, const Value& v) { r.ptime = v.as_integer(true); }, C::kNow, "packet time toward the answerer, ms"},
  {"ptime-reverse", [](Request& r, const Value& v) { r.ptime_reverse = v.as_integer(true); }, C::kNow, "packet time toward the offerer, ms"},
  {"reverse-ptime", [](Request& r, const Value& v) { r.ptime_reverse = v.as_integer(true); }, C::kNow, "same as ptime-reverse"},
  {"generate-rtcp", [](Request& r, const Value& v) { if (const auto* t = v.string()) switch_word(r, r.generate_rtcp, "generate-rtcp", *t); }, C::kNow, "on or off: RTCP is taken in, and the relay sends reports of its own; for the call"},
  {"delay-buffer", [](Request& r, const Value& v) { natural(r, r.guard.delay_ms, "delay-buffer", v); }, C::kNow, "offer, answer, block DTMF: all audio of the party leaves so much later, ms (up to 2,000; 0: no more)"},
  {"audio-player", [](Request& r, const Value& v) { each_word(v, [&](auto w) { player_word(r, w); }); }, C::kNow, "always, force: the relay makes one stream of all that the parties hear; transcoding, on, yes: and plays sounds into what it converts; off; default"},
  {"player", [](Request& r, const Value& v) { each_word(v, [&](auto w) { player_word(r, w); }); }, C::kNow, "same as audio-player"},
  {"dtls", [](Request& r, const Value& v) { each_word(v, [&](auto w) { dtls_word(r, w); }); }, C::kNow, "off: in an offer not offered to the far side, in an answer not taken; passive, active: who begins where the offerer leaves the choice"},
  {"dtls-reverse", [](Request& r, const Value& v) { each_word(v, [&](auto w) { dtls_word(r, w); }); }, C::kNow, "same as DTLS"},
  {"dtls-fingerprint", fingerprint_word, C::kNow, "hash of the fingerprint that is shown: SHA-1, SHA-224, SHA-256 (default), SHA-384, SHA-512"},
  {"ice", [](Request& r, const Value& v) { each_word(v, [&](auto w) { ice_word(r, w); }); }, C::kNow, "toward the far side: default (if the offer has it), force, remove, trickle, ice2; optional, force-relay: the ICE and the keys of the parties stay, and the relay adds candidates; lite, lite-backward, lite-both, no-lite: as ICE-lite"},
  {"ice-lite", [](Request& r, const Value& v) { each_word(v, [&](auto w) { ice_lite_word(r, w); }); }, C::kNow, "the relay is a lite agent, which only answers checks: forward (toward the receiver of the offer), backward (toward its sender), both, off"},
  {"sdes", [](Request& r, const Value& v) { each_word(v, [&](auto w) { sdes_word(r, w); }); }, C::kNow, "off, no-SUITE, only-SUITE, nonew, order:S1;S2, offerer_pref:S1;S2, pad, lifetime, static, prefer; leaving out encryption or authentication is refused (SRT-12)"},
  {"osrtp", [](Request& r, const Value& v) { each_word(v, [&](auto w) { osrtp_word(r, w); }); }, C::kNow, "encryption if the peer can (RFC 8643): offer, accept, and the forms with two sections, offer-legacy and accept-legacy"},
  {"t.38", [](Request& r, const Value& v) { each_word(v, [&](auto w) { fax_word(r, w); }); }, C::kNow, "offer: decode (T.38 becomes audio for the far side), force (audio becomes T.38), stop; no-ECM, no-V.17, no-V.27ter, no-V.29, no-V.34, no-IAF, FEC"},
  {"t38", [](Request& r, const Value& v) { each_word(v, [&](auto w) { fax_word(r, w); }); }, C::kNow, "same as T.38"},
  {"t.38-version", [](Request& r, const Value& v) { r.fax.version = t38_version(v.as_integer(true).value_or(0)); }, C::kNow, "version of T.38 that is announced, 0 to 3"},
  {"t38-version", [](Request& r, const Value& v) { r.fax.version = t38_version(v.as_integer(true).value_or(0)); }, C::kNow, "same as T.38 version"},
  {"record-call", record_word, C::kNow, "yes, no or discard: record the call, end it, throw it away"},
  {"recording-file", [](Request& r, const Value& v) { set_string(r.recording_file, v); }, C::kNow, "path of the recording, below recording-dir; its ending follows from what is in it"},
  {"recording-destination", [](Request& r, const Value& v) { set_string(r.recording_file, v); }, C::kNow, "path of the recording, below recording-dir; its ending follows from what is in it"},
  {"recording-dest", [](Request& r, const Value& v) { set_string(r.recording_file, v); }, C::kNow, "same as recording-destination"},
  {"output-destination", [](Request& r, const Value& v) { set_string(r.destination, v); }, C::kNow, "start forwarding: udp:ADDRESS:PORT; start recording: as recording-file"},
  {"output-dest", [](Request& r, const Value& v) { set_string(r.destination, v); }, C::kNow, "same as output-destination"},
  {"output-file", [](Request& r, const Value& v) { set_string(r.recording_file, v); }, C::kNow, "path of the recording, below recording-dir; its ending follows from what is in it"},
  {"recording-dir", [](Request& r, const Value& v) { set_string(r.recording_dir, v); }, C::kNow, "folder of the recording, below recording-dir"},
  {"recording-path", [](Request& r, const Value& v) { set_string(r.recording_dir, v); }, C::kNow, "folder of the recording, below recording-dir"},
  {"recording-directory", [](Request& r, const Value& v) { set_string(r.recording_dir, v); }, C::kNow, "folder of the recording, below recording-dir"},
  {"recording-folder", [](Request& r, const Value& v) { set_string(r.recording_dir, v); }, C::kNow, "folder of the recording, below recording-dir"},
  {"output-dir", [](Request& r, const Value& v) { set_string(r.recording_dir, v); }, C::kNow, "same as recording-dir"},
  {"output-directory", [](Request& r, const Value& v) { set_string(r.recording_dir, v); }, C::kNow, "same as recording-dir"},
  {"output-folder", [](Request& r, const Value& v) { set_string(r.recording_dir, v); }, C::kNow, "same as recording-dir"},
  {"output-path", [](Request& r, const Value& v) { set_string(r.recording_dir, v); }, C::kNow, "same as recording-dir"},
  {"recording-pattern", [](Request& r, const Value& v) { set_string(r.recording_pattern, v); }, C::kNow, "name pattern of the recording, as option recording-pattern"},
  {"output-pattern", [](Request& r, const Value& v) { set_string(r.recording_pattern, v); }, C::kNow, "name pattern of the recording, as option recording-pattern"},
  {"recording-media-slot-offer", nullptr, C::kRecording, "channel of the offerer in mixed recordings"},
  {"recording-media-slot-answer", nullptr, C::kRecording, "channel of the answerer in mixed recordings"},
  {"recording-media-slots", nullptr, C::kRecording, "number of channels in mixed recordings"},
  {"pause", [](Request& r, const Value& v) { if (const auto* t = v.string()) r.pause = is_yes(*t); r.digit.pause_ms = v.as_integer(true); }, C::kNow, "stop recording: pause it instead; play DTMF: pause behind the digit, ms (default 100)"},
  {"file", [](Request& r, const Value& v) { sound_file(r.play.sound, v); }, C::kNow, "play media: path of a file below `media-files`"},
  {"blob", [](Request& r, const Value& v) { sound_content(r.play.sound, v); }, C::kNow, "play media: a file in the request"},
  {"blob64", [](Request& r, const Value& v) { sound_base64(r.play.sound, v); }, C::kNow, "play media: the same in base64"},
  {"db-id", [](Request& r, const Value& v) { sound_number(r.play.sound, v); }, C::kNow, "play media: number of a file in `media-numbers`"},
  {"tone", [](Request& r, const Value& v) { sound_tone(r.play.sound, v); }, C::kNow, "play media: a tone such as `ringback/cn`, `busy`, `silence`, or a cadence such as `450/1000,0/4000`"},
  {"repeat-times", [](Request& r, const Value& v) { r.play.times = v.as_integer(true); }, C::kNow, "play media: how often (default 1; a tone until it is stopped)"},
  {"repeat-duration", [](Request& r, const Value& v) { r.play.longest_ms = v.as_integer(true); }, C::kNow, "play media: how long at most, ms"},
  {"start-pos", [](Request& r, const Value& v) { r.play.from_sample = v.as_integer(true).value_or(0); }, C::kNow, "play media: sample of the file where it begins"},
  {"moh", hold_music, C::kNow, "music on hold, of the sender of the message: file, blob, blob64, db-id or tone; mode (sendonly, sendrecv, reflect): the direction that the other party is shown; connection=zero: so is the unspecified address"},
  {"code", [](Request& r, const Value& v) { r.digit.event = digit_of(v); }, C::kNow, "play DTMF: the digit, 0-15 or a character"},
  {"digit", [](Request& r, const Value& v) { r.digit.event = digit_of(v); }, C::kNow, "same as code"},
  {"duration", [](Request& r, const Value& v) { r.digit.length_ms = v.as_integer(true); }, C::kNow, "play DTMF: length, ms (default 250)"},
  {"volume", [](Request& r, const Value& v) { r.digit.level_db = v.as_integer(true); }, C::kNow, "play DTMF: level, dB (default -8)"},
  {"dtmf-security", [](Request& r, const Value& v) { cover_word(r, r.guard.cover, v); }, C::kNow, "block DTMF: what others hear instead: drop (default), silence, tone, random, zero, DTMF, off"},
  {"dtmf-security-trigger", [](Request& r, const Value& v) { cover_word(r, r.guard.when_triggered, v); }, C::kNow, "block DTMF: what others hear once the trigger was pressed (default: as DTMF-security, or drop)"},
  {"dtmf-security-trigger-end", [](Request& r, const Value& v) { cover_word(r, r.guard.afterwards, v); }, C::kNow, "block DTMF: what others hear after that (default off)"},
  {"dtmf-delay", [](Request& r, const Value& v) { natural(r, r.guard.events_delay_ms, "DTMF-delay", v); }, C::kNow, "offer, answer, block DTMF: events of the party leave so much later than its audio, ms (up to 2,000)"},
  {"dtmf-log-dest", [](Request& r, const Value& v) { set_string(r.dtmf_log_destination, v); }, C::kNow, "address:port that receives DTMF events of the call; local or in `control-allow` (CTL-9)"},
  {"dtmf-log-destination", [](Request& r, const Value& v) { set_string(r.dtmf_log_destination, v); }, C::kNow, "same as dtmf-log-dest"},
  {"trigger", [](Request& r, const Value& v) { code_digits(r, r.guard.trigger, v); }, C::kNow, "block DTMF: digits of the party that switch it, up to 16"},
  {"trigger-end", [](Request& r, const Value& v) { code_digits(r, r.guard.trigger_end, v); }, C::kNow, "block DTMF: digits that switch it back"},
  {"end-trigger", [](Request& r, const Value& v) { code_digits(r, r.guard.trigger_end, v); }, C::kNow, "same as trigger-end"},
  {"trigger-end-time", [](Request& r, const Value& v) { natural(r, r.guard.end_ms, "trigger-end-time", v); }, C::kNow, "block DTMF: switch it back after so many ms"},
  {"trigger-end-digits", [](Request& r, const Value& v) { natural(r, r.guard.end_digits, "trigger-end-digits", v); }, C::kNow, "block DTMF: switch it back after so many digits"},
  {"end-trigger-time", [](Request& r, const Value& v) { natural(r, r.guard.end_ms, "trigger-end-time", v); }, C::kNow, "same as trigger-end-time"},
  {"end-trigger-digits", [](Request& r, const Value& v) { natural(r, r.guard.end_digits, "trigger-end-digits", v); }, C::kNow, "same as trigger-end-digits"},
  {"frequency", pitches, C::kNow, "block DTMF: pitches of the tone, Hz (default 400)"},
  {"frequencies", pitches, C::kNow, "same as frequency"},
};

constexpr FlagRow kFlags[] = {
  {"trust-address", set_flag<Flag::kTrustAddress>, false, C::kNow, "use the addresses of the SDP (default)"},
  {"sip-source-address", set_flag<Flag::kSipSourceAddress>, false, C::kNow, "use received-from instead"},
  {"symmetric", [](Request&, std::string_view) {}, false, C::kNow, "no effect: the relay does so anyway"},
  {"asymmetric", set_flag<Flag::kAsymmetric>, false, C::kNow, "send to the SDP address, whatever source is seen"},
  {"unidirectional", set_flag<Flag::kUnidirectional>, false, C::kNow, "the party need not send: it counts as no silent peer (LAT-12)"},
  {"strict-source", set_flag<Flag::kStrictSource>, false, C::kNow, "drop packets of other sources than the learned one; matters under endpoint-learning immediate, delayed and heuristic alone, for it is always so otherwise"},
  {"strict-payload-types", set_flag<Flag::kStrictPayloadTypes>, false, C::kNow, "drop packets of payload types that were not negotiated, from locked sources too"},
  {"passthrough-unknown", [](Request& r, std::string_view) { r.passthrough_unknown = true; }, false, C::kNow, "relay sections of protocols that nobody knows to be spoken over UDP; without it they get port 0"},
  {"media-handover", set_flag<Flag::kMediaHandover>, false, C::kNow, "the party may move to another address that signalling knows (LAT-8)"},
  {"port-latching", set_flag<Flag::kPortLatching>, false, C::kNow, "keep the local port whatever the SDP says"},
  {"no-port-latching", set_flag<Flag::kNoPortLatching>, false, C::kNow, "another local port when the far side's SDP changes, with ICE and on hold, too"},
  {"to-tag", set_flag<Flag::kToTag>, false, C::kNow, "delete: honour to-tag"},
  {"fatal", set_flag<Flag::kFatal>, false, C::kNow, "delete: no such call is an error"},
  {"fast", set_flag<Flag::kFast>, false, C::kNow, "delete: reply without statistics"},
  {"directional", set_flag<Flag::kDirectional>, false, C::kNow, "from-tag selects the party; for connect and unsubscribe: one direction"},
  {"all", [](Request& r, std::string_view) { r.flags.set(static_cast<std::size_t>(Flag::kAll)); if (r.all == AllParties::kNone) r.all = AllParties::kAll; }, false, C::kNow, "whole call"},
  {"new-branch", set_flag<Flag::kNewBranch>, false, C::kNow, "answer with a new tag is a new party"},
  {"provisional", set_flag<Flag::kProvisional>, false, C::kNow, "answer is not final"},
  {"no-rtcp-attribute", set_flag<Flag::kNoRtcpAttribute>, false, C::kNow, "no a=rtcp"},
  {"full-rtcp-attribute", set_flag<Flag::kFullRtcpAttribute>, false, C::kNow, "a=rtcp with address"},
  {"original-sendrecv", set_flag<Flag::kOriginalSendrecv>, false, C::kNow, "copy direction attributes"},
  {"generate-mid", set_flag<Flag::kGenerateMid>, false, C::kNow, "add a=mid"},
  {"loop-protect", set_flag<Flag::kLoopProtect>, false, C::kNow, "mark SDP that passed us, return it untouched when it comes back"},
  {"fragment", set_flag<Flag::kFragment>, false, C::kNow, "the body is a trickle ICE fragment: its candidates are added, answered without `sdp`"},
  {"reset", set_flag<Flag::kReset>, false, C::kNow, "forget what the far side has used or declined: rtcp-mux, ICE, OSRTP, and earlier words about ICE, SDES and DTLS"},
  {"replace-", replace_word, true, C::kNow, "as replace"},
  {"rtcp-mux-", rtcp_mux_word, true, C::kNow, "as rtcp-mux"},
  {"endpoint-learning-", learning_word, true, C::kNow, "as endpoint-learning"},
  {"internal", [](Request& r, std::string_view) { add_direction(r, "internal"); }, false, C::kNow, "as direction"},
  {"external", [](Request& r, std::string_view) { add_direction(r, "external"); }, false, C::kNow, "as direction"},
  {"nat-wait", set_flag<Flag::kNatWait>, false, C::kNow, "send nothing to a peer before it has sent something"},
  {"pierce-nat", set_flag<Flag::kPierceNat>, false, C::kNow, "send empty RTP packets to the SDP address until something arrives, for 10 s"},
  {"strip-extmap", [](Request& r, std::string_view) { r.extmap_strip.emplace_back("all"); }, false, C::kNow, "no header extensions"},
  {"no-passthrough", nullptr, false, C::kSrtp, "parse datagrams again"},
  {"passthrough", nullptr, false, C::kSrtp, "relay datagrams without parsing them"},
  {"sdp-attr-", sdp_attr_flag, true, C::kNow, "as sdp-attr"},
  {"from-tags-", [](Request& r, std::string_view rest) { r.from_tags.push_back(unescape(rest)); }, true, C::kNow, "as from-tags"},
  {"siprec", set_flag<Flag::kSiprec>, false, C::kNow, "subscription: reply with tag-medias and media-labels"},
  {"mix", set_flag<Flag::kMix>, false, C::kNow, "subscription: one section per media type"},
  {"mixed", set_flag<Flag::kMix>, false, C::kNow, "same as mix"},
  {"rtcp-mirror", set_flag<Flag::kRtcpMirror>, false, C::kNow, "subscription: RTCP of the subscriber goes back to the source"},
  {"mirror-rtcp", set_flag<Flag::kRtcpMirror>, false, C::kNow, "same as rtcp-mirror"},
  {"inactive", set_flag<Flag::kInactive>, false, C::kNow, "subscription: inactive at first"},
  {"bidirectional", set_flag<Flag::kBidirectional>, false, C::kNow, "flows both ways"},
  {"egress", set_flag<Flag::kEgress>, false, C::kNow, "subscription: what is sent to the party"},
  {"unsubscribe", set_flag<Flag::kUnsubscribe>, false, C::kNow, "mesh: clear first"},
  {"no-redis-update", [](Request&, std::string_view) {}, false, C::kNow, "nothing is stored in this version"},
  {"debug", set_flag<Flag::kDebug>, false, C::kNow, "every event of the call's media is logged"},
  {"debugging", set_flag<Flag::kDebug>, false, C::kNow, "same as debug"},
  {"trickle-ice", [](Request& r, std::string_view) { r.ice.trickles = true; }, false, C::kNow, "say that we trickle"},
  {"ice-reject", [](Request& r, std::string_view) { r.ice.is_refused = true; }, false, C::kNow, "the offered ICE is not taken"},
  {"reject-ice", [](Request& r, std::string_view) { r.ice.is_refused = true; }, false, C::kNow, "same as ice-reject"},
  {"webrtc", [](Request& r, std::string_view) { web_rtc(r); }, false, C::kNow, "a browser on the far side: UDP/TLS/RTP/SAVPF, ICE with trickle, rtcp-mux alone, mids, no SDES, BUNDLE on one port"},
  {"no-tls-id", [](Request& r, std::string_view) { r.dtls.no_tls_id = true; }, false, C::kNow, "no a=tls-id"},
  {"dtls-", dtls_word, true, C::kNow, "as DTLS"},
  {"bundle-", bundle_word, true, C::kNow, "as bundle"},
  {"sdes-", sdes_word, true, C::kNow, "as SDES"},
  {"osrtp-", osrtp_word, true, C::kNow, "as OSRTP"},
  {"pad-crypto", [](Request& r, std::string_view) { r.sdes.style.pad = true; }, false, C::kNow, "SDES: pad"},
  {"recrypt", set_flag<Flag::kRecrypt>, false, C::kNow, "SDES: both sides get keys of our own, even where the same suite would do"},
  {"generate-rtcp", [](Request& r, std::string_view) { r.generate_rtcp = true; }, false, C::kNow, "as generate-rtcp"},
  {"always-transcode", [](Request& r, std::string_view) { r.codecs.accept.emplace_back("all"); }, false, C::kNow, "as codec-accept-all"},
  {"force-transcoding", set_flag<Flag::kForceTranscoding>, false, C::kNow, "transcode between equal codecs, too"},
  {"allow-transcoding", set_flag<Flag::kAllowTranscoding>, false, C::kNow, "subscribe answer: may leave codecs out"},
  {"allow-asymmetric-codecs", set_flag<Flag::kAllowAsymmetricCodecs>, false, C::kNow, "keep the answerer's payload numbers; each side may send all that it was shown"},
  {"allow-asymmetric-codec", set_flag<Flag::kAllowAsymmetricCodecs>, false, C::kNow, "same as allow-asymmetric-codecs"},
  {"allow-no-codec-media", set_flag<Flag::kAllowNoCodecMedia>, false, C::kNow, "port 0 instead of restoring codecs"},
  {"allow-no-codec-medias", set_flag<Flag::kAllowNoCodecMedia>, false, C::kNow, "same as allow-no-codec-media"},
  {"allow-empty-codec-media", set_flag<Flag::kAllowNoCodecMedia>, false, C::kNow, "same as allow-no-codec-media"},
  {"allow-empty-codec-medias", set_flag<Flag::kAllowNoCodecMedia>, false, C::kNow, "same as allow-no-codec-media"},
  {"single-codec", set_flag<Flag::kSingleCodec>, false, C::kNow, "answer: only the first codec"},
  {"reuse-codecs", set_flag<Flag::kReuseCodecs>, false, C::kNow, "stay with the codecs that were agreed before"},
  {"no-codec-renegotiation", set_flag<Flag::kReuseCodecs>, false, C::kNow, "same as reuse-codecs"},
  {"static-codecs", set_flag<Flag::kStaticCodecs>, false, C::kNow, "leave the far side its codecs"},
  {"static-codec", set_flag<Flag::kStaticCodecs>, false, C::kNow, "same as static-codecs"},
  {"asymmetric-codecs", [](Request&, std::string_view) {}, false, C::kNow, "obsolete"},
  {"symmetric-codecs", [](Request&, std::string_view) {}, false, C::kNow, "obsolete"},
  {"reorder-codecs", [](Request&, std::string_view) {}, false, C::kNow, "obsolete"},
  {"codec-", codec_flag, true, C::kNow, "as codec"},
  {"transcode-", [](Request& r, std::string_view rest) { r.codecs.transcode.push_back(unescape(rest)); }, true, C::kNow, "as codec transcode"},
  {"no-jitter-buffer", nullptr, false, C::kCodecs, "no jitter buffer for the call"},
  {"t38-", fax_word, true, C::kNow, "as T.38"},
  {"t.38-", fax_word, true, C::kNow, "as T.38"},
  {"record-call", [](Request& r, std::string_view) { r.record = RecordCall::kYes; }, false, C::kNow, "record the call"},
  {"discard-recording", set_flag<Flag::kDiscardRecording>, false, C::kNow, "delete, stop recording: throw the recording away"},
  {"exclude-recording", set_flag<Flag::kExcludeRecording>, false, C::kNow, "offer, answer: both parties are left out of recordings"},
  {"skip-recording-db", [](Request&, std::string_view) {}, false, C::kNow, "there is no recording database"},
  {"skip-recording-database", [](Request&, std::string_view) {}, false, C::kNow, "same as skip-recording-db"},
  {"recording-announcement", nullptr, false, C::kRecording, "tell the party that it is recorded"},
  {"recording-vsc", set_flag<Flag::kRecordingVsc>, false, C::kNow, "digits of the party control the recording (vsc-...)"},
  {"pause", set_flag<Flag::kPauseRecording>, false, C::kNow, "stop recording: pause it instead"},
  {"inject-dtmf", set_flag<Flag::kInjectDtmf>, false, C::kNow, "make play DTMF possible"},
  {"detect-dtmf", set_flag<Flag::kDetectDtmf>, false, C::kNow, "tones in the speech of the parties are found and told like events"},
  {"block-dtmf", set_flag<Flag::kBlockDtmf>, false, C::kNow, "event packets of the party are not forwarded"},
  {"block-short", nullptr, false, C::kPlayback, "drop packets that are too short"},
  {"block-short-packets", nullptr, false, C::kPlayback, "same as block-short"},
  {"block-shorts", nullptr, false, C::kPlayback, "same as block-short"},
  {"block-egress", set_flag<Flag::kBlockEgress>, false, C::kNow, "play media: nobody else is heard meanwhile, even if sounds are mixed (audio-player)"},
  {"audio-player", [](Request& r, std::string_view) { r.audio_player = AudioPlayer::kTranscoding; }, false, C::kNow, "audio-player = transcoding"},
  {"player", [](Request& r, std::string_view) { r.audio_player = AudioPlayer::kTranscoding; }, false, C::kNow, "same as audio-player"},
  {"no-audio-player", [](Request& r, std::string_view) { r.audio_player = AudioPlayer::kOff; }, false, C::kNow, "audio-player = off"},
  {"no-player", [](Request& r, std::string_view) { r.audio_player = AudioPlayer::kOff; }, false, C::kNow, "same as no-audio-player"},
  {"early-media", nullptr, false, C::kPlayback, "begin with the audio player at the offer"},
};
// clang-format on

/// Notes a key or flag whose feature this version lacks.
void note_capability(Request& request, Capability capability, const std::string& name) {
  if (capability != C::kNow) request.not_in_force.push_back(name);
}

/// Applies one word of `flags`. For a family the row gets the rest behind the prefix, as it was written.
void flag_word(Request& request, std::string_view word) {
  const std::string name = normalise(word);
  for (const FlagRow& row : kFlags) {
    const bool matches =
        row.prefix ? name.starts_with(row.name) && name.size() > row.name.size() : name == row.name;
    if (!matches) continue;
    if (row.apply != nullptr) row.apply(request, word.substr(row.prefix ? row.name.size() : 0));
    note_capability(request, row.capability, name);
    return;
  }
  request.unknown_flags.push_back(name);
}

void apply_key(Request& request, std::string_view key, const Value& value) {
  const std::string name = normalise(key);
  const auto row = std::ranges::find(kKeys, name, &KeyRow::name);
  if (row == std::end(kKeys)) {
    // Keys of recording codes are no rows, because their names come from the table of actions.
    if (const auto action = recording_action(name)) {
      set_string(request.recording_codes[static_cast<std::size_t>(*action)], value);
    } else {
      request.unknown_keys.push_back(name);
    }
    return;
  }
  if (row->apply != nullptr) row->apply(request, value);
  note_capability(request, row->capability, name);
}

/// Applies one `rtpp-flags` string (docs/reference/ng.md#rtpp-flags). Words of the transport count after all
/// others.
void rtpp_flags(Request& request, std::string_view text) {
  request.by_rtpp_flags = true;
  const RtppFlags words = parse_rtpp_flags(text);
  for (const auto& [key, value] : words.keys) {
    const std::string name = normalise(key);
    const auto* single = value.string();
    // In this string some keys mean more than in a dictionary (docs/reference/ng.md#rtpp-flags).
    if (name == "to-tag") {
      set_string(request.to_tag, value);
      set_flag<Flag::kToTag>(request, {});
    } else if (name == "from-tag") {
      set_string(request.from_tag, value);
      set_flag<Flag::kDirectional>(request, {});
    } else if (name == "via-branch") {
      if (single != nullptr && !is_branch_word(*single)) request.via_branch = *single;
    } else if (name == "direction" && single != nullptr) {
      add_direction(request, *single);
    } else if (name == "rtpp-flags") {
      request.unknown_keys.push_back(name);
    } else if (name.starts_with("codec-") || name == "transcode") {
      const std::string operation = name == "transcode" ? name : name.substr(6);
      each_word(value,
                [&](std::string_view word) { codec_flag(request, operation + "-" + std::string(word)); });
    } else {
      apply_key(request, key, value);
    }
  }
  TransportWords transport;
  for (const std::string& flag : words.flags) {
    if (!transport.take(flag)) flag_word(request, flag);
  }
  if (const std::string protocol = transport.protocol(); !protocol.empty())
    request.transport_protocol = protocol;
}

/// True if one insertion, deletion, replacement or swap of neighbours makes the two equal.
bool differ_by_one(std::string_view a, std::string_view b) {
  if (a.size() > b.size()) std::swap(a, b);
  if (b.size() - a.size() > 1) return false;
  std::size_t i = 0;
  while (i < a.size() && a[i] == b[i]) ++i;
  const auto rest = [](std::string_view text, std::size_t at) {
    return text.substr(std::min(at, text.size()));
  };
  if (a.size() != b.size()) return rest(a, i) == rest(b, i + 1);
  if (rest(a, i + 1) == rest(b, i + 1)) return true;
  return i + 1 < a.size() && a[i] == b[i + 1] && a[i + 1] == b[i] && rest(a, i + 2) == rest(b, i + 2);
}

}  // namespace

std::string_view to_string(Capability capability) noexcept {
  switch (capability) {
    case C::kNow:
      return "now";
    case C::kSignalling:
      return "signalling";
    case C::kSrtp:
      return "SRTP";
    case C::kCodecs:
      return "codecs";
    case C::kRecording:
      return "recording";
    case C::kPlayback:
      return "playback";
    case C::kPubSub:
      return "publish/subscribe";
  }
  return "unknown";
}

std::span<const KeyRow> key_rows() { return kKeys; }
std::span<const FlagRow> flag_rows() { return kFlags; }

Request parse_request(const Dict& dict, const Templates& templates) {
  Request request;
  const auto text_of = [&](std::string_view wanted) -> const std::string* {
    for (const auto& [key, value] : dict) {
      if (normalise(key) == wanted) return value.string();
    }
    return nullptr;
  };
  if (!templates.empty()) {
    const std::string* command = text_of("command");
    const std::string* named = text_of("template");
    const std::string wanted = command == nullptr ? std::string() : normalise(*command);
    // `list` and `query` have no templates (docs/reference/ng.md#templates).
    if (wanted != "list" && wanted != "query") {
      for (const std::string_view name : {std::string_view("default"), std::string_view(wanted)}) {
        const auto found = templates.find(name);
        if (found != templates.end()) rtpp_flags(request, found->second);
      }
      if (named != nullptr) {
        const auto found = templates.find(normalise(*named));
        if (found != templates.end()) {
          rtpp_flags(request, found->second);
        } else {
          request.unknown_flags.push_back("template=" + normalise(*named));
        }
      }
    }
    // Only a string from the client itself sets this.
    request.by_rtpp_flags = false;
  }
  for (const auto& [key, value] : dict) {
    apply_key(request, key, value);
  }
  return request;
}

std::string_view suggest(std::string_view name, bool flag) {
  if (flag) {
    for (const FlagRow& row : kFlags) {
      if (!row.prefix && differ_by_one(row.name, name)) return row.name;
    }
    return {};
  }
  for (const KeyRow& row : kKeys) {
    if (differ_by_one(row.name, name)) return row.name;
  }
  return {};
}

}  // namespace ferry::ng
