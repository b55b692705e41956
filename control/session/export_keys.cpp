#include "control/session/export_keys.hpp"

#include "relay/worker/transport_table.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <vector>

#include <string.h>

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
                 {"relayed", stream.is_relayed},
                 {"first", stream.first},
                 {"timestamp", stream.timestamp},
                 {"closed", stream.is_closed},
                 {"used", stream.used}});
  }
  return j;
}
std::vector<SrtpStream> streams_from(const json& j) {
  std::vector<SrtpStream> streams;
  for (const json& each : j) {
    streams.push_back({Ssrc{each.at("ssrc")}, window_from(each.at("rtp")), window_from(each.at("rtcp")),
                       each.at("relayed"), each.at("first"), each.value("timestamp", 0u),
                       each.value("closed", false), each.value("used", std::uint64_t{0})});
  }
  return streams;
}

/// Null for most keys: they have nothing to remember.
json past_json(const SsrcMemory::State& past) {
  if (past.records.empty() && past.forgotten.empty()) return nullptr;
  json records = json::array();
  for (const SsrcRecord& each : past.records) {
    records.push_back({each.ssrc.value, each.has_rtp, each.has_rtcp, each.is_relayed, each.is_closed,
                       each.timestamp, each.highest_rtcp, each.first, each.highest_rtp});
  }
  return {{"records", std::move(records)}, {"forgotten", past.forgotten}};
}
SsrcMemory::State past_from(const json& j) {
  SsrcMemory::State past;
  if (j.is_null()) return past;
  for (const json& each : j.at("records")) {
    past.records.push_back({Ssrc{each.at(0)}, each.at(1), each.at(2), each.at(3), each.at(4), each.at(5),
                            each.at(6), each.at(7), each.at(8)});
  }
  past.forgotten = j.at("forgotten").get<std::vector<std::uint64_t>>();
  if (!past.forgotten.empty() && past.forgotten.size() != SsrcSet::kWords)
    throw std::runtime_error("the set of forgotten SSRCs has another size");
  return past;
}

}  // namespace

namespace {

json wishes_json(const Sdes& wishes) {
  return {{"only", wishes.policy.only},
          {"without", wishes.policy.without},
          {"offerer_pref", wishes.for_offerer},
          {"flags", {wishes.policy.no_new, wishes.keeps_suite, wishes.is_preferred}}};
}
Sdes wishes_from(const json& j) {
  Sdes wishes;
  if (j.is_null()) return wishes;  // a record of an earlier version
  wishes.policy.only = j.at("only").get<std::vector<std::string>>();
  wishes.policy.without = j.at("without").get<std::vector<std::string>>();
  wishes.for_offerer = j.at("offerer_pref").get<std::vector<std::string>>();
  wishes.policy.no_new = j.at("flags").at(0);
  wishes.keeps_suite = j.at("flags").at(1);
  wishes.is_preferred = j.at("flags").at(2);
  return wishes;
}

}  // namespace

json keys_json(const MediaKeys* keys) {
  if (keys == nullptr) return nullptr;
  return {{"theirs", lines_json(keys->theirs)},
          {"shown", lines_json(keys->shown)},
          {"in", line_json(keys->in)},
          {"out", line_json(keys->out)},
          {"relayed", keys->out_is_relayed},
          {"answerer", keys->answerer},
          {"sections", {keys->merged, keys->doubled, keys->paired}},
          {"opportunistic", {keys->offered_by_peer, keys->offered_to_peer, keys->accept}},
          {"asked", wishes_json(keys->asked)}};
}

