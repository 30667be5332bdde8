// Each fault of test/faults.cu is named by the build that must see it, whatever the order in which threads run, and nothing else is.
// Without words: all of them, each in a process of its own. With a name and an order: that one alone.
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include "cuda/test/faults.h"
#include "test/check.h"

namespace {

#if defined(ZS_RACE)
constexpr zs::faults::Build kThis = zs::faults::kRace;
#elif defined(__SANITIZE_ADDRESS__)
constexpr zs::faults::Build kThis = zs::faults::kAddress;
#else
constexpr zs::faults::Build kThis = zs::faults::kAny;
#endif

// Device memory: 320 floats, of which 256 are written.
int one(const std::string& name, int order) {
  zs::emulation::settings() = {static_cast<zs::emulation::Order>(order), 7};
  for (const auto& planted : zs::faults::planted) {
    if (name != planted.name) continue;
    const size_t floats = 320;
    auto* memory = static_cast<float*>(zs::gpu::allocate(floats * sizeof(float)));
    const std::vector<float> values(256, 1.0f);
    zs::gpu::upload(memory, values.data(), values.size() * sizeof(float));
    const std::string what =
        planted.together
            ? zs::gpu::launch_together(planted.kernel, static_cast<int>(planted.blocks), 64, planted.shared, {}, memory)
            : zs::gpu::launch(planted.kernel, {planted.blocks, 1, 1}, 64, planted.shared, {}, memory);
    std::printf("%s\n", what.empty() ? "nothing" : what.c_str());
    zs::gpu::release(memory);
  }
  return 0;
}

std::string output_of(const std::string& command) {
  std::string text;
  char piece[512];
  FILE* pipe = popen(command.c_str(), "r");
  while (std::fgets(piece, sizeof piece, pipe)) text += piece;
  pclose(pipe);
  return text;
}

}  // namespace

int main(int count, char** words) {
  if (count == 3) return one(words[1], std::atoi(words[2]));
  char self[4096] = {};
  if (readlink("/proc/self/exe", self, sizeof self - 1) < 0) return 1;
  int kinds = 0;
  for (const auto& planted : zs::faults::planted) {
    if (planted.build != zs::faults::kAny && planted.build != kThis) continue;
    for (int order = 0; order < 3; ++order) {
      const std::string said =
          output_of(std::string("'") + self + "' " + planted.name + ' ' + std::to_string(order) + " 2>&1");
      const bool held = *planted.says ? said.find(planted.says) != std::string::npos : said == "nothing\n";
      test::check(held, "%s, order %d: expected \"%s\", got %s", planted.name, order, planted.says,
                  said.substr(0, 300).c_str());
      if (order == 0 && *planted.says) {
        ++kinds;
        std::printf("%s: %s", planted.name, said.substr(0, said.find('\n') + 1).c_str());
      }
    }
  }
  std::printf("  %d kinds of faults are named\n", kinds);
  return test::finish("emulation");
}
