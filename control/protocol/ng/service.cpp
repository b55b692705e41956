// SPDX-License-Identifier: Apache-2.0
// Executes NG messages:
//
//   message -> cookie -> cached reply? -> decode -> command -> parse -> dispatch -> count, log -> encode
//
// A retransmission gets the reply of before, so nothing is done twice (CTL-3). The key of that cache is the
// client's address and the cookie, without the port (docs/reference/ng.md#cookies). If memory runs out, only
// the request at hand fails.
//
// The trap: a reply must fit a datagram, and must be readable at any cost. `encode_bounded` takes parts out
// and says so, before it gives up with an error.

#include "control/protocol/ng/service.hpp"

#include "control/command/conference.hpp"
#include "control/command/digit_control.hpp"
#include "control/command/media_control.hpp"
#include "control/command/playback_control.hpp"
#include "control/command/recordings.hpp"
#include "control/command/subscriptions.hpp"
#include "control/log/log.hpp"
#include "control/protocol/command_log.hpp"
#include "control/protocol/ng/bencode.hpp"
#include "control/protocol/ng/fault_texts.hpp"
#include "control/protocol/ng/json_codec.hpp"
#include "control/protocol/ng/replies.hpp"
#include "control/protocol/ng/text_command.hpp"
#include "control/protocol/refusal_log.hpp"
#include "control/view/query.hpp"

#include <algorithm>
#include <type_traits>

#include <fmt/format.h>

