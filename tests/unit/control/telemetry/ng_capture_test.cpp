// SPDX-License-Identifier: Apache-2.0
// What is shown of NG messages.

#include "control/telemetry/ng_capture.hpp"

#include <gtest/gtest.h>

namespace ferry::telemetry {
namespace {

TEST(NgCapture, SRT15_KeysAndPasswordsAreLeftOutWhereverTheyStand) {
  const std::string sdp =
      "v=0\r\na=ice-pwd:password\r\nm=audio 9 RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 "
      "inline:key\r\n";
  Dict nested;
  nested.set("body", sdp);
  List list;
  list.emplace_back(sdp);
  Dict message;
  message.set("command", "offer");
  message.set("call-id", "a@b");
  message.set("sdp", sdp);
  message.set("more", std::move(nested));
  message.set("list", std::move(list));
  message.set("blob", "RIFF");
  message.set("port", 5);
  const Dict shown = without_secrets(message);
  const std::string safe = "v=0\r\na=ice-pwd:(left out)\r\nm=audio 9 RTP/SAVP 0\r\na=crypto:(left out)\r\n";
  EXPECT_EQ(*shown.find("sdp"), Value(safe));
  EXPECT_EQ(*shown.find("more")->dict()->find("body"), Value(safe));
  EXPECT_EQ(shown.find("list")->list()->front(), Value(safe));
  EXPECT_EQ(*shown.find("blob"), Value("(left out)"));
  EXPECT_EQ(*shown.find("call-id"), Value("a@b"));
  EXPECT_EQ(*shown.find("port"), Value(5));
}

}  // namespace
}  // namespace ferry::telemetry
