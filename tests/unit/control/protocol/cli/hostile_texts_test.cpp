// SPDX-License-Identifier: Apache-2.0
// Hostile texts of the network and what every command says of them (CTL-14): for people in printable form,
// for machines with their value, and either form is taken back.

#include "control/protocol/cli/cli_service.hpp"
#include "control/protocol/cli/command_table.hpp"
#include "control/protocol/ng/bencode.hpp"
#include "control/protocol/ng/text_command.hpp"
#include "control/protocol/pages/metrics.hpp"
#include "control/protocol/pages/pages.hpp"
#include "relay/base/printable.hpp"
#include "tests/support/world.hpp"

#include <algorithm>
#include <functional>
#include <string>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace ferry::test {
namespace {

using namespace std::string_literals;
using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

/// A text as an attacker sends it and as people are to see it.
struct Hostile {
  std::string text;
  std::string shown;
};
const Hostile kHostile[] = {
    {"a\x1b[2Jb", "a\\x1b[2Jb"},
    {"a\x1b]0;owned\x07", "a\\x1b]0;owned\\x07"},
    {"a\r\ncallid: forged", "a\\x0d\\x0acallid: forged"},
    {"a\x7f\x08", "a\\x7f\\x08"},
    {"a\xc2\x9b[31m", "a\\xc2\\x9b[31m"},
    {"a\x9b"
     "31m\xff",
     "a\\x9b31m\\xff"},
    {"a\xe2\x80\xae"
     "b",
     "a\\xe2\\x80\\xaeb"},
    {"a\xd8\x9c\xe2\x81\xa7", "a\\xd8\\x9c\\xe2\\x81\\xa7"},
    {"a\\x1b", "a\\x5cx1b"},
    {"a\\", "a\\x5c"},
};

bool is_safe(std::string_view text) {
  // The forms are there instead of what they stand for: nothing is left to escape but their own backslashes.
  return is_utf8(text) && printable(from_printable(text)) == text;
}

/// Calls `look` with every text in a document, names of members included.
void each_text(const json& document, const std::function<void(const std::string&)>& look) {
  if (document.is_string()) look(document);
  if (document.is_array()) {
    for (const json& each : document) each_text(each, look);
  }
  if (document.is_object()) {
    for (const auto& [name, value] : document.items()) {
      look(name);
      each_text(value, look);
    }
  }
}

class HostileTexts : public ::testing::TestWithParam<Hostile> {
 protected:
  HostileTexts() {
    cli_ = std::make_unique<cli::CliService>(world_->manager(), world_->service(),
                                             [this] { return world_->clock(); });
    metrics_ = std::make_unique<metrics::Metrics>(world_->manager(), world_->service(),
                                                  [this] { return world_->clock(); });
    pages_ = std::make_unique<pages::Pages>(*cli_, *metrics_, world_->manager());
    cli::DaemonAccess access;
    access.engines = [this] { return json{{"engine", text_}}; };
    access.facts = [this] { return json{{"unknown_interfaces", {{{"name", text_}}}}}; };
    access.drain = [](bool) {};
    cli_->set_daemon(access);
  }

  /// Everything that a call may bring along is the hostile text.
  void begin_call(const std::string& call_id) {
    const auto line = [&] {
      std::string safe = text_;
      std::erase_if(safe, [](char c) { return c == '\r' || c == '\n' || c == ' ' || c == '\0'; });
      return safe;
    }();
    Dict request;
    request.set("command", "offer");
    request.set("call-id", call_id);
    request.set("from-tag", "A" + text_);
    request.set("label", text_);
    request.set("via-branch", text_);
    request.set("interface", text_);
    request.set(text_, text_);
    request.set("metadata", text_);
    request.set("sdp",
                fmt::format("v=0\r\no=- 1 1 IN IP4 192.0.2.10\r\ns={0}\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n"
                            "m=audio 4000 RTP/AVP 0 96\r\na=rtpmap:96 {0}/8000\r\nm=x{0} 4002 {0} 0\r\n",
                            line));
    const std::string reply =
        world_->service().handle_document(ng::encode_bencode(Value(request)), IpAddress::v4({127, 0, 0, 1}));
    ASSERT_THAT(reply, HasSubstr("6:result2:ok"));
  }
  json ask(json request, bool for_people = true) {
    if (for_people) request["printable"] = true;
    return cli_->execute(request, "test");
  }
  std::string text_command(const std::string& line) {
    return ng::run_text_command(line, world_->manager(), world_->service(), world_->clock());
  }
  bool is_there() const { return world_->manager().find(text_) != nullptr; }

