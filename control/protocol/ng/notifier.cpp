// SPDX-License-Identifier: Apache-2.0
// Sends DTMF events as datagrams, and time-outs of calls as XML-RPC over HTTP.
//
// Nothing here waits. A datagram that cannot be sent is lost; at most 64 POSTs are under way, and each ends
// after 5 s. Host names are not looked up, because control must not wait for DNS.
//
// A call may name receivers of its own. They count only if the access list trusts them (CTL-9): otherwise the
// relay could be made to send to anybody.

#include "control/protocol/ng/notifier.hpp"

#include "control/log/log.hpp"
#include "control/protocol/ng/json_codec.hpp"
#include "relay/io/portable/socket_address.hpp"

#include <unistd.h>

namespace ferry::ng {

namespace {

// Most POSTs that are under way at a time.
constexpr std::size_t kMaxPosts = 64;
// In seconds.
constexpr int kPostTimeout = 5;

std::string xml_escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else if (c == '&') {
      out += "&amp;";
    } else if (static_cast<unsigned char>(c) >= 0x20) {
      out += c;
    }
  }
  return out;
}

std::string xml_call(std::string_view method, const std::vector<std::string_view>& parameters) {
  std::string body = "<?xml version=\"1.0\"?>\r\n<methodCall><methodName>";
  body.append(method).append("</methodName><params>");
  for (const std::string_view parameter : parameters)
    body.append("<param><value><string>").append(xml_escape(parameter)).append("</string></value></param>");
  return body.append("</params></methodCall>\r\n");
}

}  // namespace

std::vector<std::string> time_out_bodies(const Call& call, XmlRpcFormat format) {
  std::vector<std::string> bodies;
  switch (format) {
    case XmlRpcFormat::kCallId:
      bodies.push_back(xml_call("teardown", {call.id}));
      break;
    case XmlRpcFormat::kSems:
      for (const auto& leg : call.legs) {
        if (leg->from_offer_answer && !leg->tag.empty())
          bodies.push_back(xml_call("di", {"sbc", "postControlCmd", leg->tag, "teardown"}));
      }
      break;
    case XmlRpcFormat::kKamailio:
      for (const auto& leg : call.legs) {
        if (!leg->from_offer_answer || leg->tag.empty()) continue;
        const Leg* partner = call.partner_of(*leg);
        // Each dialogue is told once, from the side that made the offer.
        if (partner == nullptr || partner->tag.empty() || partner->number < leg->number) continue;
        bodies.push_back(xml_call("dlg.terminate_dlg", {call.id, leg->tag, partner->tag}));
      }
      break;
  }
  return bodies;
}

Dict dtmf_dict(const Call& call, const Leg& leg, const DtmfEvent& event, WallTime now) {
  Dict dict;
  dict.set("callid", call.id);
  dict.set("source_tag", leg.tag);
  if (!leg.label().empty()) dict.set("source_label", leg.label());
  List tags;
  for (const auto& each : call.legs) {
    if (each->from_offer_answer && !each->tag.empty()) tags.emplace_back(each->tag);
  }
  dict.set("tags", std::move(tags));
  dict.set("type", "DTMF");
  dict.set("timestamp", std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count());
  dict.set("source_ip", event.source.to_string());
  dict.set("event", std::int64_t{event.event});
  dict.set("duration", std::int64_t{event.duration_ms});
  dict.set("volume", std::int64_t{event.volume});
  return dict;
}

/// One POST that is under way.
struct Notifier::Post {
  Notifier* owner = nullptr;
  evhttp_connection* connection = nullptr;
};

std::optional<Endpoint> dtmf_receiver(const NotifierConfig& config, const Call& call,
                                      const AccessList& access) {
  if (!call.extras || call.extras->dtmf_log_destination.empty()) return config.dtmf_destination;
  const auto named = Endpoint::parse(call.extras->dtmf_log_destination);
  if (named && (named == config.dtmf_destination || access.is_trusted(named->address))) return named;
  log::warn("call {}: DTMF events do not go to {}: not in control-allow", log::quote(call.id),
            log::quote(call.extras->dtmf_log_destination));
  return config.dtmf_destination;
}

