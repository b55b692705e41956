// SPDX-License-Identifier: Apache-2.0
// Reads each list member by member and stops at the first one that is wrong, because commands answer with the
// fault of that one.
//
// Trap: a value that is no list is a fault for some keys and types only, because clients send empty texts and
// zeros. Which ones are ignored differs from key to key.

#include "control/protocol/ng/request_lists.hpp"

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

namespace ferry::ng::words {

namespace {

/// The member `key` as text; null if there is none or it is no text.
const std::string* text_of(const Dict* dict, std::string_view key) {
  const Value* value = dict == nullptr ? nullptr : dict->find(key);
  return value == nullptr ? nullptr : value->string();
}

std::string text_or_empty(const Dict* dict, std::string_view key) {
  const std::string* text = text_of(dict, key);
  return text == nullptr ? std::string() : *text;
}

/// The member `key` as a list; an empty one if there is none or it is no list.
const List& list_of(const Dict& dict, std::string_view key) {
  static const List kNone;
  const Value* value = dict.find(key);
  return value == nullptr || value->list() == nullptr ? kNone : *value->list();
}

/// Reads all members by `read`, which adds one to the list or returns what is wrong with it.
template <class Member, class Read>
WishList<Member> read_all(const List& list, Read read) {
  WishList<Member> wishes;
  for (const Value& each : list) {
    wishes.fault = read(each, wishes.members);
    if (wishes.fault) break;
  }
  return wishes;
}

using Fault = std::optional<RequestFault>;

Fault read_call(const Value& value, std::vector<std::string>& calls) {
  if (value.string() == nullptr) return RequestFault::kUnknownCall;
  calls.push_back(*value.string());
  return std::nullopt;
}

Fault read_flows(const Value& value, std::vector<WishedFlows>& flows) {
  const Dict* dict = value.dict();
  if (dict == nullptr) return RequestFault::kWrongType;
  WishedFlows row{text_or_empty(dict, "from"), {}};
  if (row.from.empty()) return RequestFault::kNoMemberTag;
  Fault fault;
  for (const Value& tag : list_of(*dict, "to")) {
    if (tag.string() == nullptr) {
      // Nobody has such a tag. The row stays, because a tag before this one may be unknown as well.
      fault = RequestFault::kUnknownToTag;
      break;
    }
    row.to.push_back(*tag.string());
  }
  flows.push_back(std::move(row));
  return fault;
}

Fault read_section(const Value& value, std::vector<WishedSection>& sections) {
  const Dict* dict = value.dict();
  const std::string* type = text_of(dict, "type");
  if (type == nullptr) return RequestFault::kWrongContent;
  WishedSection& section = sections.emplace_back(WishedSection{*type, {}});
  for (const Value& codec : list_of(*dict, "codecs")) {
    if (codec.string() != nullptr) section.codecs.push_back(*codec.string());
  }
  return std::nullopt;
}

/// Reads one side of a pair of codecs. Nothing if it names no codec or no payload type.
std::optional<WishedCodec> read_codec(const Value& pair, std::string_view side) {
  const Value* value = pair.dict() == nullptr ? nullptr : pair.dict()->find(side);
  const Dict* dict = value == nullptr ? nullptr : value->dict();
  if (dict == nullptr) return std::nullopt;
  const auto number = [&](std::string_view key) {
    const Value* found = dict->find(key);
    return found == nullptr ? std::nullopt : found->as_integer(true);
  };
  const auto type = number("payload type");
  WishedCodec codec;
  codec.format.encoding = text_or_empty(dict, "codec");
  codec.format.parameters = text_or_empty(dict, "format");
  if (codec.format.encoding.empty() || !type || *type < 0 || *type > 127) return std::nullopt;
  codec.type = PayloadType{static_cast<std::uint8_t>(*type)};
  const std::int64_t rate = number("clock rate").value_or(8000);
  const std::int64_t channels = number("channels").value_or(1);
  if (rate < 1 || rate > 1'000'000 || channels < 1 || channels > 255) return std::nullopt;
  codec.format.clock_rate_hz = static_cast<std::uint32_t>(rate);
  codec.format.channels = static_cast<unsigned>(channels);
  return codec;
}

/// True if both sides of a pair are there and equal: such payloads go on as they are.
bool has_equal_sides(const Value& pair) {
  const Value* input = pair.dict() == nullptr ? nullptr : pair.dict()->find("input");
  const Value* output = pair.dict() == nullptr ? nullptr : pair.dict()->find("output");
  return input != nullptr && output != nullptr && *input == *output;
}

Fault read_stream(const Value& value, std::vector<WishedStream>& streams) {
  const Dict* dict = value.dict();
  if (dict == nullptr) return RequestFault::kWrongContent;
  const Value* destination = dict->find("destination");
  const Dict* where = destination == nullptr ? nullptr : destination->dict();
  if (text_or_empty(where, "family").empty()) return RequestFault::kNoDestinationFamily;
  const auto address = IpAddress::parse(text_or_empty(where, "address"));
  const Value* port = where->find("port");
  const auto number = port == nullptr ? std::nullopt : port->as_integer(true);
  if (!address || !number || *number <= 0 || *number > 65535) return RequestFault::kUnreadableDestination;
  WishedStream stream{text_or_empty(dict, "id"),
                      text_or_empty(dict, "type"),
                      {*address, UdpPort{static_cast<std::uint16_t>(*number)}}};
  for (const Value& pair : list_of(*dict, "codec")) {
    const auto input = read_codec(pair, "input");
    const auto output = read_codec(pair, "output");
    if (input && output)
      stream.codecs.push_back({*input, *output});
    else if (!has_equal_sides(pair))
      return RequestFault::kTransformChangesCodec;
  }
  streams.push_back(std::move(stream));
  return std::nullopt;
}

}  // namespace

void calls_list(Request& request, const Value& value) {
  request.calls =
      value.list() == nullptr ? WishList<std::string>() : read_all<std::string>(*value.list(), read_call);
}

void flows_list(Request& request, const Value& value) {
  request.flows =
      value.list() == nullptr ? WishList<WishedFlows>() : read_all<WishedFlows>(*value.list(), read_flows);
}

void medias_list(Request& request, const Value& value) {
  request.sections = {};
  request.streams = {};
  if (value.list() != nullptr) {
    request.sections = read_all<WishedSection>(*value.list(), read_section);
    request.streams = read_all<WishedStream>(*value.list(), read_stream);
  } else if (value.string() != nullptr) {
    request.sections.fault = request.streams.fault = RequestFault::kWrongType;
  } else if (value.dict() != nullptr) {
    request.sections.fault = RequestFault::kWrongType;
  }
}

}  // namespace ferry::ng::words
