// SPDX-License-Identifier: Apache-2.0
// Calls leave this relay as records and come back to life from them. control/record knows the content of a
// record; here workers are asked, ports are opened and observers are told.
//
// Restoring has one trap: if a port cannot be opened, only those that were opened may be closed. So the ports
// of the record are taken out of the call first, and put back one by one.

#include "control/manager/manager.hpp"
#include "control/record/record.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace ferry {

using nlohmann::json;

namespace {

/// Asks the worker of the call for its state. `context` is complete after the next fence.
void post_reads(MediaPlane& plane, Call& call, RecordContext& context) {
  const auto is_asked = [&](const std::shared_ptr<SrtpContexts>& contexts) {
    return std::ranges::find(context.contexts, contexts, &RecordContext::Contexts::contexts) !=
           context.contexts.end();
  };
  for (const auto& leg : call.legs) {
    for (MediaTransport& transport : leg->transports) {
      // Branches of one offer share their contexts.
      if (transport.keys && transport.keys->contexts && !is_asked(transport.keys->contexts)) {
        auto& read = context.contexts.emplace_back(RecordContext::Contexts{transport.keys->contexts, {}});
        plane.post(call.worker, ReadContexts{read.contexts, &read.state}, true);
      }
      for (const LocalPorts& ports : transport.ports)
        plane.post(call.worker, ReadTransport{ports.transport, &context.states[&ports]}, true);
    }
  }
}

}  // namespace

json SessionManager::export_call(std::string_view call_id, const Clock& clock) {
  Call* call = find(call_id);
  if (call == nullptr) return nullptr;
  RecordContext context;
  context.origin = call->created_at;
  {
    const FenceAtEnd fence(plane_);
    post_reads(plane_, *call, context);
  }
  return save_call(*call, context, clock.now);
}

Result<LocalPorts::More, std::string> SessionManager::reopen(const LocalPorts::More& saved, std::uint8_t tos,
                                                             Instant now) {
  if (saved.local == nullptr) return fail(std::string("ports have no address"));
  if (!saved.local->ports->take(saved.port)) return fail(fmt::format("port {} is in use", saved.port.value));
  LocalPorts::More opened = saved;
  for (std::size_t i = 0; i < opened.handles.size(); ++i) {
    const UdpPort port{static_cast<std::uint16_t>(saved.port.value + i)};
    const auto handle = desk_.provider().activate({saved.local->address, port}, tos);
    if (handle) {
      opened.handles[i] = *handle;
      continue;
    }
    if (i > 0) desk_.provider().release(opened.handles[0]);
    saved.local->ports->give_back(saved.port, {}, now);
    return fail(fmt::format("port {} cannot be opened", saved.port.value));
  }
  return opened;
}

Result<void, std::string> SessionManager::reopen(Call& call, MediaTransport& transport,
                                                 std::vector<LocalPorts> saved, Instant now) {
  for (LocalPorts& each : saved) {
    const std::uint8_t tos = each.tos.value_or(call.tos);
    const auto open_one = [&](const LocalPorts::More& which) -> Result<LocalPorts::More, std::string> {
      if (!which.is_shared) return reopen(which, tos, now);
      // It is open, unless the configuration has changed.
      LocalPorts::More shared = which;
      shared.handles = {plane_.shared({which.local->address, which.port}, call.worker), PortHandle{}};
      if (!shared.handles[0].is_open())
        return fail(fmt::format("port {} was the ice-port of that relay, and is not the one of this relay",
                                which.port.value));
      return shared;
    };
    const auto first = open_one({each.local, each.port, each.is_shared, {}});
    if (!first) return fail(first.error());
    each.handles = first->handles;
    each.activity = std::make_shared<TransportActivity>();
    each.transport = plane_.allocate(call.worker);
    const auto more = std::exchange(each.more, {});
    LocalPorts& ports = transport.ports.emplace_back(std::move(each));
    for (const LocalPorts::More& other : more) {
      const auto opened = open_one(other);
      if (!opened) return fail(opened.error());
      ports.more.push_back(*opened);
    }
  }
  return {};
}

Result<void, std::string> SessionManager::revive(Call& call, const json& record, RecordContext& context,
                                                 const Clock& clock) {
  auto loaded = load_call(call, record, context, clock.now);
  // Only ports that were opened may be closed if something fails.
  std::vector<std::pair<MediaTransport*, std::vector<LocalPorts>>> ports;
  for (const auto& leg : call.legs) {
    for (MediaTransport& transport : leg->transports)
      ports.emplace_back(&transport, std::exchange(transport.ports, {}));
  }
  auto others = call.extras ? std::exchange(call.extras->other_ids, {}) : std::vector<std::string>();
  if (!loaded) return loaded;
  for (const std::string& other : others) {
    if (calls_.is_taken(other)) return fail(std::string("call exists"));
  }
  for (const std::string& other : others) calls_.add_merged_id(other, call);
  if (!others.empty()) call.extras->other_ids = std::move(others);
  if (call.policy() != nullptr) calls_.add_shared_name(call.policy()->shared_name(), call);
  for (auto& [transport, saved] : ports) {
    if (auto opened = reopen(call, *transport, std::move(saved), clock.now); !opened) return opened;
  }
  for (const auto& leg : call.legs) {
    for (const auto& media : leg->medias) calls_.keep_media_number(media->id);
  }
  return {};
}

Result<void, std::string> SessionManager::restore_call(const json& record, const Clock& clock) {
  const auto id = call_id_of(record);
  if (!id) return fail(id.error());
  // A session of the rtpproxy protocol with the same Call-ID is another call.
  if (calls_.is_taken(*id)) return fail(std::string("call exists"));
  Call& call = lifetime_.create(*id, clock);
  RecordContext context;
  context.interfaces = &interfaces_;
  context.dtls = &config_.dtls;
  context.srtp = config_.srtp.backend.get();
  if (auto revived = revive(call, record, context, clock); !revived) {
    for (const auto& leg : call.legs) {
      for (MediaTransport& transport : leg->transports) desk_.close_all(call, transport);
    }
    lifetime_.forget(call);
    flush(clock);
    return revived;
  }
  plans_.sync(call);
  plane_.fence();
  if (context.recording && services_.recorder != nullptr) {
    recordings_.record(call, "the relay that took the call over");
    call.recording()->pause(context.recording->is_paused, "the relay that took the call over");
  }
  lifetime_.schedule(call, lifetime_.next_look(call), clock.now);
  return {};
}

}  // namespace ferry
