// SPDX-License-Identifier: Apache-2.0
#include "control/protocol/pages/web_files.hpp"

#include "web_data.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace ferry::pages {

namespace {

// What every file is sent with. Trusted Types let the browser refuse a script that makes markup of a text.
#define FERRY_WEB_HEADERS                                                                              \
  "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " \
  "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "                  \
  "require-trusted-types-for 'script'; trusted-types 'none'\r\n"                                       \
  "X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\nX-Frame-Options: DENY\r\n"       \
  "Cross-Origin-Opener-Policy: same-origin\r\nCross-Origin-Resource-Policy: same-origin\r\n"           \
  "Cache-Control: no-cache\r\n"
constexpr std::string_view kHeaders = FERRY_WEB_HEADERS;
constexpr std::string_view kHeadersWithToken = FERRY_WEB_HEADERS "WWW-Authenticate: Bearer\r\n";
#undef FERRY_WEB_HEADERS

struct FileRow {
  std::string_view path;
  std::string_view type;
  std::string_view content;
};
constexpr std::array<FileRow, 4> kFiles = {{
    {"/", "text/html; charset=utf-8", web_data::index_html},
    {"/web/app.js", "text/javascript; charset=utf-8", web_data::app_js},
    {"/web/app.css", "text/css; charset=utf-8", web_data::app_css},
    {"/web/icon.svg", "image/svg+xml", web_data::icon_svg},
}};

}  // namespace

std::optional<http::Reply> web_file(std::string_view path, bool asks_for_token) {
  const auto* const file = std::ranges::find(kFiles, path, &FileRow::path);
  if (file == kFiles.end()) return std::nullopt;
  return http::Reply{200, "OK", std::string(file->type), std::string(file->content),
                     asks_for_token ? kHeadersWithToken : kHeaders};
}

}  // namespace ferry::pages
