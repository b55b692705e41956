// SPDX-License-Identifier: Apache-2.0
// One thread for each receiver. It takes events out of the outbox, writes them to the journal, has libcurl
// post those that are due (`DeliveryQueue`), and sleeps in curl_multi_poll until a request ends, an event is
// due, or control wakes it.
//
// Without memory an event is dropped and counted, and the thread goes on (C-12). What allocates is therefore
// done before anything changes, or the whole turn is tried again.
//
// An event leaves the journal only after the receiver has taken it. A crash in between makes it arrive twice,
// which the receiver sees by its id.
#include "control/protocol/events/webhook.hpp"

#include "control/log/log.hpp"
#include "control/protocol/events/journal_file.hpp"
#include "control/protocol/events/journal_folder.hpp"
#include "relay/base/memory.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <utility>
#include <vector>

#include <curl/curl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

namespace ferry::events {

namespace {

using namespace std::chrono_literals;

constexpr long kConnectSeconds = 10;
constexpr long kRequestSeconds = 30;
constexpr Duration kLastChance = 2s;
constexpr Duration kTellAgain = 10s;
/// Events on their way to the thread.
constexpr std::size_t kMostInOutbox = 100'000;
constexpr std::size_t kMostOctetsInOutbox = 16 * 1024 * 1024;
/// What a log line shows of a Call-ID.
constexpr std::size_t kMostShown = 64;
/// How long the thread waits for memory.
constexpr Duration kWithoutMemory = 1s;

/// A refusal of this one event. Everything else says that the server does not work at present.
bool is_refusal(long status) { return status >= 300 && status < 500 && status != 408 && status != 429; }

std::size_t swallow(char*, std::size_t size, std::size_t count, void*) { return size * count; }

}  // namespace

std::string signature_of(std::string_view body, std::string_view secret) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
       reinterpret_cast<const unsigned char*>(body.data()), body.size(), digest.data(), &size);
  std::string text = "sha256=";
  for (unsigned i = 0; i < size; ++i) text += fmt::format("{:02x}", digest[i]);
  return text;
}

std::string shown_url(std::string_view url) {
  const std::string bare = receiver_of(url);
  const auto scheme = bare.find("://");
  return bare.substr(0, bare.find('/', scheme == std::string::npos ? 0 : scheme + 3));
}

