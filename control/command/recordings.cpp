// SPDX-License-Identifier: Apache-2.0
// A recording is a tap on the call (`Taps`) and a `CallRecording` that the recorder owns the files of.
// `begin` makes both; `follow` attaches new ports and describes them. `end` detaches the tap and moves the
// recording to `ended_`. A fence later `finish_ended` closes the files, because until then workers may still
// hand it packets.
//
// Order: `read_message` comes before the plans are made, so that the first packet is recorded; `note_message`
// comes after them, because it needs the files.
//
// Trap: `record-all` begins a recording in `follow`, once, and only if no request has decided
// (`is_recording_decided`).
#include "control/command/recordings.hpp"

#include "control/call/session_config.hpp"
#include "control/command/forwarding.hpp"
#include "control/command/own_section.hpp"
#include "control/sdp/secrets.hpp"
#include "control/session/call_register.hpp"
#include "control/session/media_plane.hpp"
#include "control/session/taps.hpp"

#include <algorithm>
#include <array>

namespace ferry {

namespace {

// The most digits of a party that are remembered.
constexpr std::size_t kMaxDigits = 16;

bool is_listener(const Leg& leg) {
  return std::ranges::all_of(leg.medias, [](const auto& media) { return media->only_listens(); });
}

bool is_excluded(const Leg& leg) { return leg.extras && leg.extras->unrecorded; }

std::vector<sdp::Codec> codecs_of(const Media& media) {
  const auto session = sdp::parse(media.leg->last_sdp);
  const auto* section = session ? section_of(*session, media) : nullptr;
  return section == nullptr ? std::vector<sdp::Codec>() : section->codecs;
}

/// The formats of audio whose party was shown codecs: those first that it has named itself.
std::vector<RecordedFormat> formats_shown(const Media& media) {
  const auto said = media.said_codecs.formats();
  auto all = media.shown_codecs.formats();
  std::stable_partition(all.begin(), all.end(),
                        [&](const NumberedFormat& shown) { return find_codec(said, shown) != nullptr; });
  for (const NumberedFormat& own : said) {
    if (std::ranges::find(all, own.type, &NumberedFormat::type) == all.end()) all.push_back(own);
  }
  std::vector<RecordedFormat> formats;
  for (const auto& [type, format] : all) {
    if (format.encoding.empty()) continue;
    formats.push_back({type, format.encoding, format.clock_rate_hz, format.channels, format.parameters});
  }
  return formats;
}

/// What the payload types of a party's packets mean: those that it was shown, and its own if it uses others.
/// Formats that it named itself come first. Of parties whose lists are not kept the SDP of the far side says
/// what they were shown.
std::vector<RecordedFormat> formats_of(const Media& media) {
  if (!media.shown_codecs.empty()) return formats_shown(media);
  const auto own = codecs_of(media);
  std::vector<sdp::Codec> all;
  if (!media.subscriptions.empty()) all = codecs_of(*media.subscriptions.front().source);
  std::stable_partition(all.begin(), all.end(), [&](const sdp::Codec& shown) {
    return std::ranges::any_of(own, [&](const sdp::Codec& codec) { return sdp::same_codec(shown, codec); });
  });
  for (const sdp::Codec& codec : own) {
    if (std::ranges::find(all, codec.payload_type, &sdp::Codec::payload_type) == all.end())
      all.push_back(codec);
  }
  std::vector<RecordedFormat> formats;
  for (const sdp::Codec& codec : all) {
    if (codec.name.empty()) continue;
    formats.push_back({PayloadType{codec.payload_type}, std::string(codec.name), codec.clock_rate_hz,
                       codec.channels, std::string(codec.fmtp)});
  }
  return formats;
}

std::string asked_by(const Request& request) {
  return request.client.family() == AddressFamily::kNone ? "a local command" : request.client.to_string();
}

}  // namespace

std::optional<RecordingAction> recording_action(std::string_view name) noexcept {
  static constexpr std::array<std::string_view, kRecordingActions> kNames = {
      "vsc-start-rec",      "vsc-stop-rec",         "vsc-pause-rec",
      "vsc-start-stop-rec", "vsc-pause-resume-rec", "vsc-start-pause-resume-rec"};
  constexpr std::string_view kLong = "ording";
  if (name.ends_with("-recording")) name.remove_suffix(kLong.size());
  const auto found = std::ranges::find(kNames, name);
  if (found == kNames.end()) return std::nullopt;
  return static_cast<RecordingAction>(found - kNames.begin());
}

Result<Call*, RequestError> Recordings::find_call(const Request& request) {
  if (!request.call_id) return fail(RequestFault::kNoCallId);
  Call* call = services_.calls.find(*request.call_id);
  if (call == nullptr) return fail(RequestFault::kUnknownCall);
  return call;
}

bool Recordings::begin(Call& call, const Request* request, std::string_view by) {
  if (call.recording() != nullptr) return true;
  // Nobody could play what was recorded.
  if (is_end_to_end(call)) return false;
  if (services_.recorder == nullptr) {
    services_.observers.tell(&CallObserver::on_unrecorded, call);
    return false;
  }
  RecordingOrder order;
  order.call_id = call.id;
  order.asked_by = by;
  if (request != nullptr) {
    order.file = request->recording_file;
    order.directory = request->recording_dir;
    order.pattern = request->recording_pattern;
  }
  call.ensure_extras().recording = services_.recorder->start(order);
  call.extras->recording_tap =
      services_.taps.attach(call, {.tap = &call.recording()->tap(),
                                   .hears = [](const MediaTransport& transport,
                                               const LocalPorts&) { return !is_excluded(*transport.leg); },
                                   .on_attached = {}});
  services_.observers.tell(&CallObserver::on_recording, call, RecordingStep::kBegan, by);
  follow(call);
  for (const auto& leg : call.legs) {
    if (!leg->last_sdp.empty())
      call.recording()->note_sdp(leg->number, "before", sdp::without_secrets(leg->last_sdp));
  }
  return true;
}

Result<void, RequestError> Recordings::start(const Request& request) {
  const auto found = find_call(request);
  if (!found) return fail(found.error());
  Call& call = **found;
  if (is_end_to_end(call)) return fail(RequestFault::kEndToEnd);
  if (!request.metadata.empty()) {
    call.metadata = request.metadata;
    Leg* leg = request.from_tag ? call.leg_by_tag(*request.from_tag) : nullptr;
    if (leg != nullptr) leg->ensure_extras().metadata = request.metadata;
  }
  Request with_place = request;
  // For this command the two keys mean the same (docs/reference/ng.md#recording).
  if (with_place.recording_file.empty()) with_place.recording_file = request.destination;
  begin(call, &with_place, asked_by(request));
  if (call.recording() != nullptr) call.recording()->pause(false, asked_by(request));
  follow(call);
  return {};
}

Result<void, RequestError> Recordings::stop(const Request& request) {
  if (request.pause || request.has_flag(Flag::kPauseRecording)) return pause(request);
  const auto call = find_call(request);
  if (!call) return fail(call.error());
  if ((*call)->recording() != nullptr && request.has_flag(Flag::kDiscardRecording))
    (*call)->recording()->discard();
  end(**call, "stopped by " + asked_by(request));
  return {};
}

Result<void, RequestError> Recordings::pause(const Request& request) {
  const auto call = find_call(request);
  if (!call) return fail(call.error());
  if ((*call)->recording() != nullptr) (*call)->recording()->pause(true, asked_by(request));
  return {};
}

void Recordings::read_message(Call& call, Leg& sender, const Request& request) {
  if (request.has_flag(Flag::kExcludeRecording)) {
    // An offer or answer is about both of its parties, so both are left out (docs/reference/ng.md#recording).
    sender.ensure_extras().unrecorded = true;
    for (Leg* partner : call.associated(sender)) partner->ensure_extras().unrecorded = true;
  }
  if (request.has_flag(Flag::kRecordingVsc)) {
    LegExtras& extras = sender.ensure_extras();
    if (!extras.vsc) extras.vsc = std::make_unique<RecordingCodes>();
    for (std::size_t i = 0; i < kRecordingActions; ++i) {
      const std::string& wanted = request.recording_codes[i];
      extras.vsc->digits[i] = wanted.empty() ? services_.config.recording_codes[i] : wanted;
    }
  }
  if (request.record == RecordCall::kNo || request.record == RecordCall::kDiscard) {
    call.is_recording_decided = true;
    if (call.recording() != nullptr && request.record == RecordCall::kDiscard) call.recording()->discard();
    end(call, "stopped by " + asked_by(request));
  }
  if (request.record == RecordCall::kYes) begin(call, &request, asked_by(request));
}

std::vector<std::string> Recordings::note_message(Call& call, const Leg& sender, std::string_view kind,
                                                  const std::string& body) {
  CallRecording* recording = call.recording();
  if (recording == nullptr) return {};
  recording->note_sdp(sender.number, kind, sdp::without_secrets(body));
  return recording->packet_files();
}

RecordedCall Recordings::describe(const Call& call) const {
  RecordedCall described;
  described.metadata = call.metadata;
  for (const auto& leg : call.legs) {
    if (is_forward(*leg) || is_listener(*leg)) continue;
    described.parties.push_back(
        {leg->number, leg->tag, std::string(leg->label()), std::string(leg->metadata()), is_excluded(*leg)});
    for (const auto& media : leg->medias) {
      std::vector<RecordedFormat> formats;
      bool has_formats = false;
      for (const LocalPorts& ports : media->via->ports) {
        if (ports.closed || !services_.taps.hears(call.extras->recording_tap, ports.transport)) continue;
        if (!std::exchange(has_formats, true)) formats = formats_of(*media);
        described.streams.push_back({ports.transport,
                                     media->id,
                                     leg->number,
                                     media->index,
                                     media->type,
                                     {ports.local->address, ports.port},
                                     formats});
      }
    }
  }
  return described;
}

void Recordings::follow(Call& call) {
  CallRecording* recording = call.recording();
  if (recording == nullptr) {
    if (services_.recorder == nullptr || !services_.recorder->records_all() || call.is_recording_decided)
      return;
    // Sessions of the rtpproxy protocol are recorded here only in the form of calls; other forms have files
    // of their own.
    if (call.policy() != nullptr && services_.config.rtpproxy.recording != RecordingForm::kCall) return;
    call.is_recording_decided = true;
    begin(call, nullptr, "record-all");
    return;
  }
  call.is_recording_decided = true;
  services_.taps.renew(call);
  recording->describe(describe(call));
}

void Recordings::end(Call& call, std::string_view reason) {
  if (call.recording() == nullptr) return;
  services_.taps.detach(call.extras->recording_tap);
  call.recording()->end(reason);
  finish_later(std::move(call.extras->recording));
  services_.observers.tell(&CallObserver::on_recording, call, RecordingStep::kEnded, reason);
}

void Recordings::finish_ended() {
  for (const auto& recording : ended_) recording->finish();
  ended_.clear();
}

void Recordings::on_ending(Call& call, EndReason reason, const Clock&) {
  end(call, std::string("the call ended: ").append(to_string(reason)));
}

void Recordings::on_dtmf(Call& call, Leg& leg, const DtmfEvent& event) {
  static constexpr std::string_view kDigits = "0123456789*#ABCD";
  if (event.event < kDigits.size()) on_digit(call, leg, kDigits[event.event]);
}

void Recordings::merge(Call& call, Call& other) {
  if (other.recording() == nullptr) return;
  if (call.recording() != nullptr) {
    end(other, "the call became part of another");
    return;
  }
  call.ensure_extras().recording = std::move(other.extras->recording);
  call.extras->recording_tap = other.extras->recording_tap;
}

void Recordings::on_digit(Call& call, Leg& leg, char digit) {
  if (!leg.extras || !leg.extras->vsc) return;
  RecordingCodes& codes = *leg.extras->vsc;
  codes.pressed += digit;
  if (codes.pressed.size() > kMaxDigits) codes.pressed.erase(0, 1);
  const auto found = std::ranges::find_if(
      codes.digits, [&](const std::string& code) { return !code.empty() && codes.pressed.ends_with(code); });
  if (found == codes.digits.end()) return;
  codes.pressed.clear();
  const std::string by = "keys of party " + std::to_string(leg.number);
  CallRecording* running = call.recording();
  switch (static_cast<RecordingAction>(found - codes.digits.begin())) {
    case RecordingAction::kStart:
      begin(call, nullptr, by);
      if (running != nullptr) running->pause(false, by);
      break;
    case RecordingAction::kStop:
      end(call, "stopped by " + by);
      break;
    case RecordingAction::kPause:
      if (running != nullptr) running->pause(true, by);
      break;
    case RecordingAction::kStartStop:
      if (running != nullptr)
        end(call, "stopped by " + by);
      else
        begin(call, nullptr, by);
      break;
    case RecordingAction::kPauseResume:
      if (running != nullptr) running->pause(!running->is_paused(), by);
      break;
    case RecordingAction::kStartPauseResume:
      if (running != nullptr)
        running->pause(!running->is_paused(), by);
      else
        begin(call, nullptr, by);
      break;
    case RecordingAction::kCount:
      break;
  }
}

}  // namespace ferry
