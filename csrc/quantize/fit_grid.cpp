// The search of scales. For given levels the best scale is known (least squares), and what it
// leaves of the error too, so that a candidate costs one pass over its numbers. Candidates are
// around the scale that the largest number asks for; the winner and its levels are then improved in
// turns. Where the scales of a block are multiples of one, the multiples beside the best are tried,
// and that one gets its least squares at the end.
#include <algorithm>
#include <cmath>

#include "base/half.h"
#include "quantize/code_grid.h"
#include "quantize/level_sets.h"

namespace gpt2edge {
namespace {

constexpr int kLanes = 8;  // partial sums, so that the compiler may use vectors
constexpr int kTurns = 3;
constexpr int kMostParts = kLargestBlock / kGridPart;

float sum_of(const float (&lanes)[kLanes]) {
  return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) +
         ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

// Numbers that share a scale.
struct Part {
  const float* x;
  const float* weights;
  int n;
};

// Weighted sums over a part with given levels l: enough for least squares.
struct Sums {
  float xl, ll, x, l, one;
};

template <typename Levels>
Sums scale_sums(const Levels& levels, const Part& part, float inverse) {
  float xl[kLanes] = {}, ll[kLanes] = {};
  for (int i = 0; i < part.n; i += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) {
      const float x = part.x[i + lane], l = levels(x * inverse);
      const float weighted = part.weights[i + lane] * l;
      xl[lane] += weighted * x;
      ll[lane] += weighted * l;
    }
  }
  return {sum_of(xl), sum_of(ll), 0, 0, 0};
}

float usable_inverse(float scale) {
  const float inverse = 1.0f / scale;
  return std::isfinite(inverse) ? inverse : 0.0f;
}

float largest_magnitude(const Part& part) {
  float largest = 0.0f;
  for (int i = 0; i < part.n; ++i) largest = std::max(largest, std::fabs(part.x[i]));
  return largest;
}

// A scale without a min, and the weight of an error in it.
struct Scale {
  float scale = 0.0f, weight = 0.0f;
};

template <typename Levels>
Scale fit_scale(const CodeSet& set, const Levels& levels, const Part& part) {
  const float largest = largest_magnitude(part);
  const float whole = usable_inverse(largest);
  Scale best;
  float most = 0.0f;  // of the squares that a candidate explains
  const auto try_inverse = [&](float inverse) {
    const Sums sums = scale_sums(levels, part, inverse);
    if (!(sums.xl * sums.xl > most * sums.ll)) return false;
    most = sums.xl * sums.xl / sums.ll;
    best = {sums.xl / sums.ll, sums.ll};
    return true;
  };
  for (int i = 0; i < set.n_steps; ++i) {
    const float inverse = (set.first_step + set.step_size * static_cast<float>(i)) * whole;
    try_inverse(inverse);
    if (set.lowest != -set.highest) try_inverse(-inverse);
  }
  for (int turn = 0; turn < kTurns && best.scale != 0.0f; ++turn) {
    if (!try_inverse(usable_inverse(best.scale))) break;
  }
  return best;
}

// The half float nearest to x that is finite.
uint16_t stored_half(float x) {
  constexpr float kLargest = 65504.0f;
  return float_to_half(std::clamp(x, -kLargest, kLargest));
}

// The error of a part whose scale and min are given.
template <typename Levels>
float error_of(const Levels& levels, const Part& part, float scale, float min) {
  const float inverse = scale != 0.0f ? usable_inverse(scale) : 0.0f;
  float lanes[kLanes] = {};
  for (int i = 0; i < part.n; i += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) {
      const float x = part.x[i + lane];
      const float error = x - (scale * levels((x - min) * inverse) + min);
      lanes[lane] += part.weights[i + lane] * (error * error);
    }
  }
  return sum_of(lanes);
}

Part part_of(const CodeSet& set, const float* x, const float* weights, int k) {
  return {x + k * set.share, weights + k * set.share, set.share};
}

// What the grid stores, as the floats that it stands for.
void set_values(CodeGrid& grid) {
  const CodeSet& set = *grid.set;
  const float d = half_to_float(grid.d), dmin = half_to_float(grid.dmin);
  const bool one_scale = has_one_scale(set);
  for (int i = 0; i < set.block / kGridPart; ++i) {
    const int k = i * kGridPart / set.share;
    grid.scale[i] = one_scale ? d : d * static_cast<float>(grid.sub_scale[k]);
    grid.min[i] = one_scale ? dmin : -(dmin * static_cast<float>(grid.sub_min[k]));
  }
}

