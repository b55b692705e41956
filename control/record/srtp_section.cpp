// SPDX-License-Identifier: Apache-2.0
#include "control/record/srtp_section.hpp"

#include <algorithm>
#include <stdexcept>

#include <string.h>

namespace ferry {

using nlohmann::json;

json JsonValue<SrtpMasterKey>::save(const SrtpMasterKey& key, const RecordContext&) {
  std::vector<std::byte> octets;
  for (const Bytes part : {key.key.get(), key.salt.get()})
    octets.insert(octets.end(), part.begin(), part.end());
  const sdp::CryptoLine line{1, &row_of(key.suite), SecretBytes<46>(octets), key.mki, {}};
  explicit_bzero(octets.data(), octets.size());
  return sdp::write_crypto(line, {.pad = true, .lifetime = false});
}

SrtpMasterKey JsonValue<SrtpMasterKey>::load(const json& from, const RecordContext&) {
  const auto line = sdp::parse_crypto(from.get<std::string>());
  if (!line) throw std::invalid_argument("it is no key");
  const Bytes octets = line->key_and_salt.get();
  SrtpMasterKey key;
  key.suite = line->suite->suite;
  key.key = SecretBytes<32>(octets.first(line->suite->key));
  key.salt = SecretBytes<14>(octets.subspan(line->suite->key));
  key.mki = line->mki;
  return key;
}

json JsonValue<ReplayWindow>::save(const ReplayWindow& window, const RecordContext&) {
  return {{"size", window.size()},
          {"highest", window.highest()},
          {"started", window.started()},
          {"seen", window.words()}};
}

ReplayWindow JsonValue<ReplayWindow>::load(const json& from, const RecordContext& context) {
  const auto size = JsonValue<std::size_t>::load(from.at("size"), context);
  if (size == 0 || size > ReplayWindow::kMaxBits || size % 64 != 0)
    throw std::out_of_range("a replay list has no such size");
  ReplayWindow window(size);
  if (from.at("started").get<bool>()) {
    window.restore(JsonValue<std::uint64_t>::load(from.at("highest"), context),
                   from.at("seen").get<ReplayWindow::Words>());
  }
  return window;
}

void SrtpSection::save(const Call& call, ComponentsWriter& out) {
  for (const RecordContext::Contexts& each : out.context().contexts) {
    ContextsPlace place;
    each_transport(call, [&](const TransportPlace& at, const MediaTransport& transport) {
      if (transport.keys && transport.keys->contexts == each.contexts) place.transports.push_back(at);
    });
    out.add(place, each.state);
  }
}

void SrtpSection::load(Call& call, const SavedComponent& saved) {
  SrtpContexts::State state;
  saved.read(state);
  const auto has_right_size = [](const auto& each) {
    const std::size_t size = each.state.past.forgotten.size();
    return size == 0 || size == SsrcSet::kWords;
  };
  if (!std::ranges::all_of(state.received, has_right_size) ||
      !std::ranges::all_of(state.sent, has_right_size))
    throw std::invalid_argument("the set of forgotten SSRCs has another size");
  // No worker knows them yet. What happened after the export is not in the record.
  const auto contexts = std::make_shared<SrtpContexts>();
  bool is_restored = saved.context().srtp == nullptr;
  for (const TransportPlace& place : saved.at<ContextsPlace>().transports) {
    MediaTransport& transport = transport_at(call, place);
    if (!transport.keys) throw std::invalid_argument("the transport has no keys");
    transport.keys->contexts = contexts;
    const std::vector<Media*> medias = transport.medias();
    if (std::exchange(is_restored, true) || medias.empty()) continue;
    contexts->restore(state, StateAge::kEarlier, *saved.context().srtp,
                      replay_window(medias.front()->is_video));
  }
}

}  // namespace ferry
