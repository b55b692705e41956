// SPDX-License-Identifier: Apache-2.0
#include "bench/web_call.hpp"

#include "control/sdp/dtls.hpp"
#include "control/sdp/ice.hpp"
#include "control/sdp/words.hpp"
#include "relay/base/random.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>
#include <unistd.h>

namespace ferry::bench {

namespace {

constexpr std::string_view kMidExtension = "urn:ietf:params:rtp-hdrext:sdes:mid";
constexpr unsigned kMidNumber = 4;
constexpr std::array<unsigned, kSections> kTypes = {8, 96};
// A mark of the bench, so that nothing else is taken for its payload.
constexpr std::uint64_t kMark = 0xfe77'0000'0000'0000;

// Codecs and feedback of each section, much as Chromium writes them.
constexpr std::array<const char*, kSections> kOffered = {
    "a=rtpmap:111 opus/48000/2\r\na=rtcp-fb:111 transport-cc\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n"
    "a=rtpmap:9 G722/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:126 "
    "telephone-event/8000\r\n",
    "a=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 goog-remb\r\na=rtcp-fb:96 transport-cc\r\na=rtcp-fb:96 ccm fir\r\n"
    "a=rtcp-fb:96 nack\r\na=rtcp-fb:96 nack pli\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n"};
constexpr std::array<const char*, kSections> kOfferedTypes = {"111 9 0 8 126", "96 97"};
constexpr std::array<const char*, kSections> kCommon = {"a=rtpmap:8 PCMA/8000\r\n",
                                                        "a=rtpmap:96 VP8/90000\r\n"};
constexpr const char* kExtensions =
    "a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time\r\na=extmap:3 "
    "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r\n";

// Number of the MID extension in a section; 0 = there is none.
unsigned mid_number(const sdp::MediaSection& section) {
  for (const sdp::Attribute& attribute : section.attributes) {
    if (attribute.name != "extmap" || attribute.value.find(kMidExtension) == std::string_view::npos) continue;
    unsigned number = 0;
    if (sdp::read_number(attribute.value.substr(0, attribute.value.find_first_of(" /")), number) &&
        number < 15)
      return number;
  }
  return 0;
}

// True if a group has both sections, at one port.
bool is_bundle(const sdp::Session& session) {
  const auto group = std::ranges::find_if(session.attributes, [](const sdp::Attribute& attribute) {
    return attribute.name == "group" && attribute.value.starts_with("BUNDLE");
  });
  if (group == session.attributes.end()) return false;
  std::string_view words = group->value.substr(6);
  std::size_t members = 0;
  while (!sdp::next_word(words).empty()) ++members;
  return members == kSections;
}

}  // namespace

WebCall::WebCall(unsigned number, bool browser_offers, const CallSettings& settings)
    : number_(number), browser_offers_(browser_offers), settings_(settings) {
  for (Phone& phone : phones_) phone.fd = open_socket(settings_.phone, phone.at);
  // The policy "balanced": an offer has candidates for each section.
  if (browser_offers_) {
    for (auto& transport : transports_)
      transport = std::make_unique<WebTransport>(settings_.identity, settings_.browser);
    mid_numbers_.fill(kMidNumber);
  }
  for (auto& side : sent_) {
    for (Sent& sent : side) sent.ssrc = static_cast<std::uint32_t>(random_u64() >> 33) + 1;
  }
}

WebCall::~WebCall() {
  for (const Phone& phone : phones_) {
    if (phone.fd >= 0) close(phone.fd);
  }
}

std::string WebCall::browser_section(std::size_t section) const {
  const WebTransport& transport = *transports_[transports_[1] ? section : 0];
  const Endpoint& at = transport.at();
  std::string text = fmt::format("m={} {} UDP/TLS/RTP/SAVPF {}\r\nc=IN IP4 {}\r\na=rtcp:9 IN IP4 0.0.0.0\r\n",
                                 kNames[section], at.port.value,
                                 browser_offers_ ? kOfferedTypes[section]
                                 : section == 0  ? "8"
                                                 : "96",
                                 at.address.to_string());
  text += fmt::format("a=candidate:1 1 udp 2122260223 {} {} typ host generation 0 network-id 1\r\n",
                      at.address.to_string(), at.port.value);
  text += fmt::format("a=ice-ufrag:{}\r\na=ice-pwd:{}\r\na=ice-options:trickle\r\na=fingerprint:{}\r\n",
                      transport.own().ufrag, transport.own().password,
                      sdp::write_fingerprint(settings_.identity->fingerprint(FingerprintHash::kSha256)));
  text += browser_offers_ ? "a=setup:actpass\r\n" : "a=setup:active\r\n";
  if (!mids_[section].empty()) text += "a=mid:" + mids_[section] + "\r\n";
  if (browser_offers_) text += kExtensions;
  if (mid_numbers_[section] != 0)
    text += fmt::format("a=extmap:{} {}\r\n", mid_numbers_[section], kMidExtension);
  text += fmt::format("a=sendrecv\r\na=msid:stream {}\r\na=rtcp-mux\r\n", kNames[section]);
  if (section == 1) text += "a=rtcp-rsize\r\n";
  text += browser_offers_ ? kOffered[section] : kCommon[section];
  return text + fmt::format("a=ssrc:{} cname:bench{}\r\n", sent_[0][section].ssrc, number_);
}

std::string WebCall::sdp(Side of) const {
  if (of == Side::kBrowser) {
    std::string text =
        fmt::format("v=0\r\no=- {} 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n", 7'000'000 + number_);
    if (is_bundled_) text += fmt::format("a=group:BUNDLE {} {}\r\n", mids_[0], mids_[1]);
    text += "a=extmap-allow-mixed\r\na=msid-semantic: WMS stream\r\n";
    for (std::size_t section = 0; section < kSections; ++section) text += browser_section(section);
    return text;
  }
  const std::string address = settings_.phone.to_string();
  std::string text =
      fmt::format("v=0\r\no=phone {0} 1 IN IP4 {1}\r\ns=-\r\nc=IN IP4 {1}\r\nt=0 0\r\n", number_, address);
  for (std::size_t section = 0; section < kSections; ++section) {
    text +=
        fmt::format("m={} {} RTP/AVP {}\r\na=rtpmap:{}\r\n", kNames[section], phones_[section].at.port.value,
                    kTypes[section], section == 0 ? "8 PCMA/8000" : "96 VP8/90000");
  }
  return text;
}

void WebCall::hear(Side by, const std::string& text) {
  const auto session = sdp::parse(text);
  if (!session || session->media.size() != kSections || session->media[0].port == 0)
    throw std::runtime_error("the relay's SDP cannot be used: " + text);
  if (by == Side::kBrowser) return hear_as_browser(*session);
  for (std::size_t section = 0; section < kSections; ++section) {
    const sdp::MediaSection& media = session->media[section];
    if (!media.connection || media.port == 0 || media.protocol.secure)
      throw std::runtime_error("a plain phone cannot use this SDP: " + text);
    phones_[section].relay = {*media.connection, UdpPort{media.port}};
  }
}

void WebCall::hear_as_browser(const sdp::Session& session) {
  is_bundled_ = is_bundle(session);
  for (std::size_t section = 0; section < kSections; ++section) {
    const sdp::MediaSection& media = session.media[is_bundled_ ? 0 : section];
    const sdp::IceDescription ice = sdp::read_ice(media);
    const sdp::DtlsDescription dtls = sdp::read_dtls(media);
    const auto candidate = std::ranges::find(ice.candidates, 1, &sdp::IceCandidateLine::component);
    if (!ice.is_there() || candidate == ice.candidates.end() || dtls.fingerprints.empty() || !media.rtcp_mux)
      throw std::runtime_error("a browser cannot use this SDP: no ICE, DTLS or rtcp-mux in " +
                               std::string(kNames[section]));
    remotes_[section] = {{ice.ufrag, ice.password}, candidate->at, dtls.fingerprints};
    // An offerer's actpass and the relay's own offer leave the choice to the answerer, who becomes active.
    roles_[section] = dtls.setup == sdp::Setup::kActive ? DtlsRole::kServer : DtlsRole::kClient;
    mid_numbers_[section] = mid_number(session.media[section]);
    if (!browser_offers_) mids_[section] = session.media[section].mid;
  }
  if (browser_offers_) {
    if (is_bundled_) transports_[1].reset();
    return;
  }
  for (std::size_t i = 0; i < (is_bundled_ ? 1 : kSections); ++i)
    transports_[i] = std::make_unique<WebTransport>(settings_.identity, settings_.browser);
}

void WebCall::begin() {
  for (std::size_t i = 0; i < transports(); ++i)
    transports_[i]->begin(remotes_[i], browser_offers_, roles_[i]);
}

Path WebCall::way(Side from, std::size_t section, Endpoint& at) noexcept {
  if (from == Side::kPhone) {
    at = phones_[section].at;
    return phones_[section].relay;
  }
  at = transport_of(section).at();
  return transport_of(section).remote().candidate;
}

std::uint64_t WebCall::mark(Side from, std::size_t section) const noexcept {
  return kMark | index(from) << 33 | section << 32 | number_;
}

std::size_t WebCall::write_packet(Side from, std::size_t section, bool introduces, bool is_last,
                                  MutableBytes to) {
  Sent& sent = sent_[index(from)][section];
  write_u16(to, 2, ++sent.sequence);
  write_u32(to, 4, sent.timestamp);
  write_u32(to, 8, sent.ssrc);
  write_u8(to, 0, 0x80);
  write_u8(to, 1, static_cast<std::uint8_t>(kTypes[section] | (is_last && section == 1 ? 0x80 : 0)));
  if (section == 0) sent.timestamp += 8000 / kAudioPerSecond;
  if (section == 1 && is_last) sent.timestamp += 90000 / kPicturesPerSecond;
  std::size_t size = 12;
  const std::string& mid = mids_[section];
  if (introduces && from == Side::kBrowser && mid_numbers_[section] != 0 && !mid.empty() &&
      mid.size() <= 16) {
    // RFC 8285 §4.2: one element, filled up to whole words.
    const std::size_t words = (1 + mid.size() + 3) / 4;
    std::ranges::fill(to.subspan(size, 4 + 4 * words), std::byte{0});
    write_u8(to, 0, 0x90);
    write_u16(to, size, 0xbede);
    write_u16(to, size + 2, static_cast<std::uint16_t>(words));
    write_u8(to, size + 4, static_cast<std::uint8_t>(mid_numbers_[section] << 4 | (mid.size() - 1)));
    std::ranges::copy(std::as_bytes(std::span(mid)), to.subspan(size + 5).begin());
    size += 4 + 4 * words;
  }
  size += kRtpSizes[section] - 12;
  const std::uint64_t told = mark(from, section);
  write_u32(to, size - 8, static_cast<std::uint32_t>(told >> 32));
  write_u32(to, size - 4, static_cast<std::uint32_t>(told));
  if (from == Side::kPhone) return size;
  SrtpSender* sender = transport_of(section).sender();
  if (sender == nullptr || sender->seal_rtp(to, size) != SrtpResult::kOk)
    throw std::runtime_error("a packet cannot be encrypted");
  return size;
}

void WebCall::send_packet(Side from, std::size_t section) {
  std::array<std::byte, 2048> packet{};
  const std::size_t size = write_packet(from, section, true, true, packet);
  const Bytes octets = Bytes(packet).first(size);
  if (from == Side::kBrowser) return transport_of(section).send_to_relay(octets);
  send_datagram(phones_[section].fd, phones_[section].relay, octets);
}

void WebCall::note(Side by, Bytes rtp) {
  if (rtp.size() < 20) return;
  const std::uint64_t told =
      std::uint64_t{read_u32(rtp, rtp.size() - 8)} << 32 | read_u32(rtp, rtp.size() - 4);
  const Side from = by == Side::kBrowser ? Side::kPhone : Side::kBrowser;
  for (std::size_t section = 0; section < kSections; ++section) {
    if (told == mark(from, section)) {
      heard_[index(by)][section] = true;
      return;
    }
  }
  throw std::runtime_error(fmt::format("call {} hears what is not its own: {:016x}", number_, told));
}

}  // namespace ferry::bench