std::unique_ptr<MediaKeys> keys_from(const json& j) {
  if (j.is_null()) return nullptr;
  auto keys = std::make_unique<MediaKeys>();
  keys->theirs = lines_from(j.at("theirs"));
  keys->shown = lines_from(j.at("shown"));
  keys->in = line_from(j.at("in"));
  keys->out = line_from(j.at("out"));
  keys->out_is_relayed = j.at("relayed");
  keys->answerer = j.at("answerer");
  const json& sections = j.at("sections");
  keys->merged = sections.at(0);
  keys->doubled = sections.at(1);
  keys->paired = sections.at(2);
  const json& opportunistic = j.at("opportunistic");
  keys->offered_by_peer = opportunistic.at(0);
  keys->offered_to_peer = opportunistic.at(1);
  keys->accept = opportunistic.at(2);
  keys->asked = wishes_from(j.value("asked", json()));
  return keys;
}

namespace {

json description_json(const sdp::DtlsDescription& dtls) {
  json fingerprints = json::array();
  for (const Fingerprint& each : dtls.fingerprints) fingerprints.push_back(sdp::write_fingerprint(each));
  return {{"fingerprints", std::move(fingerprints)},
          {"setup", static_cast<int>(dtls.setup)},
          {"tls_id", dtls.tls_id}};
}
sdp::DtlsDescription description_from(const json& j) {
  sdp::DtlsDescription dtls;
  for (const json& each : j.at("fingerprints")) {
    auto fingerprint = sdp::parse_fingerprint(each.get<std::string>());
    if (!fingerprint) throw std::runtime_error("a fingerprint that is none");
    dtls.fingerprints.push_back(std::move(*fingerprint));
  }
  const int setup = j.at("setup");
  if (setup < 0 || setup > static_cast<int>(sdp::Setup::kPassive)) throw std::runtime_error("no setup");
  dtls.setup = static_cast<sdp::Setup>(setup);
  dtls.tls_id = j.at("tls_id");
  return dtls;
}

DtlsRole role_from(const json& j) { return j.get<bool>() ? DtlsRole::kClient : DtlsRole::kServer; }

json master_json(const SrtpMasterKey& key) {
  // An a=crypto line holds the same.
  std::vector<std::byte> octets;
  for (const Bytes part : {key.key.get(), key.salt.get()})
    octets.insert(octets.end(), part.begin(), part.end());
  sdp::CryptoLine line{1, &row_of(key.suite), SecretBytes<46>(octets), key.mki, {}};
  explicit_bzero(octets.data(), octets.size());
  return sdp::write_crypto(line, {.pad = true, .lifetime = false});
}
SrtpMasterKey master_from(const json& j) {
  const auto line = sdp::parse_crypto(j.get<std::string>());
  if (!line) throw std::runtime_error("a key that is none");
  const Bytes octets = line->key_and_salt.get();
  SrtpMasterKey key;
  key.suite = line->suite->suite;
  key.key = SecretBytes<32>(octets.first(line->suite->key));
  key.salt = SecretBytes<14>(octets.subspan(line->suite->key));
  key.mki = line->mki;
  return key;
}

}  // namespace

json dtls_json(const MediaDtls* dtls) {
  if (dtls == nullptr) return nullptr;
  return {{"identity", dtls->identity ? dtls->identity->pem() : ""},
          {"hash", row_of(dtls->hash).name},
          {"tls_id", dtls->tls_id},
          {"theirs", description_json(dtls->theirs)},
          {"offered", {dtls->offered_by_peer, dtls->offered_to_peer}},
          {"is_passive", dtls->is_passive ? json(*dtls->is_passive) : json()},
          {"in_use", dtls->in_use},
          {"is_client", dtls->role == DtlsRole::kClient},
          {"made_for", description_json(dtls->made_for)},
          {"made_as_client", dtls->made_as == DtlsRole::kClient},
          {"association", dtls->association},
          {"shown_at", dtls->shown_at.is_set() ? json(dtls->shown_at.to_string()) : json()},
          {"agreed", dtls->agreed.at.is_set()
                         ? json{dtls->agreed.at.to_string(), dtls->agreed.association, dtls->agreed.tls_id}
                         : json()}};
}

