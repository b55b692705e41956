#include "control/session/export_keys.hpp"

#include <array>
#include <stdexcept>
#include <vector>

namespace ferry {

namespace {

using nlohmann::json;

json line_json(const std::optional<sdp::CryptoLine>& line) {
  if (!line) return nullptr;
  return {{"line", sdp::write_crypto(*line, {.pad = true, .lifetime = false})},
          {"offerers", line->is_offerers}};
}
std::optional<sdp::CryptoLine> line_from(const json& j) {
  if (j.is_null()) return std::nullopt;
  auto line = sdp::parse_crypto(j.at("line").get<std::string>());
  if (!line) throw std::runtime_error("a key that is none");
  line->is_offerers = j.at("offerers");
  return line;
}

json lines_json(const std::vector<sdp::CryptoLine>& lines) {
  json j = json::array();
  for (const auto& line : lines) j.push_back(line_json(line));
  return j;
}
std::vector<sdp::CryptoLine> lines_from(const json& j) {
  std::vector<sdp::CryptoLine> lines;
  for (const json& each : j) {
    if (auto line = line_from(each)) lines.push_back(std::move(*line));
  }
  return lines;
}

json window_json(const ReplayWindow& window) {
  return {{"size", window.size()},
          {"highest", window.highest()},
          {"started", window.started()},
          {"seen", window.words()}};
}
ReplayWindow window_from(const json& j) {
  ReplayWindow window(j.at("size").get<std::size_t>() / 64 * 64);
  if (window.size() == 0 || window.size() > ReplayWindow::kMaxBits)
    throw std::runtime_error("a replay list of no size");
  if (j.at("started").get<bool>()) window.restore(j.at("highest"), j.at("seen").get<ReplayWindow::Words>());
  return window;
}

json streams_json(const std::vector<SrtpStream>& streams) {
  json j = json::array();
  for (const SrtpStream& stream : streams) {
    j.push_back({{"ssrc", stream.ssrc.value},
                 {"rtp", window_json(stream.rtp)},
                 {"rtcp", window_json(stream.rtcp)},
                 {"relayed", stream.is_relayed}});
  }
  return j;
}
std::vector<SrtpStream> streams_from(const json& j) {
  std::vector<SrtpStream> streams;
  for (const json& each : j) {
    streams.push_back({Ssrc{each.at("ssrc")}, window_from(each.at("rtp")), window_from(each.at("rtcp")),
                       each.at("relayed")});
  }
  return streams;
}

}  // namespace

json keys_json(const MediaKeys* keys) {
  if (keys == nullptr) return nullptr;
  return {{"theirs", lines_json(keys->theirs)},
          {"shown", lines_json(keys->shown)},
          {"in", line_json(keys->in)},
          {"out", line_json(keys->out)},
          {"relayed", keys->out_is_relayed},
          {"sections", {keys->merged, keys->doubled, keys->paired}},
          {"opportunistic", {keys->offered_by_peer, keys->offered_to_peer, keys->accept}}};
}

std::unique_ptr<MediaKeys> keys_from(const json& j) {
  if (j.is_null()) return nullptr;
  auto keys = std::make_unique<MediaKeys>();
  keys->theirs = lines_from(j.at("theirs"));
  keys->shown = lines_from(j.at("shown"));
  keys->in = line_from(j.at("in"));
  keys->out = line_from(j.at("out"));
  keys->out_is_relayed = j.at("relayed");
  const json& sections = j.at("sections");
  keys->merged = sections.at(0);
  keys->doubled = sections.at(1);
  keys->paired = sections.at(2);
  const json& opportunistic = j.at("opportunistic");
  keys->offered_by_peer = opportunistic.at(0);
  keys->offered_to_peer = opportunistic.at(1);
  keys->accept = opportunistic.at(2);
  return keys;
}

json srtp_json(const std::optional<TransportSnapshot::Srtp>& srtp) {
  if (!srtp) return nullptr;
  json received = json::array();
  for (const auto& state : srtp->received) received.push_back(streams_json(state.streams));
  return {{"received", std::move(received)},
          {"sent", streams_json(srtp->sent.streams)},
          {"next_rtcp", srtp->sent.next_rtcp}};
}

std::optional<TransportSnapshot::Srtp> srtp_from(const json& j) {
  if (j.is_null()) return std::nullopt;
  TransportSnapshot::Srtp srtp;
  for (const json& each : j.at("received")) srtp.received.push_back({streams_from(each)});
  srtp.sent = {streams_from(j.at("sent")), j.at("next_rtcp")};
  return srtp;
}

}  // namespace ferry
