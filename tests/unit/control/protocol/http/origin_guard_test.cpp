// SPDX-License-Identifier: Apache-2.0
// Requests of the relay's own page, and those of other pages.

#include "control/protocol/http/origin_guard.hpp"

#include <gtest/gtest.h>

namespace ferry::http::origin_guard_test {
namespace {

Requester requester(const std::vector<std::pair<std::string, std::string>>& headers, bool has_tls = false) {
  Request request;
  request.method = "GET";
  request.target = "/events";
  request.headers = headers;
  return requester_of(request, has_tls);
}

TEST(OriginGuard, CTL13_SchemeHostAndPortOfThePageMustBeThoseOfTheListener) {
  const struct {
    const char* host;
    const char* origin;
    bool has_tls;
    Requester requester;
  } rows[] = {
      {"localhost:2225", "http://localhost:2225", false, Requester::kOwn},
      {"localhost:2225", "http://LOCALHOST:2225", false, Requester::kOwn},
      {"localhost:2225", "http://localhost:3000", false, Requester::kForeignOrigin},
      {"localhost:2225", "http://localhost", false, Requester::kForeignOrigin},
      {"localhost:2225", "https://localhost:2225", false, Requester::kForeignOrigin},
      {"localhost:2225", "https://localhost:2225", true, Requester::kOwn},
      {"localhost:2225", "http://localhost:2225", true, Requester::kForeignOrigin},
      {"relay.example", "http://relay.example", false, Requester::kOwn},
      {"relay.example", "http://relay.example:80", false, Requester::kOwn},
      {"relay.example:80", "http://relay.example", false, Requester::kOwn},
      {"relay.example.", "http://relay.example:", false, Requester::kOwn},
      {"relay.example", "https://relay.example:443", true, Requester::kOwn},
      {"relay.example", "https://relay.example:80", true, Requester::kForeignOrigin},
      {"[::1]:2225", "http://[::1]:2225", false, Requester::kOwn},
      {"[::1]", "http://[::1]", false, Requester::kOwn},
      {"[::1]:2225", "http://[::1]:2226", false, Requester::kForeignOrigin},
      {"localhost:2225", "http://evil.example:2225", false, Requester::kForeignOrigin},
      {"localhost", "http://localhost.evil.example", false, Requester::kForeignOrigin},
      {"localhost", "localhost", false, Requester::kForeignOrigin},
      {"localhost", "null", false, Requester::kForeignOrigin},
      {"null", "null", false, Requester::kForeignOrigin},
      {"localhost", "", false, Requester::kForeignOrigin},
  };
  for (const auto& row : rows)
    EXPECT_EQ(requester({{"Host", row.host}, {"Origin", row.origin}}, row.has_tls), row.requester)
        << row.origin << " asks " << row.host;
}

TEST(OriginGuard, CTL13_AProxyThatEndsTlsSaysHowThePageWasLoaded) {
  const auto by_proxy = [](const char* origin, const char* scheme) {
    return requester({{"Host", "relay.example"}, {"Origin", origin}, {"X-Forwarded-Proto", scheme}});
  };
  EXPECT_EQ(by_proxy("https://relay.example", "https"), Requester::kOwn);
  EXPECT_EQ(by_proxy("https://relay.example:8443", "https"), Requester::kForeignOrigin);
  EXPECT_EQ(by_proxy("http://relay.example", "https"), Requester::kForeignOrigin);
  EXPECT_EQ(by_proxy("https://relay.example", "http"), Requester::kForeignOrigin);
}

TEST(OriginGuard, CTL13_ABrowserThatNamesNoOriginSaysWhetherThePageIsOwn) {
  const struct {
    const char* site;
    Requester requester;
  } rows[] = {{"same-origin", Requester::kOwn},
              {"none", Requester::kOwn},
              {"", Requester::kOwn},
              {"cross-site", Requester::kForeignPage},
              {"same-site", Requester::kForeignPage},
              {"CROSS-SITE", Requester::kForeignPage},
              {"anything", Requester::kForeignPage}};
  for (const auto& row : rows)
    EXPECT_EQ(requester({{"Host", "localhost:2225"}, {"Sec-Fetch-Site", row.site}}), row.requester)
        << row.site;
  EXPECT_EQ(requester({{"Host", "localhost:2225"}}), Requester::kOwn) << "a program";
  EXPECT_EQ(requester({{"Host", "localhost:2225"},
                       {"Origin", "http://localhost:2225"},
                       {"Sec-Fetch-Site", "cross-site"}}),
            Requester::kOwn)
      << "Origin counts more";
}

}  // namespace
}  // namespace ferry::http::origin_guard_test
