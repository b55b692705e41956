// SPDX-License-Identifier: Apache-2.0
// One call as a row, made of plain values.
#include "control/view/call_row.hpp"

#include "control/call/call.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace ferry::test {
namespace {

using nlohmann::json;

MediaVerdict verdict(std::string leg, MediaDirection direction, Cause cause,
                     std::optional<EarFigures> figures = {}) {
  MediaVerdict made;
  made.leg = std::move(leg);
  made.media = 1;
  made.type = "audio";
  made.direction = direction;
  made.cause = cause;
  made.figures = figures;
  return made;
}

EarFigures figures(double spoken, double missing, std::optional<double> mos, int jitter_ms) {
  EarFigures made;
  made.span = std::chrono::seconds(10);
  made.spoken = spoken;
  made.missing = missing;
  made.mos = mos;
  made.jitter = std::chrono::milliseconds(jitter_ms);
  return made;
}

CallEvidence evidence_of(std::vector<std::string> parties) {
  CallEvidence evidence;
  evidence.is_answered = true;
  for (std::string& name : parties) {
    LegEvidence& leg = evidence.legs.emplace_back();
    leg.name = std::move(name);
    MediaEvidence& media = leg.medias.emplace_back();
    media.index = 1;
    media.type = "audio";
  }
  return evidence;
}

TEST(CallRow, TheWorstFigureOfAllDirectionsCounts) {
  Explanation verdicts;
  verdicts.verdicts = {verdict("A", MediaDirection::kFrom, Cause::kFine, figures(500, 0, 4.4, 3)),
                       verdict("A", MediaDirection::kTo, Cause::kLossy, figures(500, 20, 3.9, 60)),
                       verdict("B", MediaDirection::kFrom, Cause::kFine, figures(0, 0, std::nullopt, 0)),
                       verdict("B", MediaDirection::kTo, Cause::kHold)};
  const CallFigures worst = figures_of(verdicts);
  EXPECT_EQ(worst.mos, 3.9);
  EXPECT_EQ(worst.loss_percent, 4);
  EXPECT_EQ(worst.jitter_ms, 60);
  EXPECT_EQ(figures_of({}).mos, std::nullopt);
  verdicts.verdicts.push_back(verdict("C", MediaDirection::kTo, Cause::kNeverSent));
  EXPECT_EQ(figures_of(verdicts).mos, std::nullopt) << "C hears nothing, which has no MOS";
  EXPECT_EQ(figures_of(verdicts).loss_percent, 100);
}

TEST(CallRow, FiguresAreRoundedToWhatPeopleRead) {
  Call call;
  Explanation verdicts;
  verdicts.verdicts = {verdict("A", MediaDirection::kFrom, Cause::kFine, figures(1000, 1.23, 4.3712, 7))};
  const json row = row_of(call, evidence_of({"A"}), verdicts, CallHealth());
  EXPECT_EQ(row["figures"], (json{{"mos", 4.4}, {"loss", 0.1}, {"jitter", 7.0}}));
  EXPECT_EQ(row["parties"][0]["medias"][0]["says"]["mos"], 4.4);
}

TEST(CallRow, TroubleHasASentenceAndAdvice) {
  Call call;
  Explanation verdicts;
  verdicts.verdicts = {verdict("A", MediaDirection::kTo, Cause::kNeverSent)};
  verdicts.verdicts[0].sentence = "A hears nothing from B";
  const json row = row_of(call, evidence_of({"A", "B"}), verdicts, CallHealth());
  EXPECT_EQ(row["severity"], "fault");
  EXPECT_EQ(row["hears"], "nothing");
  EXPECT_EQ(row["sentence"], "A hears nothing from B");
  EXPECT_EQ(row["advice"], row_of(Cause::kNeverSent).advice);
  EXPECT_FALSE(row.contains("since_ms")) << "nobody has looked yet";
}

TEST(CallRow, ADirectionIsFoundByPartyAndMedium) {
  Call call;
  Explanation verdicts;
  verdicts.verdicts = {verdict("B", MediaDirection::kFrom, Cause::kSilence),
                       verdict("A", MediaDirection::kTo, Cause::kSilence)};
  const json parties = row_of(call, evidence_of({"A", "B"}), verdicts, CallHealth())["parties"];
  EXPECT_EQ(parties[0]["medias"][0]["hears"]["verdict"], "silence");
  EXPECT_FALSE(parties[0]["medias"][0].contains("says"));
  EXPECT_EQ(parties[1]["medias"][0]["says"]["verdict"], "silence");
}

}  // namespace
}  // namespace ferry::test
