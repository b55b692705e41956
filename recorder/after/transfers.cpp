// SPDX-License-Identifier: Apache-2.0
#include "recorder/after/transfers.hpp"

#include "recorder/after/digest.hpp"
#include "relay/base/printable.hpp"

#include <cstdio>
#include <cstring>
#include <memory>

#include <curl/curl.h>
#include <fmt/format.h>
#include <unistd.h>

namespace ferry {

namespace {

constexpr long kConnectSeconds = 10;
constexpr long kNotifySeconds = 30;
/// A large recording over a slow line takes its time. A server that takes less than an octet a second for a
/// minute is gone.
constexpr long kUploadSeconds = 3600;
constexpr long kStallSeconds = 60;
constexpr long kStallOctets = 1;  // a second

struct FreeCurl {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};
struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
struct CloseSource {
  void operator()(FILE* file) const { fclose(file); }
};
using Curl = std::unique_ptr<CURL, FreeCurl>;
using Headers = std::unique_ptr<curl_slist, FreeList>;

/// libcurl calls this about once a second during a transfer; anything but 0 ends it.
int is_stopped(void* stop, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<const std::stop_token*>(stop)->stop_requested() ? 1 : 0;
}

// Throws the body of a server's answer away; only the status counts.
std::size_t swallow(char*, std::size_t size, std::size_t count, void*) { return size * count; }

std::size_t read_file(char* into, std::size_t size, std::size_t count, void* from) {
  return fread(into, size, count, static_cast<FILE*>(from));
}

// Everything that all requests have in common: time-outs, no redirects (they could lead elsewhere), HTTP and
// HTTPS only, no signals (there are threads).
Curl make_request(const std::string& url, const Headers& headers, long seconds, const std::stop_token& stop) {
  Curl handle(curl_easy_init());
  curl_easy_setopt(handle.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(handle.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle.get(), CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(handle.get(), CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(handle.get(), CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
  curl_easy_setopt(handle.get(), CURLOPT_TIMEOUT, seconds);
  curl_easy_setopt(handle.get(), CURLOPT_LOW_SPEED_LIMIT, kStallOctets);
  curl_easy_setopt(handle.get(), CURLOPT_LOW_SPEED_TIME, kStallSeconds);
  curl_easy_setopt(handle.get(), CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(handle.get(), CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(handle.get(), CURLOPT_XFERINFOFUNCTION, &is_stopped);
  curl_easy_setopt(handle.get(), CURLOPT_XFERINFODATA, &stop);
  curl_easy_setopt(handle.get(), CURLOPT_WRITEFUNCTION, &swallow);
  return handle;
}

// Returns what went wrong; empty: the server answered with a status of 2xx.
std::string perform(CURL* handle) {
  const CURLcode code = curl_easy_perform(handle);
  if (code != CURLE_OK) return curl_easy_strerror(code);
  long status = 0;
  curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
  return status >= 200 && status < 300 ? std::string() : fmt::format("HTTP status {}", status);
}

// libcurl's lists grow at the end and may move their start.
void add(Headers& headers, const std::string& line) {
  headers.reset(curl_slist_append(headers.release(), line.c_str()));
}

/// Escapes everything but unreserved characters (RFC 3986 section 2.3) and the slashes between parts.
std::string escape_path(std::string_view path) {
  std::string text;
  for (const char c : path) {
    const bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                       std::string_view("-._~/").find(c) != std::string_view::npos;
    text += plain ? std::string(1, c)
                  : fmt::format("%{:02X}", static_cast<unsigned>(static_cast<unsigned char>(c)));
  }
  return text;
}

}  // namespace

Transfers::Transfers(const RecorderSettings& settings) : settings_(settings) {
  curl_global_init(CURL_GLOBAL_DEFAULT);
}

Transfers::~Transfers() { curl_global_cleanup(); }

// The manifest is sent as it lies in the recording directory, so its signature fits.
std::string Transfers::notify(const std::string& manifest, const std::stop_token& stop) const {
  Headers headers;
  add(headers, "Content-Type: application/json");
  // Otherwise libcurl waits a second for "100 Continue" that many servers never send.
  add(headers, "Expect:");
  const Curl handle = make_request(settings_.notify_url, headers, kNotifySeconds, stop);
  curl_easy_setopt(handle.get(), CURLOPT_POST, 1L);
  curl_easy_setopt(handle.get(), CURLOPT_POSTFIELDSIZE, static_cast<long>(manifest.size()));
  curl_easy_setopt(handle.get(), CURLOPT_POSTFIELDS, manifest.data());
  return perform(handle.get());
}

std::string Transfers::store(const Folder& folder, const std::string& name,
                             const std::stop_token& stop) const {
  const UploadSettings& to = settings_.upload;
  const auto file = folder.open_file(name);
  if (!file)
    return fmt::format("cannot read {}: {}", printable(folder.path_of(name)), strerror(file.error()));
  // The file is read twice, for the hash and for the transfer, because the hash goes into the head of the
  // request.
  const auto digest = digest_file(file->get(), {});
  if (!digest)
    return fmt::format("cannot read {}: {}", printable(folder.path_of(name)), strerror(digest.error()));
  Headers headers;
  // The signature covers a hash of what is stored (AWS Signature Version 4).
  add(headers, "x-amz-content-sha256: " + digest->sha256);
  add(headers, "Expect:");
  const std::string url =
      fmt::format("{}/{}/{}", to.endpoint, escape_path(to.bucket), escape_path(to.prefix + name));
  const Curl handle = make_request(url, headers, kUploadSeconds, stop);
  // libcurl reads from a FILE of its own; hashing has moved the position.
  const std::unique_ptr<FILE, CloseSource> stream(fdopen(dup(file->get()), "r"));
  if (!stream) return fmt::format("cannot read {}: {}", printable(folder.path_of(name)), strerror(errno));
  rewind(stream.get());
  curl_easy_setopt(handle.get(), CURLOPT_UPLOAD, 1L);
  curl_easy_setopt(handle.get(), CURLOPT_READDATA, stream.get());
  curl_easy_setopt(handle.get(), CURLOPT_READFUNCTION, &read_file);
  curl_easy_setopt(handle.get(), CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(digest->size));
  curl_easy_setopt(handle.get(), CURLOPT_AWS_SIGV4, fmt::format("aws:amz:{}:s3", to.region).c_str());
  curl_easy_setopt(handle.get(), CURLOPT_USERPWD, fmt::format("{}:{}", to.access_key, to.secret_key).c_str());
  return perform(handle.get());
}

}  // namespace ferry
