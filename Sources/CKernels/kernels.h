// The kernels, for the instruction set of the file that includes this one. It defines
//   LANES          how many Float32 a vector has,
//   REGISTERS      how many vectors the processor keeps at once: 16 or 32,
//   HAS_HALF       whether it converts F16 by itself,
//   HAS_FMA        whether it multiplies and adds in one,
//   NAME           a text, and
//   KERNELS        the name of the table,
// and switches the instructions on for all functions below.

#include <math.h>
#include <string.h>

#include "CKernels.h"

// Vectors never cross a function that is not inlined, so how they are passed does not matter.
#pragma clang diagnostic ignored "-Wpsabi"

// A product and a sum are rounded each, unless `multiply_add` says otherwise: so a row's numbers do not depend on what the
// compiler makes of the code around.
#pragma clang fp contract(off)

#define INLINE static inline __attribute__((always_inline))

typedef float vector __attribute__((vector_size(4 * LANES)));
typedef float loaded __attribute__((vector_size(4 * LANES), aligned(1)));
typedef uint32_t words __attribute__((vector_size(4 * LANES)));
typedef int32_t signed_words __attribute__((vector_size(4 * LANES)));
typedef uint16_t halves __attribute__((vector_size(2 * LANES)));
typedef uint16_t loaded_halves __attribute__((vector_size(2 * LANES), aligned(1)));
// Half as many Double as there are Float32.
typedef float half_vector __attribute__((vector_size(2 * LANES)));
typedef double wide __attribute__((vector_size(4 * LANES)));
typedef double loaded_wide __attribute__((vector_size(4 * LANES), aligned(1)));

// MARK: Loading

// Minus, since minus 0 is nothing to do, and plus 0 would make 0 of -0.
INLINE vector splat(float value) { return value - (vector){}; }

INLINE vector load(const float *source) { return *(const loaded *)source; }

INLINE vector multiply_add(vector a, vector b, vector c) {
#if HAS_FMA
  return __builtin_elementwise_fma(a, b, c);
#else
  return a * b + c;
#endif
}

INLINE void store(vector value, float *target) { *(loaded *)target = value; }

// Numbers that are fewer than a vector has; the others are 0.
INLINE vector load_some(const float *source, size_t count) {
  vector value = {};
  memcpy(&value, source, count * sizeof(float));
  return value;
}

INLINE vector widen_half(halves half) {
#if HAS_HALF
  typedef _Float16 half_floats __attribute__((vector_size(2 * LANES)));
  return __builtin_convertvector((half_floats)half, vector);
#else
  // In the upper half of 32 bits, the sign is where it belongs and magnitudes compare as signed numbers do.
  words bits = __builtin_convertvector(half, words) << 16;
  words magnitude = (bits & 0x7FFF0000u) >> 3;
  words is_small = (words)((signed_words)magnitude < 1 << 23);
  words is_special = (words)((signed_words)magnitude >= 31 << 23);
  // The exponent's bias grows from 15 to 127. A subnormal is its mantissa times 2^-24: it is given the exponent of 2^-14,
  // then 2^-14 is taken away.
  words raised = magnitude + (112u << 23) + (is_small & (1u << 23));
  vector finite = (vector)raised - (vector)(is_small & 0x38800000u);
  // The largest exponent (infinite, NaN) stays the largest: it grows by 112 once more.
  return (vector)(((words)finite + (is_special & (112u << 23))) | (bits & 0x80000000u));
#endif
}

INLINE size_t size_of(enum beem_element element) { return element == beem_float32 ? 4 : 2; }

// `count` is LANES, known where it is inlined, or less.
INLINE vector load_row(const void *row, enum beem_element element, size_t index, size_t count) {
  if (element == beem_float32) {
    const float *source = (const float *)row + index;
    return count == LANES ? load(source) : load_some(source, count);
  }
  const uint16_t *source = (const uint16_t *)row + index;
  halves half = {};
  if (count == LANES) {
    half = *(const loaded_halves *)source;
  } else {
    memcpy(&half, source, count * sizeof(uint16_t));
  }
  if (element == beem_bfloat16) return (vector)(__builtin_convertvector(half, words) << 16);
  return widen_half(half);
}

INLINE void store_some(vector value, size_t count, float *target) { memcpy(target, &value, count * sizeof(float)); }

// MARK: Adding up

typedef float quarter __attribute__((vector_size(16)));

// Four numbers with the same sum.
INLINE quarter folded(vector value) {
  quarter parts[LANES / 4];
  memcpy(parts, &value, sizeof value);
  for (int step = LANES / 8; step > 0; step /= 2) {
    for (int part = 0; part < step; part++) parts[part] += parts[part + step];
  }
  return parts[0];
}

INLINE float sum_of(vector value) {
  quarter four = folded(value);
  return (four[0] + four[2]) + (four[1] + four[3]);
}

