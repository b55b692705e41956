#include "control/protocol/ng/service.hpp"

#include "control/log/log.hpp"
#include "control/protocol/command_log.hpp"
#include "control/protocol/ng/bencode.hpp"
#include "control/protocol/ng/json_codec.hpp"
#include "control/protocol/ng/text_command.hpp"
#include "control/protocol/refusal_log.hpp"
#include "control/session/conference.hpp"
#include "control/session/media_control.hpp"
#include "control/session/recordings.hpp"
#include "control/session/subscriptions.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace ferry::ng {

namespace {

constexpr std::size_t kMaxClients = 256;  // counted one by one; the rest together
constexpr std::size_t kMaxUnknownWords = 512;

struct Context {
  NgService& service;
  SessionManager& manager;
  const Request& request;
  const Clock& clock;
};
using Outcome = Result<Dict, RequestError>;

Outcome ping(Context&) {
  Dict pong;
  pong.set("result", "pong");
  return pong;
}

Outcome offer(Context& c) {
  const bool is_new = c.request.call_id && c.manager.find(*c.request.call_id) == nullptr;
  if (!c.service.overloaded() || !is_new) return c.manager.offer(c.request, c.clock);
  c.manager.count_rejected();
  return fail(limit_error(RefusalReason::kOverload, c.request.supports_load_limit));
}

Outcome statistics(Context& c) {
  Dict dict;
  dict.set("statistics", c.service.statistics());
  return dict;
}

Outcome cli(Context& c) {
  if (!c.request.body) return fail(error(RefusalReason::kMessage, "No 'body' in message"));
  Dict dict;
  dict.set("response", run_text_command(*c.request.body, c.manager, c.service, c.clock));
  return dict;
}

/// NG reference, section 4, in the order of section 15. Without `run` it is not supported by this version.
struct CommandRow {
  std::string_view name;
  std::string_view short_name;
  Outcome (*run)(Context&) = nullptr;
};
// clang-format off
constexpr std::array<CommandRow, NgService::kCommands> kRows = {{
    {"ping", "ping", ping},
    {"offer", "offer", offer},
    {"answer", "answer", [](Context& c) { return c.manager.answer(c.request, c.clock); }},
    {"delete", "delete", [](Context& c) { return c.manager.remove(c.request, c.clock); }},
    {"query", "query", [](Context& c) { return c.manager.query(c.request, c.clock); }},
    {"list", "list", [](Context& c) { return c.manager.list(c.request); }},
    {"start recording", "startrec", [](Context& c) { return Recordings(c.manager).start(c.request); }},
    {"stop recording", "stoprec", [](Context& c) { return Recordings(c.manager).stop(c.request); }},
    {"pause recording", "pauserec", [](Context& c) { return Recordings(c.manager).pause(c.request); }},
    {"start forwarding", "startfwd", [](Context& c) { return MediaControl(c.manager, c.request, c.clock).start_forwarding(); }},
    {"stop forwarding", "stopfwd", [](Context& c) { return MediaControl(c.manager, c.request, c.clock).stop_forwarding(); }},
    {"block DTMF", "blkdtmf", [](Context& c) { return MediaControl(c.manager, c.request, c.clock).mark(MediaMark::kBlockEvents, true); }},
    {"unblock DTMF", "unblkdtmf", [](Context& c) { return MediaControl(c.manager, c.request, c.clock).mark(MediaMark::kBlockEvents, false); }},
    {"block media", "blkmedia", [](Context& c) { return MediaControl(c.manager, c.request, c.clock).mark(MediaMark::kBlock, true); }},
    {"unblock media", "unblkmedia", [](Context& c) { return MediaControl(c.manager, c.request, c.clock).mark(MediaMark::kBlock, false); }},
    {"play media", "playmedia"},
    {"stop media", "stopmedia"},
    {"play DTMF", "playdtmf"},
    {"statistics", "stats", statistics},
    {"silence media", "slnmedia", [](Context& c) { return MediaControl(c.manager, c.request, c.clock).mark(MediaMark::kSilence, true); }},
    {"unsilence media", "unslnmedia", [](Context& c) { return MediaControl(c.manager, c.request, c.clock).mark(MediaMark::kSilence, false); }},
    {"publish", "pub", [](Context& c) { return Subscriptions(c.manager, c.request, c.clock).publish(); }},
    {"subscribe request", "subreq", [](Context& c) { return Subscriptions(c.manager, c.request, c.clock).subscribe_request(); }},
    {"subscribe answer", "subans", [](Context& c) { return Subscriptions(c.manager, c.request, c.clock).subscribe_answer(); }},
    {"unsubscribe", "unsub", [](Context& c) { return Subscriptions(c.manager, c.request, c.clock).unsubscribe(); }},
    {"inject start", "injstart", [](Context& c) { return Conference(c.manager, c.request, c.clock).inject_start(); }},
    {"inject stop", "injstop", [](Context& c) { return Conference(c.manager, c.request, c.clock).inject_stop(); }},
    {"connect", "conn", [](Context& c) { return Conference(c.manager, c.request, c.clock).connect(); }},
    {"cli", "cli", cli},
    {"transform", "trnsfm", [](Context& c) { return Subscriptions(c.manager, c.request, c.clock).transform(); }},
    {"create", "create", [](Context& c) { return Subscriptions(c.manager, c.request, c.clock).create(); }},
    {"create answer", "crtansw", [](Context& c) { return Subscriptions(c.manager, c.request, c.clock).create_answer(); }},
    {"mesh", "mesh", [](Context& c) { return Conference(c.manager, c.request, c.clock).mesh(); }},
}};
// clang-format on

Dict error_reply(std::string_view reason) {
  Dict reply;
  reply.set("result", "error");
  reply.set("error-reason", reason);
  return reply;
}

/// A reply of this size fits a datagram and OpenSIPS' buffer, octets.
constexpr std::size_t kMaxDatagramReply = 60'000;
/// The octets that a datagram holds beside its cookie (RFC 768). The reply to a large offer may fill it: the
/// offer came in one datagram, and its SDP goes back in one.
constexpr std::size_t kLargestDatagram = 65'400;
constexpr std::size_t kNoLimit = SIZE_MAX;

/// Encodes a reply within `limit` octets: a client can use a part that says so, but not a reply that it
/// cannot read. The medias of parties go first (`query`, `delete`), on streams too, where clients have
/// buffers for a datagram; then calls from the end of a list that its client asked for. What is still too
/// large is an error.
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

/// Commands that only ask. All others change something, and the log has a line for each.
constexpr std::string_view kAskingCommands[] = {"ping", "query", "list", "statistics", "cli"};

std::string seconds_text(double seconds) { return fmt::format("{:.6f}", seconds); }

/// Sums of all workers, of one local address or of all.
struct Samples {
  std::uint64_t count = 0;
  double sum = 0;
  double square_sum = 0;
  [[nodiscard]] double mean() const { return count == 0 ? 0.0 : sum / static_cast<double>(count); }
  [[nodiscard]] double deviation() const {
    const double variance = count == 0 ? 0.0 : square_sum / static_cast<double>(count) - mean() * mean();
    return std::sqrt(std::max(0.0, variance));
  }
  void add(const SampleTotals& totals) {
    count += totals.samples.load();
    sum += totals.sum.load();
    square_sum += totals.square_sum.load();
  }
};

struct InterfaceSums {
  Samples mos, jitter, round_trip, round_trip_leg, loss, jitter_measured;
  ComponentCounters counters;
  std::uint64_t lost = 0;
  std::uint64_t duplicates = 0;
  std::uint64_t reordered = 0;
  std::uint64_t resets = 0;

