// SPDX-License-Identifier: Apache-2.0
// Tells clients of NG about events: DTMF, and calls that timed out (docs/reference/ng.md#events).
#pragma once

#include "control/manager/manager.hpp"
#include "control/protocol/access.hpp"
#include "control/protocol/event_loop.hpp"
#include "control/value/value.hpp"

#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <event2/http.h>

namespace ferry::ng {

/// Forms of the time-out call-back: for SEMS, with the Call-ID alone, for Kamailio's dialog module.
enum class XmlRpcFormat : std::uint8_t { kSems, kCallId, kKamailio };

/// Receivers of events, from the configuration.
struct NotifierConfig {
  /// Receives DTMF events of all calls over UDP; unset = none.
  std::optional<Endpoint> dtmf_destination;
  /// URL of the time-out call-back; `%%` stands for the address of the signalling client. Empty = no
  /// call-back.
  std::string b2b_url;
  XmlRpcFormat format = XmlRpcFormat::kSems;
};

/// Sends events and waits for no peer: an event that cannot be delivered is lost. Control thread only.
class Notifier {
 public:
  /// `base` and `access` must outlive the notifier.
  Notifier(event_base* base, NotifierConfig config, const AccessList& access);
  ~Notifier();
  Notifier(const Notifier&) = delete;
  Notifier& operator=(const Notifier&) = delete;

  /// Sets who gets every DTMF event as an NG message without its cookie. An empty function: nobody.
  void set_ng_clients(std::function<void(const Dict&)> send) { ng_clients_ = std::move(send); }
  /// Reports a DTMF event of a party.
  void on_dtmf(const Call& call, const Leg& leg, const DtmfEvent& event, WallTime now);
  /// Reports that the call ended because its media stopped.
  void on_time_out(const Call& call);

 private:
  struct Post;
  /// Sends one datagram; lost is lost.
  void send_udp(const Endpoint& to, const std::string& text);
  /// Begins a POST. It is dropped, with a line in the log, if 64 are under way or the host is a name.
  void post(const std::string& url, const std::string& body);

  event_base* base_;
  NotifierConfig config_;
  const AccessList& access_;
  std::function<void(const Dict&)> ng_clients_;
  int udp4_ = -1;
  int udp6_ = -1;
  /// Requests that are under way.
  std::list<std::unique_ptr<Post>> posts_;
};

/// Returns where DTMF events of the call go over UDP: to the receiver that the call names, if `access` trusts
/// it (CTL-9), else to that of the configuration. Unset if there is none.
[[nodiscard]] std::optional<Endpoint> dtmf_receiver(const NotifierConfig& config, const Call& call,
                                                    const AccessList& access);
/// Returns the URL of the time-out call-back; empty if none is to be made. If the call names another address
/// than its client's, `access` must trust it (CTL-9).
[[nodiscard]] std::string time_out_url(const NotifierConfig& config, const Call& call,
                                       const AccessList& access);
/// Returns the XML-RPC bodies for a call, one for each request that is to be made.
[[nodiscard]] std::vector<std::string> time_out_bodies(const Call& call, XmlRpcFormat format);
/// Returns a DTMF event as a dictionary (docs/reference/ng.md#events).
[[nodiscard]] Dict dtmf_dict(const Call& call, const Leg& leg, const DtmfEvent& event, WallTime now);

}  // namespace ferry::ng
