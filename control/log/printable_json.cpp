// SPDX-License-Identifier: Apache-2.0
#include "control/log/printable_json.hpp"

#include "relay/base/printable.hpp"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

namespace ferry {

using nlohmann::json;

namespace {

std::string only_if_no_utf8(const std::string& text) { return is_utf8(text) ? text : printable(text); }
std::string always(const std::string& text) { return printable(text); }

/// Calls itself for each level. The depth is bounded, because the relay made the document.
void change_texts(json& document, std::string (*change)(const std::string&)) {
  if (document.is_string()) {
    document = change(document.get_ref<const std::string&>());
  } else if (document.is_array()) {
    for (json& each : document) change_texts(each, change);
  } else if (document.is_object()) {
    json changed = json::object();
    for (auto& [name, value] : document.get_ref<json::object_t&>()) {
      change_texts(value, change);
      changed[change(name)] = std::move(value);
    }
    document = std::move(changed);
  }
}

}  // namespace

void make_printable(json& document) { change_texts(document, always); }

void make_utf8(json& document) { change_texts(document, only_if_no_utf8); }

std::string to_ascii(json document, int indent) {
  make_utf8(document);
  return document.dump(indent, ' ', true);
}

std::string to_ascii_string(std::string_view text) { return to_ascii(json(text)); }

}  // namespace ferry
