// A text read whole, with heads changed and watched (zs_model_read).
#include <mutex>

#include "model/progress.h"
#include "model/runner.h"
#include "model/watch.h"

namespace zs {
namespace {

// Of the text's last `rows` rows.
void tell(zs_model& model, const zs_read& read, const TextPass& pass, zs_call* call) {
  const int64_t vocabulary = model.config.vocabulary, stride = model.weights.output.outputs();
  const int64_t first = read.tokens - read.rows;
  for (int64_t from = 0; from < read.rows; from += kFewRows) {
    const int64_t count = std::min(kFewRows, read.rows - from);
    std::vector<const float*> hidden;
    for (int64_t i = 0; i < count; ++i) hidden.push_back(pass.hidden(0, first + from + i));
    const float* const logits = row_logits(model, hidden.data(), count, call);
    const bool whole = model.engine->pool.run(count, call, [&](int64_t i, int) {
      const float* const row = logits + i * stride;
      const int64_t next = first + from + i + 1;
      if (read.logits) std::copy_n(row, vocabulary, read.logits + (from + i) * vocabulary);
      if (read.losses)
        read.losses[from + i] = next < read.tokens ? model.engine->linear->log_sum_exp(row, vocabulary) -
                                                         static_cast<double>(row[read.ids[next]])
                                                   : 0;
    });
    if (!whole) check_abort(call);
  }
}

void model_read(zs_model& model, const zs_read& read, zs_call* call) {
  const int32_t layers = model.config.layers;
  check_text(model.config, read.ids, read.tokens, read.rows);
  if (read.change_count < 0 || (read.change_count && !read.changes))
    fail(ZS_INVALID, "change_count = %lld without changes", static_cast<long long>(read.change_count));
  check_changes(model.config, read.tokens, read.changes, read.change_count);
  Watcher watcher(model, read.watch, read.tokens, call);
  check_abort(call);
  report(call, 0, layers);
  TextPass pass(model, 1, read.tokens, read.watch ? read.tokens : read.rows, call);
  pass.start(read.ids);
  for (int32_t layer = 0; layer < layers; ++layer) {
    pass.project(layer);
    watcher.projected(layer, pass);
    pass.attend(layer, watcher.statistics());
    watcher.attended(layer, pass);
    for (int64_t i = 0; i < read.change_count; ++i)
      if (read.changes[i].layer == layer) pass.change(layer, 0, read.changes[i]);
    pass.finish(layer);
    report(call, layer + 1, layers);
  }
  if (read.logits || read.losses) tell(model, read, pass, call);
}

}  // namespace
}  // namespace zs

zs_status zs_model_read(zs_model* model, const zs_read* read, zs_call* call) {
  return zs::guard([&] {
    if (!model || !read) zs::fail(ZS_INVALID, "zs_model_read: %s is NULL", !model ? "model" : "read");
    if (read->struct_bytes != sizeof(zs_read))
      zs::fail(ZS_INVALID, "zs_read.struct_bytes = %d, expected %zu: compile against this version's heads.h",
               read->struct_bytes, sizeof(zs_read));
    std::lock_guard<std::mutex> lock(model->engine->busy);
    zs::model_read(*model, *read, call);
  });
}
