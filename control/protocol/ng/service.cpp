#include "control/protocol/ng/service.hpp"

#include "control/protocol/ng/bencode.hpp"
#include "control/protocol/ng/json_codec.hpp"
#include "control/protocol/ng/text_command.hpp"
#include "control/session/conference.hpp"
#include "control/session/media_control.hpp"
#include "control/session/subscriptions.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace ferry::ng {

namespace {

constexpr std::size_t kMaxClients = 256;  // counted one by one; the rest together
constexpr std::size_t kMaxUnknownWords = 512;

enum class Command : std::uint8_t {
  kPing,
  kOffer,
  kAnswer,
  kDelete,
  kQuery,
  kList,
  kStatistics,
  kBlockMedia,
  kUnblockMedia,
  kSilenceMedia,
  kUnsilenceMedia,
  kBlockDtmf,
  kUnblockDtmf,
  kStartForwarding,
  kStopForwarding,
  kPublish,
  kSubscribeRequest,
  kSubscribeAnswer,
  kUnsubscribe,
  kCreate,
  kCreateAnswer,
  kTransform,
  kConnect,
  kMesh,
  kInjectStart,
  kInjectStop,
  kCli,
  kLater
};

/// NG reference, section 4, in the order of section 15.
struct CommandRow {
  std::string_view name;
  std::string_view short_name;
  Command command = Command::kLater;
};
constexpr std::array<CommandRow, NgService::kCommands> kRows = {{
    {"ping", "ping", Command::kPing},
    {"offer", "offer", Command::kOffer},
    {"answer", "answer", Command::kAnswer},
    {"delete", "delete", Command::kDelete},
    {"query", "query", Command::kQuery},
    {"list", "list", Command::kList},
    {"start recording", "startrec"},
    {"stop recording", "stoprec"},
    {"pause recording", "pauserec"},
    {"start forwarding", "startfwd", Command::kStartForwarding},
    {"stop forwarding", "stopfwd", Command::kStopForwarding},
    {"block DTMF", "blkdtmf", Command::kBlockDtmf},
    {"unblock DTMF", "unblkdtmf", Command::kUnblockDtmf},
    {"block media", "blkmedia", Command::kBlockMedia},
    {"unblock media", "unblkmedia", Command::kUnblockMedia},
    {"play media", "playmedia"},
    {"stop media", "stopmedia"},
    {"play DTMF", "playdtmf"},
    {"statistics", "stats", Command::kStatistics},
    {"silence media", "slnmedia", Command::kSilenceMedia},
    {"unsilence media", "unslnmedia", Command::kUnsilenceMedia},
    {"publish", "pub", Command::kPublish},
    {"subscribe request", "subreq", Command::kSubscribeRequest},
    {"subscribe answer", "subans", Command::kSubscribeAnswer},
    {"unsubscribe", "unsub", Command::kUnsubscribe},
    {"inject start", "injstart", Command::kInjectStart},
    {"inject stop", "injstop", Command::kInjectStop},
    {"connect", "conn", Command::kConnect},
    {"cli", "cli", Command::kCli},
    {"transform", "trnsfm", Command::kTransform},
    {"create", "create", Command::kCreate},
    {"create answer", "crtansw", Command::kCreateAnswer},
    {"mesh", "mesh", Command::kMesh},
}};

Dict error_reply(std::string_view reason) {
  Dict reply;
  reply.set("result", "error");
  reply.set("error-reason", reason);
  return reply;
}

/// A reply that no client could read is worth less than one without the parties.
std::string encode_bounded(Dict reply, std::string (*encode)(const Value&)) {
  constexpr std::size_t kMaxReply = 60'000;  // a datagram, and what OpenSIPS reads
  std::string text = encode(Value(reply));
  const Value* tags = reply.find("tags");
  if (text.size() <= kMaxReply || tags == nullptr || tags->dict() == nullptr) return text;
  Dict names;
  for (const auto& [tag, party] : *tags->dict()) {
    Dict brief;
    brief.set("tag", tag);
    names.set(tag, std::move(brief));
  }
  reply.set("tags", std::move(names));
  reply.set("warning", "Too large for one reply: query one tag for its medias");
  return encode(Value(reply));
}

std::string seconds_text(double seconds) { return fmt::format("{:.6f}", seconds); }

}  // namespace

