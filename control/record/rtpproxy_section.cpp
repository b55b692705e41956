// SPDX-License-Identifier: Apache-2.0
#include "control/record/rtpproxy_section.hpp"

#include "relay/core/output/frame_size.hpp"

#include <limits>
#include <stdexcept>

namespace ferry {

void RtpproxySection::save(const Call& call, ComponentsWriter& out) {
  if (const RtpproxySession* session = call.rtpproxy(); session != nullptr)
    out.add(SessionPlace{session->call_id.size()}, *session);
}

void RtpproxySection::load(Call& call, const SavedComponent& saved) {
  const std::size_t size = saved.at<SessionPlace>().call_id_size;
  if (size >= call.id.size() || call.id[size] != ' ')
    throw std::invalid_argument("the call has the id of no session");
  call.ensure_extras().policy = std::make_unique<RtpproxySession>();
  RtpproxySession& session = *call.rtpproxy();
  session.call_id = std::string_view(call.id).substr(0, size);
  session.tag = std::string_view(call.id).substr(size + 1);
  saved.read(session);
  for (const RtpproxyParty& party : session.parties) {
    if (party.local == nullptr) throw std::invalid_argument("a party has no address");
  }
}

namespace {

SavedPrompt saved_of(const PromptOrder& order) {
  SavedPrompt saved{{}, order.type, 0, order.prompt->timing().packet_time, order.prompt->timing().units};
  // Prompts of files are complete, and their packets have one size.
  for (PromptReader reader(*order.prompt); reader.look() == PromptReader::Found::kPacket; reader.advance()) {
    saved.packet_octets = reader.payload().size();
    saved.payloads.insert(saved.payloads.end(), reader.payload().begin(), reader.payload().end());
  }
  return saved;
}

}  // namespace

void PromptSection::save(const Call& call, ComponentsWriter& out) {
  const RtpproxySession* session = call.rtpproxy();
  if (session == nullptr) return;
  for (std::size_t i = 0; i < session->parties.size(); ++i) {
    const auto& extras = session->parties[i].extras;
    if (extras && extras->waiting.prompt)
      out.add(OrderPlace{i}, WaitingPrompt{saved_of(extras->waiting), extras->waiting.rounds});
  }
}

void PromptSection::load(Call& call, const SavedComponent& saved) {
  if (call.rtpproxy() == nullptr) throw std::invalid_argument("prompts wait in sessions of rtpproxy alone");
  WaitingPrompt waiting;
  saved.read(waiting);
  SavedPrompt& prompt = waiting.prompt;
  constexpr Duration kShortestPacket = std::chrono::milliseconds(5);
  constexpr std::size_t kLargestPacket = 1400;
  if (prompt.packet_octets == 0 || prompt.packet_octets > kLargestPacket ||
      prompt.packet_time < kShortestPacket || prompt.payloads.size() < prompt.packet_octets ||
      waiting.rounds < Prompt::kForEver || waiting.rounds > std::numeric_limits<std::int32_t>::max())
    throw std::invalid_argument("the prompt has no packets");
  RtpproxyParty::Extras& extras = call.rtpproxy()->parties.at(saved.at<OrderPlace>().place).ensure_extras();
  const PromptTiming timing{prompt.packet_time, prompt.units, 1000 * kFrameClockPerMs};
  extras.waiting.prompt = whole_prompt(timing, std::move(prompt.payloads), prompt.packet_octets);
  extras.waiting.type = prompt.type;
  extras.waiting.rounds = waiting.rounds;
}

void RecordingSection::save(const Call& call, ComponentsWriter& out) {
  if (const CallRecording* recording = call.recording(); recording != nullptr)
    out.add(CallPlace{}, RunningRecording{recording->is_paused(), recording->packet_files()});
}

void RecordingSection::load(Call&, const SavedComponent& saved) {
  saved.read(saved.context().recording.emplace());
}

}  // namespace ferry
