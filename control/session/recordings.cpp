#include "control/session/recordings.hpp"

#include "control/sdp/secrets.hpp"
#include "control/session/media_control.hpp"

#include <algorithm>
#include <array>

namespace ferry {

namespace {

constexpr std::size_t kMaxDigits = 16;

bool is_listener(const Leg& leg) {
  return std::ranges::all_of(leg.medias, [](const auto& media) { return media->only_listens(); });
}

bool is_excluded(const Leg& leg) { return leg.extras && leg.extras->unrecorded; }

/// The section of its leg's own SDP that a media is.
const sdp::MediaSection* section_of(const sdp::Session& session, const Media& media) {
  const auto index = static_cast<std::size_t>(media.index) - 1;
  if (index < session.media.size() && session.media[index].type == media.type) return &session.media[index];
  const auto found = std::ranges::find(session.media, media.type, &sdp::MediaSection::type);
  return found == session.media.end() ? nullptr : &*found;
}

std::vector<sdp::Codec> codecs_of(const Media& media) {
  const auto session = sdp::parse(media.leg->last_sdp);
  const auto* section = session ? section_of(*session, media) : nullptr;
  return section == nullptr ? std::vector<sdp::Codec>() : section->codecs;
}

/// What the numbers of a party's packets mean: those it was shown, its own where it uses others. What it
/// named itself comes first.
std::vector<RecordedFormat> formats_of(const Media& media) {
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
  if (!request.call_id) return fail(error(RefusalReason::kMessage, "No call-id in message"));
  Call* call = manager_.find(*request.call_id);
  if (call == nullptr) return fail(error(RefusalReason::kUnknownCall, "Unknown call-id"));
  return call;
}

bool Recordings::begin(Call& call, const Request* request, std::string_view by) {
  if (call.recording() != nullptr) return true;
  if (manager_.recorder_ == nullptr) {
    if (manager_.listener_.on_unrecorded) manager_.listener_.on_unrecorded(call);
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
  call.made_extras().recording = manager_.recorder_->start(order);
  follow(call);
  for (const auto& leg : call.legs) {
    if (!leg->last_sdp.empty())
      call.recording()->note_sdp(leg->number, "before", sdp::without_secrets(leg->last_sdp));
  }
  return true;
}

Result<Dict, RequestError> Recordings::start(const Request& request) {
  const auto found = find_call(request);
  if (!found) return fail(found.error());
  Call& call = **found;
  if (!request.metadata.empty()) {
    call.metadata = request.metadata;
    Leg* leg = request.from_tag ? call.leg_by_tag(*request.from_tag) : nullptr;
    if (leg != nullptr) leg->made_extras().metadata = request.metadata;
  }
  Request with_place = request;
  // For this command the two are one (NG section 16).
  if (with_place.recording_file.empty()) with_place.recording_file = request.destination;
  begin(call, &with_place, asked_by(request));
  if (call.recording() != nullptr) call.recording()->pause(false, asked_by(request));
  follow(call);
  return Dict{};
}

Result<Dict, RequestError> Recordings::stop(const Request& request) {
  if (request.pause || request.has_flag(Flag::kPauseRecording)) return pause(request);
  const auto call = find_call(request);
  if (!call) return fail(call.error());
  if ((*call)->recording() != nullptr && request.has_flag(Flag::kDiscardRecording))
    (*call)->recording()->discard();
  end(**call, "stopped by " + asked_by(request));
  return Dict{};
}

Result<Dict, RequestError> Recordings::pause(const Request& request) {
  const auto call = find_call(request);
  if (!call) return fail(call.error());
  if ((*call)->recording() != nullptr) (*call)->recording()->pause(true, asked_by(request));
  return Dict{};
}

void Recordings::read_message(Call& call, Leg& sender, const Request& request) {
  if (request.has_flag(Flag::kExcludeRecording)) {
    // An offer or answer is about both of its parties (NG section 10).
    sender.made_extras().unrecorded = true;
    for (Leg* partner : call.associated(sender)) partner->made_extras().unrecorded = true;
  }
  if (request.has_flag(Flag::kRecordingVsc)) {
    LegExtras& extras = sender.made_extras();
    if (!extras.vsc) extras.vsc = std::make_unique<RecordingCodes>();
    for (std::size_t i = 0; i < kRecordingActions; ++i) {
      const std::string& wanted = request.recording_codes[i];
      extras.vsc->digits[i] = wanted.empty() ? manager_.config_.recording_codes[i] : wanted;
    }
  }
  if (request.record == RecordCall::kNo || request.record == RecordCall::kDiscard) {
    call.is_recording_decided = true;
    if (call.recording() != nullptr && request.record == RecordCall::kDiscard) call.recording()->discard();
    end(call, "stopped by " + asked_by(request));
  }
  if (request.record == RecordCall::kYes) begin(call, &request, asked_by(request));
}

void Recordings::note_message(Call& call, const Leg& sender, std::string_view kind, const std::string& body,
                              Dict& reply) {
  CallRecording* recording = call.recording();
  if (recording == nullptr) return;
  recording->note_sdp(sender.number, kind, sdp::without_secrets(body));
  List files;
  for (const std::string& path : recording->packet_files()) files.emplace_back(path);
  if (!files.empty()) reply.set("recordings", std::move(files));
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
      for (const PortSet& ports : media->ports) {
        if (!ports.tapped || ports.closed) continue;
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
    if (manager_.recorder_ == nullptr || !manager_.recorder_->records_all() || call.is_recording_decided)
      return;
    // Those of the classic protocol have files of their own form.
    if (call.classic() != nullptr && manager_.config_.classic.recording != RecordingForm::kCall) return;
    call.is_recording_decided = true;
    begin(call, nullptr, "record-all");
    return;
  }
  call.is_recording_decided = true;
  for (const auto& leg : call.legs) {
    const bool wanted = !is_excluded(*leg);
    for (const auto& media : leg->medias) {
      for (PortSet& ports : media->ports) {
        if (ports.closed || !ports.plan || ports.tapped == wanted) continue;
        ports.tapped = wanted;
        if (wanted)
          manager_.plane_.post(call.worker, AttachTap{ports.transport, &recording->tap()}, true);
        else
          manager_.plane_.post(call.worker, DetachTap{ports.transport, &recording->tap()}, true);
      }
    }
  }
  recording->describe(describe(call));
}

void Recordings::detach(Call& call) {
  for (const auto& leg : call.legs) {
    for (const auto& media : leg->medias) {
      for (PortSet& ports : media->ports) {
        if (!std::exchange(ports.tapped, false) || ports.closed) continue;
        manager_.plane_.post(call.worker, DetachTap{ports.transport, &call.recording()->tap()}, true);
      }
    }
  }
}

void Recordings::end(Call& call, std::string_view reason) {
  if (call.recording() == nullptr) return;
  detach(call);
  call.recording()->end(reason);
  manager_.ended_recordings_.push_back(std::move(call.extras->recording));
}

void Recordings::merge(Call& call, Call& other) {
  if (other.recording() == nullptr) return;
  if (call.recording() != nullptr)
    end(other, "the call became part of another");
  else
    call.made_extras().recording = std::move(other.extras->recording);
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
