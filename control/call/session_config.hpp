// SPDX-License-Identifier: Apache-2.0
// How the daemon treats calls: the settings that commands, plans and time-outs read. The options of the
// configuration fill them at start; some can be changed while the daemon runs.
#pragma once

#include "control/call/codec_catalogue.hpp"
#include "control/call/media_dtls.hpp"
#include "control/call/media_keys.hpp"
#include "control/request/request.hpp"
#include "relay/core/audio/fax_progress.hpp"
#include "relay/core/latch/latch.hpp"
#include "relay/core/latch/peer_policy.hpp"
#include "relay/core/recording.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace ferry {

/// Where `query` shows statistics by SSRC (option `ssrc-reporting`).
enum class SsrcReporting : std::uint8_t { kFull, kGlobal, kInline, kNone };

/// Settings of sessions of the rtpproxy protocol, where they differ from those of NG calls.
struct RtpproxyConfig {
  /// Which sources may be learned.
  LatchPolicy latch = LatchPolicy::kUncontested;
  /// How long a session may be without media, in s.
  std::chrono::seconds timeout{60};
  /// The same while the other party has no port yet, in s; 0 = as `timeout`.
  std::chrono::seconds setup_timeout{0};
  /// True if each party must send within the time-out. By default a packet of either keeps the session.
  bool independent_legs = false;
  /// True if parties send from and receive at the address that signalling named, unless a command says
  /// otherwise.
  bool asymmetric = false;
  /// The form of recordings that a command does not choose.
  RecordingForm recording = RecordingForm::kAdHoc;
};

/// Settings of all calls. Every component borrows the same object, so that a change counts at once.
struct SessionConfig {
  /// How long a call may be without media, in s; and how long if every party is on hold.
  std::chrono::seconds timeout{60};
  std::chrono::seconds silent_timeout{3600};
  /// How long an offer may stay without answer, in s. A phone that rings longer than a proxy's Timer C (RFC
  /// 3261 section 16.6: more than three minutes) was given up, and its proxy may have forgotten to delete the
  /// call.
  std::chrono::seconds offer_timeout{300};
  /// The longest life of any call, in s; 0 = no limit.
  std::chrono::seconds final_timeout{0};
  /// How long a deleted call lives on, in s, so that late packets still pass.
  std::chrono::seconds delete_delay{30};
  // New calls are refused above these limits; 0 = no limit.
  /// Calls at a time.
  std::size_t max_sessions = 0;
  /// CPU use of the host in per cent, and its load average.
  double max_cpu_percent = 0;
  double max_load = 0;
  /// Load of the least busy media thread in per cent, from which on no call begins to convert; 0 = no limit.
  double max_transcoding_percent = 85;
  /// Media in octets per second.
  std::uint64_t max_bandwidth_bytes = 0;
  /// Which sources may be learned, and how (option `latch`).
  LatchPolicy latch = LatchPolicy::kSignalled;
  LearningAlgorithm learning = LearningAlgorithm::kRules;
  /// True if packets of types that were not negotiated are dropped even from a locked source (DMX-4). An
  /// interface or a call may ask for it too.
  bool strict_payload_types = false;
  /// True if a request that names an unknown interface is refused. By default it gets the default interface
  /// and a warning.
  bool direction_strict = false;
  /// How many peers of one address that were never heard are sent to freely (LAT-12b); 0 = all.
  std::size_t unheard_per_address = 20;
  /// True if the source of SIP messages replaces the addresses of SDP (option `sip-source`).
  bool sip_source = false;
  /// True if the relay takes the BUNDLE groups of offers, unless a word of the request says otherwise (option
  /// `bundle`).
  bool accepts_bundle = true;
  /// DSCP octet of packets.
  std::uint8_t tos = 0;
  /// The name that SDP and replies show.
  std::string software_name = "rtpferry";
  /// True if SDP with lines that are none is refused. By default they are skipped.
  bool reject_invalid_sdp = false;
  /// Where `query` shows statistics by SSRC.
  SsrcReporting ssrc_reporting = SsrcReporting::kFull;
  /// True if quality is computed from RTP itself where no RTCP tells it.
  bool measure_rtp = false;
  /// True if MOS leaves the delay out.
  bool listening_quality = false;
  /// A party that gets nothing for so long gets silence, in s (option `keepalive-silence`); 0 = nobody does.
  std::uint16_t keep_alive_s = 0;
  /// The codecs that can be converted. By default there are none.
  CodecCatalogue codecs;
  /// Knows how far faxes are. Null = nobody does.
  std::shared_ptr<const FaxWatch> faxes;
  /// How media is keyed.
  SrtpConfig srtp;
  DtlsConfig dtls;
  /// The digits that control recordings of parties with flag `recording-vsc` that named no others.
  RecordingDigits recording_codes;
  /// True if calls remember the address of their client, for the time-out call-back.
  bool remember_client = false;
  /// Where parties may not be (LAT-11a), without the addresses of the host.
  PeerRules peers;
  /// What differs for sessions of the rtpproxy protocol.
  RtpproxyConfig rtpproxy;
};

}  // namespace ferry