  std::string text_ = GetParam().text;
  std::string shown_ = GetParam().shown;
  std::unique_ptr<World> world_ = make_sim_world();
  std::unique_ptr<cli::CliService> cli_;
  std::unique_ptr<metrics::Metrics> metrics_;
  std::unique_ptr<pages::Pages> pages_;
};

TEST_P(HostileTexts, CTL14_EveryCommandGivesPeopleThePrintableForm) {
  begin_call(text_);
  for (const cli::CommandRow& row : cli::kCommandRows) {
    for (const json& more :
         {json::object(), json{{"call_id", shown_}, {"what", shown_}, {"holders", true}, {"packets", true}},
          json{{"call_id", shown_}, {"name", text_}, {"value", text_}, {"sort", text_}},
          json{{"call_id", "none" + shown_}, {"what", text_}, {"action", text_}}}) {
      json request = more;
      request["command"] = row.name;
      if (row.name == "terminate" && request.value("call_id", "") == shown_) continue;
      each_text(ask(request),
                [&](const std::string& text) { EXPECT_TRUE(is_safe(text)) << row.name << ": " << text; });
    }
  }
  EXPECT_EQ(ask({{"command", "list"}})["calls"][0]["call_id"], shown_);
  EXPECT_EQ(ask({{"command", "top"}})["calls"][0]["tags"][0], "A" + shown_);
  EXPECT_EQ(ask({{"command", "show"}, {"call_id", shown_}})["legs"][0]["label"], shown_);
  EXPECT_EQ(ask({{"command", "ports"}, {"holders", true}})["holders"][0]["call_id"], shown_);
  EXPECT_EQ(ask({{"command", "explain"}, {"call_id", shown_}})["call_id"], shown_);
  // Keys lose their case and their blanks before anybody looks at them.
  std::string key = text_;
  std::ranges::transform(key, key.begin(), [](char c) {
    return c == ' ' ? '-' : c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  });
  const json unknown = ask({{"command", "unknown-flags"}})["unknown"];
  EXPECT_TRUE(std::ranges::any_of(unknown, [&](const json& each) {
    return each["word"] == "key " + printable(key);
  })) << unknown.dump(1);
}

TEST_P(HostileTexts, CTL14_CommandsTakeTheirFormBack) {
  for (const char* command : {"show", "explain", "record", "log", "where"}) {
    if (!is_there()) begin_call(text_);
    const json reply = ask({{"command", command},
                            {"call_id", shown_},
                            {"what", shown_},
                            {"action", "start"},
                            {"from", "192.0.2.10:4000"},
                            {"to", 30000}});
    EXPECT_THAT(reply.dump(-1, ' ', true), Not(HasSubstr("no such call"))) << command;
    EXPECT_THAT(reply.dump(-1, ' ', true), Not(HasSubstr("neither"))) << command;
  }
  EXPECT_EQ(ask({{"command", "list"}, {"match", shown_}})["found"], 1);
  EXPECT_EQ(ask({{"command", "list"}, {"match", shown_ + "x"}})["found"], 0);
  EXPECT_EQ(ask({{"command", "terminate"}, {"call_id", shown_}}).value("terminated", 0), 1);
  EXPECT_EQ(world_->manager().find(text_) == nullptr || world_->manager().find(text_)->delete_at.has_value(),
            true);
}

TEST_P(HostileTexts, CTL14_MachinesKeepTheValueAndMayHandEitherFormBack) {
  begin_call(text_);
  const json call = ask({{"command", "list"}}, false)["calls"][0];
  const std::string value = is_utf8(text_) ? text_ : shown_;  // JSON holds no other octets
  EXPECT_EQ(call["call_id"], value);
  EXPECT_EQ(ask({{"command", "show"}, {"call_id", value}}, false)["call_id"], value);
  EXPECT_EQ(ask({{"command", "show"}, {"call_id", shown_}}, false)["call_id"], value);
  const auto page = pages_->get("/api/v1/calls");
  ASSERT_TRUE(page);
  EXPECT_EQ(json::parse(page->body)["calls"][0]["call_id"], value);
}

TEST_P(HostileTexts, CTL14_TextCommandsShowAndTakeTheForm) {
  begin_call(text_);
  EXPECT_EQ(text_command("list sessions all"), "callid: " + shown_ + "\n");
  for (const std::string& line :
       {"list sessions " + shown_, "call info " + shown_, "get " + text_, "set " + text_ + " " + text_, text_,
        "call info none" + text_, "call terminate none" + text_, "params " + text_, "params"s,
        "list interfaces"s, "help"s}) {
    std::string reply = text_command(line);
    ASSERT_TRUE(reply.ends_with('\n'));
    std::replace(reply.begin(), reply.end(), '\n', ' ');
    EXPECT_TRUE(is_safe(reply)) << line << ": " << reply;
  }
  EXPECT_THAT(text_command("call info " + shown_),
              testing::AllOf(HasSubstr("callid: " + shown_ + "\n"), HasSubstr("--- Tag 'A" + shown_ + "'"),
                             HasSubstr("label '" + shown_ + "'")));
  EXPECT_EQ(text_command("call terminate " + shown_), "Call " + shown_ + " terminated\n");
}

// Two calls of which one is named like the other one's form: each form names its own call.
TEST_P(HostileTexts, CTL14_AFormNamesTheCallItStandsFor) {
  begin_call(text_);
  begin_call(shown_);
  EXPECT_EQ(ask({{"command", "show"}, {"call_id", shown_}})["call_id"], shown_);
  EXPECT_EQ(ask({{"command", "show"}, {"call_id", printable(shown_)}})["call_id"], printable(shown_));
  ask({{"command", "terminate"}, {"call_id", shown_}});
  const auto* other = world_->manager().find(shown_);
  ASSERT_NE(other, nullptr);
  EXPECT_FALSE(other->delete_at.has_value()) << "the other call lives";
}

INSTANTIATE_TEST_SUITE_P(Texts, HostileTexts, testing::ValuesIn(kHostile),
                         [](const auto& row) { return std::to_string(row.index); });

}  // namespace
}  // namespace ferry::test