int nearest_multiple(const CodeSet& set, float scale, float inverse) {
  const float multiple = std::clamp(scale * inverse, static_cast<float>(set.scale_lowest),
                                    static_cast<float>(set.scale_highest));
  return static_cast<int>(std::lround(multiple));
}

// The factor whose multiples are nearest to the scales.
float common_factor(const CodeSet& set, const Scale* scales, int n_parts) {
  constexpr int kTries = 8;
  float extreme = 0.0f;
  for (int k = 0; k < n_parts; ++k) {
    if (std::fabs(scales[k].scale) > std::fabs(extreme)) extreme = scales[k].scale;
  }
  float best = 0.0f, least = INFINITY;
  for (int i = 0; i < 2 * kTries; ++i) {
    const int multiple = i < kTries ? set.scale_lowest + i : set.scale_highest - (i - kTries);
    const float factor = extreme / static_cast<float>(multiple);
    const float inverse = usable_inverse(factor);
    float error = 0.0f;
    for (int k = 0; k < n_parts; ++k) {
      const auto m = static_cast<float>(nearest_multiple(set, scales[k].scale, inverse));
      const float off = scales[k].scale - factor * m;
      error += scales[k].weight * (off * off);
    }
    if (error < least) {
      least = error;
      best = factor;
    }
  }
  return best;
}

template <typename Levels>
void fit_multiples(const Levels& levels, const float* x, const float* weights, CodeGrid& grid) {
  const CodeSet& set = *grid.set;
  const int n_parts = set.block / set.share;
  Scale scales[kMostParts];
  for (int k = 0; k < n_parts; ++k) {
    scales[k] = fit_scale(set, levels, part_of(set, x, weights, k));
  }
  grid.d = stored_half(common_factor(set, scales, n_parts));
  const float d = half_to_float(grid.d), inverse = usable_inverse(d);
  float xl = 0.0f, ll = 0.0f;
  for (int k = 0; k < n_parts; ++k) {
    const Part part = part_of(set, x, weights, k);
    const int middle = nearest_multiple(set, scales[k].scale, inverse);
    float least = INFINITY;
    int best = 0;
    for (int m = std::max(set.scale_lowest, middle - 1);
         m <= std::min(set.scale_highest, middle + 1); ++m) {
      const float error = error_of(levels, part, d * static_cast<float>(m), 0.0f);
      if (!(error < least)) continue;
      least = error;
      best = m;
    }
    grid.sub_scale[k] = static_cast<int8_t>(best);
    if (best == 0) continue;
    const auto m = static_cast<float>(best);
    const Sums sums = scale_sums(levels, part, usable_inverse(d * m));
    xl += m * sums.xl;
    ll += m * m * sums.ll;
  }
  if (ll > 0.0f) grid.d = stored_half(xl / ll);
}

// ---- a scale and a min ----

template <typename Levels>
Sums affine_sums(const Levels& levels, const Part& part, float scale, float min) {
  const float inverse = scale != 0.0f ? usable_inverse(scale) : 0.0f;
  float sums[5][kLanes] = {};
  for (int i = 0; i < part.n; i += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) {
      const float x = part.x[i + lane], w = part.weights[i + lane];
      const float l = levels((x - min) * inverse);
      sums[0][lane] += w * x * l;
      sums[1][lane] += w * l * l;
      sums[2][lane] += w * x;
      sums[3][lane] += w * l;
      sums[4][lane] += w;
    }
  }
  return {sum_of(sums[0]), sum_of(sums[1]), sum_of(sums[2]), sum_of(sums[3]), sum_of(sums[4])};
}

struct Affine {
  float scale = 0.0f, min = 0.0f;
};

Affine least_squares(const Sums& s, bool any_min) {
  const float determinant = s.ll * s.one - s.l * s.l;
  if (determinant > 0.0f) {
    const Affine both{(s.xl * s.one - s.x * s.l) / determinant,
                      (s.ll * s.x - s.l * s.xl) / determinant};
    if ((any_min || both.min <= 0.0f) && both.scale >= 0.0f) return both;
  }
  return {s.ll > 0.0f ? std::max(0.0f, s.xl / s.ll) : 0.0f, 0.0f};
}

template <typename Levels>
Affine fit_affine(const CodeSet& set, const Levels& levels, const Part& part) {
  const bool any_min = has_one_scale(set);
  float low = any_min ? part.x[0] : 0.0f, high = low;
  for (int i = 0; i < part.n; ++i) {
    low = std::min(low, part.x[i]);
    high = std::max(high, part.x[i]);
  }
  Affine best;
  float least = INFINITY;
  const auto try_range = [&](const Affine& from) {
    const Affine fitted = least_squares(affine_sums(levels, part, from.scale, from.min), any_min);
    const float error = error_of(levels, part, fitted.scale, fitted.min);
    if (!(error < least)) return false;
    least = error;
    best = fitted;
    return true;
  };
  for (int i = 0; i < set.n_steps; ++i) {
    const float step = set.first_step + set.step_size * static_cast<float>(i);
    try_range({(high - low) / step, low});
  }
  for (int turn = 0; turn < kTurns && try_range(best); ++turn) {
  }
  return best;
}

