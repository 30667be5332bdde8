// Rows of prompts and of several tokens on the engine's device (core/device_prompt.h), in launches that an abort need not wait long for.
// Included only by core/*.cpp.
#ifndef ZSLAB_CORE_PROMPT_ON_DEVICE_H
#define ZSLAB_CORE_PROMPT_ON_DEVICE_H

#include <memory>
#include <vector>

#include "core/device_prompt.h"
#include "core/work.h"

namespace zs {

// `list`, which is that of `segments`, one after another, with its chunks and the queries of `tokens` rows (as of attend_rows) on the device:
// each page goes there once. nullptr: there is no device, it has no memory for them, or keys are not read as they lie. The CPU gives the same
// bits; what a prompt needs for a moment must not keep a cache from a device that has room for what is kept of it.
std::unique_ptr<DevicePrompt> prompt_on_device(zs_cache& cache, const PageList& list,
                                               const std::vector<Segment*>& segments, zs_view q, int64_t from,
                                               int64_t tokens);
// As attend_rows.
void attend_on_device(DevicePrompt& there, const zs_cache& cache, const PageList& list, int64_t from, int64_t tokens,
                      zs_call* call, const Progress& progress);
// As sum_columns: how many of the units it did before memory was short.
int64_t sum_on_device(DevicePrompt& there, int64_t to, int32_t group, int32_t d, int64_t units, zs_call* call,
                      const Progress& progress,
                      const std::function<ColumnsPlace(int64_t unit, ColumnsTask& task, Fade* fades)>& place);

}  // namespace zs
#endif