std::string time_out_url(const NotifierConfig& config, const Call& call, const AccessList& access) {
  std::string url = config.b2b_url;
  const auto mark = url.find("%%");
  if (mark == std::string::npos) return url;
  const std::string named = call.extras ? call.extras->xmlrpc_callback : std::string();
  const IpAddress client = call.extras ? call.extras->client : IpAddress{};
  const auto address = named.empty() ? std::optional(client) : IpAddress::parse(named);
  if (!address || address->family() == AddressFamily::kNone ||
      (*address != client && !access.is_trusted(*address))) {
    log::warn("call {}: the time-out call-back does not go to {}: no address in control-allow",
              log::quote(call.id), log::quote(named));
    return {};
  }
  const std::string host = address->to_string();
  return url.replace(mark, 2, address->is_v6() ? "[" + host + "]" : host);
}

Notifier::Notifier(event_base* base, NotifierConfig config, const AccessList& access)
    : base_(base),
      config_(std::move(config)),
      access_(access),
      udp4_(socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)),
      udp6_(socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {}

Notifier::~Notifier() {
  for (const auto& post : posts_) evhttp_connection_free(post->connection);
  if (udp4_ >= 0) ::close(udp4_);
  if (udp6_ >= 0) ::close(udp6_);
}

void Notifier::send_udp(const Endpoint& to, const std::string& text) {
  const SocketAddress address(to);
  const int fd = to.address.is_v6() ? udp6_ : udp4_;
  // A lost event is not sent again: events are not worth waiting for.
  sendto(fd, text.data(), text.size(), MSG_NOSIGNAL, address.get(), address.size());
}

void Notifier::on_dtmf(const Call& call, const Leg& leg, const DtmfEvent& event, WallTime now) {
  const auto to = dtmf_receiver(config_, call, access_);
  if (!to && !ng_clients_) return;
  const Dict dict = dtmf_dict(call, leg, event, now);
  if (to) send_udp(*to, encode_json(Value(dict)));
  if (!ng_clients_) return;
  Dict message;
  message.set("notify", "onDTMF");
  message.set("data", dict);
  ng_clients_(message);
}

void Notifier::on_time_out(const Call& call) {
  const std::string url = time_out_url(config_, call, access_);
  if (url.empty()) return;
  for (const std::string& body : time_out_bodies(call, config_.format)) post(url, body);
}

void Notifier::post(const std::string& url, const std::string& body) {
  const std::unique_ptr<evhttp_uri, FreeWith<evhttp_uri_free>> uri(evhttp_uri_parse(url.c_str()));
  if (!uri || evhttp_uri_get_host(uri.get()) == nullptr || posts_.size() >= kMaxPosts) {
    log::warn("time-out call-back to {} not sent", log::quote(url));
    return;
  }
  std::string host = evhttp_uri_get_host(uri.get());
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  // A name would have to be looked up, and control does not wait for DNS.
  if (!IpAddress::parse(host) && host != "localhost") {
    log::warn("time-out call-back: {} is no address", log::quote(host));
    return;
  }
  if (host == "localhost") host = "127.0.0.1";
  const int port = evhttp_uri_get_port(uri.get());
  auto post = std::make_unique<Post>();
  post->owner = this;
  post->connection = evhttp_connection_base_new(base_, nullptr, host.c_str(),
                                                static_cast<std::uint16_t>(port < 0 ? 80 : port));
  evhttp_connection_set_timeout(post->connection, kPostTimeout);
  evhttp_request* request = evhttp_request_new(
      [](evhttp_request* done, void* self) {
        auto* finished = static_cast<Post*>(self);
        const int code = done == nullptr ? 0 : evhttp_request_get_response_code(done);
        if (code != 200) log::warn("time-out call-back: answer {}", code);
        // A connection must not be freed inside its own callback.
        event_base_once(
            finished->owner->base_, -1, EV_TIMEOUT,
            [](evutil_socket_t, short, void* p) {
              auto* old = static_cast<Post*>(p);
              evhttp_connection_free(old->connection);
              old->owner->posts_.remove_if([&](const auto& each) { return each.get() == old; });
            },
            finished, nullptr);
      },
      post.get());
  evkeyvalq* headers = evhttp_request_get_output_headers(request);
  evhttp_add_header(headers, "Host", evhttp_uri_get_host(uri.get()));
  evhttp_add_header(headers, "Content-Type", "text/xml");
  evbuffer_add(evhttp_request_get_output_buffer(request), body.data(), body.size());
  std::string path = evhttp_uri_get_path(uri.get());
  if (path.empty()) path = "/";
  if (evhttp_make_request(post->connection, request, EVHTTP_REQ_POST, path.c_str()) != 0) {
    evhttp_connection_free(post->connection);
    return;
  }
  posts_.push_back(std::move(post));
}

}  // namespace ferry::ng