// The multiples of d and dmin for a part: the best beside the nearest.
template <typename Levels>
void choose_multiples(const Levels& levels, const Part& part, const Affine& wanted, int k,
                      CodeGrid& grid) {
  const CodeSet& set = *grid.set;
  const float d = half_to_float(grid.d), dmin = half_to_float(grid.dmin);
  const int scale = nearest_multiple(set, wanted.scale, usable_inverse(d));
  const int min = nearest_multiple(set, -wanted.min, usable_inverse(dmin));
  float least = INFINITY;
  for (int s = std::max(0, scale - 1); s <= std::min(set.scale_highest, scale + 1); ++s) {
    for (int m = std::max(0, min - 1); m <= std::min(set.scale_highest, min + 1); ++m) {
      const float error =
          error_of(levels, part, d * static_cast<float>(s), -(dmin * static_cast<float>(m)));
      if (!(error < least)) continue;
      least = error;
      grid.sub_scale[k] = static_cast<int8_t>(s);
      grid.sub_min[k] = static_cast<int8_t>(m);
    }
  }
}

// d and dmin by least squares, for the multiples and the levels as they are.
template <typename Levels>
void refit_factors(const Levels& levels, const float* x, const float* weights, CodeGrid& grid) {
  const CodeSet& set = *grid.set;
  const float d = half_to_float(grid.d), dmin = half_to_float(grid.dmin);
  // x is near to d * (s l) - dmin * m
  float aa = 0.0f, ab = 0.0f, bb = 0.0f, xa = 0.0f, xb = 0.0f;
  for (int k = 0; k < set.block / set.share; ++k) {
    const auto s = static_cast<float>(grid.sub_scale[k]), m = static_cast<float>(grid.sub_min[k]);
    const Sums sums = affine_sums(levels, part_of(set, x, weights, k), d * s, -(dmin * m));
    aa += s * s * sums.ll;
    ab += s * m * sums.l;
    bb += m * m * sums.one;
    xa += s * sums.xl;
    xb += m * sums.x;
  }
  const float determinant = aa * bb - ab * ab;
  if (!(determinant > 1e-6f * aa * bb)) return;
  const float new_d = (xa * bb - xb * ab) / determinant;
  const float new_dmin = (xa * ab - xb * aa) / determinant;
  if (!(new_d > 0.0f && new_dmin >= 0.0f)) return;
  grid.d = stored_half(new_d);
  grid.dmin = stored_half(new_dmin);
}

template <typename Levels>
void fit_affine_multiples(const Levels& levels, const float* x, const float* weights,
                          CodeGrid& grid) {
  const CodeSet& set = *grid.set;
  const int n_parts = set.block / set.share;
  Affine wanted[kMostParts];
  float largest_scale = 0.0f, largest_min = 0.0f;
  for (int k = 0; k < n_parts; ++k) {
    wanted[k] = fit_affine(set, levels, part_of(set, x, weights, k));
    largest_scale = std::max(largest_scale, wanted[k].scale);
    largest_min = std::max(largest_min, -wanted[k].min);
  }
  const auto most = static_cast<float>(set.scale_highest);
  grid.d = stored_half(largest_scale / most);
  grid.dmin = stored_half(largest_min / most);
  for (int turn = 0; turn < 2; ++turn) {
    for (int k = 0; k < n_parts; ++k) {
      choose_multiples(levels, part_of(set, x, weights, k), wanted[k], k, grid);
    }
    refit_factors(levels, x, weights, grid);
  }
}

}  // namespace

CodeGrid fit_grid(const CodeSet& set, const float* x, const float* weights) {
  CodeGrid grid{&set};
  with_levels(set, [&](const auto& levels) {
    if (set.has_min && has_one_scale(set)) {
      const Affine fitted = fit_affine(set, levels, {x, weights, set.block});
      grid.d = stored_half(fitted.scale);
      grid.dmin = stored_half(fitted.min);
    } else if (set.has_min) {
      fit_affine_multiples(levels, x, weights, grid);
    } else if (!has_one_scale(set)) {
      fit_multiples(levels, x, weights, grid);
    } else {
      grid.d = stored_half(fit_scale(set, levels, {x, weights, set.block}).scale);
    }
  });
  set_values(grid);
  return grid;
}

}  // namespace gpt2edge