  void add(const InterfaceTotals& totals) {
    mos.add(totals.quality.mos);
    jitter.add(totals.quality.jitter);
    round_trip.add(totals.quality.round_trip);
    round_trip_leg.add(totals.quality.round_trip_leg);
    loss.add(totals.quality.loss);
    jitter_measured.add(totals.quality.jitter_measured);
    counters.packets_in += totals.ingress.packets.load();
    counters.bytes_in += totals.ingress.bytes.load();
    counters.errors_in += totals.ingress.errors.load();
    counters.packets_out += totals.egress.packets.load();
    counters.bytes_out += totals.egress.bytes.load();
    counters.errors_out += totals.egress.errors.load();
    lost += totals.lost.load();
    duplicates += totals.duplicates.load();
    reordered += totals.reordered.load();
    resets += totals.resets.load();
  }
};

/// The five values of a measurement (NG reference, section 15).
void add_samples(Dict& dict, const std::string& name, const Samples& samples) {
  dict.set(name + "_total", seconds_text(samples.sum));
  dict.set(name + "2_total", seconds_text(samples.square_sum));
  dict.set(name + "_samples_total", samples.count);
  dict.set(name + "_average", seconds_text(samples.mean()));
  dict.set(name + "_stddev", seconds_text(samples.deviation()));
}

void add_voip_metrics(Dict& dict, const InterfaceSums& sums) {
  add_samples(dict, "jitter", sums.jitter);
  add_samples(dict, "rtt_e2e", sums.round_trip);
  add_samples(dict, "rtt_dsct", sums.round_trip_leg);
  add_samples(dict, "packetloss", sums.loss);
  add_samples(dict, "jitter_measured", sums.jitter_measured);
}

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
    // Words come from outside: cut them, and stop at a bound.
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
  if (wanted == "CLI") wanted = "cli";
  const auto row = std::ranges::find(kRows, wanted, &CommandRow::name);
  if (row == kRows.end()) return refuse(wanted.substr(0, 64), "Unrecognized command");
  const auto index = static_cast<std::size_t>(row - kRows.begin());
  Request request = parse_request(document, templates_);
  request.client = source;
  const log::Scope scope(log::Subsystem::kControl,
                         request.call_id ? std::string_view(*request.call_id) : std::string_view());
  count_unknown(request);
  const std::string warning = warning_of(request);
  const Instant before = std::chrono::steady_clock::now();
  Dict reply;
  std::optional<RefusalReason> refusal;
  try {
    if (!warning.empty() && manager_.config().direction_strict) {
      reply = error_reply(warning);
      refusal = RefusalReason::kInterface;
    } else {
      reply = dispatch(index, request, refusal);
    }
  } catch (const std::bad_alloc&) {
    reply = error_reply("Out of memory");
    refusal = refusal_for(PortFailure::kNoMemory);
  }
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
  } else if (!warning.empty() && reply.find("warning") == nullptr) {
    reply.set("warning", warning);
  }
  log_request(row->name, request, reply, refusal, {time, way.protocol});
  return reply;
}

