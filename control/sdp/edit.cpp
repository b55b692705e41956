// SPDX-License-Identifier: Apache-2.0
#include "control/sdp/edit.hpp"

#include "control/sdp/sdp.hpp"

#include <algorithm>
#include <array>
#include <optional>

namespace ferry::sdp {

namespace {

bool is_clean(std::string_view text) {
  return std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20; });
}

bool matches(std::string_view pattern, std::string_view attribute) {
  if (pattern == attribute) return true;
  if (pattern == attribute.substr(0, attribute.find(':'))) return true;
  return attribute.find(':') != std::string_view::npos && pattern == attribute.substr(0, attribute.find(' '));
}

void add_all(const AttributeEdits& edits, std::string_view section, std::string& out) {
  for (const AttributeEdit& edit : edits) {
    if (edit.section != section || !is_clean(edit.text) || edit.text.empty()) continue;
    if (edit.kind == AttributeEdit::Kind::kAdd) out.append("a=").append(edit.text).append("\r\n");
    if (edit.kind == AttributeEdit::Kind::kAddLine) out.append(edit.text).append("\r\n");
  }
}

/// A section has one direction, so a direction that is added replaces the section's own.
bool is_displaced(const AttributeEdits& edits, std::string_view section, std::string_view attribute) {
  return is_direction(attribute) && std::ranges::any_of(edits, [&](const AttributeEdit& edit) {
           return edit.kind == AttributeEdit::Kind::kAdd && edit.section == section &&
                  is_direction(edit.text);
         });
}

/// Returns an attribute after removals and substitutions; nothing if it is removed.
std::optional<std::string> edited(const AttributeEdits& edits, std::string_view section,
                                  std::string_view attribute) {
  if (is_displaced(edits, section, attribute)) return std::nullopt;
  std::string text(attribute);
  for (const AttributeEdit& edit : edits) {
    if (edit.section != section || !matches(edit.text, text)) continue;
    if (edit.kind == AttributeEdit::Kind::kRemove) return std::nullopt;
    if (edit.kind == AttributeEdit::Kind::kSubstitute && is_clean(edit.replacement)) text = edit.replacement;
  }
  return text;
}

}  // namespace

bool is_known_media_type(std::string_view type) noexcept {
  static constexpr std::array<std::string_view, 6> kTypes = {"audio",   "video", "image",
                                                             "message", "text",  "application"};
  return std::ranges::find(kTypes, type) != kTypes.end();
}

std::string apply(const AttributeEdits& edits, std::string_view body) {
  std::string out;
  out.reserve(body.size() + 256);
  std::string_view section;
  while (!body.empty()) {
    const auto end = std::min(body.find("\r\n"), body.size());
    const std::string_view line = body.substr(0, end);
    body.remove_prefix(std::min(end + 2, body.size()));
    if (line.starts_with("m=")) {
      add_all(edits, section, out);
      section = line.substr(2, line.find(' ') - 2);
    }
    if (!line.starts_with("a=")) {
      out.append(line).append("\r\n");
      continue;
    }
    if (const auto text = edited(edits, section, line.substr(2)))
      out.append("a=").append(*text).append("\r\n");
  }
  add_all(edits, section, out);
  return out;
}

}  // namespace ferry::sdp
