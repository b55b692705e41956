// SPDX-License-Identifier: Apache-2.0
// One thread for each receiver. It takes events out of the outbox, writes them to the journal, has libcurl
// post those that are due (`DeliveryQueue`), and sleeps in curl_multi_poll until a request ends, an event is
// due, or control wakes it.
//
// An event leaves the journal only after the receiver has taken it. A crash in between makes it arrive twice,
// which the receiver sees by its id.
#include "control/protocol/events/webhook.hpp"

#include "control/log/log.hpp"
#include "control/protocol/events/journal_file.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
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

Instant steady_now() { return std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now()); }

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
  url = url.substr(0, url.find_first_of("?#"));
  const auto scheme = url.find("://");
  const auto begin = scheme == std::string_view::npos ? 0 : scheme + 3;
  const auto host_end = std::min(url.find('/', begin), url.size());
  const auto user = url.substr(begin, host_end - begin).rfind('@');
  std::string shown(url.substr(0, begin));
  return shown.append(url.substr(user == std::string_view::npos ? begin : begin + user + 1));
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

  /// A request that is over.
  struct Done {
    Event event;
    bool is_taken = false;
    bool is_refused = false;
    std::string why;
  };

  void wake() { curl_multi_wakeup(multi_); }
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
    curl_easy_setopt(handle, CURLOPT_URL, config_.url.c_str());
    curl_easy_setopt(handle, CURLOPT_USERAGENT, "rtpferry/" FERRY_VERSION);
    curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
    curl_easy_setopt(handle, CURLOPT_TIMEOUT, kRequestSeconds);
    curl_easy_setopt(handle, CURLOPT_HTTPHEADER, request->headers);
    curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE, static_cast<long>(request->event.text.size()));
    curl_easy_setopt(handle, CURLOPT_POSTFIELDS, request->event.text.data());
    curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, &swallow);
    curl_easy_setopt(handle, CURLOPT_PRIVATE, request.get());
    curl_multi_add_handle(multi_, handle);
    under_way_.push_back(std::move(request));
  }
  /// Goes on with all requests. Returns those that are over.
  std::vector<Done> go_on() {
    int running = 0;
    curl_multi_perform(multi_, &running);
    std::vector<Done> all;
    int left = 0;
    while (CURLMsg* message = curl_multi_info_read(multi_, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      char* of = nullptr;
      long status = 0;
      curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &of);
      curl_easy_getinfo(message->easy_handle, CURLINFO_RESPONSE_CODE, &status);
      const CURLcode code = message->data.result;
      auto* request = reinterpret_cast<Request*>(of);
      Done& done = all.emplace_back(Done{std::move(request->event), false, false, {}});
      done.is_taken = code == CURLE_OK && status >= 200 && status < 300;
      done.is_refused = code == CURLE_OK && is_refusal(status);
      if (!done.is_taken)
        done.why = code == CURLE_OK ? fmt::format("HTTP status {}", status) : curl_easy_strerror(code);
      curl_multi_remove_handle(multi_, request->handle);
      std::erase_if(under_way_, [&](const auto& each) { return each.get() == request; });
    }
    return all;
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
    void add(const std::string& line) { headers = curl_slist_append(headers, line.c_str()); }
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
      name_(shown_url(config_.url)),
      requests_(std::make_unique<Requests>(config_)),
      outbox_(kMostInOutbox, [this] { requests_->wake(); }),
      queue_(config_.limit),
      thread_([this] { run(); }) {}

Webhook::~Webhook() {
  stops_ = true;
  requests_->wake();
  thread_.join();
}

void Webhook::on_event(const Event& event) {
  if (config_.filter.wants(event)) outbox_.add(event);
}

void Webhook::take_in() {
  for (Event& event : outbox_.take()) {
    if (journal_) journal_->add(event);
    const auto dropped = queue_.add(std::move(event));
    if (!dropped) continue;
    if (journal_) journal_->remove(*dropped);
    ++counts_.dropped;
    ++drops_untold_;
  }
  const Instant now = steady_now();
  if (drops_untold_ == 0 || now < tell_drops_) return;
  log::warn("event-webhook {}: {} events were dropped, because more than {} wait", name_,
            std::exchange(drops_untold_, 0), config_.limit);
  tell_drops_ = now + kTellAgain;
}

void Webhook::write_journal() {
  const Instant now = steady_now();
  if (!journal_ || now < write_again_) return;
  const int error = journal_->flush(queue_.events());
  if (error == 0) return;
  write_again_ = now + kTellAgain;
  log::error("event-webhook {}: {}: {}; a restart now would lose events", name_, journal_->path(),
             std::strerror(error));
}

void Webhook::note_failure(const Event& event, const std::string& why, bool is_refused) {
  ++counts_.failed;
  if (is_refused)
    log::warn("event-webhook {}: event {} of call {} was refused ({}), and is tried again", name_,
              event.number, log::quote(event.call_id), why);
  else if (!std::exchange(is_failing_, true))
    log::warn("event-webhook {}: {}; events wait", name_, why);
}

void Webhook::run() {
  const log::Scope scope(log::Subsystem::kControl);
  if (!config_.state_directory.empty()) {
    auto journal = JournalFile::open(config_.state_directory, config_.url);
    if (journal)
      journal_ = std::move(*journal);
    else
      log::error("event-webhook {}: {}; a restart will lose events that wait", name_, journal.error());
  }
  if (journal_) {
    JournalContents left = journal_->load();
    if (left.damaged != 0) log::warn("{}: {} lines are damaged", journal_->path(), left.damaged);
    if (!left.waiting.empty())
      log::info("event-webhook {}: {} events of an earlier run wait", name_, left.waiting.size());
    for (Event& event : left.waiting) {
      if (const auto dropped = queue_.add(std::move(event))) journal_->remove(*dropped);
    }
  }
  std::optional<Instant> last_chance;
  while (true) {
    take_in();
    write_journal();
    const Instant now = steady_now();
    if (stops_ && !last_chance) last_chance = now + kLastChance;
    if (last_chance && (now >= *last_chance || queue_.size() == 0 || queue_.is_failing())) break;
    while (const Event* event = queue_.take(now)) requests_->begin(*event);
    for (const Requests::Done& done : requests_->go_on()) {
      if (!done.is_taken) {
        note_failure(done.event, done.why, done.is_refused);
        queue_.on_failed(done.event.number, done.is_refused, steady_now());
        continue;
      }
      if (std::exchange(is_failing_, false)) log::info("event-webhook {}: it takes events again", name_);
      ++counts_.delivered;
      queue_.on_taken(done.event.number);
      if (journal_) journal_->remove(done.event.number);
    }
    counts_.waiting = queue_.size();
    write_journal();
    Duration most = last_chance ? Duration(50ms) : Duration(60s);
    if (const auto due = queue_.next_due()) most = std::min(most, std::max(Duration{0}, *due - steady_now()));
    if (write_again_ > now) most = std::min(most, write_again_ - now);
    // Events that come meanwhile wake the thread.
    requests_->wait(most);
  }
  take_in();
  write_journal();
  if (queue_.size() != 0)
    log::info("event-webhook {}: {} events {}", name_, queue_.size(),
              journal_ ? "wait for the next start" : "are lost, there is no state-dir");
}

}  // namespace ferry::events
