// Codecs that are packages of their own.

#include "codecs/audio/plugin.hpp"

#include "tests/support/tones.hpp"

#include <algorithm>
#include <filesystem>

#ifdef FERRY_HAS_BCG729
extern "C" {
#include <bcg729/encoder.h>
}
#endif

namespace ferry {
namespace {

using test::bytes;
using test::concealed;
using test::decoded;
using test::Heard;
using test::round_trip;

class PluginTest : public testing::Test {
 protected:
  void SetUp() override { set_codec_plugin_folder(FERRY_PLUGINS); }
  static bool is_built(const char* name) {
    return std::filesystem::exists(std::string(FERRY_PLUGINS "/rtpferry-codec-") + name + ".so");
  }
};

#ifdef FERRY_HAS_BCG729
TEST_F(PluginTest, G729_FromItsPlugin) {
  bcg729EncoderChannelContextStruct* encoder = initBcg729EncoderChannel(0);
  const Heard heard =
      round_trip({"G729", 8000, 1, ""}, 8000, 160, [&](const std::int16_t* in, std::uint8_t* out) {
        for (int half = 0; half < 2; ++half) {
          std::uint8_t size = 0;
          bcg729Encoder(encoder, in + 80 * half, out + 10 * half, &size);
        }
        return 20;
      });
  closeBcg729EncoderChannel(encoder);
  EXPECT_GT(heard.share, 0.7);
}
#endif

TEST_F(PluginTest, Ilbc_FramesOfBothModes) {
  if (!is_built("ilbc")) GTEST_SKIP() << "built without FFmpeg's libraries";
  // There is no free encoder to be had here: what can be seen is that frames of the right sizes become their
  // packet times and others are refused.
  for (const auto& [mode, size, samples] :
       {std::tuple{"mode=20", 38u, 160u}, std::tuple{"mode=30", 50u, 240u}}) {
    auto decoder = make_audio_decoder({"iLBC", 8000, 1, mode});
    ASSERT_TRUE(decoder) << decoder.error();
    const std::vector<std::uint8_t> payload(size * 2, 0x11);
    const auto out = decoded(**decoder, bytes(payload.data(), payload.size()));
    ASSERT_TRUE(out);
    EXPECT_EQ(out->size(), samples * 2);
    EXPECT_FALSE(decoded(**decoder, bytes(payload.data(), size - 1)));
    // FFmpeg hides no loss, so what is made up is what was heard, fading within 60 ms.
    const auto made_up = concealed(**decoder, 480 + 80);
    EXPECT_TRUE(std::ranges::all_of(std::span(made_up).subspan(480),
                                    [](std::int16_t sample) { return sample == 0; }));
  }
}

TEST_F(PluginTest, OneThatIsNotInstalledIsNamedWithItsFile) {
  const auto decoder = make_plugin_decoder({"Nothing", 8000, 1, ""});
  ASSERT_FALSE(decoder);
  EXPECT_EQ(decoder.error(), "no decoder for nothing: the plug-in " FERRY_PLUGINS
                             "/rtpferry-codec-nothing.so is not installed");
}

}  // namespace
}  // namespace ferry