NgService::NgService(SessionManager& manager, std::function<Clock()> clock, Templates templates)
    : manager_(manager), clock_(std::move(clock)), templates_(std::move(templates)), started_(clock_().now) {}

std::optional<std::string> NgService::handle(std::string_view message, const IpAddress& source) {
  const auto blank = message.find(' ');
  if (blank == std::string_view::npos || blank == 0) return std::nullopt;
  const std::string_view cookie = message.substr(0, blank);
  std::string key = source.to_string();
  key += ' ';
  key += cookie;
  if (const auto known = cache_.find(key)) return std::string(*known);
  std::string reply(cookie);
  reply += ' ';
  reply += handle_document(message.substr(blank + 1), source);
  cache_.store(key, reply, clock_().now);
  return reply;
}

std::string NgService::handle_document(std::string_view document, const IpAddress& source) {
  const auto refuse = [this](std::string_view reason) {
    ++errors_;
    return Value(error_reply(reason));
  };
  if (document.empty()) return encode_bencode(refuse("Invalid data (no payload)"));
  if (document.front() == '{') {
    auto decoded = decode_json(document);
    if (!decoded) return encode_json(refuse("Failed to parse JSON document"));
    if (decoded->value.dict() == nullptr) return encode_json(refuse("Could not decode JSON dictionary"));
    repeated_keys_ += decoded->repeated_keys;
    return encode_bounded(execute(*decoded->value.dict(), source), encode_json);
  }
  if (document.front() != 'd') return encode_bencode(refuse("Invalid NG data format"));
  DecodeLimits limits;
  limits.close_at_end = true;
  auto decoded = decode_bencode(document, limits);
  if (!decoded) return encode_bencode(refuse("Could not decode bencode dictionary"));
  repeated_keys_ += decoded->repeated_keys;
  return encode_bounded(execute(*decoded->value.dict(), source), encode_bencode);
}

void NgService::count_unknown(const Request& request) {
  const auto count = [this](const std::string& word, bool flag) {
    // Words come from outside: cut them, and stop at a bound.
    const std::string name = (flag ? "flag " : "key ") + word.substr(0, 64);
    const auto known = unknown_.find(name);
    if (known != unknown_.end()) {
      ++known->second.count;
    } else if (unknown_.size() < kMaxUnknownWords) {
      unknown_.emplace(name, UnknownWord{1, std::string(suggest(word, flag))});
    }
  };
  for (const std::string& key : request.unknown_keys) count(key, false);
  for (const std::string& flag : request.unknown_flags) count(flag, true);
}

Dict NgService::execute(const Dict& document, const IpAddress& source) {
  const Value* name = document.find("command");
  if (name == nullptr || name->string() == nullptr) {
    ++errors_;
    return error_reply("Dictionary contains no key \"command\"");
  }
  std::string_view wanted = *name->string();
  if (wanted == "CLI") wanted = "cli";
  const auto row = std::ranges::find(kRows, wanted, &CommandRow::name);
  if (row == kRows.end()) {
    ++errors_;
    return error_reply("Unrecognized command");
  }
  const auto index = static_cast<std::size_t>(row - kRows.begin());
  Request request = parse_request(document, templates_);
  request.client = source;
  count_unknown(request);
  const Instant before = std::chrono::steady_clock::now();
  Dict reply;
  try {
    reply = dispatch(index, request);
  } catch (const std::bad_alloc&) {
    reply = error_reply("Out of memory");
  }
  const auto client = clients_.size() < kMaxClients || clients_.contains(source) ? source : IpAddress{};
  Client& counts = clients_[client];
  ++counts.commands[index].count;
  counts.commands[index].time += std::chrono::steady_clock::now() - before;
  const Value* result = reply.find("result");
  if (result != nullptr && *result == Value("error")) {
    ++counts.errors;
    ++errors_;
  }
  return reply;
}

