// SPDX-License-Identifier: Apache-2.0
// The files of the web page that are linked in.
#include "control/protocol/pages/web_files.hpp"

#include <fstream>
#include <iterator>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ferry::test {
namespace {

using pages::web_file;
using testing::HasSubstr;
using testing::Not;

std::string file(const std::string& name) {
  std::ifstream in(std::string(FERRY_SOURCE_DIR "/web/dist/") + name, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(WebFiles, AreThoseOfTheFolderOctetForOctet) {
  for (const auto& [path, name, type] :
       {std::tuple("/", "index.html", "text/html; charset=utf-8"),
        std::tuple("/web/app.js", "app.js", "text/javascript; charset=utf-8"),
        std::tuple("/web/app.css", "app.css", "text/css; charset=utf-8"),
        std::tuple("/web/icon.svg", "icon.svg", "image/svg+xml")}) {
    const auto reply = web_file(path, false);
    ASSERT_TRUE(reply.has_value()) << path;
    EXPECT_EQ(reply->status, 200);
    EXPECT_EQ(reply->type, type);
    EXPECT_FALSE(reply->body.empty());
    EXPECT_TRUE(reply->body == file(name)) << path;
  }
}

TEST(WebFiles, NothingElseIsThere) {
  for (const char* path :
       {"", "/web", "/web/", "/index.html", "/web/../web/app.js", "/web/app.js/", "/WEB/app.js"})
    EXPECT_FALSE(web_file(path, false).has_value()) << path;
}

TEST(WebFiles, CTL14_TheBrowserTakesNoTextForMarkupAndAsksNobodyElse) {
  const std::string headers(web_file("/", false)->headers);
  EXPECT_THAT(headers, HasSubstr("Content-Security-Policy: default-src 'none'; script-src 'self'; "));
  EXPECT_THAT(headers,
              HasSubstr("connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "));
  EXPECT_THAT(headers, HasSubstr("require-trusted-types-for 'script'"));
  EXPECT_THAT(headers, Not(HasSubstr("unsafe")));
  EXPECT_THAT(headers, HasSubstr("X-Content-Type-Options: nosniff\r\n"));
  EXPECT_TRUE(headers.ends_with("\r\n"));
}

TEST(WebFiles, CTL8_ThePageLearnsThatATokenIsAskedFor) {
  EXPECT_THAT(std::string(web_file("/", true)->headers), HasSubstr("WWW-Authenticate: Bearer\r\n"));
  EXPECT_THAT(std::string(web_file("/", false)->headers), Not(HasSubstr("WWW-Authenticate")));
}

TEST(WebFiles, NameNoOtherHost) {
  for (const char* path : {"/", "/web/app.js", "/web/app.css"}) {
    const std::string body = web_file(path, false)->body;
    std::size_t at = 0;
    while ((at = body.find("http", at)) != std::string::npos) {
      const std::string_view here = std::string_view(body).substr(at, 40);
      if (here.starts_with("http://") || here.starts_with("https://")) {
        EXPECT_TRUE(here.starts_with("http://www.w3.org/")) << path << ": " << here;
      }
      at += 4;
    }
  }
}

}  // namespace
}  // namespace ferry::test