std::unique_ptr<MediaDtls> dtls_from(const json& j, const DtlsConfig& config) {
  if (j.is_null()) return nullptr;
  auto dtls = std::make_unique<MediaDtls>();
  const std::string pem = j.at("identity");
  if (!pem.empty() && config.backend) {
    dtls->identity = config.backend->identity_of(pem);
    if (!dtls->identity) throw std::runtime_error("a certificate that is none");
  }
  const auto hash = sdp::parse_hash(j.at("hash").get<std::string>());
  if (!hash) throw std::runtime_error("an unknown hash");
  dtls->hash = *hash;
  dtls->tls_id = j.at("tls_id");
  dtls->theirs = description_from(j.at("theirs"));
  const json& offered = j.at("offered");
  dtls->offered_by_peer = offered.at(0);
  dtls->offered_to_peer = offered.at(1);
  if (!j.at("is_passive").is_null()) dtls->is_passive = j.at("is_passive").get<bool>();
  dtls->in_use = j.at("in_use");
  dtls->role = role_from(j.at("is_client"));
  dtls->made_for = description_from(j.at("made_for"));
  dtls->made_as = role_from(j.at("made_as_client"));
  dtls->association = j.at("association");
  const auto endpoint = [](const json& text) {
    const auto read = text.is_null() ? std::nullopt : Endpoint::parse(text.get<std::string>());
    return read.value_or(Endpoint{});
  };
  dtls->shown_at = endpoint(j.value("shown_at", json()));
  if (const json agreed = j.value("agreed", json()); !agreed.is_null())
    dtls->agreed = {endpoint(agreed.at(0)), agreed.at(1), agreed.at(2)};
  return dtls;
}

json ice_json(const MediaIce* ice) {
  if (ice == nullptr) return nullptr;
  json candidates = json::array();
  for (const auto& each : ice->theirs.candidates)
    candidates.push_back({each.component, each.priority, each.at.to_string()});
  return {{"own", {ice->own.ufrag, ice->own.password}},
          {"theirs", {ice->theirs.ufrag, ice->theirs.password}},
          {"candidates", std::move(candidates)},
          {"peer", {ice->theirs.trickles, ice->theirs.is_lite}},
          {"offered", {ice->offered_by_peer, ice->offered_to_peer}},
          {"state", {ice->trickles, ice->in_use, ice->controlling, ice->was_declined}}};
}

std::unique_ptr<MediaIce> ice_from(const json& j) {
  if (j.is_null()) return nullptr;
  auto ice = std::make_unique<MediaIce>();
  ice->own = {j.at("own").at(0), j.at("own").at(1)};
  ice->theirs.ufrag = j.at("theirs").at(0);
  ice->theirs.password = j.at("theirs").at(1);
  for (const json& each : j.at("candidates")) {
    const auto at = Endpoint::parse(each.at(2).get<std::string>());
    if (!at) throw std::runtime_error("a candidate that is none");
    ice->theirs.candidates.push_back({each.at(0), each.at(1), *at});
  }
  ice->theirs.trickles = j.at("peer").at(0);
  ice->theirs.is_lite = j.at("peer").at(1);
  ice->offered_by_peer = j.at("offered").at(0);
  ice->offered_to_peer = j.at("offered").at(1);
  ice->trickles = j.at("state").at(0);
  ice->in_use = j.at("state").at(1);
  ice->controlling = j.at("state").at(2);
  ice->was_declined = j.at("state").size() > 3 && j.at("state").at(3).get<bool>();
  return ice;
}

json pairs_json(const std::optional<TransportSnapshot::Ice>& ice) {
  if (!ice) return nullptr;
  json j = json::array();
  for (std::size_t i = 0; i < ice->selected.size(); ++i) {
    const auto& each = ice->selected[i];
    j.push_back(each ? json{each->local, each->peer.to_string(), ice->is_former[i]} : json());
  }
  return j;
}

