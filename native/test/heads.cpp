// Heads changed and watched (zslab/heads.h): against a plain double-precision forward pass with the same changes, against sessions' own forward
// pass, many variants against one by one, the same bits for any thread count, unharmed by an abort.
#include <atomic>
#include <thread>

#include "test/tiny_heads.h"

namespace {

using namespace test;

const int kLong = cases(2000, 2000, 100);  // tokens of a text that is worth it: sanitizers are slow

std::vector<float> logits_of(const Model& model, const std::vector<int32_t>& ids, int64_t rows,
                             const std::vector<zs_head_change>& changes = {}, const zs_head_watch* watch = nullptr) {
  std::vector<float> logits(static_cast<size_t>(rows) * static_cast<size_t>(model.vocabulary));
  zs_read r = read_of(ids, rows);
  r.logits = logits.data(), r.watch = watch;
  r.changes = changes.data(), r.change_count = static_cast<int64_t>(changes.size());
  must(zs_model_read(model.handle, &r, nullptr), "read");
  return logits;
}

// Without hooks: the bits of a session under the full cache, whatever rows are asked for, watched or not.
void unused() {
  for (const zs_model_config& shape : {even_sizes(), odd_sizes()})
    for (int32_t weights : {ZS_F32, ZS_BF16})
      for (int count : {1, 2, 8, 9, 10, 33, 300, 1040}) {
        if (count > kLong) continue;
        const TinyModel tiny(shape, 5);
        const Engine engine(2);
        const Model model(engine, tiny, weights);
        const std::vector<int32_t> ids = some_ids(tiny, count, 3);
        const size_t width = static_cast<size_t>(shape.vocabulary), n = ids.size();
        const std::vector<float> all = logits_of(model, ids, count);
        if (count <= 300) {
          Cache cache(engine, tiny.cache_config());
          check(same_bits(all, model.forward(cache, ids)), "hidden %d, weights %d: a text of %d is read otherwise",
                shape.hidden, weights, count);
        }
        for (int rows : {1, 5, 32}) {
          if (rows > count) continue;
          const std::vector<float> some = logits_of(model, ids, rows);
          check(!std::memcmp(some.data(), &all[(n - static_cast<size_t>(rows)) * width], some.size() * sizeof(float)),
                "hidden %d, weights %d, %d tokens: the last %d rows depend on how many are asked for", shape.hidden,
                weights, count, rows);
        }
      }
}

// -ln p of the next id under each row's logits; the text's last row has none.
void next_ids() {
  const TinyModel tiny(odd_sizes(), 8);
  const Engine engine(2);
  const Model model(engine, tiny, ZS_F32);
  const std::vector<int32_t> ids = some_ids(tiny, 50, 9);
  const size_t width = static_cast<size_t>(tiny.config.vocabulary);
  for (size_t rows : {size_t{1}, size_t{7}, size_t{50}}) {
    std::vector<double> losses(rows, std::nan(""));
    const std::vector<float> logits = logits_of(model, ids, static_cast<int64_t>(rows));
    zs_read r = read_of(ids, static_cast<int64_t>(rows));
    r.losses = losses.data();
    must(zs_model_read(model.handle, &r, nullptr), "read");
    for (size_t row = 0; row < rows; ++row) {
      const float* const x = &logits[row * width];
      const size_t next = ids.size() - rows + row + 1;
      double sum = 0;
      for (size_t i = 0; i < width; ++i) sum += std::exp(static_cast<double>(x[i]));
      const double expected =
          next < ids.size() ? std::log(sum) - static_cast<double>(x[static_cast<size_t>(ids[next])]) : 0;
      check(std::abs(losses[row] - expected) <= 1e-5, "loss of row %zu of %zu: %g, not %g", row, rows, losses[row],
            expected);
    }
  }
}

std::vector<zs_head_change> some_changes(const TinyModel& tiny, const std::vector<std::vector<float>>& values,
                                         Random& random) {
  std::vector<zs_head_change> changes;
  for (int layer = 0; layer < tiny.config.layers; ++layer)
    for (int head = 0; head < tiny.config.heads; ++head) {
      if (random.one_in(2)) continue;
      const int kind = random.upto(0, 3);
      changes.push_back(
          {layer, head, kind, 0.5f + random.element(), values[static_cast<size_t>(kind == ZS_HEAD_ROWS)].data()});
    }
  return changes;
}

void against_doubles() {
  for (const zs_model_config& shape : {even_sizes(), odd_sizes()})
    for (uint64_t seed = 1; seed <= static_cast<uint64_t>(cases(12, 4, 1)); ++seed) {
      const TinyModel tiny(shape, seed);
      const Engine engine(2);
      const Model model(engine, tiny, ZS_F32);
      Random random(seed);
      const std::vector<int32_t> ids = some_ids(tiny, random.upto(2, 60), seed);
      const size_t n = ids.size(), d = static_cast<size_t>(shape.head_dim);
      std::vector<std::vector<float>> values{std::vector<float>(d), std::vector<float>(n * d)};
      for (auto& each : values)
        for (float& one : each) one = random.element();
      const std::vector<zs_head_change> changes = some_changes(tiny, values, random);
      const HeadsJudge judge = heads_judge(tiny, ids, changes);
      check(worst(logits_of(model, ids, static_cast<int64_t>(n), changes), judge.logits, 0) <= 2e-4,
            "hidden %d, seed %d: changed heads give other logits than the doubles", shape.hidden,
            static_cast<int>(seed));

      // Watched.
      const size_t heads = static_cast<size_t>(shape.layers * shape.heads);
      std::vector<uint8_t> marks(heads);
      std::vector<size_t> watched;
      for (size_t h = 0; h < heads; ++h)
        if (h == 0 || random.one_in(2)) marks[h] = 1, watched.push_back(h);
      const size_t w = watched.size(), last = static_cast<size_t>(random.upto(1, static_cast<int>(n)));
      const size_t first = static_cast<size_t>(random.upto(0, static_cast<int>(n) - 1)),
                   count = static_cast<size_t>(random.upto(1, static_cast<int>(n - first)));
      std::vector<int32_t> starts{0}, positions;
      for (size_t r = 0; r < n; ++r) {
        for (size_t s = 0; s <= r; ++s)
          if (random.one_in(3)) positions.push_back(static_cast<int32_t>(s));
        starts.push_back(static_cast<int32_t>(positions.size()));
      }
      const zs_pattern patterns[] = {{starts.data(), positions.data(), 0}, {starts.data(), positions.data(), 1}};
      const double stale = std::nan("");  // whatever lay there before is of no account
      std::vector<double> masses(2 * w, stale), entropies(w * n, stale), norms(w * n, stale);
      std::vector<double> mean_outputs(w * d, stale), mean_queries(w * d, stale);
      std::vector<double> mean_keys(static_cast<size_t>(shape.layers * shape.kv_heads) * d, stale);
      const size_t bins = static_cast<size_t>(random.upto(1, 8));
      std::vector<double> by_distance(w * bins, stale), distances(w, stale);
      const float before = std::nanf("");
      std::vector<float> outputs(w * n * d, before), queries(w * last * d, before), rows(w * count * n, before);
      std::vector<float> most(w * n, before);
      zs_head_watch watch{};
      watch.struct_bytes = sizeof watch, watch.heads = marks.data(), watch.patterns = patterns, watch.pattern_count = 2;
      watch.masses = masses.data(), watch.entropies = entropies.data(), watch.norms = norms.data();
      watch.outputs = outputs.data(), watch.mean_outputs = mean_outputs.data(),
      watch.mean_queries = mean_queries.data();
      watch.mean_keys = mean_keys.data(), watch.queries = queries.data(), watch.last = static_cast<int64_t>(last);
      watch.rows = rows.data(), watch.first_row = static_cast<int64_t>(first),
      watch.row_count = static_cast<int64_t>(count);
      watch.by_distance = by_distance.data(), watch.distance_bins = static_cast<int64_t>(bins);
      watch.distances = distances.data();
      watch.most = most.data(), watch.most_from = static_cast<int64_t>(first);
      const std::vector<float> seen = logits_of(model, ids, 1, changes, &watch);
      check(same_bits(seen, logits_of(model, ids, 1, changes)), "watching changes what is read");
      const auto near = [&](double given, double expected, double limit, const char* what, size_t at) {
        check(std::abs(given - expected) <= limit, "hidden %d, seed %d, %s %zu: %g, not %g", shape.hidden,
              static_cast<int>(seed), what, at, given, expected);
      };
      for (size_t i = 0; i < w; ++i) {
        const HeadsJudge::Head& head = judge.heads[watched[i]];
        double mass = 0, distance = 0;
        std::vector<double> expected(bins);
        for (size_t r = 0; r < n; ++r) {
          for (int32_t k = starts[r]; k < starts[r + 1]; ++k)
            mass += head.probabilities[r][static_cast<size_t>(positions[static_cast<size_t>(k)])];
          for (size_t s = 0; s <= r; ++s) {
            size_t bin = 0;
            while (bin + 1 < bins && (size_t{1} << bin) <= r - s) ++bin;
            expected[bin] += head.probabilities[r][s];
            distance += head.probabilities[r][s] * static_cast<double>(r - s);
          }
          near(entropies[i * n + r], head.entropy(r), 2e-5, "entropy", r);
          near(norms[i * n + r], head.norms[r], 1e-4, "norm", r);
          for (size_t k = 0; k < d; ++k)
            near(static_cast<double>(outputs[(i * n + r) * d + k]), head.outputs[r][k], 2e-5, "output", r);
          double highest = 0;
          for (size_t t = std::max(first, r); t < n; ++t) highest = std::max(highest, head.probabilities[t][r]);
          near(static_cast<double>(most[i * n + r]), highest, 2e-5, "most", r);
        }
        for (size_t bin = 0; bin < bins; ++bin)
          near(by_distance[i * bins + bin], expected[bin], 1e-4, "mass at a distance", bin);
        near(distances[i], distance, 1e-3, "distance", i);
        near(masses[i], mass, 1e-4, "mass", i);
        near(masses[w + i], static_cast<double>(n) - mass, 1e-4, "mass of the others", i);
        for (size_t r = 0; r < count; ++r)
          for (size_t s = 0; s < n; ++s)
            near(static_cast<double>(rows[(i * count + r) * n + s]),
                 s <= first + r ? head.probabilities[first + r][s] : 0, 2e-5, "probability of row", first + r);
        for (size_t k = 0; k < d; ++k) {
          double output = 0, query = 0;
          for (size_t r = 0; r < n; ++r) output += head.outputs[r][k] / static_cast<double>(n);
          for (size_t r = 0; r < n; ++r) query += head.unrotated[r][k] / static_cast<double>(n);
          near(mean_outputs[i * d + k], output, 2e-5, "mean output", k);
          near(mean_queries[i * d + k], query, 2e-5, "mean query", k);
          for (size_t r = 0; r < last; ++r)
            near(static_cast<double>(queries[(i * last + r) * d + k]), head.queries[n - last + r][k], 1e-4, "query", r);
        }
      }
      for (size_t i = 0; i < mean_keys.size(); ++i) near(mean_keys[i], judge.mean_keys[i], 2e-5, "mean key", i);
    }
}

void variants() {
  for (const zs_model_config& small : {even_sizes(), odd_sizes()})
    for (int32_t weights : {ZS_F32, ZS_BF16})
      for (int count : {2, 8, 9, 31, 103, 700}) {
        if (count > kLong) continue;
        zs_model_config shape = small;
        shape.layers = 3;
        const TinyModel tiny(shape, 41);
        const std::vector<int32_t> ids = some_ids(tiny, count, 9);
        const int64_t rows = std::min(32, count);
        std::vector<zs_head_change> changes;
        std::vector<int64_t> starts{0};
        const std::vector<float> values(static_cast<size_t>(shape.head_dim), 0.25f);
        const auto add = [&](std::vector<zs_head_change> variant) {
          changes.insert(changes.end(), variant.begin(), variant.end());
          starts.push_back(static_cast<int64_t>(changes.size()));
        };
        for (int layer = shape.layers - 1; layer >= 0; --layer)  // not in the order that they are done in
          for (int head = 0; head < shape.heads; ++head) {
            add({{layer, head, ZS_HEAD_ZERO, 0, nullptr}});
            add({{layer, head, ZS_HEAD_VECTOR, 0, values.data()}});
            add({{layer, head, ZS_HEAD_GATE, 1, nullptr}});
            add({{2, head, ZS_HEAD_GATE, 1.05f, nullptr}, {layer / 2, 1, ZS_HEAD_ZERO, 0, nullptr}});
          }
        const Engine two(2), one(1);
        const Model model(two, tiny, weights), alone(one, tiny, weights);
        const Varied many = varied(model, ids, rows, changes, starts, 0);
        const auto same = [&](const Varied& other, const char* what) {
          check(same_bits(many.kl, other.kl) && same_bits(many.losses, other.losses),
                "hidden %d, weights %d, %d tokens: %s", shape.hidden, weights, count, what);
        };
        same(varied(model, ids, rows, changes, starts, 1), "one by one differs");
        same(varied(model, ids, rows, changes, starts, 7), "seven at a time differ");
        same(varied(alone, ids, rows, changes, starts, 0), "one thread differs");

        // Against separate runs of the whole text: KL and loss in doubles from their logits.
        const size_t width = static_cast<size_t>(shape.vocabulary);
        const auto log_probs = [&](const std::vector<float>& logits, size_t row) {
          std::vector<double> out(width);
          double sum = 0;
          for (size_t i = 0; i < width; ++i) sum += std::exp(static_cast<double>(logits[row * width + i]));
          for (size_t i = 0; i < width; ++i) out[i] = static_cast<double>(logits[row * width + i]) - std::log(sum);
          return out;
        };
        const std::vector<float> base = logits_of(model, ids, rows);
        for (size_t v = 0; v + 1 < starts.size(); ++v) {
          const std::vector<zs_head_change> own(changes.begin() + starts[v], changes.begin() + starts[v + 1]);
          const std::vector<float> logits = logits_of(model, ids, rows, own);
          double kl = 0, loss = 0;
          for (size_t row = 0; row < static_cast<size_t>(rows); ++row) {
            const auto p = log_probs(base, row), q = log_probs(logits, row);
            for (size_t i = 0; i < width; ++i) kl += std::exp(p[i]) * (p[i] - q[i]) / static_cast<double>(rows);
            const size_t next = ids.size() - static_cast<size_t>(rows) + row + 1;
            if (next < ids.size()) loss -= q[static_cast<size_t>(ids[next])] / static_cast<double>(rows - 1);
          }
          check(std::abs(many.kl[v] - kl) <= 1e-9 && std::abs(many.losses[v] - loss) <= 1e-9,
                "hidden %d, weights %d, %d tokens, variant %zu: KL %.12g, not %.12g; loss %.12g, not %.12g",
                shape.hidden, weights, count, v, many.kl[v], kl, many.losses[v], loss);
          if (own.size() == 1 && own[0].kind == ZS_HEAD_GATE)
            check(many.kl[v] == 0 && std::memcmp(&many.losses[v], &many.base, sizeof(double)) == 0,
                  "a gate of 1 changes something: KL %g", many.kl[v]);
        }
      }
}

// What is replaced by what it gave is unchanged, to the bit.
void own_rows() {
  const TinyModel tiny(even_sizes(), 6);
  const Engine engine(2);
  const Model model(engine, tiny, ZS_F32);
  const std::vector<int32_t> ids = some_ids(tiny, 50, 4);
  const size_t heads = static_cast<size_t>(tiny.config.layers * tiny.config.heads),
               each = ids.size() * static_cast<size_t>(tiny.config.head_dim);
  const std::vector<uint8_t> marks(heads, 1);
  std::vector<float> outputs(heads * each);
  zs_head_watch watch{};
  watch.struct_bytes = sizeof watch, watch.heads = marks.data(), watch.outputs = outputs.data();
  const std::vector<float> base = logits_of(model, ids, 50, {}, &watch);
  std::vector<zs_head_change> changes;
  for (size_t h = 0; h < heads; ++h)
    changes.push_back({static_cast<int32_t>(h) / tiny.config.heads, static_cast<int32_t>(h) % tiny.config.heads,
                       ZS_HEAD_ROWS, 0, outputs.data() + h * each});
  check(same_bits(logits_of(model, ids, 50, changes), base), "a head that is given its own rows gives something else");
}

void aborts() {
  const TinyModel tiny(even_sizes(), 31);
  const Engine engine(2);
  const Model model(engine, tiny, ZS_F32);
  const std::vector<int32_t> ids = some_ids(tiny, 700, 1);
  std::vector<zs_head_change> changes;
  std::vector<int64_t> starts{0};
  for (int i = 0; i < 400; ++i) {
    changes.push_back({i % 2, i % 4, ZS_HEAD_ZERO, 0, nullptr});
    starts.push_back(i + 1);
  }
  zs_call at_once{};
  at_once.abort = 1;
  zs_status status = ZS_OK;
  varied(model, ids, 32, changes, starts, 0, &at_once, &status);
  check(status == ZS_ABORTED, "an abort before the start is not seen: %d", status);
  zs_call call{};
  std::atomic<bool> over{false};
  std::thread other([&] {
    while (!over && __atomic_load_n(&call.done, __ATOMIC_RELAXED) < 20) std::this_thread::yield();
    __atomic_store_n(&call.abort, 1, __ATOMIC_RELAXED);
  });
  const Varied stopped = varied(model, ids, 32, changes, starts, 1, &call, &status);
  over = true;
  other.join();
  const Varied whole =
      varied(model, ids, 32, {changes.begin(), changes.begin() + 8}, {starts.begin(), starts.begin() + 9}, 0);
  size_t done = 0;
  for (size_t i = 0; i < stopped.kl.size(); ++i)
    if (!std::isnan(stopped.kl[i])) {
      ++done;
      check(std::memcmp(&stopped.kl[i], &whole.kl[i % 8 / 2 * 2 + i % 2], sizeof(double)) == 0 || i % 8 >= 4,
            "a variant that was done before the abort is something else");
    }
  check(status == ZS_ABORTED && done < 400, "400 variants were never stopped: status %d, %zu done", status, done);
}

}  // namespace

int main() {
  try {
    unused();
    next_ids();
    against_doubles();
    variants();
    own_rows();
    aborts();
  } catch (const std::exception& e) {
    check(false, "%s", e.what());
  }
  return finish("heads");
}
