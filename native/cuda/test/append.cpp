// New tokens into slots, as emulated, beside Pages::write byte for byte: the slots asked for, and that no other changes. Numbers are small,
// just between two halves, subnormal, infinite, none, or any bits.
#include "cuda/append.h"

#include <algorithm>
#include <memory>

#include "core/pages.h"
#include "cuda/test/twins.h"

namespace {

using namespace zs::twins;
using test::Random;
using zs::round_up;

float number(Random& random, bool raw) {
  const auto bits = static_cast<uint32_t>(random.next());
  if (raw) return zs::of_bits(bits);
  constexpr float kEdges[] = {0.0f,     -0.0f,  65504.0f,      65519.996f, 65520.0f,  6.1035156e-5f, 5.96e-8f,
                              2.98e-8f, 1e-40f, 3.3895314e38f, INFINITY,   -INFINITY, NAN,           -NAN};
  if (random.one_in(8)) return random.of(kEdges);
  // Of the last bits that a half has no room for, the first alone: a tie.
  if (random.one_in(4)) return zs::of_bits((zs::bits_of(random.element()) & 0xffffe000u) | 0x1000u);
  if (random.one_in(4)) return zs::of_bits((zs::bits_of(random.element()) & 0xffff0000u) | 0x8000u);
  return 8 * random.element();
}

struct Chunk {
  zs::Pages pages;
  Twins::Twin<unsigned char> keys, values;
};

void one_case(uint64_t seed) {
  Random random(seed);
  constexpr int32_t kStorages[] = {ZS_F32, ZS_F16, ZS_BF16}, kDims[] = {64, 128, 32, 80, 96, 256, 512, 2, 18};
  const zs::cuda::AppendShape shape{random.of(kStorages), random.one_in(2) ? random.of(kDims) : 64};
  const int64_t d = shape.d, padded = round_up(d, zs::kLane), element = shape.storage == ZS_F32 ? 4 : 2;
  const bool raw = random.one_in(4);

  Twins twins;
  std::vector<Chunk> chunks(static_cast<size_t>(random.upto(1, 3)));
  std::vector<zs::cuda::AppendTask> tasks;
  std::vector<std::unique_ptr<Twins::Twin<float>>> rows;
  for (Chunk& chunk : chunks) {
    const int32_t slots = slots_of(random);
    chunk.pages = zs::Pages({shape.d, shape.storage});
    chunk.pages.reserve(static_cast<int32_t>(round_up(slots, zs::kLane)));
    chunk.pages.resize(slots);
    // What lay there before.
    std::vector<float> old(static_cast<size_t>(d), 1.5f);
    for (int32_t slot = 0; slot < slots; ++slot) chunk.pages.write(slot, old.data(), old.data());
    const zs::KeyChunk here = chunk.pages.chunk(0, nullptr);
    const auto bytes = [](const void* from, int64_t count) {
      const auto* const first = static_cast<const unsigned char*>(from);
      return Bytes(first, first + count);
    };
    chunk.keys = twins.of(bytes(here.keys, round_up(slots, zs::kLane) * d * element));
    const int32_t from = random.upto(0, slots - 1), tokens = std::min(slots - from, random.upto(1, 9));
    Bytes values = bytes(here.values, slots * padded * element);
    std::fill_n(values.begin() + from * padded * element, tokens * padded * element, static_cast<unsigned char>(0xab));
    chunk.values = twins.of(values);
    // Queries and other heads lie between a token's rows.
    const int64_t stride = 2 * d + 2 * random.upto(0, 8);
    std::vector<float> given(static_cast<size_t>(tokens * stride));
    for (float& x : given) x = number(random, raw);
    rows.push_back(std::make_unique<Twins::Twin<float>>(twins.of(given)));
    for (int32_t token = 0; token < tokens; ++token) {
      const float* const row = rows.back()->device + token * stride;
      tasks.push_back({row, row + d, chunk.keys.device, chunk.values.device, from + token});
      chunk.pages.write(from + token, given.data() + token * stride, given.data() + token * stride + d);
    }
  }
  for (size_t i = tasks.size(); i > 1; --i) std::swap(tasks[i - 1], tasks[random.next() % i]);

  const auto list = twins.of(tasks);
  zs::gpu::vary_order(seed);
  const std::string what = zs::cuda::append(list.device, static_cast<int32_t>(tasks.size()), shape, {});
  const auto number_of_case = static_cast<unsigned long long>(seed);
  if (!test::check(what.empty(), "case %llu: %s", number_of_case, what.c_str())) return;
  for (Chunk& chunk : chunks) {
    const zs::KeyChunk here = chunk.pages.chunk(0, nullptr);
    const auto same = [&](const char* name, const Twins::Twin<unsigned char>& twin, const void* expected) {
      Bytes got(twin.host.size());
      zs::gpu::download(got.data(), twin.device, got.size());
      test::check(!std::memcmp(got.data(), expected, got.size()),
                  "case %llu: %s are not those of the CPU (storage %d, headDim %d)", number_of_case, name,
                  shape.storage, shape.d);
    };
    same("keys", chunk.keys, here.keys);
    same("values", chunk.values, here.values);
  }
}

void refusals() {
  const auto says = [](int32_t d, int32_t storage, const char* what) {
    const std::string said = zs::cuda::append(nullptr, 1, {storage, d}, {});
    test::check(said.find(what) != std::string::npos, "expected \"%s\", got \"%s\"", what, said.c_str());
  };
  says(63, ZS_F32, "an even headDim of at least 2, not 63");
  says(0, ZS_F32, "an even headDim of at least 2, not 0");
  says(64, 7, "does not know storage 7");
}

}  // namespace

int main() {
  refusals();
  return run_cases("append", one_case);
}