Dict NgService::dispatch(std::size_t index, const Request& request) {
  const Clock clock = clock_();
  Result<Dict, RequestError> reply;
  MediaControl media(manager_, request, clock);
  Conference conference(manager_, request, clock);
  Subscriptions one_party(manager_, request, clock);
  if (!request.option_error.empty()) return error_reply(request.option_error);
  switch (kRows[index].command) {
    case Command::kPing: {
      Dict pong;
      pong.set("result", "pong");
      return pong;
    }
    case Command::kOffer:
      if (overloaded_ && request.call_id && manager_.find(*request.call_id) == nullptr) {
        reply = fail(RequestError{
            request.supports_load_limit ? "Load limit exceeded" : "Parallel session limit reached", false,
            request.supports_load_limit});
      } else {
        reply = manager_.offer(request, clock);
      }
      break;
    case Command::kAnswer:
      reply = manager_.answer(request, clock);
      break;
    case Command::kDelete:
      reply = manager_.remove(request, clock);
      break;
    case Command::kQuery:
      reply = manager_.query(request, clock);
      break;
    case Command::kList:
      reply = manager_.list(request);
      break;
    case Command::kStatistics: {
      Dict dict;
      dict.set("statistics", statistics());
      reply = std::move(dict);
      break;
    }
    case Command::kBlockMedia:
    case Command::kUnblockMedia:
      reply = media.mark(MediaMark::kBlock, kRows[index].command == Command::kBlockMedia);
      break;
    case Command::kSilenceMedia:
    case Command::kUnsilenceMedia:
      reply = media.mark(MediaMark::kSilence, kRows[index].command == Command::kSilenceMedia);
      break;
    case Command::kBlockDtmf:
    case Command::kUnblockDtmf:
      reply = media.mark(MediaMark::kBlockEvents, kRows[index].command == Command::kBlockDtmf);
      break;
    case Command::kStartForwarding:
      reply = media.start_forwarding();
      break;
    case Command::kStopForwarding:
      reply = media.stop_forwarding();
      break;
    case Command::kPublish:
      reply = one_party.publish();
      break;
    case Command::kSubscribeRequest:
      reply = one_party.subscribe_request();
      break;
    case Command::kSubscribeAnswer:
      reply = one_party.subscribe_answer();
      break;
    case Command::kUnsubscribe:
      reply = one_party.unsubscribe();
      break;
    case Command::kCreate:
      reply = one_party.create();
      break;
    case Command::kCreateAnswer:
      reply = one_party.create_answer();
      break;
    case Command::kTransform:
      reply = one_party.transform();
      break;
    case Command::kConnect:
      reply = conference.connect();
      break;
    case Command::kMesh:
      reply = conference.mesh();
      break;
    case Command::kInjectStart:
      reply = conference.inject_start();
      break;
    case Command::kInjectStop:
      reply = conference.inject_stop();
      break;
    case Command::kCli: {
      if (!request.body) return error_reply("No 'body' in message");
      Dict dict;
      dict.set("response", run_text_command(*request.body, manager_, clock));
      reply = std::move(dict);
      break;
    }
    case Command::kLater:
      return error_reply(fmt::format("Command '{}' is not supported by this version", kRows[index].name));
  }
  if (reply) {
    reply->set("result", "ok");
    return std::move(*reply);
  }
  const RequestError& refused = reply.error();
  if (refused.load_limit) {
    Dict dict;
    dict.set("result", "load limit");
    dict.set("message", refused.text);
    return dict;
  }
  Dict dict;
  if (refused.with_empty_sdp) dict.set("sdp", "");
  dict.set("result", "error");
  dict.set("error-reason", refused.text);
  return dict;
}

