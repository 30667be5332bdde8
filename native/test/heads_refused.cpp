// What does not fit a reading, its changes and what is watched of it (zslab/heads.h) is refused in a sentence.
#include "test/tiny_heads.h"

namespace {

using namespace test;

void refusals() {
  const TinyModel tiny(even_sizes(), 2);
  const Engine engine(1);
  const Model model(engine, tiny, ZS_F32);
  const std::vector<int32_t> ids = some_ids(tiny, 20, 1);
  const auto refused = [&](zs_read r, const char* words) {
    const zs_status status = zs_model_read(model.handle, &r, nullptr);
    check(status == ZS_INVALID && std::strstr(zs_last_error(), words), "expected '%s', got %d: %s", words, status,
          zs_last_error());
  };
  const zs_read good = read_of(ids, 3);
  const float none = NAN;
  const auto changed = [&](zs_head_change change, const char* words, int64_t count = 1) {
    zs_read r = good;
    const zs_head_change twice[] = {change, change};
    r.changes = twice, r.change_count = count;
    refused(r, words);
  };
  changed({2, 0, 0, 0, nullptr}, "there is no layer 2, head 0");
  changed({0, 4, 0, 0, nullptr}, "there is no layer 0, head 4");
  changed({-1, 0, 0, 0, nullptr}, "there is no layer -1");
  changed({0, 0, 9, 0, nullptr}, "kind 9");
  changed({0, 0, ZS_HEAD_VECTOR, 0, nullptr}, "missing");
  changed({0, 0, ZS_HEAD_GATE, none, nullptr}, "not finite");
  changed({0, 1, ZS_HEAD_ZERO, 0, nullptr}, "changed twice", 2);
  changed({0, 1, ZS_HEAD_ZERO, 0, nullptr}, "change_count", -1);
  zs_read r = good;
  r.rows = 21, refused(r, "rows = 21");
  r.rows = 0, refused(r, "rows = 0");
  r = good, r.tokens = 0, refused(r, "at least one");
  const std::vector<int32_t> wrong{1, 5000, 2}, many(5000, 1);
  refused(read_of(wrong, 1), "ids[1] = 5000");
  refused(read_of(many, 1), "longer than the model's context");
  r = good, r.struct_bytes = 3, refused(r, "struct_bytes");
  std::vector<uint8_t> marks(8, 1);
  std::vector<float> room(8 * 400);
  std::vector<double> masses(8);
  const auto watching = [&](zs_head_watch watch, const char* words) {
    zs_read w = good;
    w.watch = &watch;
    refused(w, words);
  };
  zs_head_watch watch{};
  watch.struct_bytes = sizeof watch;
  watching(watch, "missing");
  watch.heads = marks.data();
  watch.queries = room.data(), watch.last = 21, watching(watch, "last 21");
  watch.queries = nullptr;
  watch.rows = room.data(), watch.first_row = 18, watch.row_count = 3, watching(watch, "3 rows from 18");
  watch.rows = nullptr;
  watch.most = room.data(), watch.most_from = 20, watching(watch, "most_from = 20");
  watch.most = nullptr;
  watch.by_distance = masses.data(), watching(watch, "0 bins of distances");
  watch.by_distance = nullptr;
  std::vector<int32_t> starts(21, 0), positions{5};
  zs_pattern pattern{starts.data(), positions.data(), 0};
  watch.patterns = &pattern, watch.pattern_count = 1, watching(watch, "without");
  watch.masses = masses.data();
  std::fill(starts.begin() + 3, starts.end(), 1), watching(watch, "row 2 has position 5");
  std::fill(starts.begin(), starts.begin() + 10, 0);
  starts[20] = 0, watching(watch, "fall at row 19");
  std::fill(marks.begin(), marks.end(), uint8_t{0});
  std::fill(starts.begin(), starts.end(), 0), watching(watch, "no head");
  zs_status status = ZS_OK;
  varied(model, ids, 3, {{0, 0, 0, 0, nullptr}}, {0, 0}, 0, nullptr, &status);
  check(status == ZS_INVALID && std::strstr(zs_last_error(), "changes nothing"), "an empty variant: %s",
        zs_last_error());
}

}  // namespace

int main() {
  try {
    refusals();
  } catch (const std::exception& e) {
    check(false, "%s", e.what());
  }
  return finish("heads_refused");
}
