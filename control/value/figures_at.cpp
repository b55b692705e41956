// SPDX-License-Identifier: Apache-2.0
#include "control/value/figures_at.hpp"

#include <algorithm>
#include <cstdlib>

namespace ferry {

namespace {

using Visit = std::function<void(double figure, std::string_view name)>;

std::string_view name_of(const Value& element) {
  const Dict* dict = element.dict();
  const Value* name = dict == nullptr ? nullptr : dict->find("name");
  return name == nullptr || name->string() == nullptr ? std::string_view() : *name->string();
}

void walk(const Value& value, std::string_view path, std::string_view name, const Visit& visit) {
  if (path.empty()) {
    if (const auto number = as_number(value)) visit(*number, name);
    return;
  }
  const std::size_t slash = std::min(path.find('/'), path.size());
  const std::string_view key = path.substr(0, slash);
  const std::string_view rest = path.substr(std::min(slash + 1, path.size()));
  if (key == "*") {
    const List* list = value.list();
    if (list == nullptr) return;
    for (const Value& each : *list) walk(each, rest, name_of(each), visit);
    return;
  }
  const Dict* dict = value.dict();
  const Value* member = dict == nullptr ? nullptr : dict->find(key);
  if (member != nullptr) walk(*member, rest, name, visit);
}

}  // namespace

std::optional<double> as_number(const Value& value) {
  if (const std::int64_t* integer = value.integer()) return static_cast<double>(*integer);
  const std::string* text = value.string();
  if (text == nullptr || text->empty()) return std::nullopt;
  char* end = nullptr;
  const double number = std::strtod(text->c_str(), &end);
  return *end == '\0' ? std::optional(number) : std::nullopt;
}

void each_figure(const Value& value, std::string_view path, const Visit& visit) {
  walk(value, path, {}, visit);
}

}  // namespace ferry
