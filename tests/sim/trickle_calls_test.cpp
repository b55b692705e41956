// SPDX-License-Identifier: Apache-2.0
// Candidates that come after the SDP, before it, or for a group: trickle ICE (RFC 8838, RFC 8840).
#include "tests/support/ice_phone.hpp"

#include <string>

#include <fmt/format.h>

namespace ferry::test {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

/// A is plain. B has ICE, shows no candidate in its SDP, and waits to be found.
class TrickleCalls : public ::testing::Test {
 protected:
  TrickleCalls() : world_(make_sim_world({})), b_(*world_, at('B'), "bob", false) { world_->open(at('A')); }
  [[nodiscard]] Endpoint at(char who) const { return {world_->peer_address(1, who), UdpPort{4000}}; }
  void offer_to_b() {
    json request = offer("c", "A", audio_sdp(at('A')));
    request.update({{"ICE", "force"}, {"rtcp-mux", {"require"}}, {"flags", {"trickle-ICE"}}});
    const json reply = world_->ng(request);
    ASSERT_EQ(reply["result"], "ok") << reply;
    b_.hears(reply);
  }
  void answer_of_b() {
    const json reply = world_->ng(answer("c", "A", "B", b_.sdp("a=ice-options:trickle\r\n", false)));
    ASSERT_EQ(reply["result"], "ok") << reply;
  }
  /// B's own offer, and the answer of the plain party.
  void offer_of_b() {
    json request = offer("c", "B", b_.sdp("a=ice-options:trickle\r\n", false));
    request.update({{"ICE", "remove"}, {"rtcp-mux", {"demux"}}});
    ASSERT_EQ(world_->ng(request)["result"], "ok");
    const json reply = world_->ng(answer("c", "B", "A", audio_sdp(at('A'))));
    ASSERT_EQ(reply["result"], "ok") << reply;
    b_.hears(reply);
  }
  [[nodiscard]] std::string credentials() const {
    return fmt::format("a=ice-ufrag:{}\r\na=ice-pwd:{}\r\n", b_.plan.own.ufrag, b_.plan.own.password);
  }
  void send_fragment(const std::string& text, const std::string& tag = "B") {
    const json reply = world_->ng(
        {{"command", "offer"}, {"call-id", "c"}, {"from-tag", tag}, {"flags", {"fragment"}}, {"sdp", text}});
    EXPECT_EQ(reply, json({{"result", "ok"}}));
  }
  [[nodiscard]] std::string by_mid() const {
    return credentials() + "m=audio 9 RTP/AVP 0\r\na=mid:0\r\n" + b_.candidate();
  }
  /// True if the relay sends checks to B within a second. B itself sends nothing, so only its candidates can
  /// tell where it is.
  [[nodiscard]] bool is_found() {
    const std::size_t before = world_->count(at('B'));
    world_->run(world_->elapsed() + 1s);
    return world_->count(at('B')) > before;
  }
  std::unique_ptr<World> world_;
  IcePhone b_;
};

/// What stands in a fragment, and when it comes.
struct Row {
  const char* name;
  /// Time from the fragment to the answer. Below zero: the answer comes first.
  Duration before;
  /// Makes the fragment of a phone's credentials and candidate lines.
  std::string (*text)(const std::string& credentials, const std::string& candidate);
  const char* tag;
  bool is_found;
};
void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

std::string with_mid(const std::string& credentials, const std::string& candidate) {
  return credentials + "m=audio 9 RTP/AVP 0\r\na=mid:0\r\n" + candidate;
}
std::string with_other_mid(const std::string& credentials, const std::string& candidate) {
  return credentials + "m=audio 9 RTP/AVP 0\r\na=mid:7\r\n" + candidate;
}
std::string with_place(const std::string& credentials, const std::string& candidate) {
  return "m=audio 9 RTP/AVP 0\r\n" + credentials + candidate;
}
std::string of_session(const std::string& credentials, const std::string& candidate) {
  return "a=group:BUNDLE 0\r\n" + credentials + candidate + "a=end-of-candidates\r\n";
}
std::string of_session_before_sections(const std::string& credentials, const std::string& candidate) {
  return credentials + candidate + "m=audio 9 RTP/AVP 0\r\na=mid:0\r\n";
}
std::string with_old_credentials(const std::string&, const std::string& candidate) {
  return with_mid("a=ice-ufrag:oldOld\r\na=ice-pwd:oldPasswordOfEnoughLetters\r\n", candidate);
}

class Fragments : public TrickleCalls, public ::testing::WithParamInterface<Row> {};

TEST_P(Fragments, WICE4_AreThoseOfTheSdpWhoseCredentialsTheyHave) {
  const Row& row = GetParam();
  offer_to_b();
  if (row.before < 0s) answer_of_b();
  send_fragment(row.text(credentials(), b_.candidate()), row.tag);
  if (row.before >= 0s) {
    world_->run(world_->elapsed() + row.before);
    answer_of_b();
  }
  EXPECT_EQ(is_found(), row.is_found);
}
INSTANTIATE_TEST_SUITE_P(
    Rows, Fragments,
    ::testing::Values(Row{"after the answer, by mid", -1s, with_mid, "B", true},
                      Row{"after the answer, by place", -1s, with_place, "B", true},
                      Row{"after the answer, of the session", -1s, of_session, "B", true},
                      Row{"after it, of the session before sections", -1s, of_session_before_sections, "B",
                          true},
                      Row{"after the answer, another mid", -1s, with_other_mid, "B", false},
                      Row{"after the answer, old credentials", -1s, with_old_credentials, "B", false},
                      Row{"after the answer, of nobody", -1s, with_mid, "C", false},
                      Row{"at once before the answer", 0s, with_mid, "B", true},
                      Row{"at once before it, of the session", 0s, of_session, "B", true},
                      Row{"2.9 s before the answer", 2'900ms, with_mid, "B", true},
                      Row{"3.1 s before the answer", 3'100ms, with_mid, "B", false},
                      Row{"before the answer, old credentials", 0s, with_old_credentials, "B", false},
                      Row{"before the answer, of somebody else", 0s, with_mid, "C", false}));

TEST_F(TrickleCalls, WICE4_AFragmentMayOvertakeItsOffer) {
  send_fragment(by_mid());
  offer_of_b();
  EXPECT_TRUE(is_found());
}

TEST_F(TrickleCalls, WICE4_AFragmentMayOvertakeItsRestart) {
  offer_to_b();
  answer_of_b();
  send_fragment(by_mid());
  EXPECT_TRUE(is_found());
  // All tries of these checks are over.
  world_->run(world_->elapsed() + 30s);
  EXPECT_FALSE(is_found());
  b_.restart();
  send_fragment(by_mid());
  EXPECT_FALSE(is_found()) << "the credentials are not those of the SDP yet";
  offer_of_b();
  EXPECT_TRUE(is_found());
}

}  // namespace
}  // namespace ferry::test
