// SPDX-License-Identifier: Apache-2.0
#include "control/request/fault.hpp"

#include <fmt/format.h>

namespace ferry {

RequestError because(RequestFault fault, const RequestError& part) {
  RequestError made = part;
  made.fault = fault;
  made.cause = part.origin();
  return made;
}

std::string fill(std::string_view pattern, const RequestError& error) {
  return fmt::format(fmt::runtime(pattern), fmt::arg("name", error.name), fmt::arg("number", error.number),
                     fmt::arg("denial", row_of(error.denial).meaning));
}

std::string in_words(const RequestError& error) {
  const FaultRow& row = row_of(error.origin());
  return row.sentence.empty() ? std::string(row_of(row.reason).text) : fill(row.sentence, error);
}

}  // namespace ferry
