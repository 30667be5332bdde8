#include "core/engine.h"

#include <thread>
#if defined(__linux__)
#include <sched.h>
#endif

#include "core/device.h"
#include "core/error.h"
#include "core/kernels.h"
#include "core/policy.h"
#include "core/reading.h"
#include "cpu/linear.h"

namespace zs {
namespace {

const char* isa_name(zs_isa isa) { return isa == ZS_ISA_AVX512 ? "avx512" : isa == ZS_ISA_AVX2 ? "avx2" : "generic"; }

zs_isa choose(zs_isa wanted, const Cpu& cpu) {
  const auto has = [&](zs_isa isa) {
    const bool able = isa == ZS_ISA_GENERIC || (isa == ZS_ISA_AVX2 && cpu.avx2) || (isa == ZS_ISA_AVX512 && cpu.avx512);
    return able && attention_kernels(isa) && linear_kernels(isa);
  };
  if (wanted == ZS_ISA_BEST)
    return has(ZS_ISA_AVX512) ? ZS_ISA_AVX512 : has(ZS_ISA_AVX2) ? ZS_ISA_AVX2 : ZS_ISA_GENERIC;
  if (!has(wanted)) {
    std::string found;
    for (const std::string& feature : cpu.features) found += " " + feature;
    fail(ZS_UNSUPPORTED, "this CPU or build cannot run the %s kernels (found:%s): use -1, the best it has",
         isa_name(wanted), found.empty() ? " nothing of x86" : found.c_str());
  }
  return wanted;
}

int usable_cpus() {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) {
    const int count = CPU_COUNT(&set);
    if (count > 0) return count < 256 ? count : 256;
  }
#endif
  const unsigned count = std::thread::hardware_concurrency();
  return count < 1 ? 1 : count < 256 ? static_cast<int>(count) : 256;
}

}  // namespace

Workspace::Workspace() = default;
Workspace::~Workspace() = default;

}  // namespace zs

zs_engine::zs_engine(int threads, zs_isa wanted)
    : pool(threads),
      isa(zs::choose(wanted, zs::detect_cpu())),
      attention(zs::attention_kernels(isa)),
      linear(zs::linear_kernels(isa)) {
  std::string features;
  const zs::Cpu cpu = zs::detect_cpu();
  for (const std::string& feature : cpu.features) features += (features.empty() ? "\"" : ",\"") + feature + "\"";
  on_cpu = std::string("{\"isa\":\"") + zs::isa_name(isa) + "\",\"threads\":" + std::to_string(threads) +
           ",\"cpuFeatures\":[" + features + "],\"quickBf16\":" + (cpu.quick_bf16 ? "true" : "false") +
           ",\"library\":\"" + zs::library_name() + "\",\"abi\":" + std::to_string(ZS_ABI_VERSION);
  description = on_cpu + ",\"device\":null}";
  work.upkeep.resize(static_cast<size_t>(threads));
}

zs_engine::~zs_engine() = default;

void zs_engine::use(std::unique_ptr<zs::Device> made) {
  device = std::move(made);
  description = on_cpu + ",\"device\":" + device->description() + "}";
}

extern "C" {

zs_status zs_engine_create(int32_t threads, int32_t isa, zs_engine** out) {
  return zs::guard([&] {
    if (!out) zs::fail(ZS_INVALID, "out is NULL: expected a place for the engine");
    if (threads < 0 || threads > 256)
      zs::fail(ZS_INVALID, "threads is %d: expected 1 to 256, or 0 for as many as this process may use", threads);
    if (isa < ZS_ISA_BEST || isa > ZS_ISA_AVX512)
      zs::fail(ZS_INVALID, "isa is %d: expected -1 (the best), 0 (generic), 1 (AVX2) or 2 (AVX-512)", isa);
    *out = new zs_engine(threads ? threads : zs::usable_cpus(), static_cast<zs_isa>(isa));
  });
}

void zs_engine_destroy(zs_engine* engine) { delete engine; }

const char* zs_engine_describe(zs_engine* engine) { return engine ? engine->description.c_str() : ""; }

}  // extern "C"
