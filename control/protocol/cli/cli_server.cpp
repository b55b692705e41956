#include "control/protocol/cli/cli_server.hpp"

#include "control/log/log.hpp"
#include "control/protocol/ng/json_codec.hpp"
#include "control/protocol/stream_listener.hpp"
#include "control/session/recordings.hpp"
#include "relay/base/ensure.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <malloc.h>
#include <nlohmann/json.hpp>
#include <sys/socket.h>
#include <unistd.h>

namespace ferry::cli {

using nlohmann::json;

namespace {

constexpr std::size_t kMaxLine = 64 * 1024;

json error(std::string text) { return {{"error", std::move(text)}}; }

}  // namespace

json CliService::stats() {
  json j = json::parse(ng::encode_json(Value(ng_.statistics())));
  json drops = json::object();
  for (const DropReasonRow& row : kDropReasonRows) {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < manager_.plane().workers(); ++i) {
      sum += manager_.plane().worker(i).totals().drops[static_cast<std::size_t>(row.reason)].load();
    }
    if (sum != 0) drops[std::string(row.name)] = sum;
  }
  j["drops"] = std::move(drops);
  std::uint64_t unserved = 0;
  for (std::size_t i = 0; i < manager_.plane().workers(); ++i) {
    unserved += manager_.plane().worker(i).totals().unserved_ports.load();
  }
  j["unserved_ports"] = unserved;
  j["control"] = {{"cached_replies", ng_.cache().size()},
                  {"cached_bytes", ng_.cache().bytes()},
                  {"errors", ng_.errors()},
                  {"repeated_keys", ng_.repeated_keys()}};
  // In use, not what the allocator keeps: comparable before and after calls.
  j["memory"] = {{"heap_in_use", mallinfo2().uordblks + mallinfo2().hblkhd}};
  if (recorder_) j["recorder"] = recorder_();
  if (rtpproxy_) j["rtpproxy"] = rtpproxy_();
  j["broken_invariants"] = g_broken_invariants.load();
  return j;
}

json CliService::ports() {
  json list = json::array();
  for (const LogicalInterface& logical : manager_.interfaces().all()) {
    for (const LocalAddress& local : logical.addresses) {
      const PortPool& pool = *local.ports;
      list.push_back({{"interface", logical.name},
                      {"address", local.address.to_string()},
                      {"advertised", local.advertised.to_string()},
                      {"first", pool.first().value},
                      {"last", pool.last().value},
                      {"pairs", pool.total()},
                      {"used", pool.used()},
                      {"resting", pool.resting()},
                      {"forced_reuses", pool.forced_reuses()}});
    }
  }
  return {{"ports", std::move(list)}};
}

json CliService::unknown_flags() {
  json list = json::array();
  for (const auto& [word, seen] : ng_.unknown_words()) {
    list.push_back({{"word", word}, {"count", seen.count}, {"did_you_mean", seen.suggestion}});
  }
  return {{"unknown", std::move(list)}};
}

json CliService::record(const std::string& action, const std::string& call_id) {
  Request request;
  request.call_id = call_id;
  Recordings recordings(manager_);
  if (manager_.find(call_id) == nullptr) return error("no such call");
  if (action == "start") {
    recordings.start(request);
  } else if (action == "stop") {
    recordings.stop(request);
  } else if (action == "pause") {
    recordings.pause(request);
  } else {
    return error("record needs start, stop or pause");
  }
  manager_.flush(clock_());
  const CallRecording* recording = manager_.find(call_id)->recording();
  if (recording == nullptr && action == "start") return error("the daemon has no recording-dir");
  return {{"recording", recording == nullptr ? "off" : recording->is_paused() ? "paused" : "on"}};
}

json CliService::execute(const json& request, std::string_view peer) {
  const auto text = [&](const char* key) {
    const auto found = request.find(key);
    return found != request.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  const Clock clock = clock_();
  const std::string command = text("command");
  if (command == "list") return {{"calls", manager_.list_calls(clock)}};
  if (command == "stats") return stats();
  if (command == "ports") return ports();
  if (command == "engines" && engines_) return engines_();
  if (command == "unknown-flags") return unknown_flags();
  if (command == "version")
    return {{"version", FERRY_VERSION}, {"software", manager_.config().software_name}};
  if (command == "show") {
    json call = manager_.show(text("call_id"), clock);
    return call.is_null() ? error("no such call") : call;
  }
  if (command == "record") return record(text("action"), text("call_id"));
  if (command == "terminate") {
    if (request.value("all", false)) {
      const std::size_t count = manager_.terminate_all(clock);
      manager_.flush(clock);
      log::warn("{} terminated all {} calls", peer, count);
      return {{"terminated", count}};
    }
    const std::string call_id = text("call_id");
    const bool found = manager_.terminate(call_id, clock);
    manager_.flush(clock);
    if (!found) return error("no such call");
    log::warn("{} terminated call {}", peer, log::quote(call_id));
    return {{"terminated", 1}};
  }
  return error("unknown command");
}

struct CliServer::Connection {
  CliServer* server = nullptr;
  bufferevent* stream = nullptr;
  std::string peer;
};

CliServer::CliServer(event_base* base, const std::string& path, CliService& service)
    : base_(base), path_(path), service_(service) {
  listener_ = listen_on_path(
      base, path,
      [](evconnlistener*, evutil_socket_t fd, sockaddr*, int, void* self) {
        static_cast<CliServer*>(self)->accept(fd);
      },
      this);
}

CliServer::~CliServer() {
  while (!connections_.empty()) close(*connections_.front());
  unlink(path_.c_str());
}

void CliServer::accept(int fd) {
  auto connection = std::make_unique<Connection>();
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0) {
    connection->peer = fmt::format("uid {} pid {}", credentials.uid, credentials.pid);
  }
  connection->server = this;
  connection->stream = bufferevent_socket_new(base_, fd, BEV_OPT_CLOSE_ON_FREE);
  bufferevent_setcb(
      connection->stream,
      [](bufferevent*, void* c) { static_cast<Connection*>(c)->server->serve(*static_cast<Connection*>(c)); },
      nullptr,
      [](bufferevent*, short what, void* c) {
        if ((what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) != 0) {
          static_cast<Connection*>(c)->server->close(*static_cast<Connection*>(c));
        }
      },
      connection.get());
  bufferevent_enable(connection->stream, EV_READ | EV_WRITE);
  connections_.push_back(std::move(connection));
}

void CliServer::serve(Connection& connection) {
  evbuffer* input = bufferevent_get_input(connection.stream);
  while (char* line = evbuffer_readln(input, nullptr, EVBUFFER_EOL_LF)) {
    const json request = json::parse(line, nullptr, false);
    free(line);  // libevent's buffer is from malloc
    const json reply =
        request.is_object() ? service_.execute(request, connection.peer) : error("not a JSON object");
    const std::string text = reply.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
    bufferevent_write(connection.stream, text.data(), text.size());
  }
  if (evbuffer_get_length(input) > kMaxLine) close(connection);
}

void CliServer::close(Connection& connection) {
  bufferevent_free(connection.stream);
  connections_.remove_if([&](const auto& each) { return each.get() == &connection; });
}

}  // namespace ferry::cli
