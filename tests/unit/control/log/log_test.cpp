// SPDX-License-Identifier: Apache-2.0
// Which lines are written, and what each of them looks like.

#include "control/log/log.hpp"

#include <string>
#include <thread>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace ferry::test::log_test {
namespace {

using log::Subsystem;

/// What is written to standard error while it lives. The log is left as other tests expect it.
class LogTest : public ::testing::Test {
 protected:
  LogTest() : before_(log::level_of(Subsystem::kCore)), logger_(spdlog::default_logger()) {}
  ~LogTest() override {
    log::set_level(before_);
    spdlog::set_default_logger(logger_);
  }
  /// The lines that `write` makes.
  template <class Write>
  static std::string lines(Write write) {
    testing::internal::CaptureStderr();
    write();
    return testing::internal::GetCapturedStderr();
  }

 private:
  int before_;
  std::shared_ptr<spdlog::logger> logger_;
};

TEST(Log, PRC2_TextFromOutsideIsOneSafeLine) {
  EXPECT_EQ(log::quote("a b\n\"\\%\x01"), "a\\x20b\\x0a\\x22\\x5c%\\x01");
  EXPECT_LT(log::quote(std::string(100'000, 'x')).size(), 210u);
  EXPECT_EQ(log::quote_sentence("no \"b\"\n"), "no \"b\"\\x0a");
  EXPECT_LT(log::quote_sentence(std::string(100'000, 'x')).size(), 810u);
}

TEST_F(LogTest, LevelsAreThoseOfSyslog) {
  log::configure(7, true, "", false);
  const struct {
    int level;
    bool debug, info, warn, error;
  } rows[] = {{7, true, true, true, true},    {6, false, true, true, true},   {5, false, true, true, true},
              {4, false, false, true, true},  {3, false, false, false, true}, {2, false, false, false, false},
              {0, false, false, false, false}};
  for (const auto& row : rows) {
    log::set_level(row.level);
    EXPECT_EQ(log::is_wanted(spdlog::level::debug), row.debug) << row.level;
    EXPECT_EQ(log::is_wanted(spdlog::level::info), row.info) << row.level;
    EXPECT_EQ(log::is_wanted(spdlog::level::warn), row.warn) << row.level;
    EXPECT_EQ(log::is_wanted(spdlog::level::err), row.error) << row.level;
    EXPECT_TRUE(log::is_wanted(spdlog::level::critical)) << row.level;
    const std::string written = lines([] { log::info("a line"); });
    EXPECT_EQ(!written.empty(), row.info) << "and so is written: " << written;
  }
}

TEST_F(LogTest, ASubsystemHasALevelOfItsOwn) {
  log::configure(4, true, "", false);
  log::set_level(Subsystem::kMedia, 7);
  EXPECT_EQ(log::level_of(Subsystem::kMedia), 7);
  EXPECT_EQ(log::level_of(Subsystem::kCalls), 4);
  for (const auto subsystem : {Subsystem::kMedia, Subsystem::kCalls}) {
    const log::Scope scope(subsystem);
    EXPECT_EQ(log::is_wanted(spdlog::level::debug), subsystem == Subsystem::kMedia);
  }
  for (std::size_t i = 0; i < log::kSubsystems.size(); ++i)
    EXPECT_EQ(log::parse_subsystem(log::kSubsystems[i]), static_cast<Subsystem>(i));
  for (const char* bad : {"", "Core", "kernel", "calls "}) EXPECT_FALSE(log::parse_subsystem(bad)) << bad;
}

TEST_F(LogTest, ACallThatIsDebuggedIsLoggedWhateverTheLevel) {
  log::configure(3, true, "", false);
  const log::Scope outer(Subsystem::kCalls, "quiet");
  {
    const log::Scope inner(Subsystem::kCalls, "watched", true);
    const std::string written = lines([] { log::debug("it is heard"); });
    EXPECT_NE(written.find("debug [watched] it is heard"), std::string::npos) << written;
    std::thread([] {
      EXPECT_FALSE(log::is_wanted(spdlog::level::debug)) << "a scope is of its thread";
    }).join();
  }
  EXPECT_EQ(lines([] { log::debug("it is not"); }), "");
  const std::string written = lines([] { log::error("the scope before"); });
  EXPECT_NE(written.find("[quiet] the scope before"), std::string::npos) << written;
}

TEST_F(LogTest, ScopesOfOneCallStandInEachOther) {
  log::configure(3, true, "", false);
  const auto call_of_line = [] {
    const std::string written = lines([] { log::error("here"); });
    const auto begin = written.find('[');
    return begin == std::string::npos ? std::string() : written.substr(begin, written.find(']') - begin + 1);
  };
  const std::string id(100, 'c');
  const log::Scope outer(Subsystem::kControl, id);
  {
    const log::Scope same(Subsystem::kCalls, id);
    EXPECT_EQ(call_of_line(), "[" + id + "]");
    {
      const log::Scope other(Subsystem::kCalls, "other");
      EXPECT_EQ(call_of_line(), "[other]");
      const log::Scope none(Subsystem::kCore);
      EXPECT_EQ(call_of_line(), "");
    }
    EXPECT_EQ(call_of_line(), "[" + id + "]");
  }
  EXPECT_EQ(call_of_line(), "[" + id + "]");
}

TEST_F(LogTest, ALineOfJsonIsAnObjectWhateverIsInIt) {
  log::configure(6, true, "", true);
  const std::string odd = "a\"b\\\n\x1b\xff";
  const auto parsed = [](const std::string& line) {
    EXPECT_TRUE(line.ends_with('\n'));
    EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1) << line;
    return nlohmann::json::parse(line, nullptr, false);
  };
  {
    const log::Scope scope(Subsystem::kCalls, odd);
    const auto line = parsed(lines([&] { log::warn("{}", odd); }));
    ASSERT_TRUE(line.is_object());
    EXPECT_EQ(line["subsystem"], "calls");
    EXPECT_EQ(line["level"], "warning");
    EXPECT_EQ(line["call_id"].get<std::string>().substr(0, 4), "a\"b\\");
    EXPECT_EQ(line["message"].get<std::string>().substr(0, 4), "a\"b\\");
    EXPECT_TRUE(line.contains("time"));
  }
  const auto record = parsed(lines([] { log::record("cdr", R"({"duration":3})"); }));
  ASSERT_TRUE(record.is_object());
  EXPECT_EQ(record["message"], "cdr");
  EXPECT_EQ(record["cdr"]["duration"], 3);
  EXPECT_FALSE(record.contains("call_id")) << "it is about no call";
  const auto after = parsed(lines([] { log::info("not data any more"); }));
  EXPECT_EQ(after["message"], "not data any more");
}

}  // namespace
}  // namespace ferry::test::log_test
