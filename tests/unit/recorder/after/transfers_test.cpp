// SPDX-License-Identifier: Apache-2.0
// What goes to servers, and what they may do to us (CTL-9, CTL-15).

#include "recorder/after/transfers.hpp"

#include "tests/support/http_server.hpp"
#include "tests/support/recordings.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ferry::test {
namespace {

using testing::HasSubstr;

class TransfersTest : public ::testing::Test {
 protected:
  TransfersTest() : folder_(*Folder::open(home_.path("rec"), {})) {
    std::ofstream(home_.path("rec/a b.pcap")) << "packets";
    settings_.upload.bucket = "calls";
    settings_.upload.access_key = "key";
    settings_.upload.secret_key = "secret";
    settings_.upload.prefix = "site 1/";
  }
  std::string store(const std::string& name) { return transfers_.store(*folder_, name, stop_.get_token()); }
  std::string notify() { return transfers_.notify("{\"id\": 1}", stop_.get_token()); }

  TemporaryFolder home_;
  std::shared_ptr<const Folder> folder_;
  RecorderSettings settings_;
  Transfers transfers_{settings_};
  std::stop_source stop_;
};

TEST_F(TransfersTest, ManifestsArePostedAndFilesAreStoredWithASignature) {
  HttpServer server([](std::size_t) { return 200; });
  settings_.notify_url = server.url() + "/x";
  settings_.upload.endpoint = server.url();
  EXPECT_EQ(notify(), "");
  EXPECT_EQ(store("a b.pcap"), "");
  const auto requests = server.requests();
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_THAT(requests[0].head, HasSubstr("POST /x HTTP/1.1"));
  EXPECT_THAT(requests[0].head, HasSubstr("application/json"));
  EXPECT_EQ(requests[0].body, "{\"id\": 1}");
  EXPECT_THAT(requests[1].head, HasSubstr("PUT /calls/site%201/a%20b.pcap HTTP/1.1"));
  EXPECT_THAT(requests[1].head, HasSubstr("Authorization: AWS4-HMAC-SHA256 Credential=key/"));
  EXPECT_THAT(requests[1].head, testing::Not(HasSubstr("secret")));
  EXPECT_EQ(requests[1].body, "packets");
}

TEST_F(TransfersTest, CTL9_OnlySuccessCountsAndARedirectIsNotFollowed) {
  for (const int status : {199 + 102, 302, 307, 400, 403, 500, 503}) {
    HttpServer server([&](std::size_t) { return status; });
    settings_.notify_url = settings_.upload.endpoint = server.url();
    EXPECT_EQ(notify(), fmt::format("HTTP status {}", status));
    EXPECT_EQ(store("a b.pcap"), fmt::format("HTTP status {}", status));
    EXPECT_EQ(server.requests().size(), 2u);
  }
}

TEST_F(TransfersTest, CTL9_OtherSchemesAreRefused) {
  std::ofstream(home_.path("secret")) << "x";
  for (const std::string& url : {"file://" + home_.path("secret"), std::string("ftp://127.0.0.1/x")}) {
    settings_.notify_url = settings_.upload.endpoint = url;
    EXPECT_NE(notify(), "") << url;
    EXPECT_NE(store("a b.pcap"), "") << url;
  }
}

TEST_F(TransfersTest, WhatIsGoneOrALinkIsNotStored) {
  HttpServer server([](std::size_t) { return 200; });
  settings_.upload.endpoint = server.url();
  EXPECT_THAT(store("gone"), HasSubstr("No such file"));
  std::ofstream(home_.path("secret")) << "x";
  std::filesystem::create_symlink(home_.path("secret"), home_.path("rec/link"));
  EXPECT_THAT(store("link"), HasSubstr("cannot read"));
  EXPECT_TRUE(server.requests().empty());
}

TEST_F(TransfersTest, CTL15_AServerThatNeverAnswersIsLeftWhenTheRelayStops) {
  HttpServer server([](std::size_t) { return 0; });
  settings_.notify_url = settings_.upload.endpoint = server.url();
  std::jthread stopper([&] {
    server.wait_for(2);
    stop_.request_stop();
  });
  std::string second;
  std::jthread uploader([&] { second = store("a b.pcap"); });
  EXPECT_THAT(notify(), HasSubstr("aborted"));
  uploader.join();
  EXPECT_THAT(second, HasSubstr("aborted"));
}

}  // namespace
}  // namespace ferry::test