std::string NgService::warning_of(const Request& request) {
  std::string warning;
  for (const std::string& interface : {request.sender_interface, request.receiver_interface}) {
    if (interface.empty() || manager_.interfaces().has(interface)) continue;
    count_word("interface " + interface.substr(0, 64), {});
    if (warning.empty()) warning = fmt::format("There is no interface '{}'", interface.substr(0, 64));
  }
  return warning;
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
  // What really happened.
  if (!text("message").empty()) report.refusal = text("message");
  const std::string local =
      report.changes && report.refusal.empty() ? ports_in_sdp(text("sdp")) : std::string();
  report.local = local;
  if (refusal)
    note_refusal(manager_, report, *refusal, command == "delete", clock_());
  else
    log_command(report);
}

std::string_view NgService::command_name(std::size_t index) { return kRows[index].name; }

Dict NgService::dispatch(std::size_t index, const Request& request, std::optional<RefusalReason>& refusal) {
  const CommandRow& row = kRows[index];
  refusal = RefusalReason::kMessage;
  if (!request.option_error.empty()) return error_reply(request.option_error);
  refusal = RefusalReason::kUnsupported;
  if (row.run == nullptr)
    return error_reply(fmt::format("Command '{}' is not supported by this version", row.name));
  const Clock clock = clock_();
  Context context{*this, manager_, request, clock};
  Outcome reply = row.run(context);
  refusal.reset();
  if (reply) {
    if (reply->find("result") == nullptr) reply->set("result", "ok");
    return std::move(*reply);
  }
  const RequestError& refused = reply.error();
  refusal = refused.refusal;
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
  if (!refused.cause.empty()) dict.set("message", refused.cause);
  return dict;
}

