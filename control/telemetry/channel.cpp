// SPDX-License-Identifier: Apache-2.0
// Streams and requests go through libcurl, which looks names up, connects with a time-out and does TLS. A
// stream is a libcurl connection without a protocol on it (CURLOPT_CONNECT_ONLY).
//
// Nothing ends a name lookup of the C library, which may take half a minute. So each lookup has a thread of
// its own, and a channel that shall end leaves it behind: libcurl does that by CURLOPT_QUICK_EXIT, datagrams
// by `look_up`. The thread that stays owns what it writes to, and holds nothing else.
//
// A server that closed a stream is noticed before the next message, or that message would be lost: the kernel
// takes octets for a closed connection once. What a server sends on a stream is read and thrown away.

#include "control/telemetry/channel.hpp"

#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include <curl/curl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace ferry::telemetry {

namespace {

using Outcome = Delivery::Outcome;
using std::chrono::steady_clock;

/// How often a wait looks whether it shall end.
constexpr int kLookMs = 200;
constexpr long kPostSeconds = 10;

struct FreeCurl {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};
struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using Curl = std::unique_ptr<CURL, FreeCurl>;
using Headers = std::unique_ptr<curl_slist, FreeList>;

struct FreeAddresses {
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
};
using Addresses = std::unique_ptr<addrinfo, FreeAddresses>;

/// What a lookup finds, shared with its thread.
struct Lookup {
  std::mutex mutex;
  std::condition_variable_any changed;
  // Below: guarded by `mutex`.
  bool is_done = false;
  int error = 0;
  Addresses found;
};

void run(Lookup& lookup, const std::string& host, const std::string& port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* all = nullptr;
  const int error = getaddrinfo(host.c_str(), port.c_str(), &hints, &all);
  const std::lock_guard lock(lookup.mutex);
  lookup.is_done = true;
  lookup.error = error;
  if (error == 0) lookup.found.reset(all);
  lookup.changed.notify_all();
}

/// Looks up where datagrams for the server go, until `stop`. Returns what went wrong; empty: nothing.
std::string look_up(const ServerName& server, const std::stop_token& stop, Addresses& found) {
  const auto lookup = std::make_shared<Lookup>();
  try {
    std::thread([lookup, host = server.host, port = std::to_string(server.port)] {
      run(*lookup, host, port);
    }).detach();
  } catch (const std::system_error& e) {
    return fmt::format("no thread for the lookup of its name: {}", e.what());
  }
  std::unique_lock lock(lookup->mutex);
  if (!lookup->changed.wait(lock, stop, [&] { return lookup->is_done; })) return "the relay stops";
  if (lookup->error != 0) return gai_strerror(lookup->error);
  found = std::move(lookup->found);
  return {};
}

/// libcurl calls this during a transfer; anything but 0 ends it.
int is_stopped(void* stop, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<const std::stop_token*>(stop)->stop_requested() ? 1 : 0;
}
std::size_t swallow(char*, std::size_t size, std::size_t count, void*) { return size * count; }

/// A handle for this URL: no signals (there are threads), no proxy of the environment, no redirects, and no
/// wait for a lookup that is no longer needed.
Curl make_handle(const std::string& url, const std::stop_token& stop, long connect_seconds) {
  Curl handle(curl_easy_init());
  if (!handle) return handle;
  curl_easy_setopt(handle.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(handle.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle.get(), CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(handle.get(), CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(handle.get(), CURLOPT_PROXY, "");
  curl_easy_setopt(handle.get(), CURLOPT_CONNECTTIMEOUT, connect_seconds);
  curl_easy_setopt(handle.get(), CURLOPT_QUICK_EXIT, 1L);
  curl_easy_setopt(handle.get(), CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(handle.get(), CURLOPT_XFERINFOFUNCTION, &is_stopped);
  curl_easy_setopt(handle.get(), CURLOPT_XFERINFODATA, &stop);
  curl_easy_setopt(handle.get(), CURLOPT_WRITEFUNCTION, &swallow);
  return handle;
}

std::string url_of(const ServerName& server, bool has_tls) {
  const bool is_v6 = server.host.find(':') != std::string::npos;
  return fmt::format("{}://{}{}{}:{}", has_tls ? "https" : "http", is_v6 ? "[" : "", server.host,
                     is_v6 ? "]" : "", server.port);
}

class StreamChannel final : public Channel {
 public:
  StreamChannel(const ServerName& server, StreamOptions options)
      : url_(url_of(server, options.has_tls)), options_(std::move(options)) {}

  std::string open(const std::stop_token& stop) override {
    handle_ = make_handle(url_, stop, static_cast<long>(options_.timeout.count()));
    if (!handle_) return "out of memory";
    curl_easy_setopt(handle_.get(), CURLOPT_CONNECT_ONLY, 1L);
    // HEP has no name among the protocols of TLS.
    curl_easy_setopt(handle_.get(), CURLOPT_SSL_ENABLE_ALPN, 0L);
    if (!options_.ca_file.empty()) curl_easy_setopt(handle_.get(), CURLOPT_CAINFO, options_.ca_file.c_str());
    const CURLcode code = curl_easy_perform(handle_.get());
    if (code != CURLE_OK) return curl_easy_strerror(code);
    curl_socket_t socket = CURL_SOCKET_BAD;
    curl_easy_getinfo(handle_.get(), CURLINFO_ACTIVESOCKET, &socket);
    socket_ = socket;
    return {};
  }

  Delivery send(std::string_view message, const std::stop_token& stop) override {
    if (!is_alive(stop)) return {Outcome::kBroken, "the server closed the connection"};
    const auto end = steady_clock::now() + options_.timeout;
    while (!message.empty()) {
      std::size_t sent = 0;
      const CURLcode code = curl_easy_send(handle_.get(), message.data(), message.size(), &sent);
      if (code == CURLE_OK) {
        message.remove_prefix(sent);
      } else if (code != CURLE_AGAIN) {
        return {Outcome::kBroken, curl_easy_strerror(code)};
      } else if (stop.stop_requested() || steady_clock::now() >= end) {
        return {Outcome::kBroken, "the server takes nothing"};
      } else {
        pollfd wanted{socket_, POLLOUT, 0};
        poll(&wanted, 1, kLookMs);
      }
    }
    return {};
  }

 private:
  /// False if the server has closed the connection. Reads what it sent, but no more than `kMostReads` times:
  /// a server that never stops to send may hold up no message.
  bool is_alive(const std::stop_token& stop) {
    constexpr int kMostReads = 64;
    char unused[4096];
    for (int reads = 0; reads < kMostReads && !stop.stop_requested(); ++reads) {
      std::size_t size = 0;
      const CURLcode code = curl_easy_recv(handle_.get(), unused, sizeof unused, &size);
      if (code == CURLE_AGAIN) return true;
      if (code != CURLE_OK || size == 0) return false;
    }
    return true;
  }

  std::string url_;
  StreamOptions options_;
  Curl handle_;
  /// Belongs to `handle_`.
  int socket_ = -1;
};

class DatagramChannel final : public Channel {
 public:
  explicit DatagramChannel(ServerName server) : server_(std::move(server)) {}
  ~DatagramChannel() override { close(); }
  DatagramChannel(const DatagramChannel&) = delete;
  DatagramChannel& operator=(const DatagramChannel&) = delete;

  std::string open(const std::stop_token& stop) override {
    close();
    Addresses found;
    if (std::string wrong = look_up(server_, stop, found); !wrong.empty()) return wrong;
    socket_ = socket(found->ai_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (socket_ < 0 || connect(socket_, found->ai_addr, found->ai_addrlen) != 0) return std::strerror(errno);
    return {};
  }

  Delivery send(std::string_view message, const std::stop_token&) override {
    if (::send(socket_, message.data(), message.size(), MSG_NOSIGNAL) >= 0) return {};
    return {errno == EMSGSIZE ? Outcome::kRefused : Outcome::kBroken, std::strerror(errno)};
  }

 private:
  void close() noexcept {
    if (socket_ >= 0) ::close(socket_);
    socket_ = -1;
  }

  ServerName server_;
  int socket_ = -1;
};

class PostChannel final : public Channel {
 public:
  PostChannel(std::string url, const std::string& token) : url_(std::move(url)) {
    add("Content-Type: text/plain; charset=utf-8");
    // Otherwise libcurl waits a second for "100 Continue" that many servers never send.
    add("Expect:");
    if (!token.empty()) add("Authorization: Token " + token);
  }

  std::string open(const std::stop_token& stop) override {
    handle_ = make_handle(url_, stop, kPostSeconds);
    if (!handle_) return "out of memory";
    curl_easy_setopt(handle_.get(), CURLOPT_TIMEOUT, kPostSeconds);
    curl_easy_setopt(handle_.get(), CURLOPT_HTTPHEADER, headers_.get());
    curl_easy_setopt(handle_.get(), CURLOPT_POST, 1L);
    return {};
  }

  Delivery send(std::string_view message, const std::stop_token& stop) override {
    curl_easy_setopt(handle_.get(), CURLOPT_XFERINFODATA, &stop);
    curl_easy_setopt(handle_.get(), CURLOPT_POSTFIELDSIZE, static_cast<long>(message.size()));
    curl_easy_setopt(handle_.get(), CURLOPT_POSTFIELDS, message.data());
    const CURLcode code = curl_easy_perform(handle_.get());
    if (code != CURLE_OK) return {Outcome::kBroken, curl_easy_strerror(code)};
    long status = 0;
    curl_easy_getinfo(handle_.get(), CURLINFO_RESPONSE_CODE, &status);
    if (status >= 200 && status < 300) return {};
    constexpr long kTooManyRequests = 429;
    const bool is_final = status >= 300 && status < 500 && status != kTooManyRequests;
    return {is_final ? Outcome::kRefused : Outcome::kBroken, fmt::format("HTTP status {}", status)};
  }

 private:
  void add(const std::string& line) { headers_.reset(curl_slist_append(headers_.release(), line.c_str())); }

  std::string url_;
  Headers headers_;
  Curl handle_;
};

}  // namespace

std::unique_ptr<Channel> make_stream_channel(const ServerName& server, StreamOptions options) {
  return std::make_unique<StreamChannel>(server, std::move(options));
}

std::unique_ptr<Channel> make_datagram_channel(const ServerName& server) {
  return std::make_unique<DatagramChannel>(server);
}

std::unique_ptr<Channel> make_post_channel(std::string url, const std::string& token) {
  return std::make_unique<PostChannel>(std::move(url), token);
}

}  // namespace ferry::telemetry
