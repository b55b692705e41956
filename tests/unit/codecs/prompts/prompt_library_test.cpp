// SPDX-License-Identifier: Apache-2.0
// Sounds that are found, encoded and kept: files (CTL-10, C-07), contents, tones, digits.
#include "codecs/prompts/prompt_library.hpp"

#include "codecs/audio/codec_table.hpp"
#include "tests/support/tones.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>

#include <gtest/gtest.h>
#include <sndfile.h>
#include <sys/stat.h>

namespace ferry::prompt_library_test {
namespace {

using namespace std::chrono_literals;
using Kind = SoundName::Kind;
namespace fs = std::filesystem;

const AudioFormat kPcma{"PCMA", 8000, 1, ""};
const AudioFormat kOpus{"opus", 48000, 2, ""};

class PromptLibraryTest : public testing::Test {
 protected:
  PromptLibraryTest() {
    fs::create_directories(inside_);
    fs::create_directories(root_ / "outside");
  }
  ~PromptLibraryTest() override { fs::remove_all(root_); }

  /// Writes a tone of 700 Hz, in all channels.
  static void write(const fs::path& path, Duration length, int rate = 8000, int channels = 1,
                    int format = SF_FORMAT_WAV | SF_FORMAT_PCM_16) {
    SF_INFO info{};
    info.samplerate = rate;
    info.channels = channels;
    info.format = format;
    SNDFILE* file = sf_open(path.c_str(), SFM_WRITE, &info);
    ASSERT_NE(file, nullptr) << sf_strerror(nullptr);
    const auto mono = test::tone(static_cast<std::uint32_t>(rate), static_cast<std::size_t>(length / 1ms) *
                                                                       static_cast<std::size_t>(rate) / 1000);
    std::vector<std::int16_t> all;
    for (const std::int16_t each : mono) all.insert(all.end(), static_cast<std::size_t>(channels), each);
    sf_writef_short(file, all.data(), static_cast<sf_count_t>(mono.size()));
    sf_close(file);
  }
  PromptLibraryConfig config(bool has_thread = false) {
    PromptLibraryConfig made;
    made.folders = {inside_.string()};
    made.has_thread = has_thread;
    return made;
  }
  /// All that one hears of a prompt.
  static std::vector<std::int16_t> heard(const Prompt& prompt, const AudioFormat& format) {
    auto decoder = make_audio_decoder(format).value();
    std::vector<std::int16_t> all;
    std::vector<std::int16_t> room(decoder->max_samples());
    for (PromptReader reader(prompt); reader.look() == PromptReader::Found::kPacket; reader.advance()) {
      const auto got = decoder->decode(reader.payload(), room);
      if (got) all.insert(all.end(), room.begin(), room.begin() + static_cast<std::ptrdiff_t>(*got));
    }
    return all;
  }

  static fs::path new_folder() {
    char name[] = "/tmp/ferry-sounds-XXXXXX";
    return mkdtemp(name);
  }