// The sums of four vectors. Two at a time are folded into one, so that few shuffles serve all.
INLINE quarter sums_of(const vector *values) {
  vector a = values[0], b = values[1], c = values[2], d = values[3];
#if LANES == 16
#define LOW 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23
#define HIGH 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31
  vector ab = __builtin_shufflevector(a, b, LOW) + __builtin_shufflevector(a, b, HIGH);
  vector cd = __builtin_shufflevector(c, d, LOW) + __builtin_shufflevector(c, d, HIGH);
#undef LOW
#undef HIGH
#define LOW 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27
#define HIGH 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31
  vector all = __builtin_shufflevector(ab, cd, LOW) + __builtin_shufflevector(ab, cd, HIGH);
#undef LOW
#undef HIGH
  all += __builtin_shufflevector(all, all, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
  all += __builtin_shufflevector(all, all, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14);
  return __builtin_shufflevector(all, all, 0, 4, 8, 12);
#else
  quarter p = folded(a), q = folded(b), r = folded(c), t = folded(d);
  quarter pq = __builtin_shufflevector(p, q, 0, 4, 1, 5) + __builtin_shufflevector(p, q, 2, 6, 3, 7);
  quarter rt = __builtin_shufflevector(r, t, 0, 4, 1, 5) + __builtin_shufflevector(r, t, 2, 6, 3, 7);
  return __builtin_shufflevector(pq, rt, 0, 1, 4, 5) + __builtin_shufflevector(pq, rt, 2, 3, 6, 7);
#endif
}

// Calls a kernel with the type of numbers and the number of columns as constants, so that it is compiled for each.
#define FOR_ELEMENT(element, call)          \
  do {                                      \
    if (element == beem_float16) {          \
      call(beem_float16);                   \
    } else if (element == beem_bfloat16) {  \
      call(beem_bfloat16);                  \
    } else {                                \
      call(beem_float32);                   \
    }                                       \
  } while (0)

// MARK: Copying

INLINE void widen_all(const void *source, enum beem_element element, size_t count, float *target) {
  size_t index = 0;
  for (; index + LANES <= count; index += LANES) store(load_row(source, element, index, LANES), target + index);
  if (index < count) {
    store_some(load_row(source, element, index, count - index), count - index, target + index);
  }
}

static void widen(const void *source, enum beem_element element, size_t count, float *target) {
  if (element == beem_float32) {
    memcpy(target, source, count * sizeof(float));
    return;
  }
#define CALL(type) widen_all(source, type, count, target)
  FOR_ELEMENT(element, CALL);
#undef CALL
}

INLINE vector standardized(
    const void *row, enum beem_element element, size_t index, size_t count, const float *shift, const float *scale,
    float factor) {
  vector value = load_row(row, element, index, count);
  value -= count == LANES ? load(shift + index) : load_some(shift + index, count);
  if (scale) value *= count == LANES ? load(scale + index) : load_some(scale + index, count);
  return value * factor;
}

INLINE void standardize_all(
    const void *const *rows, size_t count, enum beem_element element, size_t width, const float *shift,
    const float *scale, const float *factors, float *target) {
  for (size_t row = 0; row < count; row++) {
    float factor = factors ? factors[row] : 1;
    float *own = target + row * width;
    size_t index = 0;
    for (; index + LANES <= width; index += LANES) {
      store(standardized(rows[row], element, index, LANES, shift, scale, factor), own + index);
    }
    if (index < width) {
      vector rest = standardized(rows[row], element, index, width - index, shift, scale, factor);
      store_some(rest, width - index, own + index);
    }
  }
}

static void standardize(
    const void *const *rows, size_t count, enum beem_element element, size_t width, const float *shift,
    const float *scale, const float *factors, float *target) {
#define CALL(type) standardize_all(rows, count, type, width, shift, scale, factors, target)
  FOR_ELEMENT(element, CALL);
#undef CALL
}

// MARK: Checking

// A full exponent field plus one in its last bit carries into the sign's place, and nothing else does.
static int has_non_finite(const void *source, enum beem_element element, size_t count) {
  size_t index = 0;
  if (element == beem_float32) {
    const float *numbers = source;
    words carries = {};
    for (; index + LANES <= count; index += LANES) carries |= ((words)load(numbers + index) & 0x7F800000u) + 0x00800000u;
    for (; index < count; index++) {
      uint32_t bits;
      memcpy(&bits, (const char *)source + 4 * index, sizeof bits);
      carries |= (bits & 0x7F800000u) + 0x00800000u;
    }
    uint32_t all = 0;
    for (int lane = 0; lane < LANES; lane++) all |= carries[lane];
    return all >> 31;
  }
  typedef uint16_t many_halves __attribute__((vector_size(4 * LANES)));
  typedef uint16_t loaded_many_halves __attribute__((vector_size(4 * LANES), aligned(1)));
  const uint16_t exponent = element == beem_float16 ? 0x7C00 : 0x7F80, one = element == beem_float16 ? 0x0400 : 0x0080;
  many_halves carries = {};
  for (; index + 2 * LANES <= count; index += 2 * LANES) {
    carries |= (*(const loaded_many_halves *)((const char *)source + 2 * index) & exponent) + one;
  }
  for (; index < count; index++) {
    uint16_t bits;
    memcpy(&bits, (const char *)source + 2 * index, sizeof bits);
    carries |= (uint16_t)((bits & exponent) + one);
  }
  unsigned all = 0;
  for (int lane = 0; lane < 2 * LANES; lane++) all |= carries[lane];
  return all >> 15 & 1;
}

// MARK: Moments

INLINE void add_moments_of(
    const void *const *rows, size_t count, enum beem_element element, size_t index, size_t lanes, const float *origin,
    double *sums, double *squares, float *lowest, float *highest) {
  vector center = lanes == LANES ? load(origin + index) : load_some(origin + index, lanes);
  vector low = lanes == LANES ? load(lowest + index) : load_some(lowest + index, lanes);
  vector high = lanes == LANES ? load(highest + index) : load_some(highest + index, lanes);
  wide sum[2] = {}, square[2] = {};
  for (size_t row = 0; row < count; row++) {
    vector value = load_row(rows[row], element, index, lanes) - center;
    low = __builtin_elementwise_min(low, value);
    high = __builtin_elementwise_max(high, value);
    half_vector parts[2];
    memcpy(parts, &value, sizeof value);
    for (int part = 0; part < 2; part++) {
      wide own = __builtin_convertvector(parts[part], wide);
      sum[part] += own;
      // The square is exact, so that it does not matter whether it is rounded before it is added.
#if HAS_FMA
      square[part] = __builtin_elementwise_fma(own, own, square[part]);
#else
      square[part] += own * own;
#endif
    }
  }
  store_some(low, lanes, lowest + index);
  store_some(high, lanes, highest + index);
  if (lanes == LANES) {
    for (int part = 0; part < 2; part++) {
      loaded_wide *own_sum = (loaded_wide *)(sums + index) + part, *own_square = (loaded_wide *)(squares + index) + part;
      *own_sum += sum[part];
      *own_square += square[part];
    }
    return;
  }
  for (size_t lane = 0; lane < lanes; lane++) {
    sums[index + lane] += sum[lane / (LANES / 2)][lane % (LANES / 2)];
    squares[index + lane] += square[lane / (LANES / 2)][lane % (LANES / 2)];
  }
}

INLINE void add_moments_all(
    const void *const *rows, size_t count, enum beem_element element, size_t width, const float *origin, double *sums,
    double *squares, float *lowest, float *highest) {
  size_t index = 0;
  for (; index + LANES <= width; index += LANES) {
    add_moments_of(rows, count, element, index, LANES, origin, sums, squares, lowest, highest);
  }
  if (index < width) {
    add_moments_of(rows, count, element, index, width - index, origin, sums, squares, lowest, highest);
  }
}

static void add_moments(
    const void *const *rows, size_t count, enum beem_element element, size_t width, const float *origin, double *sums,
    double *squares, float *lowest, float *highest) {
#define CALL(type) add_moments_all(rows, count, type, width, origin, sums, squares, lowest, highest)
  FOR_ELEMENT(element, CALL);
#undef CALL
}

// MARK: Vectors of Double

#define SUMS 32

INLINE wide load_wide(const double *source) { return *(const loaded_wide *)source; }

// The inner product of 32 sums; `widened(pointer)` is a vector of the left numbers, `left` the numbers.
#define DOT(left, widened)                                                             \
  enum { lanes = LANES / 2 };                                                          \
  wide sums[SUMS / lanes] = {};                                                        \
  size_t index = 0;                                                                    \
  for (; index + SUMS <= count; index += SUMS) {                                       \
    for (size_t part = 0; part < SUMS / lanes; part++) {                               \
      size_t start = index + part * lanes;                                             \
      sums[part] += widened(left + start) * load_wide(right + start);                  \
    }                                                                                  \
  }                                                                                    \
  double sum = 0;                                                                      \
  for (size_t lane = 0; lane < SUMS; lane++) sum += sums[lane / lanes][lane % lanes];  \
  for (; index < count; index++) sum += left[index] * right[index];                    \
  return sum;

INLINE wide load_widened(const float *source) {
  typedef float loaded_half __attribute__((vector_size(2 * LANES), aligned(1)));
  return __builtin_convertvector(*(const loaded_half *)source, wide);
}

static double dot(const double *left, const double *right, size_t count) { DOT(left, load_wide) }

INLINE double dot_float(const float *left, const double *right, size_t count) { DOT(left, load_widened) }

#undef DOT

// Two at once, each as by itself, so that the numbers on the right are loaded half as often.
INLINE void two_dots(const float *left, size_t stride, const double *right, size_t count, double *results) {
  enum { lanes = LANES / 2, vectors = SUMS / lanes };
  wide sums[2][vectors] = {};
  size_t index = 0;
  for (; index + SUMS <= count; index += SUMS) {
    for (size_t part = 0; part < vectors; part++) {
      size_t start = index + part * lanes;
      wide own = load_wide(right + start);
      for (size_t side = 0; side < 2; side++) sums[side][part] += load_widened(left + side * stride + start) * own;
    }
  }
  for (size_t side = 0; side < 2; side++) {
    double sum = 0;
    for (size_t lane = 0; lane < SUMS; lane++) sum += sums[side][lane / lanes][lane % lanes];
    for (size_t last = index; last < count; last++) sum += left[side * stride + last] * right[last];
    results[side] = sum;
  }
}

static void dots(
    const float *left, size_t left_count, size_t stride, const double *right, size_t count, double *results) {
  size_t side = 0;
  for (; side + 2 <= left_count; side += 2) two_dots(left + side * stride, stride, right, count, results + side);
  if (side < left_count) results[side] = dot_float(left + side * stride, right, count);
}

static void add_scaled(double factor, const double *source, size_t count, double *target) {
  for (size_t index = 0; index < count; index++) target[index] += factor * source[index];
}

INLINE void add_some(
    const double *factors, const float *sources, size_t source_count, size_t stride, size_t count, double *target) {
  for (size_t index = 0; index < count; index++) {
    double sum = target[index];
    for (size_t side = 0; side < source_count; side++) sum += factors[side] * sources[side * stride + index];
    target[index] = sum;
  }
}

static void add_combination(
    const double *factors, const float *sources, size_t source_count, size_t stride, size_t count, double *target) {
  size_t side = 0;
  for (; side + 4 <= source_count; side += 4) {
    add_some(factors + side, sources + side * stride, 4, stride, count, target);
  }
  for (; side < source_count; side++) add_some(factors + side, sources + side * stride, 1, stride, count, target);
}

// MARK: Products

// So many columns share the reading of a row; with more than these, sums would no longer stay in registers.
#define MOST_COLUMNS 6
// Rows that are multiplied at the same time, so that sums do not wait for each other.
#if REGISTERS == 32
#define ROWS_AT_ONCE 4
#else
#define ROWS_AT_ONCE 2
#endif

// `shift` may be null, known where it is inlined, as in what follows.
INLINE void multiply_step(
    const void *const *rows, size_t height, enum beem_element element, size_t index, size_t lanes, const float *shift,
    const float *weights, size_t weight_stride, size_t columns, vector *sums) {
  vector values[ROWS_AT_ONCE];
  for (size_t row = 0; row < height; row++) values[row] = load_row(rows[row], element, index, lanes);
  if (shift) {
    vector center = lanes == LANES ? load(shift + index) : load_some(shift + index, lanes);
    for (size_t row = 0; row < height; row++) values[row] -= center;
  }
  for (size_t column = 0; column < columns; column++) {
    const float *source = weights + column * weight_stride + index;
    vector weight = lanes == LANES ? load(source) : load_some(source, lanes);
    for (size_t row = 0; row < height; row++) {
      vector *sum = sums + column * height + row;
      *sum = multiply_add(values[row], weight, *sum);
    }
  }
}

// `height` rows and `columns` columns, both known where it is inlined. `next` are as many rows to be fetched meanwhile: the
// processor's own prefetching ends with each page of memory.
INLINE void multiply_rows(
    const void *const *rows, size_t height, enum beem_element element, size_t width, const float *shift,
    const float *weights, size_t weight_stride, const float *bias, size_t columns, size_t stride, float *outputs,
    const void *const *next) {
  vector sums[MOST_COLUMNS * ROWS_AT_ONCE];
  for (size_t index = 0; index < height * columns; index++) sums[index] = (vector){};
  size_t index = 0;
  for (; index + LANES <= width; index += LANES) {
    size_t bytes = index * size_of(element);
    if (bytes % 64 == 0) {
      for (size_t row = 0; row < height; row++) __builtin_prefetch((const char *)next[row] + bytes);
    }
    multiply_step(rows, height, element, index, LANES, shift, weights, weight_stride, columns, sums);
  }
  if (index < width) {
    multiply_step(rows, height, element, index, width - index, shift, weights, weight_stride, columns, sums);
  }
  // Sums are column by column, so the rows of one are neighbours.
  size_t place = 0;
  for (; place + 4 <= height * columns; place += 4) {
    quarter four = sums_of(sums + place);
    for (size_t part = 0; part < 4; part += height) {
      size_t column = (place + part) / height;
      for (size_t row = 0; row < height; row++) outputs[column * stride + row] = bias[column] + four[part + row];
    }
  }
  for (; place < height * columns; place++) {
    size_t column = place / height, row = place % height;
    outputs[column * stride + row] = bias[column] + sum_of(sums[place]);
  }
}

INLINE void multiply_columns(
    const void *const *rows, size_t count, enum beem_element element, size_t width, const float *shift,
    const float *weights, size_t weight_stride, const float *bias, size_t columns, size_t stride, float *outputs) {
  size_t row = 0;
  for (; row + ROWS_AT_ONCE <= count; row += ROWS_AT_ONCE) {
    size_t next = row + 2 * ROWS_AT_ONCE <= count ? row + ROWS_AT_ONCE : row;
    multiply_rows(
        rows + row, ROWS_AT_ONCE, element, width, shift, weights, weight_stride, bias, columns, stride, outputs + row,
        rows + next);
  }
  for (; row < count; row++) {
    multiply_rows(
        rows + row, 1, element, width, shift, weights, weight_stride, bias, columns, stride, outputs + row, rows + row);
  }
}

// `factors` [columns, stride]. A strip is as many vectors of a row as are summed at the same time.
INLINE void add_products_of(
    const void *const *rows, size_t count, enum beem_element element, size_t index, size_t strip, size_t lanes,
    const float *shift, const float *factors, size_t stride, size_t columns, float *sums, size_t sum_stride) {
  vector center[8], sum[MOST_COLUMNS][8];
  for (size_t part = 0; part < strip; part++) {
    size_t start = index + part * LANES;
    if (shift) center[part] = lanes == LANES ? load(shift + start) : load_some(shift + start, lanes);
    for (size_t column = 0; column < columns; column++) {
      const float *source = sums + column * sum_stride + start;
      sum[column][part] = lanes == LANES ? load(source) : load_some(source, lanes);
    }
  }
  for (size_t row = 0; row < count; row++) {
    vector value[8];
    for (size_t part = 0; part < strip; part++) {
      value[part] = load_row(rows[row], element, index + part * LANES, lanes);
      if (shift) value[part] -= center[part];
    }
    for (size_t column = 0; column < columns; column++) {
      vector factor = splat(factors[column * stride + row]);
      for (size_t part = 0; part < strip; part++) {
        sum[column][part] = multiply_add(value[part], factor, sum[column][part]);
      }
    }
  }
  for (size_t part = 0; part < strip; part++) {
    for (size_t column = 0; column < columns; column++) {
      store_some(sum[column][part], lanes, sums + column * sum_stride + index + part * LANES);
    }
  }
}

INLINE void add_products_columns(
    const void *const *rows, size_t count, enum beem_element element, size_t width, const float *shift,
    const float *factors, size_t stride, size_t columns, float *sums, size_t sum_stride) {
  const size_t strip = (columns <= 2 ? 8 : 4) * REGISTERS / 32;
  size_t index = 0;
  for (; index + strip * LANES <= width; index += strip * LANES) {
    add_products_of(rows, count, element, index, strip, LANES, shift, factors, stride, columns, sums, sum_stride);
  }
  for (; index + LANES <= width; index += LANES) {
    add_products_of(rows, count, element, index, 1, LANES, shift, factors, stride, columns, sums, sum_stride);
  }
  if (index < width) {
    add_products_of(
        rows, count, element, index, 1, width - index, shift, factors, stride, columns, sums, sum_stride);
  }
}

// At most MOST_COLUMNS columns, as a constant.
#define FOR_COLUMNS(columns, call) \
  switch (columns) {               \
    case 1: call(1); break;        \
    case 2: call(2); break;        \
    case 3: call(3); break;        \
    case 4: call(4); break;        \
    case 5: call(5); break;        \
    default: call(6); break;       \
  }

#define MULTIPLY(type)                                                                                            \
  static void multiply_##type(                                                                                    \
      const void *const *rows, size_t count, size_t width, const float *shift, const float *weights,              \
      size_t weight_stride, const float *bias, size_t columns, size_t stride, float *outputs) {                   \
    if (shift) {                                                                                                  \
      FOR_COLUMNS(columns, MULTIPLY_##type)                                                                       \
    } else {                                                                                                      \
      FOR_COLUMNS(columns, MULTIPLY_UNSHIFTED_##type)                                                             \
    }                                                                                                             \
  }                                                                                                               \
  static void add_products_##type(                                                                                \
      const void *const *rows, size_t count, size_t width, const float *shift, const float *factors, size_t stride, \
      size_t columns, float *sums, size_t sum_stride) {                                                           \
    if (shift) {                                                                                                  \
      FOR_COLUMNS(columns, ADD_PRODUCTS_##type)                                                                   \
    } else {                                                                                                      \
      FOR_COLUMNS(columns, ADD_UNSHIFTED_PRODUCTS_##type)                                                         \
    }                                                                                                             \
  }

#define MULTIPLY_OF(type, shift, n) \
  multiply_columns(rows, count, type, width, shift, weights, weight_stride, bias, n, stride, outputs)
#define ADD_PRODUCTS_OF(type, shift, n) \
  add_products_columns(rows, count, type, width, shift, factors, stride, n, sums, sum_stride)
#define MULTIPLY_beem_float32(n) MULTIPLY_OF(beem_float32, shift, n)
#define MULTIPLY_UNSHIFTED_beem_float32(n) MULTIPLY_OF(beem_float32, 0, n)
#define MULTIPLY_beem_float16(n) MULTIPLY_OF(beem_float16, shift, n)
#define MULTIPLY_UNSHIFTED_beem_float16(n) MULTIPLY_OF(beem_float16, 0, n)
#define MULTIPLY_beem_bfloat16(n) MULTIPLY_OF(beem_bfloat16, shift, n)
#define MULTIPLY_UNSHIFTED_beem_bfloat16(n) MULTIPLY_OF(beem_bfloat16, 0, n)
#define ADD_PRODUCTS_beem_float32(n) ADD_PRODUCTS_OF(beem_float32, shift, n)
#define ADD_UNSHIFTED_PRODUCTS_beem_float32(n) ADD_PRODUCTS_OF(beem_float32, 0, n)
#define ADD_PRODUCTS_beem_float16(n) ADD_PRODUCTS_OF(beem_float16, shift, n)
#define ADD_UNSHIFTED_PRODUCTS_beem_float16(n) ADD_PRODUCTS_OF(beem_float16, 0, n)
#define ADD_PRODUCTS_beem_bfloat16(n) ADD_PRODUCTS_OF(beem_bfloat16, shift, n)
#define ADD_UNSHIFTED_PRODUCTS_beem_bfloat16(n) ADD_PRODUCTS_OF(beem_bfloat16, 0, n)

MULTIPLY(beem_float32)
MULTIPLY(beem_float16)
MULTIPLY(beem_bfloat16)

static void multiply(
    const void *const *rows, size_t count, enum beem_element element, size_t width, const float *shift,
    const float *weights, size_t weight_stride, const float *bias, size_t columns, size_t stride, float *outputs) {
  for (size_t first = 0; first < columns; first += MOST_COLUMNS) {
    size_t some = columns - first < MOST_COLUMNS ? columns - first : MOST_COLUMNS;
#define CALL(type)                                                                                             \
  multiply_##type(                                                                                             \
      rows, count, width, shift, weights + first * weight_stride, weight_stride, bias + first, some, stride,   \
      outputs + first * stride)
    FOR_ELEMENT(element, CALL);
#undef CALL
  }
}

static void add_products(
    const void *const *rows, size_t count, enum beem_element element, size_t width, const float *shift,
    const float *factors, size_t columns, size_t stride, float *sums, size_t sum_stride) {
  for (size_t first = 0; first < columns; first += MOST_COLUMNS) {
    size_t some = columns - first < MOST_COLUMNS ? columns - first : MOST_COLUMNS;
#define CALL(type)                                                                                             \
  add_products_##type(                                                                                         \
      rows, count, width, shift, factors + first * stride, stride, some, sums + first * sum_stride, sum_stride)
    FOR_ELEMENT(element, CALL);
#undef CALL
  }
}

// MARK: Exponentials

// `exp(x) = 2^n exp(r)` with `|r| <= ln 2 / 2`; n is found by adding a number so large that its last bit is 1, the polynomial
// is that of the Cephes library's `expf` (Moshier). Within 2 ulps of the exact value down to -87; 0 below, where it would be
// subnormal or nearly so. x is at most 0, or NaN, which stays NaN.
INLINE vector exponential_of(vector x) {
  words is_tiny = (words)(x < -87);
  vector clamped = (vector)((words)x & ~is_tiny);
  vector large = splat(12582912);
  vector shifted = multiply_add(clamped, splat(1.44269504f), large);
  vector n = shifted - large;
  // ln 2 in two parts, the first with few bits, so that n times it is exact.
  vector r = multiply_add(n, splat(2.1219444e-4f), multiply_add(n, splat(-0.693359375f), clamped));
  vector p = multiply_add(r, splat(1.98756915e-4f), splat(1.3981999507e-3f));
  p = multiply_add(p, r, splat(8.3334519073e-3f));
  p = multiply_add(p, r, splat(4.1665795894e-2f));
  p = multiply_add(p, r, splat(1.6666665459e-1f));
  p = multiply_add(p, r, splat(5.0000001201e-1f));
  p = multiply_add(p, r * r, r) + 1;
  // The last bits of `shifted` are n, which the exponent field takes over.
  words scaled = ((words)p + ((words)shifted << 23)) & ~is_tiny;
  words is_number = (words)(x == x);
  return (vector)((scaled & is_number) | ((words)x & ~is_number));
}

// A function of each number by itself, from one of a vector.
#define ELEMENTWISE(name)                                                                                         \
  static void name(const float *source, size_t count, float *target) {                                            \
    size_t index = 0;                                                                                             \
    for (; index + LANES <= count; index += LANES) store(name##_of(load(source + index)), target + index);        \
    if (index < count) {                                                                                          \
      store_some(name##_of(load_some(source + index, count - index)), count - index, target + index);             \
    }                                                                                                             \
  }

ELEMENTWISE(exponential)

// The normal distribution function: `t/2 exp(-z^2 + P(t))` at -|x|, with `z = |x| / sqrt(2)`, `t = 1 / (1 + z / 2)` and a
// polynomial P (Press, Teukolsky, Vetterling and Flannery (1992), "Numerical recipes in C", 2nd ed., section 6.2). In Float32
// the error is below 2e-7; that of the lower tail, relative to it, grows with z^2 and is below 1e-5 down to -6. NaN stays NaN.
INLINE vector normal_distribution_of(vector x) {
  vector z = (vector)((words)x & 0x7FFFFFFFu) * 0.70710678f;
  vector t = 1 / (1 + 0.5f * z);
  vector p = multiply_add(t, splat(0.17087277f), splat(-0.82215223f));
  p = multiply_add(p, t, splat(1.48851587f));
  p = multiply_add(p, t, splat(-1.13520398f));
  p = multiply_add(p, t, splat(0.27886807f));
  p = multiply_add(p, t, splat(-0.18628806f));
  p = multiply_add(p, t, splat(0.09678418f));
  p = multiply_add(p, t, splat(0.37409196f));
  p = multiply_add(p, t, splat(1.00002368f));
  p = multiply_add(p, t, splat(-1.26551223f));
  vector lower = 0.5f * t * exponential_of(p - z * z);
  words is_negative = (words)((signed_words)x >> 31);
  return (vector)(((words)lower & is_negative) | ((words)(1 - lower) & ~is_negative));
}

ELEMENTWISE(normal_distribution)

// `x Phi(x)` and, as its derivative, `Phi(x) + x phi(x)`.
INLINE void gelu_of(vector *value, vector *slope) {
  vector x = *value;
  vector distribution = normal_distribution_of(x);
  *value = x * distribution;
  vector density = 0.39894228f * exponential_of(-0.5f * (x * x));
  *slope = distribution + x * density;
}

static void gelu(float *values, float *slopes, size_t count) {
  size_t index = 0;
  for (; index < count; index += LANES) {
    size_t some = count - index < LANES ? count - index : LANES;
    vector value = some == LANES ? load(values + index) : load_some(values + index, some), slope;
    gelu_of(&value, &slope);
    if (some == LANES) {
      store(value, values + index);
      if (slopes) store(slope, slopes + index);
    } else {
      store_some(value, some, values + index);
      if (slopes) store_some(slope, some, slopes + index);
    }
  }
}

// MARK: Cross-entropy

// From how many classes on a row fills vectors by itself; below, LANES rows are worked on at once, class by class.
#define MANY_CLASSES 64

INLINE wide widened(half_vector value) { return __builtin_convertvector(value, wide); }

// The sum of losses `ln(sum of exponentials) + (top - own)` over groups of LANES rows. Sums of exponentials are multiplied
// first, so that there is one logarithm for many rows.
struct losses {
  wide products[2], distances[2];
  double logarithms;
  // A sum is from 1 to the number of classes, so that as many of them stay below 2^1000.
  int factors, most_factors;
};

INLINE void take_logarithms(struct losses *losses) {
  // As long as all lanes multiplied stay in range, one logarithm serves them all.
  int is_small = losses->factors * LANES <= losses->most_factors;
  double product = 1;
  for (int part = 0; part < 2; part++) {
    for (int lane = 0; lane < LANES / 2; lane++) {
      if (is_small) {
        product *= losses->products[part][lane];
      } else {
        losses->logarithms += log(losses->products[part][lane]);
      }
    }
    losses->products[part] = (wide){} + 1;
  }
  if (is_small) losses->logarithms += log(product);
  losses->factors = 0;
}

INLINE struct losses no_losses(size_t classes) {
  struct losses losses = {.most_factors = (int)(1000 / log2((double)(classes < 2 ? 2 : classes) + 1))};
  for (int part = 0; part < 2; part++) losses.products[part] = (wide){} + 1;
  return losses;
}

INLINE double total_of(struct losses *losses) {
  take_logarithms(losses);
  double total = losses->logarithms;
  for (int part = 0; part < 2; part++) {
    for (int lane = 0; lane < LANES / 2; lane++) total += losses->distances[part][lane];
  }
  return total;
}

INLINE void add_losses(struct losses *losses, vector sum, vector top, vector own) {
  half_vector sums[2], tops[2], owns[2];
  memcpy(sums, &sum, sizeof sum);
  memcpy(tops, &top, sizeof top);
  memcpy(owns, &own, sizeof own);
  for (int part = 0; part < 2; part++) {
    losses->products[part] *= widened(sums[part]);
    losses->distances[part] += widened(tops[part]) - widened(owns[part]);
  }
  if (++losses->factors == losses->most_factors) take_logarithms(losses);
}

// Logits of `rows` rows in the lanes of a vector for each class become probabilities. Lanes without a row are 0 before.
INLINE void softmax_group(vector *turned, size_t classes, size_t rows, vector own, struct losses *losses) {
  vector top = turned[0];
  for (size_t index = 1; index < classes; index++) {
    words is_larger = (words)(turned[index] > top);
    top = (vector)(((words)turned[index] & is_larger) | ((words)top & ~is_larger));
  }
  vector sum = {};
  for (size_t index = 0; index < classes; index++) {
    turned[index] = exponential_of(turned[index] - top);
    sum += turned[index];
  }
  vector scale = 1 / sum;
  for (size_t index = 0; index < classes; index++) turned[index] *= scale;
  for (size_t row = rows; row < LANES; row++) sum[row] = 1;
  add_losses(losses, sum, top, own);
}

// At most LANES rows; `classes` below MANY_CLASSES.
INLINE void cross_entropy_group(
    float *logits, const int32_t *labels, size_t rows, size_t classes, size_t stride, struct losses *losses) {
  // [classes, LANES]: turned, so that a vector holds one class of all rows.
  vector turned[MANY_CLASSES];
  vector own = {};
  float *numbers = (float *)turned;
  if (rows < LANES) memset(turned, 0, classes * sizeof(vector));
  for (size_t row = 0; row < rows; row++) {
    const float *source = logits + row * stride;
    for (size_t index = 0; index < classes; index++) numbers[index * LANES + row] = source[index];
    own[row] = source[labels[row]];
  }
  softmax_group(turned, classes, rows, own, losses);
  for (size_t row = 0; row < rows; row++) {
    float *target = logits + row * stride;
    for (size_t index = 0; index < classes; index++) target[index] = numbers[index * LANES + row];
    target[labels[row]] -= 1;
  }
}

// At most LANES rows, their logits column by column, without the last class.
INLINE void cross_entropy_columns_group(
    float *logits, const int32_t *labels, size_t rows, size_t columns, size_t stride, struct losses *losses,
    vector *column_sums) {
  typedef int32_t loaded_labels __attribute__((vector_size(4 * LANES), aligned(1)));
  vector turned[MANY_CLASSES];
  // Lanes without a row get a label that is none.
  signed_words label = (signed_words){} - 1;
  if (rows == LANES) {
    label = *(const loaded_labels *)labels;
  } else {
    memcpy(&label, labels, rows * sizeof(int32_t));
  }
  vector own = {};
  for (size_t index = 0; index < columns; index++) {
    const float *source = logits + index * stride;
    turned[index] = rows == LANES ? load(source) : load_some(source, rows);
    own = (vector)((words)own | ((words)turned[index] & (words)(label == (int32_t)index)));
  }
  turned[columns] = (vector){};
  softmax_group(turned, columns + 1, rows, own, losses);
  vector one = splat(1);
  for (size_t index = 0; index < columns; index++) {
    vector gradient = turned[index] - (vector)((words)one & (words)(label == (int32_t)index));
    float *target = logits + index * stride;
    if (rows == LANES) {
      store(gradient, target);
      column_sums[index] += gradient;
    } else {
      store_some(gradient, rows, target);
      for (size_t row = 0; row < rows; row++) column_sums[index][row] += gradient[row];
    }
  }
}

// One row of at least a vector's classes.
INLINE double cross_entropy_row(float *logits, int32_t label, size_t classes) {
  size_t whole = classes - classes % LANES;
  float own = logits[label];
  vector tops = load(logits);
  for (size_t index = LANES; index < whole; index += LANES) {
    vector values = load(logits + index);
    words is_larger = (words)(values > tops);
    tops = (vector)(((words)values & is_larger) | ((words)tops & ~is_larger));
  }
  float top = tops[0];
  for (int lane = 1; lane < LANES; lane++) top = tops[lane] > top ? tops[lane] : top;
  for (size_t index = whole; index < classes; index++) top = logits[index] > top ? logits[index] : top;
  vector sums = {};
  for (size_t index = 0; index < whole; index += LANES) {
    vector exponentials = exponential_of(load(logits + index) - top);
    sums += exponentials;
    store(exponentials, logits + index);
  }
  float sum = sum_of(sums);
  if (whole < classes) {
    size_t rest = classes - whole;
    vector exponentials = exponential_of(load_some(logits + whole, rest) - top);
    store_some(exponentials, rest, logits + whole);
    for (size_t index = whole; index < classes; index++) sum += logits[index];
  }
  float scale = 1 / sum;
  for (size_t index = 0; index < classes; index++) logits[index] *= scale;
  logits[label] -= 1;
  return log((double)sum) + ((double)top - (double)own);
}

static double cross_entropy(float *logits, const int32_t *labels, size_t rows, size_t classes, size_t stride) {
  if (classes >= MANY_CLASSES) {
    double sum = 0;
    for (size_t row = 0; row < rows; row++) sum += cross_entropy_row(logits + row * stride, labels[row], classes);
    return sum;
  }
  struct losses losses = no_losses(classes);
  for (size_t row = 0; row < rows; row += LANES) {
    size_t some = rows - row < LANES ? rows - row : LANES;
    cross_entropy_group(logits + row * stride, labels + row, some, classes, stride, &losses);
  }
  return total_of(&losses);
}

// `columns` as a constant where that is known.
INLINE double cross_entropy_of_columns(
    float *logits, const int32_t *labels, size_t rows, size_t columns, size_t stride, double *column_sums) {
  struct losses losses = no_losses(columns + 1);
  vector sums[MANY_CLASSES];
  for (size_t index = 0; index < columns; index++) sums[index] = (vector){};
  for (size_t row = 0; row < rows; row += LANES) {
    size_t some = rows - row < LANES ? rows - row : LANES;
    cross_entropy_columns_group(logits + row, labels + row, some, columns, stride, &losses, sums);
  }
  for (size_t index = 0; index < columns; index++) column_sums[index] += sum_of(sums[index]);
  return total_of(&losses);
}

static double cross_entropy_columns(
    float *logits, const int32_t *labels, size_t rows, size_t columns, size_t stride, double *column_sums) {
#define CALL(n) return cross_entropy_of_columns(logits, labels, rows, n, stride, column_sums)
  switch (columns) {
    case 1: CALL(1);
    case 2: CALL(2);
    case 3: CALL(3);
    case 4: CALL(4);
    case 5: CALL(5);
    default: CALL(columns);
  }
#undef CALL
}

const struct beem_kernels KERNELS = {
    .name = NAME,
    .widen = widen,
    .has_non_finite = has_non_finite,
    .standardize = standardize,
    .add_moments = add_moments,
    .multiply = multiply,
    .add_products = add_products,
    .cross_entropy = cross_entropy,
    .cross_entropy_columns = cross_entropy_columns,
    .exponential = exponential,
    .normal_distribution = normal_distribution,
    .dot = dot,
    .dots = dots,
    .add_scaled = add_scaled,
    .add_combination = add_combination,
    .gelu = gelu,
};
