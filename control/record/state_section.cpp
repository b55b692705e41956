// SPDX-License-Identifier: Apache-2.0
#include "control/record/state_section.hpp"

#include <algorithm>
#include <stdexcept>

namespace ferry {

using nlohmann::json;

json JsonValue<DropCounters>::save(const DropCounters& drops, const RecordContext&) {
  json names = json::object();
  for (const DropReasonRow& row : kDropReasonRows) {
    if (drops[row.reason] != 0) names[std::string(row.name)] = drops[row.reason];
  }
  return names;
}

DropCounters JsonValue<DropCounters>::load(const json& from, const RecordContext& context) {
  if (!from.is_object()) throw std::invalid_argument("it is no object");
  DropCounters drops;
  for (const DropReasonRow& row : kDropReasonRows) {
    if (const auto found = from.find(row.name); found != from.end())
      drops.set(row.reason, JsonValue<std::uint32_t>::load(*found, context));
  }
  return drops;
}

json JsonValue<std::optional<TransportSnapshot::Dtls>>::save(
    const std::optional<TransportSnapshot::Dtls>& dtls, const RecordContext& context) {
  const auto has_keys = [](const TransportSnapshot::Handshake& each) { return each.keys.has_value(); };
  if (!dtls || std::ranges::none_of(*dtls, has_keys)) return nullptr;
  json handshakes = json::array();
  for (const auto& each : *dtls) {
    if (!each.keys) {
      handshakes.push_back(nullptr);
      continue;
    }
    handshakes.push_back({{"receive", JsonValue<SrtpMasterKey>::save(each.keys->receive, context)},
                          {"send", JsonValue<SrtpMasterKey>::save(each.keys->send, context)},
                          {"association", each.association}});
  }
  return handshakes;
}

std::optional<TransportSnapshot::Dtls> JsonValue<std::optional<TransportSnapshot::Dtls>>::load(
    const json& from, const RecordContext& context) {
  if (from.is_null()) return std::nullopt;
  TransportSnapshot::Dtls dtls;
  for (std::size_t i = 0; i < dtls.size(); ++i) {
    const json& each = from.at(i);
    if (each.is_null()) continue;
    dtls[i] = {DtlsChannel::State::kReady,
               DtlsKeys{JsonValue<SrtpMasterKey>::load(each.at("receive"), context),
                        JsonValue<SrtpMasterKey>::load(each.at("send"), context)},
               JsonValue<std::uint32_t>::load(each.at("association"), context)};
  }
  return dtls;
}

void StateSection::save(const Call& call, ComponentsWriter& out) {
  each_transport(call, [&](const TransportPlace& place, const MediaTransport& transport) {
    for (std::size_t i = 0; i < transport.ports.size(); ++i) {
      const auto found = out.context().states.find(&transport.ports[i]);
      if (found != out.context().states.end())
        out.add(PortsPlace{place.leg, place.transport, i}, found->second);
    }
  });
}

void StateSection::load(Call& call, const SavedComponent& saved) {
  auto state = std::make_shared<TransportSnapshot>();
  saved.read(*state);
  ports_at(call, saved.at<PortsPlace>()).restored = std::move(state);
}

}  // namespace ferry
