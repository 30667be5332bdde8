#include "cuda/backend/prompt.h"

#include <algorithm>

#include "cuda/backend/mail.h"
#include "cuda/column_sums.h"
#include "cuda/prefill_attention.h"

namespace zs::cuda {
namespace {

int64_t whole_tiles(const KeyChunk& chunk) { return round_up(chunk.slots, kLane); }

}  // namespace

GpuPrompt::GpuPrompt(std::shared_ptr<Context> context, const DevicePromptShape& shape, zs_view q)
    : context_(std::move(context)), shape_(shape) {
  context_->here();
  const int64_t rows = shape_.rows, d = shape_.d, most = prefill_rows(shape_.group, shape_.d);
  std::vector<float> bias;
  for (const KeyChunk& chunk : shape_.chunks) {
    floats_ = floats_ || (chunk.keys && (chunk.storage != shape_.storage || chunk.float_keys));
    if (chunk.bias) bias.insert(bias.end(), chunk.bias, chunk.bias + whole_tiles(chunk));
  }
  float* bias_there = nullptr;
  const auto cut = [&](char* memory) {
    Cutter cutter(memory);
    q_ = cutter.take<float>(heads() * rows * d);
    out_ = cutter.take<float>(heads() * rows * d);
    highest_ = cutter.take<float>(heads() * rows);
    inverse_ = cutter.take<float>(heads() * rows);
    bias_there = cutter.take<float>(static_cast<int64_t>(bias.size()));
    chunks_ = cutter.take<KeyChunk>(static_cast<int64_t>(shape_.chunks.size()));
    tasks_ = cutter.take<RowsTask>(shape_.kv_heads * ((rows + most - 1) / most));
    return cutter.bytes();
  };
  memory_ = context_->pool->take(cut(nullptr));
  cut(as<char>(memory_));
  float* next = bias_there;
  for (KeyChunk& chunk : shape_.chunks)
    if (chunk.bias) {
      chunk.bias = next;
      next += whole_tiles(chunk);
    }
  std::vector<float> packed(static_cast<size_t>(heads() * rows * d));
  for (int64_t h = 0; h < heads(); ++h)
    for (int64_t r = 0; r < rows; ++r)
      std::copy_n(q.data + h * q.head_stride + r * q.row_stride, d, packed.data() + (h * rows + r) * d);
  const gpu::Stream stream = context_->stream;
  gpu::upload(q_, packed.data(), packed.size() * sizeof(float), stream);
  if (!bias.empty()) gpu::upload(bias_there, bias.data(), bias.size() * sizeof(float), stream);
  gpu::upload(chunks_, shape_.chunks.data(), shape_.chunks.size() * sizeof(KeyChunk), stream);
  must(gpu::wait(stream));
}

void GpuPrompt::attend(int64_t begin, int64_t end) {
  context_->here();
  const int64_t rows = shape_.rows, d = shape_.d, group = shape_.group, most = prefill_rows(shape_.group, shape_.d);
  std::vector<RowsTask> tasks;
  // The last rows see most slots: they go first, so that no multiprocessor is left with a long one.
  for (int64_t row = begin + (end - begin - 1) / most * most; row >= begin; row -= most)
    for (int32_t g = 0; g < shape_.kv_heads; ++g) {
      RowsTask task{};
      task.chunks = chunks_ + shape_.start[static_cast<size_t>(g)];
      task.first_causal = shape_.first_causal[static_cast<size_t>(g)];
      task.row = shape_.from + row;
      task.rows = static_cast<int32_t>(std::min(end - row, most));
      task.chunk_count = task.first_causal + static_cast<int32_t>((task.row + task.rows - 1) / kChunk + 1);
      const int64_t at = g * group * rows + row;
      task.q = q_ + at * d;
      task.out = out_ + at * d;
      task.q_head = task.out_head = rows * d;
      task.q_row = task.out_row = d;
      task.group = shape_.group;
      task.d = shape_.d;
      task.scale = shape_.scale;
      task.highest = highest_ + at;
      task.inverse = inverse_ + at;
      task.stat_stride = rows;
      tasks.push_back(task);
    }
  gpu::upload(tasks_, tasks.data(), tasks.size() * sizeof(RowsTask), context_->stream);
  must(prefill(tasks_, static_cast<int32_t>(tasks.size()), {shape_.storage, floats_, shape_.group, shape_.d},
               context_->stream));
  must(gpu::wait(context_->stream));
}

void GpuPrompt::read(zs_view out, float* highest, float* inverse, int64_t stride) {
  context_->here();
  const gpu::Stream stream = context_->stream;
  const int64_t rows = shape_.rows, d = shape_.d;
  std::vector<float> packed(static_cast<size_t>(heads() * rows * d));
  gpu::download(packed.data(), out_, packed.size() * sizeof(float), stream);
  for (int64_t h = 0; h < heads(); ++h) {
    gpu::download(highest + h * stride, highest_ + h * rows, static_cast<size_t>(rows) * sizeof(float), stream);
    gpu::download(inverse + h * stride, inverse_ + h * rows, static_cast<size_t>(rows) * sizeof(float), stream);
  }
  must(gpu::wait(stream));
  for (int64_t h = 0; h < heads(); ++h)
    for (int64_t r = 0; r < rows; ++r)
      std::copy_n(packed.data() + (h * rows + r) * d, d, out.data + h * out.head_stride + r * out.row_stride);
}

void GpuPrompt::sum(const std::vector<DeviceSums>& units, int32_t group, int64_t to) {
  context_->here();
  std::vector<ColumnsTask> tasks;
  std::vector<Fade> fades;
  std::vector<float> packed;
  ColumnsShape how{shape_.storage, floats_, group, shape_.d, 1};
  for (const DeviceSums& unit : units) {
    how.fades = std::max(how.fades, static_cast<int32_t>(unit.fades.size()));
    const int64_t slots = whole_tiles(shape_.chunks[static_cast<size_t>(unit.chunk)]);
    for (const Fade& fade : unit.fades) {
      packed.insert(packed.end(), fade.acc, fade.acc + slots);
      fades.push_back(fade);
    }
  }
  float* packed_there = nullptr;
  Fade* fades_there = nullptr;
  ColumnsTask* tasks_there = nullptr;
  const auto cut = [&](char* memory) {
    Cutter cutter(memory);
    packed_there = cutter.take<float>(static_cast<int64_t>(packed.size()));
    fades_there = cutter.take<Fade>(static_cast<int64_t>(fades.size()));
    tasks_there = cutter.take<ColumnsTask>(static_cast<int64_t>(units.size()));
    return cutter.bytes();
  };
  if (const int64_t bytes = cut(nullptr); bytes > sums_bytes_) {
    sums_ = context_->pool->take(bytes);
    sums_bytes_ = bytes;
  }
  cut(as<char>(sums_));

  const int64_t rows = shape_.rows, d = shape_.d;
  size_t next = 0;
  float* acc = packed_there;
  for (const DeviceSums& unit : units) {
    ColumnsTask task{};
    task.chunk = shape_.chunks[static_cast<size_t>(unit.chunk)];
    task.chunk.values = nullptr;
    task.first = unit.first;
    task.causal = unit.causal;
    task.to = to;
    task.fades = fades_there + next;
    task.fade_count = static_cast<int32_t>(unit.fades.size());
    // Rows are counted from the heads' first own token.
    const int64_t at = unit.head * rows - shape_.from;
    task.q = q_ + at * d;
    task.q_head = rows * d;
    task.q_row = d;
    task.group = group;
    task.d = shape_.d;
    task.scale = shape_.scale;
    task.highest = highest_ + at;
    task.inverse = inverse_ + at;
    task.stat_stride = rows;
    for (size_t f = 0; f < unit.fades.size(); ++f, acc += whole_tiles(task.chunk)) fades[next++].acc = acc;
    tasks.push_back(task);
  }
  const gpu::Stream stream = context_->stream;
  gpu::upload(packed_there, packed.data(), packed.size() * sizeof(float), stream);
  gpu::upload(fades_there, fades.data(), fades.size() * sizeof(Fade), stream);
  gpu::upload(tasks_there, tasks.data(), tasks.size() * sizeof(ColumnsTask), stream);
  must(columns(tasks_there, static_cast<int32_t>(tasks.size()), how, stream));
  gpu::download(packed.data(), packed_there, packed.size() * sizeof(float), stream);
  must(gpu::wait(stream));
  const float* from = packed.data();
  for (const DeviceSums& unit : units)
    for (const Fade& fade : unit.fades) {
      const int64_t slots = whole_tiles(shape_.chunks[static_cast<size_t>(unit.chunk)]);
      std::copy_n(from, slots, fade.acc);
      from += slots;
    }
}

}  // namespace zs::cuda
