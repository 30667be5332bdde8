// What tests of kernels share: arrays on both sides, and how keys and values lie in them.
#ifndef ZSLAB_CUDA_TEST_TWINS_H
#define ZSLAB_CUDA_TEST_TWINS_H

#include <cmath>
#include <cstring>
#include <vector>

#include "core/half.h"
#include "core/kernels.h"
#include "cuda/gpu.h"
#include "test/check.h"

namespace zs::twins {

// Arrays on both sides: what the CPU's kernels use, and its twin in device memory.
class Twins {
 public:
  ~Twins() {
    for (void* one : device_) gpu::release(one);
  }
  template <class T>
  struct Twin {
    std::vector<T> host;
    T* device;
  };
  template <class T>
  Twin<T> of(std::vector<T> values) {
    auto* memory = static_cast<T*>(blank(values.size() * sizeof(T)));
    if (!values.empty()) gpu::upload(memory, values.data(), values.size() * sizeof(T));
    return {std::move(values), memory};
  }
  // To be written by both.
  template <class T>
  Twin<T> blank_of(size_t count) {
    return {std::vector<T>(count), static_cast<T*>(blank(count * sizeof(T)))};
  }

 private:
  void* blank(size_t bytes) {
    device_.push_back(gpu::allocate(bytes));
    return device_.back();
  }
  std::vector<void*> device_;
};

// As bytes: halves or floats.
using Bytes = std::vector<unsigned char>;
inline void put(Bytes& bytes, int64_t element, float x, int32_t storage) {
  if (storage == ZS_F32)
    std::memcpy(bytes.data() + 4 * element, &x, 4);
  else
    *reinterpret_cast<uint16_t*>(bytes.data() + 2 * element) = storage == ZS_BF16 ? bf16_of(x) : f16_of(x);
}
inline double get(const Bytes& bytes, int64_t element, int32_t storage) {
  float x;
  if (storage == ZS_F32) {
    std::memcpy(&x, bytes.data() + 4 * element, 4);
  } else {
    const uint16_t half = *reinterpret_cast<const uint16_t*>(bytes.data() + 2 * element);
    x = storage == ZS_BF16 ? of_bf16(half) : of_f16(half);
  }
  return static_cast<double>(x);
}
inline int64_t key_at(int64_t slot, int64_t dim, int64_t d, int32_t storage) {
  const int64_t tile = slot / kLane * kLane * d, lane = slot % kLane;
  return storage == ZS_BF16 ? tile + (dim / 2 * kLane + lane) * 2 + dim % 2 : tile + dim * kLane + lane;
}

inline bool same_bits(const float* a, const float* b, int64_t count) {
  for (int64_t i = 0; i < count; ++i)
    if (std::memcmp(a + i, b + i, 4) && !(std::isnan(a[i]) && std::isnan(b[i]))) return false;
  return true;
}

// Of a chunk: with a liking for edges.
inline int slots_of(test::Random& random) {
  constexpr int kEdges[] = {1, 2, 15, 16, 17, 31, 63, 64, 65, 127, 128, 129, 255, 256};
  return random.one_in(2) ? random.of(kEdges) : random.upto(1, kChunk);
}

// Shapes that no kernel over slots takes; f(group, d, storage) → what it says of one.
template <class F>
void refusals(F f) {
  const auto says = [&](int32_t group, int32_t d, int32_t storage, const char* what) {
    const std::string said = f(group, d, storage);
    test::check(said.find(what) != std::string::npos, "expected \"%s\", got \"%s\"", what, said.c_str());
  };
  says(9, 64, ZS_F32, "1 to 8 query heads");
  says(0, 64, ZS_F32, "1 to 8 query heads");
  says(1, 258, ZS_F32, "an even headDim of at most 256");
  says(1, 63, ZS_F32, "an even headDim of at most 256");
  says(1, 64, 7, "does not know storage 7");
}

// native/cpu for a case: now and then the portable kernels, which are slow, else the fastest that this CPU has. All give the same bits
// (test/identical.cpp).
inline const AttentionKernels& cpu_of(uint64_t seed) {
  static const Cpu cpu = detect_cpu();
  const zs_isa best = cpu.avx512 ? ZS_ISA_AVX512 : cpu.avx2 ? ZS_ISA_AVX2 : ZS_ISA_GENERIC;
  return *attention_kernels(seed % 8 ? best : ZS_ISA_GENERIC);
}

// Random cases, each from its own seed; main's value.
inline int run_cases(const char* name, void (*one_case)(uint64_t seed)) {
  const int cases = test::alike(5000, 400, 1000);
  for (int i = 0; i < cases; ++i) one_case(static_cast<uint64_t>(i));
  std::printf("  %d cases\n", cases);
  return test::finish(name);
}

}  // namespace zs::twins
#endif
