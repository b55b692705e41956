#include "control/record/rtpproxy_section.hpp"

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

void PromptSection::save(const Call& call, ComponentsWriter& out) {
  const RtpproxySession* session = call.rtpproxy();
  if (session == nullptr) return;
  for (std::size_t i = 0; i < session->parties.size(); ++i) {
    const auto& extras = session->parties[i].extras;
    if (extras && extras->waiting) out.add(OrderPlace{i}, WaitingPrompt{*extras->waiting, extras->rounds});
  }
}

void PromptSection::load(Call& call, const SavedComponent& saved) {
  if (call.rtpproxy() == nullptr) throw std::invalid_argument("prompts wait in sessions of rtpproxy alone");
  WaitingPrompt waiting;
  saved.read(waiting);
  const Prompt& prompt = waiting.prompt;
  constexpr Duration kShortestPacket = std::chrono::milliseconds(5);
  if (prompt.packet_octets == 0 || prompt.packet_time < kShortestPacket ||
      prompt.payloads.size() < prompt.packet_octets || waiting.rounds < Prompt::kForEver ||
      waiting.rounds > std::numeric_limits<std::int32_t>::max())
    throw std::invalid_argument("the prompt has no packets");
  RtpproxyParty::Extras& extras = call.rtpproxy()->parties.at(saved.at<OrderPlace>().place).ensure_extras();
  extras.rounds = waiting.rounds;
  extras.waiting = std::make_shared<const Prompt>(std::move(waiting.prompt));
}

void RecordingSection::save(const Call& call, ComponentsWriter& out) {
  if (const CallRecording* recording = call.recording(); recording != nullptr)
    out.add(CallPlace{}, RunningRecording{recording->is_paused(), recording->packet_files()});
}

void RecordingSection::load(Call&, const SavedComponent& saved) {
  saved.read(saved.context().recording.emplace());
}

}  // namespace ferry