namespace ferry::ng {

namespace {

/// Clients that are counted one by one; all others are counted together.
constexpr std::size_t kMaxClients = 256;
constexpr std::size_t kMaxUnknownWords = 512;

struct Context {
  NgService& service;
  SessionManager& manager;
  const Request& request;
  const Clock& clock;
};
using Outcome = Result<Dict, RequestError>;

/// Writes the reply to a command that was carried out.
template <class Done>
Outcome written(Result<Done, RequestError> done) {
  if (!done) return fail(std::move(done.error()));
  if constexpr (std::is_void_v<Done>)
    return Dict{};
  else
    return reply_of(std::move(*done));
}

/// Makes a command object for one request and calls the member that carries the command out.
template <class Class, auto kMember>
Outcome run(Context& c) {
  return written((Class(c.manager.services(), c.request, c.clock).*kMember)());
}

template <MediaMark kMark, bool kOn>
Outcome mark(Context& c) {
  return written(MediaControl(c.manager.services(), c.request, c.clock).mark(kMark, kOn));
}

template <auto kMember>
Outcome record(Context& c) {
  return written((c.manager.recordings().*kMember)(c.request));
}

Outcome ping(Context&) {
  Dict pong;
  pong.set("result", "pong");
  return pong;
}

/// Under overload only offers that begin a call are refused; offers within a call are served.
Outcome offer(Context& c) {
  const bool is_new = c.request.call_id && c.manager.find(*c.request.call_id) == nullptr;
  if (!c.service.overloaded() || !is_new) return written(c.manager.offer(c.request, c.clock));
  c.manager.count_rejected();
  return fail(RequestFault::kOverload);
}

/// Turns `fault` into `ok` with a warning, as clients know it: the command did nothing, and nobody is cut off
/// for it.
Outcome only_warns(Outcome done, RequestFault fault, std::string_view command) {
  if (done || done.error().fault != fault) return done;
  Dict reply;
  reply.set("warning", text_of(done.error(), command));
  return reply;
}

Outcome remove(Context& c) {
  Dict reply;
  SessionManager::Farewell show;
  if (!c.request.has_flag(Flag::kFast)) {
    show = [&](const Call& call, const CallSnapshots& snapshots) {
      reply = QueryView(c.manager.services()).reply(call, snapshots, c.clock);
    };
  }
  const auto removed = c.manager.remove(c.request, c.clock, show);
  Outcome done = removed ? Outcome(std::move(reply)) : Outcome(fail(removed.error()));
  if (c.request.has_flag(Flag::kFatal)) return done;
  return only_warns(std::move(done), RequestFault::kNothingToDelete, "delete");
}

Outcome start_forwarding(Context& c) {
  return only_warns(run<MediaControl, &MediaControl::start_forwarding>(c), RequestFault::kNoDestination,
                    "start forwarding");
}

Outcome connect(Context& c) {
  return only_warns(run<Conference, &Conference::connect>(c), RequestFault::kNobodyToConnect, "connect");
}

Outcome statistics(Context& c) {
  Dict dict;
  dict.set("statistics", c.service.statistics());
  return dict;
}

Outcome cli(Context& c) {
  if (!c.request.body) return fail(RequestFault::kNoBody);
  Dict dict;
  dict.set("response", run_text_command(*c.request.body, c.manager, c.service, c.clock));
  return dict;
}

/// One command (docs/reference/ng.md#commands). The rows are in the order of `statistics`. A null `run` means
/// that this version does not support the command.
struct CommandRow {
  std::string_view name;
  std::string_view short_name;
  Outcome (*run)(Context&) = nullptr;
};
// clang-format off
constexpr std::array<CommandRow, NgService::kCommands> kCommandRows = {{
    {"ping", "ping", ping},
    {"offer", "offer", offer},
    {"answer", "answer", [](Context& c) { return written(c.manager.answer(c.request, c.clock)); }},
    {"delete", "delete", remove},
    {"query", "query", [](Context& c) { return QueryView(c.manager.services()).query(c.request, c.clock); }},
    {"list", "list", [](Context& c) { return written(c.manager.list(c.request)); }},
    {"start recording", "startrec", record<&Recordings::start>},
    {"stop recording", "stoprec", record<&Recordings::stop>},
    {"pause recording", "pauserec", record<&Recordings::pause>},
    {"start forwarding", "startfwd", start_forwarding},
    {"stop forwarding", "stopfwd", run<MediaControl, &MediaControl::stop_forwarding>},
    {"block DTMF", "blkdtmf", run<DigitControl, &DigitControl::block>},
    {"unblock DTMF", "unblkdtmf", run<DigitControl, &DigitControl::unblock>},
    {"block media", "blkmedia", mark<MediaMark::kBlock, true>},
    {"unblock media", "unblkmedia", mark<MediaMark::kBlock, false>},
    {"play media", "playmedia", run<PlaybackControl, &PlaybackControl::play_media>},
    {"stop media", "stopmedia", run<PlaybackControl, &PlaybackControl::stop_media>},
    {"play DTMF", "playdtmf", run<PlaybackControl, &PlaybackControl::play_dtmf>},
    {"statistics", "stats", statistics},
    {"silence media", "slnmedia", mark<MediaMark::kSilence, true>},
    {"unsilence media", "unslnmedia", mark<MediaMark::kSilence, false>},
    {"publish", "pub", run<Subscriptions, &Subscriptions::publish>},
    {"subscribe request", "subreq", run<Subscriptions, &Subscriptions::subscribe_request>},
    {"subscribe answer", "subans", run<Subscriptions, &Subscriptions::subscribe_answer>},
    {"unsubscribe", "unsub", run<Subscriptions, &Subscriptions::unsubscribe>},
    {"inject start", "injstart", run<Conference, &Conference::inject_start>},
    {"inject stop", "injstop", run<Conference, &Conference::inject_stop>},
    {"connect", "conn", connect},
    {"cli", "cli", cli},
    {"transform", "trnsfm", run<Subscriptions, &Subscriptions::transform>},
    {"create", "create", run<Subscriptions, &Subscriptions::create>},
    {"create answer", "crtansw", run<Subscriptions, &Subscriptions::create_answer>},
    {"mesh", "mesh", run<Conference, &Conference::mesh>},
}};
// clang-format on

Dict error_reply(std::string_view reason) {
  Dict reply;
  reply.set("result", "error");
  reply.set("error-reason", reason);
  return reply;
}

/// Octets of a reply that fit a datagram and OpenSIPS' buffer.
constexpr std::size_t kMaxDatagramReply = 60'000;
/// Octets that a datagram holds beside its cookie (RFC 768). The reply to a large offer may use all of them:
/// the offer came in one datagram, and its SDP goes back in one.
constexpr std::size_t kLargestDatagram = 65'400;
constexpr std::size_t kNoLimit = SIZE_MAX;

/// Encodes a reply within `limit` octets. A client can use a part that is marked as such, but not a reply
/// that it cannot read. First the medias of parties are taken out (`query`, `delete`), on streams too,
/// because clients there have buffers for a datagram. Then calls are taken from the end of a list. A reply
/// that is still too large becomes an error.
std::string encode_bounded(Dict reply, std::string (*encode)(const Value&), std::size_t limit) {
  Value whole(std::move(reply));
  std::string text = encode(whole);
  if (text.size() <= kMaxDatagramReply) return text;
  Dict& dict = *whole.dict();
  if (const Value* tags = dict.find("tags"); tags != nullptr && tags->dict() != nullptr) {
    Dict names;
    for (const auto& [tag, party] : *tags->dict()) {
      Dict brief;
      brief.set("tag", tag);
      names.set(tag, std::move(brief));
    }
    dict.set("tags", std::move(names));
    dict.set("warning", "Too large for one reply: query one tag for its medias");
    text = encode(whole);
  }
  const Value* calls = dict.find("calls");
  const std::size_t all = calls != nullptr && calls->list() != nullptr ? calls->list()->size() : 0;
  for (std::size_t kept = all; text.size() > limit && kept > 0;) {
    // Keeps the share of the calls that fits, less a tenth, because Call-IDs differ in length.
    kept = std::min(kept - 1, kept * limit / text.size() * 9 / 10);
    dict.find("calls")->list()->resize(kept);
    dict.set("warning",
             fmt::format("Too large for one reply: {} of {} calls; ask over TCP for all", kept, all));
    text = encode(whole);
  }
  if (text.size() <= std::max(limit, kLargestDatagram)) return text;
  return encode(Value(
      error_reply(fmt::format("Reply of {} octets is too large for a datagram: ask over TCP", text.size()))));
}

/// Commands that only ask. All others change something and get a line in the log.
constexpr std::string_view kAskingCommands[] = {"ping", "query", "list", "statistics", "cli"};

}  // namespace

NgService::NgService(SessionManager& manager, std::function<Clock()> clock, Templates templates)
    : manager_(manager), clock_(std::move(clock)), templates_(std::move(templates)), started_(clock_().now) {}

std::optional<std::string> NgService::handle(std::string_view message, const IpAddress& source) {
  return answer(message, source, {"NG", kMaxDatagramReply});
}

std::optional<std::string> NgService::handle_stream(std::string_view message, const IpAddress& source) {
  return answer(message, source, {"NG over a stream", kNoLimit});
}

std::string NgService::handle_document(std::string_view document, const IpAddress& source) {
  return answer_document(document, source, {"NG over HTTP", kNoLimit});
}

/// The reply is stored before it leaves, errors too, so a retransmission gets the same octets.
std::optional<std::string> NgService::answer(std::string_view message, const IpAddress& source,
                                             const Way& way) {
  const auto blank = message.find(' ');
  if (blank == std::string_view::npos || blank == 0) return std::nullopt;
  const std::string_view cookie = message.substr(0, blank);
  std::string key = source.to_string();
  key += ' ';
  key += cookie;
  if (const auto known = cache_.find(key)) return std::string(*known);
  std::string reply(cookie);
  reply += ' ';
  reply += answer_document(message.substr(blank + 1), source, way);
  cache_.store(key, reply, clock_().now);
  return reply;
}

/// The first octet tells the encoding: `{` begins JSON, `d` a dictionary of bencode. Errors come back in the
/// same encoding.
std::string NgService::answer_document(std::string_view document, const IpAddress& source, const Way& way) {
  const auto refuse = [&](std::string_view reason) {
    return Value(refuse_message("message", reason, source, way));
  };
  if (document.empty()) return encode_bencode(refuse("Invalid data (no payload)"));
  if (document.front() == '{') {
    auto decoded = decode_json(document);
    if (!decoded) return encode_json(refuse("Failed to parse JSON document"));
    if (decoded->value.dict() == nullptr) return encode_json(refuse("Could not decode JSON dictionary"));
    repeated_keys_ += decoded->repeated_keys;
    return encode_bounded(execute(*decoded->value.dict(), source, way), encode_json, way.limit);
  }
  if (document.front() != 'd') return encode_bencode(refuse("Invalid NG data format"));
  DecodeLimits limits;
  // The end of a datagram closes what is still open (docs/reference/ng.md#encodings).
  limits.close_at_end = true;
  auto decoded = decode_bencode(document, limits);
  if (!decoded) return encode_bencode(refuse("Could not decode bencode dictionary"));
  repeated_keys_ += decoded->repeated_keys;
  return encode_bounded(execute(*decoded->value.dict(), source, way), encode_bencode, way.limit);
}

void NgService::count_word(const std::string& name, std::string_view suggestion) {
  const auto known = unknown_.find(name);
  if (known != unknown_.end())
    ++known->second.count;
  else if (unknown_.size() < kMaxUnknownWords)
    unknown_.emplace(name, UnknownWord{1, std::string(suggestion)});
}

void NgService::count_unknown(const Request& request) {
  const auto count = [this](const std::string& word, bool flag) {
    // Words come from outside, so they are cut, and their number is bounded.
    count_word((flag ? "flag " : "key ") + word.substr(0, 64), suggest(word, flag));
  };
  for (const std::string& key : request.unknown_keys) count(key, false);
  for (const std::string& flag : request.unknown_flags) count(flag, true);
}

Dict NgService::refuse_message(std::string_view command, std::string_view reason, const IpAddress& source,
                               const Way& way) {
  ++errors_;
  const CommandReport report{
      .protocol = way.protocol, .command = command, .client = source, .refusal = reason};
  note_refusal(manager_, report, RefusalReason::kMessage, false, clock_());
  return error_reply(reason);
}

Dict NgService::execute(const Dict& document, const IpAddress& source, const Way& way) {
  const auto refuse = [&](std::string_view command, std::string_view reason) {
    return refuse_message(command, reason, source, way);
  };
  const Value* name = document.find("command");
  if (name == nullptr || name->string() == nullptr)
    return refuse("message", "Dictionary contains no key \"command\"");
  std::string_view wanted = *name->string();
  // `CLI` is accepted as well (docs/reference/ng.md#commands).
  if (wanted == "CLI") wanted = "cli";
  const auto row = std::ranges::find(kCommandRows, wanted, &CommandRow::name);
  if (row == kCommandRows.end()) return refuse(wanted.substr(0, 64), "Unrecognized command");
  const auto index = static_cast<std::size_t>(row - kCommandRows.begin());
  Request request = parse_request(document, templates_);
  request.client = source;
  const log::Scope scope(log::Subsystem::kControl,
                         request.call_id ? std::string_view(*request.call_id) : std::string_view());
  count_unknown(request);
  const std::optional<RequestError> unknown_interface = look_at_interfaces(request);
  // The time of a command is measured with the real clock, also in tests that have one of their own.
  const Instant before = std::chrono::steady_clock::now();
  Dict reply;
  std::optional<RefusalReason> refusal;
  const auto refuse_command = [&](const RequestError& error) {
    refusal = error.refusal();
    reply = refusal_reply(error, row->name, request.supports_load_limit);
  };
  try {
    if (unknown_interface && manager_.config().direction_strict)
      refuse_command(*unknown_interface);
    else if (auto done = dispatch(index, request))
      reply = std::move(*done);
    else
      refuse_command(done.error());
  } catch (const std::bad_alloc&) {
    refuse_command(RequestFault::kOutOfMemory);
  }
  // Clients beyond the bound are counted together under the unset address.
  const auto client = clients_.size() < kMaxClients || clients_.contains(source) ? source : IpAddress{};
  Client& counts = clients_[client];
  const Duration time = std::chrono::steady_clock::now() - before;
  for (CommandCount* count : {&counts.commands[index], &totals_[index]}) {
    ++count->count;
    count->time += time;
  }
  if (observer_) observer_(row->name, time);
  const Value* result = reply.find("result");
  const bool is_refused = result != nullptr && *result == Value("error");
  if (is_refused) {
    ++counts.errors;
    ++errors_;
  } else if (unknown_interface && reply.find("warning") == nullptr) {
    reply.set("warning", text_of(*unknown_interface, row->name));
  }
  log_request(row->name, request, reply, refusal, {time, way.protocol});
  if (capture_) capture_(document, reply, source, clock_().wall);
  return reply;
}

std::optional<RequestError> NgService::look_at_interfaces(const Request& request) {
  std::optional<RequestError> unknown;
  for (const std::string& interface : {request.sender_interface, request.receiver_interface}) {
    if (interface.empty() || manager_.interfaces().has(interface)) continue;
    count_word("interface " + interface.substr(0, 64), {});
    if (!unknown) unknown = RequestError(RequestFault::kUnknownInterface, interface.substr(0, 64));
  }
  return unknown;
}

void NgService::log_request(std::string_view command, const Request& request, const Dict& reply,
                            const std::optional<RefusalReason>& refusal, const Served& served) {
  const auto text = [&](std::string_view key) {
    const Value* value = reply.find(key);
    return value != nullptr && value->string() != nullptr ? std::string_view(*value->string())
                                                          : std::string_view();
  };
  CommandReport report{
      .protocol = served.protocol, .command = command, .client = request.client, .time = served.time};
  if (request.call_id) report.call_id = *request.call_id;
  if (request.from_tag) report.from_tag = *request.from_tag;
  if (request.to_tag) report.to_tag = *request.to_tag;
  report.changes = std::ranges::find(kAskingCommands, command) == std::end(kAskingCommands);
  report.warning = text("warning");
  if (text("result") == "error") report.refusal = text("error-reason");
  // If there is a message, it is the real cause.
  if (!text("message").empty()) report.refusal = text("message");
  const bool has_ports = report.changes && report.refusal.empty() && is_logged(report);
  const std::string local = has_ports ? ports_in_sdp(text("sdp")) : std::string();
  report.local = local;
  if (refusal)
    note_refusal(manager_, report, *refusal, command == "delete", clock_());
  else
    log_command(report);
}

std::string_view NgService::command_name(std::size_t index) { return kCommandRows[index].name; }

Result<Dict, RequestError> NgService::dispatch(std::size_t index, const Request& request) {
  const CommandRow& row = kCommandRows[index];
  if (request.option_fault) return fail(*request.option_fault);
  if (row.run == nullptr) return fail(RequestError(RequestFault::kUnservedCommand, std::string(row.name)));
  const Clock clock = clock_();
  Context context{*this, manager_, request, clock};
  Outcome reply = row.run(context);
  if (reply && reply->find("result") == nullptr) reply->set("result", "ok");
  return reply;
}

Dict NgService::statistics() const {
  return make_statistics({manager_, rates_, clock_().now - started_}, command_counts());
}

Dict NgService::command_counts() const {
  Dict control;
  List proxies;
  std::array<std::uint64_t, kCommands> sums{};
  for (const auto& [address, client] : clients_) {
    Dict proxy;
    proxy.set("proxy",
              address.family() == AddressFamily::kNone ? std::string("others") : address.to_string());
    for (std::size_t i = 0; i < kCommands; ++i) {
      proxy.set(fmt::format("{}count", kCommandRows[i].short_name), client.commands[i].count);
      proxy.set(fmt::format("{}duration", kCommandRows[i].short_name),
                seconds_text(std::chrono::duration<double>(client.commands[i].time).count()));
      sums[i] += client.commands[i].count;
    }
    proxy.set("errorcount", client.errors);
    proxies.emplace_back(std::move(proxy));
  }
  control.set("proxies", std::move(proxies));
  for (std::size_t i = 0; i < kCommands; ++i)
    control.set(fmt::format("total{}count", kCommandRows[i].short_name), sums[i]);
  return control;
}

}  // namespace ferry::ng
