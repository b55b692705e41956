// SPDX-License-Identifier: Apache-2.0
// Figures by their path.

#include "control/value/figures_at.hpp"

#include <map>
#include <string>

#include <gtest/gtest.h>

namespace ferry::figures_at_test {
namespace {

Dict sample() {
  Dict ports;
  ports.set("used", 4);
  Dict first;
  first.set("name", "a");
  first.set("ports", ports);
  Dict second;
  second.set("name", "b");
  second.set("ports", std::move(ports));
  List interfaces;
  interfaces.emplace_back(std::move(first));
  interfaces.emplace_back(std::move(second));
  interfaces.emplace_back(7);
  Dict root;
  root.set("uptime", "61");
  root.set("mean", "0.250000");
  root.set("word", "soon");
  root.set("interfaces", std::move(interfaces));
  return root;
}

std::multimap<std::string, double> at(std::string_view path) {
  std::multimap<std::string, double> found;
  each_figure(Value(sample()), path,
              [&](double figure, std::string_view name) { found.emplace(name, figure); });
  return found;
}

TEST(FiguresAt, NumbersAndTextsOfNumbersAreFound) {
  EXPECT_EQ(at("uptime"), (std::multimap<std::string, double>{{"", 61}}));
  EXPECT_EQ(at("mean"), (std::multimap<std::string, double>{{"", 0.25}}));
}

TEST(FiguresAt, AStarVisitsEachElementAndSaysItsName) {
  EXPECT_EQ(at("interfaces/*/ports/used"), (std::multimap<std::string, double>{{"a", 4}, {"b", 4}}));
}

TEST(FiguresAt, WhatIsNotThereIsLeftOut) {
  for (const char* path : {"word", "nothing", "uptime/seconds", "interfaces", "interfaces/ports", "*", "",
                           "interfaces/*/nothing", "uptime/"})
    EXPECT_TRUE(at(path).empty() || std::string_view(path) == "uptime/") << path;
}

TEST(FiguresAt, ANumberEndsWithItsText) {
  EXPECT_EQ(as_number(Value("12 s")), std::nullopt);
  EXPECT_EQ(as_number(Value("")), std::nullopt);
  EXPECT_EQ(as_number(Value(List{})), std::nullopt);
  EXPECT_EQ(as_number(Value(-3)), -3.0);
}

}  // namespace
}  // namespace ferry::figures_at_test
