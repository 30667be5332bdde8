// Results of the kernels beside what an emulation recorded on another machine (recorded.inc): a device that agrees with the CPU that it is
// tested beside could still differ from all others. Arguments: none, or --record, which prints the file anew.
#include <cstdio>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "cuda/bench/uniform_model.h"
#include "cuda/test/uniform_prompt.h"
#include "test/check.h"

namespace {

using namespace zs;

const std::map<std::string, uint64_t>& recorded() {
  static const std::map<std::string, uint64_t> all = {
#include "cuda/test/recorded.inc"
  };
  return all;
}
bool records = false;

// FNV-1a over 64 bits.
uint64_t digest_of(const std::vector<float>& values) {
  uint64_t digest = 0xcbf29ce484222325u;
  for (const float value : values) {
    unsigned char bytes[4];
    std::memcpy(bytes, &value, sizeof bytes);
    for (const unsigned char byte : bytes) digest = (digest ^ byte) * 0x100000001b3u;
  }
  return digest;
}

std::vector<float> downloaded(const float* from, int64_t count) {
  std::vector<float> values(static_cast<size_t>(count));
  gpu::download(values.data(), from, values.size() * sizeof(float));
  return values;
}

void compare(const std::string& name, const std::vector<float>& values) {
  for (const float value : values)
    if (value - value != 0) return void(test::check(false, "%s: a result is no finite number", name.c_str()));
  const uint64_t digest = digest_of(values);
  if (records)
    std::printf("    {\"%s\", 0x%016llxu},\n", name.c_str(), static_cast<unsigned long long>(digest));
  else
    test::check(recorded().count(name) && recorded().at(name) == digest, "%s: other bits than those recorded (%016llx)",
                name.c_str(), static_cast<unsigned long long>(digest));
}

std::string name_of(const char* what, int storage, int group, int d) {
  static const char* const kStorages[] = {"float32", "float16", "bfloat16"};
  return std::string(what) + ", " + kStorages[storage] + ", group " + std::to_string(group) + ", headDim " +
         std::to_string(d);
}

// Tokens' attention and upkeep, the oldest in a ring; after each somebody leaves for a merged slot.
void layer(gpu::Stream stream, int storage, int group, int d) {
  const bench::LayerShape shape{storage, 2, 2, group, d, {300, 20, 257, 70}, 8, true, true};
  cuda::Arrays arrays;
  const int64_t out_stride = int64_t{2} * group * d, stride = out_stride + 4 * d;
  auto* const in = reinterpret_cast<float*>(arrays.filled(4 * 2 * stride));
  auto* const out = arrays.room<float>(2 * out_stride);
  const bench::UniformLayer work(shape, {in, in + out_stride, in + out_stride + 2 * d, out, stride, out_stride});
  std::vector<float> all;
  for (int token = 0; token < 3; ++token) {
    const std::string wrong = work.step(stream);
    test::check(wrong.empty(), "%s", wrong.c_str());
    const std::vector<float> one = downloaded(out, 2 * out_stride);
    all.insert(all.end(), one.begin(), one.end());
  }
  compare(name_of("layer", storage, group, d), all);
}

void prompt(gpu::Stream stream, int storage, int group, int d) {
  const cuda::UniformPromptShape shape{storage, 2, group, d, kChunk, 70};
  const cuda::UniformPrompt work(shape);
  for (const std::string& wrong : {work.prefill(stream), work.columns(stream)})
    test::check(wrong.empty(), "%s", wrong.c_str());
  compare(name_of("prompt", storage, group, d), downloaded(work.out(), int64_t{2} * group * 70 * d));
  compare(name_of("columns", storage, group, d), downloaded(work.sums(), int64_t{4} * kChunk));
}

// A model's tokens, with all that is beside attention.
void model(gpu::Stream stream, int batch) {
  const bench::ModelShape shape = {"", 2, 64, 4, 2, 32, 96, 128};
  const bench::UniformWeights weights(shape);
  bench::UniformStep step(weights, batch, {40, 4, true});
  std::vector<float> all;
  for (int token = 0; token < 3; ++token) {
    const std::string wrong = step.launch(stream);
    test::check(wrong.empty(), "%s", wrong.c_str());
    const std::vector<float> one = downloaded(step.logits(), int64_t{batch} * shape.vocabulary);
    all.insert(all.end(), one.begin(), one.end());
  }
  compare("model, batch " + std::to_string(batch), all);
}

}  // namespace

int main(int count, char** words) {
  records = count > 1 && std::strcmp(words[1], "--record") == 0;
  if (records) std::printf("// clang-format off: as recorded.cpp prints it\n");
  gpu::Stream stream;
  const std::string wrong = gpu::new_stream(stream);
  test::check(wrong.empty(), "%s", wrong.c_str());
  for (const int storage : {ZS_F32, ZS_F16, ZS_BF16})
    for (const int d : {64, 80, 128})
      for (const int group : {1, 3, 8}) layer(stream, storage, group, d);
  for (const int storage : {ZS_F32, ZS_F16, ZS_BF16})
    for (const int group : {1, 4}) prompt(stream, storage, group, 64);
  for (const int batch : {1, 3, 8}) model(stream, batch);
  gpu::end_stream(stream);
  return test::finish("recorded");
}