std::optional<TransportSnapshot::Ice> pairs_from(const json& j) {
  if (j.is_null()) return std::nullopt;
  TransportSnapshot::Ice ice;
  for (std::size_t i = 0; i < ice.selected.size(); ++i) {
    const json& each = j.at(i);
    if (each.is_null()) continue;
    const auto peer = Endpoint::parse(each.at(1).get<std::string>());
    const std::uint8_t local = each.at(0);
    if (!peer || local >= kMaxLocals) throw std::runtime_error("a pair that is none");
    ice.selected[i] = IceAgent::Selected{local, *peer};
    ice.is_former[i] = each.size() > 2 && each.at(2).get<bool>();
  }
  return ice;
}

json handshakes_json(const std::optional<TransportSnapshot::Dtls>& dtls) {
  // A handshake that is not over begins anew elsewhere: it is as good as none.
  const auto has_keys = [](const TransportSnapshot::Handshake& each) { return each.keys.has_value(); };
  if (!dtls || std::ranges::none_of(*dtls, has_keys)) return nullptr;
  json j = json::array();
  for (const auto& each : *dtls)
    j.push_back(each.keys
                    ? json{master_json(each.keys->receive), master_json(each.keys->send), each.association}
                    : json());
  return j;
}

std::optional<TransportSnapshot::Dtls> handshakes_from(const json& j) {
  if (j.is_null()) return std::nullopt;
  TransportSnapshot::Dtls dtls;
  for (std::size_t i = 0; i < dtls.size(); ++i) {
    const json& each = j.at(i);
    if (each.is_null()) continue;
    dtls[i] = {DtlsChannel::State::kReady, DtlsKeys{master_from(each.at(0)), master_from(each.at(1))},
               each.size() > 2 ? each.at(2).get<std::uint32_t>() : 0};
  }
  return dtls;
}

json contexts_json(const SrtpContexts::State& state) {
  json received = json::array();
  for (const auto& each : state.received)
    received.push_back({{"key", master_json(each.key)},
                        {"streams", streams_json(each.state.streams)},
                        {"past", past_json(each.state.past)}});
  json sent = json::array();
  for (const auto& each : state.sent) {
    sent.push_back({{"key", master_json(each.key)},
                    {"party", {each.party.media, each.party.number}},
                    {"streams", streams_json(each.state.streams)},
                    {"rtcp", {each.state.next_rtcp, each.state.rtcp_end}},
                    {"past", past_json(each.state.past)}});
  }
  json named = json::array();
  for (const auto& each : state.named) {
    json names = json::array();
    for (const SsrcTranslation::Name& name : each.names)
      names.push_back({name.source, name.theirs.value, name.ours.value, name.is_current, name.used});
    named.push_back({{"party", {each.party.media, each.party.number}}, {"names", std::move(names)}});
  }
  return {{"received", std::move(received)}, {"sent", std::move(sent)}, {"named", std::move(named)}};
}

SrtpContexts::State contexts_from(const json& j) {
  SrtpContexts::State state;
  for (const json& each : j.at("received"))
    state.received.push_back({master_from(each.at("key")),
                              {streams_from(each.at("streams")), past_from(each.value("past", json()))}});
  for (const json& each : j.at("sent")) {
    state.sent.push_back({master_from(each.at("key")),
                          {each.at("party").at(0), each.at("party").at(1)},
                          {streams_from(each.at("streams")), each.at("rtcp").at(0), each.at("rtcp").at(1),
                           past_from(each.value("past", json()))}});
  }
  for (const json& each : j.value("named", json::array())) {
    auto& named = state.named.emplace_back();
    named.party = {each.at("party").at(0), each.at("party").at(1)};
    for (const json& name : each.at("names"))
      named.names.push_back({name.at(0), Ssrc{name.at(1)}, Ssrc{name.at(2)}, name.at(3), name.at(4)});
  }
  return state;
}

}  // namespace ferry
