// SPDX-License-Identifier: Apache-2.0
// SRT-15: no key and no password of an SDP is shown, however a device writes the line.
#include "control/sdp/secrets.hpp"

#include "control/sdp/sdp.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace ferry::sdp {
namespace {

TEST(Secrets, SRT15_LinesWithSecretsAreCutOffBehindTheirNames) {
  struct Row {
    const char* line;
    const char* shown;
  };
  const Row rows[] = {
      {"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:SECRET\r\n", "a=crypto:(left out)\r\n"},
      {"a=CRYPTO:1 X inline:SECRET\r\n", "a=crypto:(left out)\r\n"},
      {" a=crypto :1 X inline:SECRET\r\n", "a=crypto:(left out)\r\n"},
      {"a= crypto:1 X inline:SECRET\r\n", "a=crypto:(left out)\r\n"},
      {"a=crypto\r\n", "a=crypto:(left out)\r\n"},
      {"a=ice-pwd:SECRET\n", "a=ice-pwd:(left out)\r\n"},
      {"a=Ice-Pwd: SECRET\r", "a=ice-pwd:(left out)\r\n"},
      {"k=base64:SECRET\r\r\n", "k=(left out)\r\n"},
      {"\tk=SECRET", "k=(left out)\r\n"},
      {"a=ice-ufrag:abcd\r\n", "a=ice-ufrag:abcd\r\n"},
      {"a=cryptography:1\r\n", "a=cryptography:1\r\n"},
      {"a=X crypto:1\n", "a=X crypto:1\n"},
      {"m=audio 1 RTP/SAVP 8\r", "m=audio 1 RTP/SAVP 8\r"},
      {"\r\n", "\r\n"},
      {"", ""},
  };
  for (const Row& row : rows) EXPECT_EQ(without_secrets(row.line), row.shown) << row.line;
}

TEST(Secrets, SRT15_OtherLinesStayOctetForOctet) {
  const std::string body = "v=0\r\ns=-\na=x\r\r\nm=audio 1 RTP/AVP 8\r\ra=crypto:1 SECRET\nlast";
  EXPECT_EQ(without_secrets(body), "v=0\r\ns=-\na=x\r\r\nm=audio 1 RTP/AVP 8\r\ra=crypto:(left out)\r\nlast");
}

/// What the parser takes as a secret is not in the text that is shown, whatever stands around it.
TEST(Secrets, SRT15_WhatTheParserReadsAsASecretIsNotShown) {
  EXPECT_TRUE(rc::check([] {
    const auto blanks = [] { return *rc::gen::element<std::string>("", "", " ", "\t", "  "); };
    const auto line_end = [] { return *rc::gen::element<std::string>("\r\n", "\n", "\r", "\r\r\n"); };
    std::string body = "v=0\r\nm=audio 1 RTP/SAVP 8\r\n";
    const auto count = *rc::gen::inRange(1, 6);
    for (int i = 0; i < count; ++i) {
      body += blanks() + *rc::gen::element<std::string>("a=", "a =", "A=", "k=", "a=x", "a=a=") + blanks() +
              *rc::gen::element<std::string>("crypto", "Crypto", "ice-pwd", "ICE-PWD", "icepwd",
                                             "crypto:crypto") +
              blanks() + *rc::gen::element<std::string>(":", "", "::", " :") + blanks() + "SECRET" +
              blanks() + line_end();
    }
    const auto session = parse(body);
    RC_PRE(static_cast<bool>(session));
    bool has_secret = false;
    for (const MediaSection& media : session->media) {
      has_secret = has_secret || media.ice_password.find("SECRET") != std::string_view::npos;
      for (const Attribute& each : media.attributes)
        has_secret =
            has_secret || (each.name == "crypto" && each.value.find("SECRET") != std::string_view::npos);
    }
    RC_CLASSIFY(has_secret);
    const std::string shown = without_secrets(body);
    const auto again = parse(shown);
    RC_ASSERT(static_cast<bool>(again));
    for (const MediaSection& media : again->media) {
      RC_ASSERT(media.ice_password.find("SECRET") == std::string_view::npos);
      for (const Attribute& each : media.attributes)
        RC_ASSERT(each.name != "crypto" || each.value.find("SECRET") == std::string_view::npos);
    }
  }));
}

}  // namespace
}  // namespace ferry::sdp