/// The requests that are under way. `wake` may be called on any thread, all else on the thread of the
/// webhook.
class Webhook::Requests {
 public:
  explicit Requests(const WebhookConfig& config) : config_(config) {
    curl_global_init(CURL_GLOBAL_DEFAULT);
    multi_ = curl_multi_init();
    curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, static_cast<long>(DeliveryQueue::kParallel));
  }
  ~Requests() {
    for (const auto& each : under_way_) curl_multi_remove_handle(multi_, each->handle);
    under_way_.clear();
    curl_multi_cleanup(multi_);
    curl_global_cleanup();
  }
  Requests(const Requests&) = delete;
  Requests& operator=(const Requests&) = delete;

  void wake() { curl_multi_wakeup(multi_); }
  /// Throws std::bad_alloc without memory, and has begun nothing then.
  void begin(const Event& event) {
    auto request = std::make_unique<Request>();
    request->event = event;
    request->add("Content-Type: application/json");
    // Otherwise libcurl waits a second for "100 Continue" that many servers never send.
    request->add("Expect:");
    request->add(fmt::format("X-Rtpferry-Event: {}", to_string(event.type)));
    request->add(fmt::format("X-Rtpferry-Id: {}", event.number));
    if (!config_.secret.empty())
      request->add("X-Rtpferry-Signature: " + signature_of(event.text, config_.secret));
    request->handle = curl_easy_init();
    CURL* handle = request->handle;
    if (handle == nullptr) throw std::bad_alloc();
    curl_easy_setopt(handle, CURLOPT_URL, config_.url.c_str());
    curl_easy_setopt(handle, CURLOPT_USERAGENT, "rtpferry/" FERRY_VERSION);
    curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 0L);
    // The environment of whoever started the daemon must not choose the way.
    curl_easy_setopt(handle, CURLOPT_PROXY, "");
    curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
    curl_easy_setopt(handle, CURLOPT_TIMEOUT, kRequestSeconds);
    curl_easy_setopt(handle, CURLOPT_HTTPHEADER, request->headers);
    curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE, static_cast<long>(request->event.text.size()));
    curl_easy_setopt(handle, CURLOPT_POSTFIELDS, request->event.text.data());
    curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, &swallow);
    curl_easy_setopt(handle, CURLOPT_PRIVATE, request.get());
    under_way_.push_back(std::move(request));
    if (curl_multi_add_handle(multi_, handle) != CURLM_OK) {
      under_way_.pop_back();
      throw std::bad_alloc();
    }
  }
  /// Goes on with all requests. Calls `on_done(event, status, code)` for each that is over.
  template <class OnDone>
  void go_on(OnDone&& on_done) {
    int running = 0;
    curl_multi_perform(multi_, &running);
    int left = 0;
    while (CURLMsg* message = curl_multi_info_read(multi_, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      char* of = nullptr;
      long status = 0;
      curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &of);
      curl_easy_getinfo(message->easy_handle, CURLINFO_RESPONSE_CODE, &status);
      const CURLcode code = message->data.result;
      auto* request = reinterpret_cast<Request*>(of);
      curl_multi_remove_handle(multi_, request->handle);
      on_done(request->event, status, static_cast<int>(code));
      std::erase_if(under_way_, [&](const auto& each) { return each.get() == request; });
    }
  }
  /// Waits until something can go on, for `most` at the longest.
  void wait(Duration most) {
    const auto ms = std::chrono::ceil<std::chrono::milliseconds>(most).count();
    curl_multi_poll(multi_, nullptr, 0, static_cast<int>(std::clamp<std::int64_t>(ms, 0, 60'000)), nullptr);
  }

 private:
  struct Request {
    Request() = default;
    ~Request() {
      curl_easy_cleanup(handle);
      curl_slist_free_all(headers);
    }
    Request(const Request&) = delete;
    Request& operator=(const Request&) = delete;
    void add(const std::string& line) {
      curl_slist* longer = curl_slist_append(headers, line.c_str());
      if (longer == nullptr) throw std::bad_alloc();
      headers = longer;
    }
    Event event;
    curl_slist* headers = nullptr;
    CURL* handle = nullptr;
  };
  const WebhookConfig& config_;
  CURLM* multi_ = nullptr;
  std::vector<std::unique_ptr<Request>> under_way_;
};

Webhook::Webhook(WebhookConfig config)
    : config_(std::move(config)),
      name_(fmt::format("{} ({})", config_.number, shown_url(config_.url))),
      requests_(std::make_unique<Requests>(config_)),
      outbox_(kMostInOutbox, kMostOctetsInOutbox, [this] { requests_->wake(); }),
      queue_(config_.limit),
      thread_([this] { run(); }) {}

Webhook::~Webhook() {
  stops_ = true;
  requests_->wake();
  thread_.join();
}

void Webhook::on_event(const Event& event) {
  if (!config_.filter.wants(event)) return;
  if (!had_memory([&] { outbox_.add(event, octets_of(event)); })) outbox_.note_lost();
}

void Webhook::note_dropped(std::uint64_t events) {
  counts_.dropped += events;
  drops_.note(events);
}

void Webhook::add(Event event) {
  const std::uint64_t number = event.number;
  const bool had = had_memory([&] {
    const DeliveryQueue::Added added = queue_.add(std::move(event));
    if (!added.is_new) return;
    if (const auto at = queue_.events().find(number); journal_ && at != queue_.events().end())
      journal_->add(at->second);
    for (const std::uint64_t dropped : added.dropped) {
      if (journal_) journal_->remove(dropped);
    }
    note_dropped(added.dropped.size());
  });
  if (!had) note_dropped(1);
}

void Webhook::take_in() {
  for (Event& event : outbox_.take()) add(std::move(event));
  const std::uint64_t lost = outbox_.lost();
  note_dropped(lost - std::exchange(lost_before_, lost));
  tell_dropped();
}

void Webhook::tell_dropped() {
  if (const std::uint64_t dropped = drops_.due(steady_now()); dropped != 0)
    log::warn("event-webhook {}: {} events were dropped: too much waits, or it took others and not them",
              name_, dropped);
}

void Webhook::write_journal() {
  const Instant now = steady_now();
  if (!journal_ || now < write_again_) return;
  const int error = journal_->flush(queue_.events());
  if (error == 0) return;
  write_again_ = now + Tally::kPause;
  log::error("event-webhook {}: {}: {}; a restart now would lose events", name_, journal_->path(),
             std::strerror(error));
}

void Webhook::note_failure(const Event& event, const std::string& why, bool is_refused) {
  const Instant now = steady_now();
  if (is_refused && !queue_.is_failing()) {
    refusals_.note();
    if (const std::uint64_t refused = refusals_.due(now); refused != 0)
      log::warn("event-webhook {}: {} events were refused and are tried again, such as {} of call {} ({})",
                name_, refused, event.number, log::quote(cut(event.call_id, kMostShown)), why);
    return;
  }
  if (std::exchange(is_failing_, true)) return;
  failures_.note();
  if (failures_.due(now) == 0) return;
  is_failure_told_ = true;
  log::warn("event-webhook {}: {}; events wait", name_, why);
}

void Webhook::note_works() {
  is_failing_ = false;
  if (std::exchange(is_failure_told_, false)) log::info("event-webhook {}: it takes events again", name_);
}

void Webhook::on_done(const Event& event, long status, int code) {
  const std::uint64_t number = event.number;
  if (code == CURLE_OK && status >= 200 && status < 300) {
    ++counts_.delivered;
    queue_.on_taken(number);
    if (journal_) journal_->remove(number);
    static_cast<void>(had_memory([&] { note_works(); }));
    return;
  }
  const bool is_refused = code == CURLE_OK && is_refusal(status);
  ++counts_.failed;
  if (queue_.on_failed(number, is_refused, steady_now())) {
    if (journal_) journal_->remove(number);
    note_dropped(1);
  }
  static_cast<void>(had_memory([&] {
    const std::string why = code == CURLE_OK ? fmt::format("HTTP status {}", status)
                                             : std::string(curl_easy_strerror(static_cast<CURLcode>(code)));
    note_failure(event, why, is_refused);
  }));
}

void Webhook::take_over(JournalFile& left) {
  JournalContents contents = left.load();
  if (contents.damaged != 0) log::warn("{}: {} lines are damaged", left.path(), contents.damaged);
  note_dropped(contents.left_out);
  if (!contents.waiting.empty())
    log::info("event-webhook {}: {} events of an earlier run wait", name_, contents.waiting.size());
  const bool is_own = &left == journal_.get();
  for (Event& event : contents.waiting) {
    if (!is_own) {
      add(std::move(event));
      continue;
    }
    // The journal has it already.
    const std::uint64_t number = event.number;
    DeliveryQueue::Added added;
    if (!had_memory([&] { added = queue_.add(std::move(event)); })) added.dropped.push_back(number);
    for (const std::uint64_t dropped : added.dropped) left.remove(dropped);
    note_dropped(added.dropped.size());
  }
}

void Webhook::open_journal() {
  if (config_.state_directory.empty()) return;
  const std::string receiver = config_.receiver.empty() ? receiver_of(config_.url) : config_.receiver;
  auto journal = JournalFile::open(config_.state_directory, receiver);
  if (!journal) {
    log::error("event-webhook {}: {}; a restart will lose events that wait", name_, journal.error());
    return;
  }
  journal_ = std::move(*journal);
  take_over(*journal_);
  for (const auto& each : JournalFile::left_behind(config_.state_directory, receiver)) {
    take_over(*each);
    // Twice is better than never.
    if (journal_->flush(queue_.events()) == 0) each->erase();
  }
}

bool Webhook::go_on() {
  const Instant now = steady_now();
  if (stops_ && !last_chance_) last_chance_ = now + kLastChance;
  // First, so that the thread ends without memory too.
  if (last_chance_ && now >= *last_chance_) return false;
  take_in();
  write_journal();
  if (last_chance_ && (queue_.size() == 0 || queue_.is_failing())) return false;
  while (const Event* event = queue_.take(now)) {
    if (had_memory([&] { requests_->begin(*event); })) continue;
    const std::uint64_t number = event->number;
    if (!queue_.on_failed(number, false, now)) continue;
    if (journal_) journal_->remove(number);
    note_dropped(1);
  }
  requests_->go_on([this](const Event& event, long status, int code) { on_done(event, status, code); });
  counts_.waiting = queue_.size();
  write_journal();
  Duration most = last_chance_ ? Duration(50ms) : Duration(60s);
  if (const auto due = queue_.next_due()) most = std::min(most, std::max(Duration{0}, *due - steady_now()));
  if (write_again_ > now) most = std::min(most, write_again_ - now);
  // Events that come meanwhile wake the thread.
  requests_->wait(most);
  return true;
}

void Webhook::run() {
  const log::Scope scope(log::Subsystem::kControl);
  if (!had_memory([this] { open_journal(); }))
    log::error("event-webhook {}: no memory for its journal", name_);
  for (bool goes_on = true; goes_on;) {
    if (!had_memory([&] { goes_on = go_on(); })) requests_->wait(kWithoutMemory);
  }
  static_cast<void>(had_memory([&] {
    take_in();
    write_journal();
    if (queue_.size() != 0)
      log::info("event-webhook {}: {} events {}", name_, queue_.size(),
                journal_ ? "wait for the next start" : "are lost, there is no state-dir");
  }));
}

}  // namespace ferry::events
