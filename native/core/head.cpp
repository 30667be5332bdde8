#include "core/head.h"

#include <cmath>

namespace zs {

double natural_log(double x) {
  int exponent;
  double m = std::frexp(x, &exponent);
  if (m < 0.70710678118654752440) {
    m *= 2;
    --exponent;
  }
  // ln m = 2 atanh(s), |s| < 0.172: the terms fall by 34 each.
  const double s = (m - 1) / (m + 1), square = s * s;
  double sum = 0;
  for (int k = 23; k >= 1; k -= 2) sum = sum * square + 1.0 / k;
  return exponent * 0.69314718055994530942 + 2 * s * sum;
}

KeyChunk Head::chunk(int32_t i) const {
  if (i < residual.chunks()) return residual.chunk(i, bias.data() + static_cast<int64_t>(i) * kChunk);
  return rest.chunk(i - residual.chunks(), nullptr);
}

float* Head::chunk_scores(int32_t i) {
  if (i < residual.chunks()) return residual_scores.data() + static_cast<int64_t>(i) * kChunk;
  return rest_scores.data() + static_cast<int64_t>(i - residual.chunks()) * kChunk;
}

namespace {
template <class T>
void grow(std::vector<T>& column, size_t size) {
  if (size > column.capacity()) column.reserve(size + size / 16 + 16);  // one step's room is asked for again and again
}
}  // namespace

void Head::make_room(int32_t slots) {
  rest.reserve(slots);
  grow(rest_scores, static_cast<size_t>(round_up(slots, kLane)));
  grow(positions, static_cast<size_t>(slots));
}

void Head::reserve(int32_t more) {
  make_room(rest.slots() + more);
  grow(links, links.size() + static_cast<size_t>(more));
}

void Head::append(const float* key, const float* value, int32_t position) {
  const int32_t slot = rest.slots();
  rest.resize(slot + 1);
  rest.write(slot, key, value);
  rest_scores.resize(static_cast<size_t>(round_up(slot + 1, kLane)), 0.0f);
  rest_scores[static_cast<size_t>(slot)] = 0;
  positions.push_back(position);
  links.push_back(kLinkEnd);
}

void Head::make_residual(int32_t count) {
  const size_t whole = static_cast<size_t>(round_up(count, kLane));
  residual.reserve(count);
  residual.resize(count);
  residual_scores.assign(whole, 0.0f);
  weights.assign(whole, 0.0f);
  bias.assign(whole, 0.0f);
  first.assign(static_cast<size_t>(count), kLinkEnd);
  last.assign(static_cast<size_t>(count), kLinkEnd);
}

void Head::seed(int32_t slot, const float* key, const float* value, float score, int32_t position) {
  const size_t i = static_cast<size_t>(slot);
  residual.write(slot, key, value);
  residual_scores[i] = score;
  weights[i] = 1;
  bias[i] = 0;
  first[i] = last[i] = position;
  links[static_cast<size_t>(position)] = kLinkEnd;
}

void Head::set_weight(int32_t slot, double weight, float alpha) {
  const size_t i = static_cast<size_t>(slot);
  weights[i] = static_cast<float>(weight);
  bias[i] = static_cast<float>(static_cast<double>(alpha) * natural_log(weight));
}

void Head::chain(int32_t slot, int32_t position) {
  const size_t i = static_cast<size_t>(slot);
  links[static_cast<size_t>(last[i])] = position;
  links[static_cast<size_t>(position)] = kLinkEnd;
  last[i] = position;
}

int64_t Head::bookkeeping_bytes() const {
  const size_t floats = residual_scores.capacity() + rest_scores.capacity() + weights.capacity() + bias.capacity();
  const size_t integers = first.capacity() + last.capacity() + positions.capacity() + links.capacity();
  return static_cast<int64_t>(4 * (floats + integers));
}

}  // namespace zs