Dict NgService::statistics() const {
  const SessionTotals& totals = manager_.totals();
  const Instant now = clock_().now;
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
  std::uint64_t errors = 0;
  for (std::size_t i = 0; i < manager_.plane().workers(); ++i) {
    const WorkerTotals& worker = manager_.plane().worker(i).totals();
    packets += worker.packets.load();
    bytes += worker.bytes.load();
    errors += worker.errors.load();
  }
  const auto sessions = static_cast<std::int64_t>(manager_.size());
  Dict current;
  current.set("sessionsown", sessions);
  current.set("sessionsforeign", 0);
  current.set("sessionstotal", sessions);
  current.set("transcodedmedia", 0);
  current.set("mediacache", 0);
  current.set("playercache", 0);
  current.set("packetrate_user", rates_.packets);
  current.set("byterate_user", rates_.bytes);
  current.set("errorrate_user", rates_.errors);
  for (const char* key : {"packetrate_kernel", "byterate_kernel", "errorrate_kernel"}) current.set(key, 0);
  current.set("packetrate", rates_.packets);
  current.set("byterate", rates_.bytes);
  current.set("errorrate", rates_.errors);
  current.set("media_userspace", sessions);
  current.set("media_kernel", 0);
  current.set("media_mixed", 0);

  const auto ended = [&](EndReason reason) { return totals.ended[static_cast<std::size_t>(reason)]; };
  std::uint64_t all_ended = 0;
  for (const auto count : totals.ended) all_ended += count;
  const double mean = all_ended == 0 ? 0.0 : totals.duration_sum_s / static_cast<double>(all_ended);
  const double variance =
      all_ended == 0 ? 0.0 : totals.duration_square_sum_s2 / static_cast<double>(all_ended) - mean * mean;
  Dict total;
  total.set("uptime",
            std::to_string(std::chrono::duration_cast<std::chrono::seconds>(now - started_).count()));
  total.set("managedsessions", totals.managed);
  total.set("rejectedsessions", totals.rejected);
  total.set("timeoutsessions", ended(EndReason::kTimeout));
  total.set("silenttimeoutsessions", ended(EndReason::kSilentTimeout));
  total.set("finaltimeoutsessions", ended(EndReason::kFinalTimeout));
  total.set("offertimeoutsessions", ended(EndReason::kOfferTimeout));
  total.set("regularterminatedsessions", ended(EndReason::kRegular));
  total.set("forcedterminatedsessions", ended(EndReason::kForced));
  total.set("relayedpackets_user", packets);
  total.set("relayedpacketerrors_user", errors);
  total.set("relayedbytes_user", bytes);
  for (const char* key : {"relayedpackets_kernel", "relayedpacketerrors_kernel", "relayedbytes_kernel"})
    total.set(key, 0);
  total.set("relayedpackets", packets);
  total.set("relayedpacketerrors", errors);
  total.set("relayedbytes", bytes);
  total.set("zerowaystreams", totals.zero_way);
  total.set("onewaystreams", totals.one_way);
  total.set("avgcallduration", seconds_text(mean));
  total.set("totalcallsduration", seconds_text(totals.duration_sum_s));
  total.set("totalcallsduration2", seconds_text(totals.duration_square_sum_s2));
  total.set("totalcallsduration_stddev", seconds_text(std::sqrt(std::max(0.0, variance))));

  Dict control;
  List proxies;
  std::array<std::uint64_t, kCommands> sums{};
  for (const auto& [address, client] : clients_) {
    Dict proxy;
    proxy.set("proxy",
              address.family() == AddressFamily::kNone ? std::string("others") : address.to_string());
    for (std::size_t i = 0; i < kCommands; ++i) {
      proxy.set(fmt::format("{}count", kRows[i].short_name), client.commands[i].count);
      proxy.set(fmt::format("{}duration", kRows[i].short_name),
                seconds_text(std::chrono::duration<double>(client.commands[i].time).count()));
      sums[i] += client.commands[i].count;
    }
    proxy.set("errorcount", client.errors);
    proxies.emplace_back(std::move(proxy));
  }
  control.set("proxies", std::move(proxies));
  for (std::size_t i = 0; i < kCommands; ++i)
    control.set(fmt::format("total{}count", kRows[i].short_name), sums[i]);

  List interfaces;
  for (const LogicalInterface& logical : manager_.interfaces().all()) {
    for (const LocalAddress& local : logical.addresses) {
      const PortPool& pool = *local.ports;
      const auto used = static_cast<std::int64_t>(pool.used() * 2);
      const auto all = static_cast<std::int64_t>(pool.total() * 2);
      Dict ports;
      ports.set("min", std::int64_t{pool.first().value});
      ports.set("max", std::int64_t{pool.last().value});
      ports.set("used", used);
      ports.set("used_pct",
                fmt::format("{:.2f}", 100.0 * static_cast<double>(used) / static_cast<double>(all)));
      ports.set("free", all - used);
      ports.set("totals", all);
      Dict interface;
      interface.set("name", logical.name);
      interface.set("address", local.address.to_string());
      interface.set("ports", std::move(ports));
      interfaces.emplace_back(std::move(interface));
    }
  }
  Dict statistics;
  statistics.set("currentstatistics", std::move(current));
  statistics.set("totalstatistics", std::move(total));
  statistics.set("controlstatistics", std::move(control));
  statistics.set("interfaces", std::move(interfaces));
  statistics.set("transcoders", List{});
  return statistics;
}

}  // namespace ferry::ng
