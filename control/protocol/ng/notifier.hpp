// What the relay tells its clients unasked (NG reference, sections 22 and 23): DTMF, and calls that timed
// out.
#pragma once

#include "control/protocol/access.hpp"
#include "control/protocol/event_loop.hpp"
#include "control/session/manager.hpp"

#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <event2/http.h>

namespace ferry::ng {

/// Forms of the time-out call-back.
enum class XmlRpcFormat : std::uint8_t { kSems, kCallId, kKamailio };

struct NotifierConfig {
  std::optional<Endpoint> dtmf_destination;
  std::string b2b_url;  // empty = no call-back; `%%` = the signalling client's address
  XmlRpcFormat format = XmlRpcFormat::kSems;
};

/// Sends and forgets: nothing here waits for a peer. Control thread only.
class Notifier {
 public:
  Notifier(event_base* base, NotifierConfig config, const AccessList& access);
  ~Notifier();
  Notifier(const Notifier&) = delete;
  Notifier& operator=(const Notifier&) = delete;

  /// Also given every DTMF event as an NG message without cookie.
  void set_ng_clients(std::function<void(const Dict&)> send) { ng_clients_ = std::move(send); }
  void on_dtmf(const Call& call, const Leg& leg, const DtmfEvent& event, WallTime now);
  void on_time_out(const Call& call);

 private:
  struct Post;
  void send_udp(const Endpoint& to, const std::string& text);
  void post(const std::string& url, const std::string& body);

  event_base* base_;
  NotifierConfig config_;
  const AccessList& access_;
  std::function<void(const Dict&)> ng_clients_;
  int udp4_ = -1;
  int udp6_ = -1;
  std::list<std::unique_ptr<Post>> posts_;
};

/// Where DTMF events of a call go over UDP: the daemon's receiver or the call's, if `access` lets it be one
/// (CTL-9).
[[nodiscard]] std::optional<Endpoint> dtmf_receiver(const NotifierConfig& config, const Call& call,
                                                    const AccessList& access);
/// The URL of the time-out call-back; empty if there is none to be made. An address that the call names
/// instead of its client's must be one that `access` trusts (CTL-9).
[[nodiscard]] std::string time_out_url(const NotifierConfig& config, const Call& call,
                                       const AccessList& access);
/// The XML-RPC bodies for a call, one per request to be made.
[[nodiscard]] std::vector<std::string> time_out_bodies(const Call& call, XmlRpcFormat format);
/// The DTMF event as a dictionary (section 23).
[[nodiscard]] Dict dtmf_dict(const Call& call, const Leg& leg, const DtmfEvent& event, WallTime now);

}  // namespace ferry::ng
