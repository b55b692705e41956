// SPDX-License-Identifier: Apache-2.0
// Reads one request after the other off a stream.
//
// A request is read in two steps: the header once its empty line has come, then the body once all its octets
// have. The parsed header is kept while the body is on its way, so each octet is looked at once.
//
// The parser is strict where leniency would let somebody hide one request in another (RFC 9112 §11.2): a
// blank before a colon, folded lines, two different lengths, and a length beside Transfer-Encoding are
// errors.

#include "control/protocol/http/request_reader.hpp"

#include "control/sdp/sdp.hpp"

#include <algorithm>
#include <charconv>

namespace ferry::http {

namespace {

using sdp::equal_ignoring_case;

/// True if the text is a token (RFC 9110 §5.6.2).
bool is_token(std::string_view text) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::ranges::all_of(text, [&](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           kMarks.find(c) != std::string_view::npos;
  });
}

bool has_control(std::string_view text, bool tab_is_good) {
  return std::ranges::any_of(text, [&](char c) {
    const auto octet = static_cast<unsigned char>(c);
    return (octet < 0x20 && !(tab_is_good && c == '\t')) || octet == 0x7f;
  });
}

std::string_view trim(std::string_view text) {
  const auto is_blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

/// Cuts the next line off `text` and returns it without its end.
std::string_view take_line(std::string_view& text) {
  const auto end = std::min(text.find('\n'), text.size());
  std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

/// Splits a target in absolute form into authority and origin form.
void split_target(Request& request) {
  const auto scheme = request.target.find("://");
  const std::string name = request.target.substr(0, std::min(scheme, request.target.size()));
  if (!equal_ignoring_case(name, "http") && !equal_ignoring_case(name, "https")) return;
  const auto start = scheme + 3;
  const auto end = std::min(request.target.find_first_of("/?#", start), request.target.size());
  request.authority = request.target.substr(start, end - start);
  request.target.erase(0, end);
  if (!request.target.starts_with('/')) request.target.insert(0, 1, '/');
}

/// Reads method, target and version (RFC 9112 §3).
std::optional<RequestError> read_first_line(std::string_view line, Request& request) {
  const auto blank = line.find(' ');
  const auto last = line.rfind(' ');
  if (blank == std::string_view::npos || last == blank) return RequestError::kBadRequest;
  request.method = line.substr(0, blank);
  request.target = line.substr(blank + 1, last - blank - 1);
  const std::string_view version = line.substr(last + 1);
  const bool is_good = is_token(request.method) && !request.target.empty() &&
                       request.target.find(' ') == std::string::npos && !has_control(request.target, false);
  if (!is_good || !version.starts_with("HTTP/")) return RequestError::kBadRequest;
  if (version != "HTTP/1.0" && version != "HTTP/1.1") return RequestError::kVersionNotSupported;
  request.minor_version = version.back() - '0';
  split_target(request);
  return std::nullopt;
}

std::optional<RequestError> read_header_lines(std::string_view lines, Request& request) {
  while (!lines.empty()) {
    const std::string_view line = take_line(lines);
    if (line.empty()) return std::nullopt;
    const auto colon = line.find(':');
    const std::string_view name = line.substr(0, std::min(colon, line.size()));
    // A blank before the colon, or at the beginning of a line (a folded one), hides headers from other
    // programs (RFC 9112 §5).
    if (colon == std::string_view::npos || !is_token(name)) return RequestError::kBadRequest;
    const std::string_view value = trim(line.substr(colon + 1));
    if (has_control(value, true)) return RequestError::kBadRequest;
    if (request.headers.size() == RequestReader::kMaxHeaders) return RequestError::kHeaderTooLarge;
    request.headers.emplace_back(name, value);
  }
  return std::nullopt;
}

/// Returns the length of the body (RFC 9112 §6).
Result<std::size_t, RequestError> body_size(const Request& request) {
  if (request.has_header("Transfer-Encoding")) {
    // With both headers the body has two ends: somebody tries to hide a request in it.
    return fail(request.has_header("Content-Length") ? RequestError::kBadRequest
                                                     : RequestError::kLengthRequired);
  }
  std::optional<std::size_t> size;
  for (const auto& [name, value] : request.headers) {
    if (!equal_ignoring_case(name, "Content-Length")) continue;
    std::size_t number = 0;
    const char* end = value.data() + value.size();
    const auto [stop, error] = std::from_chars(value.data(), end, number);
    if (error == std::errc::result_out_of_range) return fail(RequestError::kBodyTooLarge);
    if (error != std::errc{} || stop != end || (size && *size != number))
      return fail(RequestError::kBadRequest);
    size = number;
  }
  if (size.value_or(0) > RequestReader::kMaxBody) return fail(RequestError::kBodyTooLarge);
  return size.value_or(0);
}

}  // namespace

std::string_view to_string(RequestError error) noexcept {
  switch (error) {
    case RequestError::kBadRequest:
      return "Bad Request";
    case RequestError::kLengthRequired:
      return "Length Required";
    case RequestError::kBodyTooLarge:
      return "Content Too Large";
    case RequestError::kHeaderTooLarge:
      return "Request Header Fields Too Large";
    case RequestError::kVersionNotSupported:
      return "HTTP Version Not Supported";
  }
  return "Bad Request";
}

bool has_word(std::string_view list, std::string_view word) {
  while (!list.empty()) {
    const auto comma = std::min(list.find(','), list.size());
    if (equal_ignoring_case(trim(list.substr(0, comma)), word)) return true;
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return false;
}

std::string_view Request::header(std::string_view name) const {
  const auto found =
      std::ranges::find_if(headers, [&](const auto& each) { return equal_ignoring_case(each.first, name); });
  return found == headers.end() ? std::string_view() : std::string_view(found->second);
}

bool Request::has_header(std::string_view name) const {
  return std::ranges::any_of(headers,
                             [&](const auto& each) { return equal_ignoring_case(each.first, name); });
}

bool Request::stays_open() const {
  const std::string_view wish = header("Connection");
  return minor_version == 0 ? has_word(wish, "keep-alive") : !has_word(wish, "close");
}

std::optional<std::size_t> RequestReader::header_size(std::string_view text) {
  // The empty line may have begun in the piece before.
  for (std::size_t from = searched_ > 2 ? searched_ - 2 : 0;;) {
    const auto end = text.find('\n', from);
    if (end == std::string_view::npos) break;
    std::size_t next = end + 1;
    if (next < text.size() && text[next] == '\r') ++next;
    if (next < text.size() && text[next] == '\n') return next + 1;
    from = end + 1;
  }
  searched_ = text.size();
  return std::nullopt;
}

bool RequestReader::take_expectation() { return std::exchange(expects_, false); }

Result<std::optional<Request>, RequestError> RequestReader::read(std::string_view text, std::size_t& taken) {
  if (!head_) {
    const auto size = header_size(text);
    if (size.value_or(text.size()) > kMaxHeader) return fail(RequestError::kHeaderTooLarge);
    if (!size) return std::nullopt;
    std::string_view lines = text.substr(0, *size);
    Request request;
    if (const auto wrong = read_first_line(take_line(lines), request)) return fail(*wrong);
    if (const auto wrong = read_header_lines(lines, request)) return fail(*wrong);
    const auto body = body_size(request);
    if (!body) return fail(body.error());
    head_size_ = *size;
    body_size_ = *body;
    expects_ = request.minor_version == 1 && equal_ignoring_case(request.header("Expect"), "100-continue");
    head_ = std::move(request);
  }
  if (text.size() < head_size_ + body_size_) return std::nullopt;
  taken = head_size_ + body_size_;
  Request request = std::move(*head_);
  request.body = text.substr(head_size_, body_size_);
  *this = RequestReader();
  return request;
}

}  // namespace ferry::http
