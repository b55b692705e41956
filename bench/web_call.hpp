// SPDX-License-Identifier: Apache-2.0
// A call between a browser and a plain phone: the SDP of both, what the relay's SDP tells them, and their
// RTP.
#pragma once

#include "bench/web_transport.hpp"
#include "control/sdp/sdp.hpp"

#include <array>
#include <memory>
#include <string>
#include <string_view>

namespace ferry::bench {

/// What all calls of a load have in common.
struct CallSettings {
  IpAddress browser;
  IpAddress phone;
  std::shared_ptr<const DtlsIdentity> identity;
};

/// Audio is PCMA in packets of 20 ms. Video is 30 pictures/s of five packets each, 1.5 Mbit/s of RTP.
inline constexpr std::size_t kSections = 2;
inline constexpr std::array<const char*, kSections> kNames = {"audio", "video"};
inline constexpr unsigned kAudioPerSecond = 50;
inline constexpr unsigned kPicturesPerSecond = 30;
inline constexpr unsigned kPacketsOfPicture = 5;
/// Octets of a plain RTP packet without header extensions.
inline constexpr std::array<std::size_t, kSections> kRtpSizes = {172, 1250};

/// Who sends.
enum class Side : std::uint8_t { kBrowser, kPhone };

/// One call. It owns the sockets of its two parties and sends nothing by itself.
class WebCall {
 public:
  /// `browser_offers`: else the phone does.
  WebCall(unsigned number, bool browser_offers, const CallSettings& settings);
  ~WebCall();
  WebCall(const WebCall&) = delete;
  WebCall& operator=(const WebCall&) = delete;

  [[nodiscard]] unsigned number() const noexcept { return number_; }
  [[nodiscard]] bool browser_offers() const noexcept { return browser_offers_; }
  /// The offer or answer of one side.
  [[nodiscard]] std::string sdp(Side of) const;
  /// The relay's SDP for one side. Throws if that side cannot use it.
  void hear(Side by, const std::string& sdp);
  /// Both descriptions are there: the browser's transports begin.
  void begin();

  /// Number of the browser's transports: one for both sections, or one each.
  [[nodiscard]] std::size_t transports() const noexcept { return transports_[1] ? 2 : 1; }
  [[nodiscard]] WebTransport& transport(std::size_t number) noexcept { return *transports_[number]; }
  /// The transport that carries a section.
  [[nodiscard]] WebTransport& transport_of(std::size_t section) noexcept {
    return *transports_[transports_[1] ? section : 0];
  }
  [[nodiscard]] int phone_fd(std::size_t section) const noexcept { return phones_[section].fd; }
  /// Where a side's packets of a section come from and go to.
  [[nodiscard]] Path way(Side from, std::size_t section, Endpoint& at) noexcept;

  /// Writes a side's next packet of a section, encrypted if it is the browser's, and returns its size.
  /// `introduces`: with the MID, if one was agreed on. `is_last`: of its picture.
  std::size_t write_packet(Side from, std::size_t section, bool introduces, bool is_last, MutableBytes to);
  /// Sends that packet by the side's socket.
  void send_packet(Side from, std::size_t section);
  /// Notes a plain packet that reached a side. Throws if it is another call's.
  void note(Side by, Bytes rtp);
  /// True if a packet of the other side reached it.
  [[nodiscard]] bool has_heard(Side by, std::size_t section) const noexcept {
    return heard_[index(by)][section];
  }

 private:
  struct Phone {
    int fd = -1;
    Endpoint at;
    Endpoint relay;
  };
  /// State of what one side sends in one section.
  struct Sent {
    std::uint32_t ssrc = 0;
    std::uint16_t sequence = 0;
    std::uint32_t timestamp = 0;
  };
  static std::size_t index(Side side) noexcept { return static_cast<std::size_t>(side); }
  /// What the last 8 octets of a packet say.
  [[nodiscard]] std::uint64_t mark(Side from, std::size_t section) const noexcept;
  void hear_as_browser(const sdp::Session& session);
  [[nodiscard]] std::string browser_section(std::size_t section) const;

  unsigned number_;
  bool browser_offers_;
  CallSettings settings_;
  std::array<std::unique_ptr<WebTransport>, kSections> transports_;
  std::array<WebRemote, kSections> remotes_;
  std::array<DtlsRole, kSections> roles_{};
  std::array<std::string, kSections> mids_ = {"0", "1"};
  /// Numbers of the MID extension; 0 = it was not agreed on.
  std::array<unsigned, kSections> mid_numbers_{};
  bool is_bundled_ = true;
  std::array<Phone, kSections> phones_;
  std::array<std::array<Sent, kSections>, 2> sent_;
  std::array<std::array<bool, kSections>, 2> heard_{};
};

}  // namespace ferry::bench