  fs::path root_ = new_folder();
  fs::path inside_{root_ / "inside"};
};

TEST_F(PromptLibraryTest, FilesOfManyKindsSoundInManyCodecs) {
  write(inside_ / "a.wav", 1s);
  write(inside_ / "b.flac", 1s, 44'100, 2, SF_FORMAT_FLAC | SF_FORMAT_PCM_16);
  write(inside_ / "c.ogg", 1s, 48'000, 1, SF_FORMAT_OGG | SF_FORMAT_VORBIS);
  write(inside_ / "d.wav", 1s, 8000, 1, SF_FORMAT_WAV | SF_FORMAT_ULAW);
  PromptLibrary library(config());
  for (const char* name : {"a.wav", "b.flac", "c.ogg", "d.wav"}) {
    const auto sound = library.open({Kind::kFile, name});
    ASSERT_TRUE(sound) << name;
    EXPECT_NEAR(static_cast<double>((*sound)->length().value() / 1ms), 1000, 30) << name;
    for (const AudioFormat& format : {kPcma, AudioFormat{"G722", 8000, 1, ""},
                                      AudioFormat{"GSM", 8000, 1, ""}, AudioFormat{"opus", 48000, 2, ""},
                                      AudioFormat{"speex", 16000, 1, ""}, AudioFormat{"L16", 44100, 1, ""}}) {
      const auto prompt = library.prompt(*sound, format, 20);
      ASSERT_NE(prompt, nullptr) << name << format.encoding;
      EXPECT_TRUE(prompt->is_complete());
      EXPECT_EQ(prompt->timing().packet_time, 20ms);
      EXPECT_EQ(prompt->timing().units, format.clock_rate_hz / 50);
      const auto samples = heard(*prompt, format);
      const auto decoder = make_audio_decoder(format).value();
      std::vector<std::int16_t> mono;
      for (std::size_t i = 0; i < samples.size(); i += decoder->channels()) mono.push_back(samples[i]);
      EXPECT_NEAR(static_cast<double>(mono.size()), decoder->sample_rate_hz() * 1.0,
                  decoder->sample_rate_hz() * 0.08);
      EXPECT_GT(test::listen(mono, decoder->sample_rate_hz()).share, 0.9) << name << " " << format.encoding;
    }
  }
}

TEST_F(PromptLibraryTest, C07_OnlyRegularFilesBelowTheFolders) {
  write(root_ / "outside" / "x.wav", 100ms);
  write(inside_ / "in.wav", 100ms);
  fs::create_symlink(root_ / "outside" / "x.wav", inside_ / "link.wav");
  fs::create_directory_symlink(root_ / "outside", inside_ / "folder");
  ASSERT_EQ(mkfifo((inside_ / "pipe.wav").c_str(), 0600), 0);
  std::ofstream(inside_ / "text.wav") << "no audio";
  fs::resize_file(inside_ / "text.wav", 100);
  PromptLibrary library(config());
  const auto fault_of = [&](const std::string& name) {
    const auto sound = library.open({Kind::kFile, name});
    return sound ? std::string() : std::string(to_string(sound.error()));
  };
  EXPECT_EQ(fault_of("in.wav"), "");
  EXPECT_EQ(fault_of((inside_ / "in.wav").string()), "");
  const std::string none = to_string(SoundFault::kNoFile);
  for (const std::string& name :
       {std::string(), std::string("../outside/x.wav"), (root_ / "outside" / "x.wav").string(),
        std::string("link.wav"), std::string("folder/x.wav"), std::string("pipe.wav"), std::string("."),
        std::string("missing.wav"), std::string("/dev/zero"), std::string("file:///etc/passwd"),
        (inside_ / "../outside/x.wav").string()})
    EXPECT_EQ(fault_of(name), none) << name;
  EXPECT_EQ(fault_of("text.wav"), to_string(SoundFault::kUnreadable));
  std::ofstream(inside_ / "huge.wav") << "RIFF";
  fs::resize_file(inside_ / "huge.wav", std::uintmax_t{10} << 30);
  EXPECT_EQ(fault_of("huge.wav"), to_string(SoundFault::kTooLarge));
  PromptLibraryConfig nowhere = config();
  nowhere.folders.clear();
  EXPECT_EQ(PromptLibrary(nowhere).open({Kind::kFile, "in.wav"}).error(), SoundFault::kNoFolder);
}

TEST_F(PromptLibraryTest, NumbersHaveAFolderOfTheirOwn) {
  write(root_ / "outside" / "5.wav", 100ms);
  PromptLibraryConfig with = config();
  with.numbers = (root_ / "outside").string();
  PromptLibrary library(with);
  EXPECT_TRUE(library.open({Kind::kNumber, "5"}));
  EXPECT_EQ(library.open({Kind::kNumber, "6"}).error(), SoundFault::kNoFile);
  EXPECT_EQ(PromptLibrary(config()).open({Kind::kNumber, "5"}).error(), SoundFault::kNoFolder);
}

TEST_F(PromptLibraryTest, OneEncodeServesAllListenersUntilTheFileChanges) {
  write(inside_ / "a.wav", 1s);
  PromptLibrary library(config());
  const auto ask = [&](const AudioFormat& format, unsigned ms) {
    return library.prompt(library.open({Kind::kFile, "a.wav"}).value(), format, ms);
  };
  const auto first = ask(kPcma, 20);
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(ask(kPcma, 20), first);
  EXPECT_EQ(library.encoded(), 1u);
  EXPECT_EQ(library.found(), 1000u);
  EXPECT_NE(ask(kPcma, 30), first);
  EXPECT_NE(ask({"PCMU", 8000, 1, ""}, 20), first);
  EXPECT_EQ(library.encoded(), 3u);
  write(inside_ / "a.wav", 2s);
  const auto changed = ask(kPcma, 20);
  EXPECT_NE(changed, first);
  EXPECT_EQ(heard(*changed, kPcma).size(), 16'000u);
}

TEST_F(PromptLibraryTest, ParametersThatNoEncoderObeysDoNotEncodeAgain) {
  PromptLibrary library(config());
  const auto busy = library.open({Kind::kTone, "busy"}).value();
  const auto ask = [&](const char* name, std::uint32_t hertz, unsigned channels, const char* parameters) {
    return library.prompt(busy, {name, hertz, channels, parameters}, 20);
  };
  for (const char* name : {"PCMU", "PCMA", "G722", "GSM", "L16", "G726-32", "AAL2-G726-32"}) {
    const auto first = ask(name, 8000, 1, "");
    ASSERT_NE(first, nullptr) << name;
    for (const char* each : {"x=1", "x=2", "mode=3;stereo=1"}) EXPECT_EQ(ask(name, 8000, 1, each), first);
  }
  EXPECT_EQ(ask("pcmu", 8000, 1, ""), ask("PCMU", 8000, 1, ""));
  const auto opus = ask("opus", 48'000, 2, "stereo=1;useinbandfec=1");
  EXPECT_EQ(ask("opus", 48'000, 2, "useinbandfec=1;x=4;stereo=1"), opus);
  EXPECT_NE(ask("opus", 48'000, 2, "useinbandfec=1"), opus);
  EXPECT_NE(ask("opus", 48'000, 2, "useinbandfec=1;stereo=1;cbr=1"), opus);
  const auto amr = ask("AMR", 8000, 1, "octet-align=1");
  EXPECT_EQ(ask("AMR", 8000, 1, "octet-align=1;max-red=7"), amr);
  EXPECT_NE(ask("AMR", 8000, 1, "octet-align=1;mode-set=0"), amr);
  EXPECT_EQ(ask("AMR", 8000, 1, "octet-align=1;crc=1"), nullptr) << "refused, not found";
  EXPECT_TRUE(library.encodes({"AMR", 8000, 1, ""}));
  EXPECT_FALSE(library.encodes({"AMR", 8000, 1, "crc=1"}));
}

TEST_F(PromptLibraryTest, WhatNobodyHearsIsNotEncodedFurther) {
  write(inside_ / "long.wav", 300s);
  PromptLibrary library(config(true));
  std::weak_ptr<const Prompt> left;
  {
    const auto heard = library.prompt(library.open({Kind::kFile, "long.wav"}).value(), kOpus, 20);
    ASSERT_NE(heard, nullptr);
    left = heard;
  }
  // The listener is gone. The prompt is dropped, or else it is complete at some time.
  bool is_complete = false;
  while (!is_complete && !left.expired()) {
    if (const auto still = left.lock()) is_complete = still->is_complete();
    std::this_thread::yield();
  }
  EXPECT_FALSE(is_complete);
  EXPECT_EQ(library.kept(), 0u);
}

TEST_F(PromptLibraryTest, TheWorkThatWaitsHasABound) {
  write(inside_ / "long.wav", 300s);
  PromptLibrary library(config(true));
  const auto sound = library.open({Kind::kFile, "long.wav"}).value();
  unsigned bitrate = 6000;
  const auto ask = [&] {
    AudioFormat format = kOpus;
    format.parameters = "maxaveragebitrate=" + std::to_string(bitrate++);
    return library.prompt(sound, format, 20);
  };
  std::vector<std::shared_ptr<const Prompt>> heard;
  for (std::size_t i = 0; i < PromptLibrary::kMostWork + 20; ++i) {
    if (auto prompt = ask()) heard.push_back(std::move(prompt));
  }
  EXPECT_GE(heard.size(), PromptLibrary::kMostWork);
  EXPECT_LE(heard.size(), PromptLibrary::kMostWork + 1) << "one is being encoded";
  heard.clear();
  EXPECT_NE(ask(), nullptr) << "nobody hears the others any more";
  EXPECT_LE(library.kept(), 2u);
}

TEST_F(PromptLibraryTest, WhatIsKeptHasABoundOfEntries) {
  PromptLibrary library(config());
  for (std::size_t i = 0; i < PromptLibrary::kMostKept + 10; ++i) {
    const auto sound = library.open({Kind::kDigit, "1 -8." + std::to_string(i) + " 10"}).value();
    ASSERT_NE(library.prompt(sound, kPcma, 20), nullptr);
  }
  EXPECT_EQ(library.kept(), PromptLibrary::kMostKept);
}

TEST_F(PromptLibraryTest, KeptPromptsOfFilesHoldNoFileOpen) {
  for (const char* name : {"a.wav", "b.wav", "c.wav"}) write(inside_ / name, 100ms);
  PromptLibrary library(config());
  const auto open_files = [] {
    return std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator());
  };
  const auto before = open_files();
  for (const char* name : {"a.wav", "b.wav", "c.wav"})
    ASSERT_NE(library.prompt(library.open({Kind::kFile, name}).value(), kPcma, 20), nullptr);
  EXPECT_EQ(library.kept(), 3u);
  EXPECT_EQ(open_files(), before);
}

TEST_F(PromptLibraryTest, ContentsCountAsOctetsThatAreKept) {
  write(inside_ / "a.wav", 1s, 48'000);
  std::ifstream file(inside_ / "a.wav", std::ios::binary);
  const std::string content((std::istreambuf_iterator<char>(file)), {});
  PromptLibraryConfig small = config();
  small.cache_octets = 50'000;
  PromptLibrary library(small);
  const auto sound = library.open({Kind::kContent, content}).value();
  auto heard = library.prompt(sound, kPcma, 20);
  EXPECT_GT(library.kept_octets(), content.size() + heard->octets());
  heard.reset();
  ASSERT_NE(library.prompt(library.open({Kind::kTone, "busy"}).value(), kPcma, 20), nullptr);
  EXPECT_LE(library.kept_octets(), small.cache_octets);
}

TEST_F(PromptLibraryTest, ContentsAreKnownByTheirOctets) {
  write(inside_ / "a.wav", 200ms);
  std::ifstream file(inside_ / "a.wav", std::ios::binary);
  const std::string content((std::istreambuf_iterator<char>(file)), {});
  PromptLibrary library(config());
  const auto one = library.prompt(library.open({Kind::kContent, content}).value(), kPcma, 20);
  const auto same = library.prompt(library.open({Kind::kContent, content}).value(), kPcma, 20);
  EXPECT_EQ(one, same);
  std::string other = content;
  other.back() ^= 1;
  EXPECT_NE(library.prompt(library.open({Kind::kContent, other}).value(), kPcma, 20), one);
  EXPECT_EQ(library.open({Kind::kContent, "notaudio"}).error(), SoundFault::kUnreadable);
}

TEST_F(PromptLibraryTest, WhatNobodyHearsGivesWayTheLongestUnusedFirst) {
  for (const char* name : {"a.wav", "b.wav", "c.wav"}) write(inside_ / name, 1s);
  PromptLibraryConfig small = config();
  small.cache_octets = 18'000;  // two prompts of PCMA of a second
  PromptLibrary library(small);
  const auto ask = [&](const char* name) {
    return library.prompt(library.open({Kind::kFile, name}).value(), kPcma, 20);
  };
  ask("a.wav");
  ask("b.wav");
  ask("a.wav");
  const auto heard_now = ask("c.wav");
  EXPECT_LE(library.kept_octets(), 18'000u);
  EXPECT_EQ(library.encoded(), 3u);
  ask("a.wav");
  EXPECT_EQ(library.encoded(), 3u) << "it was used after b";
  ask("b.wav");
  EXPECT_EQ(library.encoded(), 4u);
  EXPECT_EQ(ask("c.wav"), heard_now) << "somebody hears it";
}

TEST_F(PromptLibraryTest, ATonesPacketsFitWholeTurns) {
  PromptLibrary library(config());
  for (const unsigned ms : {20U, 30U}) {
    for (const char* name : {"ringback/cn", "congestion/be", "dial", "silence"}) {
      const auto sound = library.open({Kind::kTone, name}).value();
      EXPECT_TRUE(sound->is_endless());
      const auto prompt = library.prompt(sound, kPcma, ms);
      const std::size_t samples = heard(*prompt, kPcma).size();
      const std::size_t turn = sound->length() ? static_cast<std::size_t>(*sound->length() / 1ms) * 8 : 8000;
      EXPECT_EQ(samples % turn, 0u) << name << " " << ms;
      EXPECT_EQ(samples % (ms * 8), 0u) << name << " " << ms;
    }
  }
  EXPECT_EQ(library.open({Kind::kTone, "hum"}).error(), SoundFault::kNoTone);
}

TEST_F(PromptLibraryTest, ADigitEndsInSilence) {
  PromptLibrary library(config());
  const auto sound = library.open({Kind::kDigit, "5 -8 250"}).value();
  EXPECT_FALSE(sound->is_endless());
  const auto samples = heard(*library.prompt(sound, kPcma, 20), kPcma);
  ASSERT_EQ(samples.size(), 260u * 8);
  EXPECT_GT(std::abs(*std::ranges::max_element(std::span(samples).first(2000), {},
                                               [](int s) { return std::abs(s); })),
            8000);
  for (const std::int16_t each : std::span(samples).last(80)) EXPECT_LT(std::abs(each), 20);
}

TEST_F(PromptLibraryTest, WhatIsNotEncodedIsNotPlayed) {
  PromptLibrary library(config());
  EXPECT_TRUE(library.encodes(kPcma));
  EXPECT_FALSE(library.encodes({"EVS", 16000, 1, ""}));
  EXPECT_FALSE(library.encodes({"telephone-event", 8000, 1, ""}));
  EXPECT_EQ(library.prompt(library.open({Kind::kTone, "busy"}).value(), {"nothing", 8000, 1, ""}, 20),
            nullptr);
}

TEST_F(PromptLibraryTest, ACodecWithOtherPacketsChoosesThem) {
  PromptLibrary library(config());
  const auto busy = library.open({Kind::kTone, "busy"}).value();
  EXPECT_EQ(library.prompt(busy, {"GSM", 8000, 1, ""}, 30)->timing().packet_time, 20ms);
  EXPECT_EQ(library.prompt(busy, kPcma, 30)->timing().packet_time, 30ms);
}

TEST_F(PromptLibraryTest, AThreadEncodesWhileOthersListen) {
  write(inside_ / "long.wav", 60s);
  PromptLibrary library(config(true));
  const auto prompt =
      library.prompt(library.open({Kind::kFile, "long.wav"}).value(), {"opus", 48000, 2, ""}, 20);
  ASSERT_NE(prompt, nullptr);
  // A reader gets every packet, however far the thread is.
  PromptReader reader(*prompt);
  while (true) {
    const auto found = reader.look();
    if (found == PromptReader::Found::kEnd) break;
    if (found == PromptReader::Found::kPacket)
      reader.advance();
    else
      std::this_thread::yield();
  }
  EXPECT_EQ(reader.number(), 3000u);
}

TEST_F(PromptLibraryTest, AnEndInTheMiddleLeavesACompletePrompt) {
  write(inside_ / "long.wav", 300s);
  std::shared_ptr<const Prompt> prompt;
  {
    PromptLibrary library(config(true));
    prompt = library.prompt(library.open({Kind::kFile, "long.wav"}).value(), {"opus", 48000, 2, ""}, 20);
  }
  EXPECT_TRUE(prompt->is_complete());
}

}  // namespace
}  // namespace ferry::prompt_library_test