Dict NgService::statistics() const {
  const SessionTotals& totals = manager_.totals();
  const Instant now = clock_().now;
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
  std::uint64_t errors = 0;
  std::uint64_t kernel_packets = 0;
  std::uint64_t kernel_bytes = 0;
  for (std::size_t i = 0; i < manager_.plane().workers(); ++i) {
    const WorkerTotals& worker = manager_.plane().worker(i).totals();
    kernel_packets += worker.offloaded_packets.load();
    kernel_bytes += worker.offloaded_bytes.load();
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
  current.set("packetrate_user", rates_.packets - rates_.kernel_packets);
  current.set("byterate_user", rates_.bytes - rates_.kernel_bytes);
  current.set("errorrate_user", rates_.errors);
  current.set("packetrate_kernel", rates_.kernel_packets);
  current.set("byterate_kernel", rates_.kernel_bytes);
  current.set("errorrate_kernel", 0);
  current.set("packetrate", rates_.packets);
  current.set("byterate", rates_.bytes);
  current.set("errorrate", rates_.errors);
  const KernelShare share = manager_.kernel_share();
  current.set("media_userspace", static_cast<std::int64_t>(share.user));
  current.set("media_kernel", static_cast<std::int64_t>(share.kernel));
  current.set("media_mixed", static_cast<std::int64_t>(share.mixed));

  const auto ended = [&](EndReason reason) { return totals.ended[static_cast<std::size_t>(reason)]; };
  std::uint64_t all_ended = 0;
  for (const auto count : totals.ended) all_ended += count;
  const Samples durations{all_ended, totals.duration_sum_s, totals.duration_square_sum_s2};
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
  total.set("relayedpackets_user", packets - kernel_packets);
  total.set("relayedpacketerrors_user", errors);
  total.set("relayedbytes_user", bytes - kernel_bytes);
  total.set("relayedpackets_kernel", kernel_packets);
  total.set("relayedpacketerrors_kernel", 0);
  total.set("relayedbytes_kernel", kernel_bytes);
  total.set("relayedpackets", packets);
  total.set("relayedpacketerrors", errors);
  total.set("relayedbytes", bytes);
  total.set("zerowaystreams", totals.zero_way);
  total.set("onewaystreams", totals.one_way);
  total.set("avgcallduration", seconds_text(durations.mean()));
  total.set("totalcallsduration", seconds_text(totals.duration_sum_s));
  total.set("totalcallsduration2", seconds_text(totals.duration_square_sum_s2));
  total.set("totalcallsduration_stddev", seconds_text(durations.deviation()));

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

  std::array<InterfaceSums, kMaxInterfaces> sums_of{};
  InterfaceSums whole;
  List pollers;
  Dict buffer_pools;
  for (std::size_t w = 0; w < manager_.plane().workers(); ++w) {
    const WorkerTotals& worker = manager_.plane().worker(w).totals();
    for (std::size_t i = 0; i < kMaxInterfaces; ++i) {
      sums_of[i].add(worker.interfaces[i]);
      whole.add(worker.interfaces[i]);
    }
    Dict poller;
    poller.set("index", w);
    poller.set("pid", worker.thread_id.load());
    poller.set("wakeups", worker.wakeups.load());
    poller.set("items", worker.transports.load());
    pollers.emplace_back(std::move(poller));
    Dict pool;
    pool.set("buffers", worker.buffers.load());
    pool.set("free", worker.buffers_free.load());
    buffer_pools.set(fmt::format("worker {}", w), std::move(pool));
  }
  Dict mos;
  add_samples(mos, "mos", whole.mos);
  Dict voip;
  add_voip_metrics(voip, whole);
  voip.set("packets_lost", whole.lost);
  voip.set("rtp_duplicates", whole.duplicates);
  voip.set("rtp_skips", whole.lost);
  voip.set("rtp_seq_resets", whole.resets);
  voip.set("rtp_reordered", whole.reordered);

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
      const InterfaceSums& part = sums_of[std::min<std::size_t>(local.index, kMaxInterfaces - 1)];
      interface.set("packets_lost", part.lost);
      interface.set("duplicates", part.duplicates);
      Dict quality;
      add_samples(quality, "mos", part.mos);
      add_voip_metrics(quality, part);
      interface.set("voip_metrics", std::move(quality));
      const ComponentCounters& c = part.counters;
      interface.set("ingress", counters_dict(c.packets_in, c.bytes_in, c.errors_in));
      interface.set("egress", counters_dict(c.packets_out, c.bytes_out, c.errors_out));
      interfaces.emplace_back(std::move(interface));
    }
  }
  Dict statistics;
  statistics.set("currentstatistics", std::move(current));
  statistics.set("totalstatistics", std::move(total));
  statistics.set("mos", std::move(mos));
  statistics.set("voip_metrics", std::move(voip));
  statistics.set("controlstatistics", std::move(control));
  statistics.set("interfaces", std::move(interfaces));
  statistics.set("transcoders", List{});
  statistics.set("poller_threads", std::move(pollers));
  statistics.set("bufferpools", std::move(buffer_pools));
  return statistics;
}

}  // namespace ferry::ng
