// SPDX-License-Identifier: Apache-2.0
// Requests as they stand in a stream (RFC 9112).

#include "control/protocol/http/request_reader.hpp"

#include <gtest/gtest.h>

namespace ferry::test {
namespace {

using http::Request;
using http::RequestError;
using http::RequestReader;

Result<std::optional<Request>, RequestError> read(std::string_view text) {
  RequestReader reader;
  std::size_t taken = 0;
  return reader.read(text, taken);
}

TEST(RequestReader, Rfc9112_AWholeRequestInAnyPieces) {
  const std::string text =
      "POST /ng?x=1 HTTP/1.1\r\nHost: a\r\nCONTENT-length:  4 \r\nX-Empty:\r\nX-Tab:\ta\tb\t\r\n\r\nbody";
  const std::string next = "GET / HT";
  for (std::size_t piece = 1; piece <= text.size(); ++piece) {
    RequestReader reader;
    std::size_t taken = 0;
    for (std::size_t have = piece; have < text.size(); have += piece) {
      const auto early = reader.read(text.substr(0, have), taken);
      ASSERT_TRUE(early && !*early) << piece << " " << have;
    }
    const auto request = reader.read(text + next, taken);
    ASSERT_TRUE(request && *request) << piece;
    EXPECT_EQ(taken, text.size());
    EXPECT_EQ((*request)->method, "POST");
    EXPECT_EQ((*request)->target, "/ng?x=1");
    EXPECT_EQ((*request)->header("content-Length"), "4");
    EXPECT_EQ((*request)->header("x-tab"), "a\tb");
    EXPECT_TRUE((*request)->has_header("x-empty"));
    EXPECT_EQ((*request)->body, "body");
  }
}

TEST(RequestReader, Rfc9112_TableOfBadRequests) {
  using E = RequestError;
  const std::string big(RequestReader::kMaxHeader, 'a');
  std::string many = "GET / HTTP/1.1\r\n";
  for (std::size_t n = 0; n <= RequestReader::kMaxHeaders; ++n) many += "a: b\r\n";
  const struct {
    std::string text;
    E error;
  } rows[] = {
      {"\x16\x03\x01\r\n\r\n", E::kBadRequest},
      {"GET /\r\n\r\n", E::kBadRequest},
      {"GET / HTTP/2.0\r\n\r\n", E::kVersionNotSupported},
      {"GET / HTTP/1.10\r\n\r\n", E::kVersionNotSupported},
      {"GET / http/1.1\r\n\r\n", E::kBadRequest},
      {"GET /a b HTTP/1.1\r\n\r\n", E::kBadRequest},
      {"G(T / HTTP/1.1\r\n\r\n", E::kBadRequest},
      {" / HTTP/1.1\r\n\r\n", E::kBadRequest},
      {std::string("GET /\0 HTTP/1.1\r\n\r\n", 20), E::kBadRequest},
      {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", E::kBadRequest},
      {"GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", E::kBadRequest},
      {"GET / HTTP/1.1\r\n: a\r\n\r\n", E::kBadRequest},
      {"GET / HTTP/1.1\r\nHost\r\n\r\n", E::kBadRequest},
      {std::string("GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n", 29), E::kBadRequest},
      {"GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", E::kBadRequest},
      {"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", E::kBadRequest},
      {"POST / HTTP/1.1\r\nContent-Length: 1x\r\n\r\n", E::kBadRequest},
      {"POST / HTTP/1.1\r\nContent-Length: \r\n\r\n", E::kBadRequest},
      {"POST / HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\n", E::kBadRequest},
      {"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", E::kBadRequest},
      {"POST / HTTP/1.1\r\nContent-Length: 262145\r\n\r\n", E::kBodyTooLarge},
      {"POST / HTTP/1.1\r\nContent-Length: 18446744073709551616\r\n\r\n", E::kBodyTooLarge},
      {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", E::kLengthRequired},
      {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", E::kBadRequest},
      {"GET /" + big, E::kHeaderTooLarge},
      {"GET / HTTP/1.1\r\nX: " + big + "\r\n\r\n", E::kHeaderTooLarge},
      {many + "\r\n", E::kHeaderTooLarge},
  };
  for (const auto& row : rows) {
    const auto request = read(row.text);
    ASSERT_FALSE(request) << row.text.substr(0, 80);
    EXPECT_EQ(request.error(), row.error) << row.text.substr(0, 80) << ": " << to_string(request.error());
  }
}

TEST(RequestReader, Rfc9112_TargetsInAbsoluteForm) {
  const struct {
    const char* target;
    std::optional<std::string> authority;
    const char* path;
  } rows[] = {
      {"/ping", std::nullopt, "/ping"},
      {"*", std::nullopt, "*"},
      {"http://a.example/ping?x", "a.example", "/ping?x"},
      {"HTTPS://a.example:8/", "a.example:8", "/"},
      {"http://a.example", "a.example", "/"},
      {"http://a.example?q", "a.example", "/?q"},
      {"http:///ping", "", "/ping"},
      {"/http://a.example/", std::nullopt, "/http://a.example/"},
  };
  for (const auto& row : rows) {
    const auto request = read(std::string("GET ") + row.target + " HTTP/1.1\r\n\r\n");
    ASSERT_TRUE(request && *request) << row.target;
    EXPECT_EQ((*request)->authority, row.authority) << row.target;
    EXPECT_EQ((*request)->target, row.path) << row.target;
  }
}

TEST(RequestReader, Rfc9112_WhetherTheConnectionStaysOpen) {
  const struct {
    const char* version;
    const char* connection;
    bool stays;
  } rows[] = {{"1.1", "", true},
              {"1.1", "Connection: close\r\n", false},
              {"1.1", "Connection: TE , Close\r\n", false},
              {"1.1", "Connection: closed\r\n", true},
              {"1.1", "Connection: Close\r\n", false},
              {"1.0", "", false},
              {"1.0", "Connection: Keep-Alive\r\n", true}};
  for (const auto& row : rows) {
    const auto request = read(std::string("GET / HTTP/") + row.version + "\r\n" + row.connection + "\r\n");
    ASSERT_TRUE(request && *request);
    EXPECT_EQ((*request)->stays_open(), row.stays) << row.version << row.connection;
  }
}

// curl asks before it sends a body.
TEST(RequestReader, Rfc9110_LeaveToSendTheBodyIsGivenOnce) {
  RequestReader reader;
  std::size_t taken = 0;
  const std::string head = "POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
  EXPECT_FALSE(*reader.read(head, taken));
  EXPECT_TRUE(reader.take_expectation());
  EXPECT_FALSE(reader.take_expectation());
  EXPECT_TRUE(*reader.read(head + "ab", taken));
}

TEST(RequestReader, CTL4_TheLargestBodyPasses) {
  const std::string body(RequestReader::kMaxBody, 'x');
  const auto request = read("POST / HTTP/1.1\r\nContent-Length: 262144\r\n\r\n" + body);
  ASSERT_TRUE(request && *request);
  EXPECT_EQ((*request)->body.size(), body.size());
}

}  // namespace
}  // namespace ferry::test
