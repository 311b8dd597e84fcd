// Kernels over rows of numbers where they lie in memory, compiled for several instruction sets; the best that the processor
// has is chosen at run time. They are in C since a Swift function cannot be compiled for another processor than its module,
// and a package may not choose that.
//
// All read and write memory of the caller only, at any address, and allocate nothing. `rows` are pointers to the first
// number of each row, of the type that `element` names; a row is widened to Float32 in registers as it is read.

#ifndef BEEM_KERNELS_H
#define BEEM_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "CMoments.h"
#include "CQuantizedRows.h"
#include "CTriangles.h"

#pragma clang assume_nonnull begin

/// The type of the numbers of a row.
enum beem_element {
  beem_float32 = 0,
  beem_float16 = 1,
  beem_bfloat16 = 2,
};

/// Kernels that are compiled for one instruction set.
struct __attribute__((swift_attr("@Sendable"))) beem_kernels {
  /// "AVX-512", "AVX2", or "portable" for what every processor of the architecture has.
  const char *name;

  /// Converts `count` numbers to Float32, exactly.
  void (*widen)(const void *source, enum beem_element element, size_t count, float *target);

  /// Whether an infinity or a NaN is among `count` numbers: 1 or 0.
  int (*has_non_finite)(const void *source, enum beem_element element, size_t count);

  /// `target[r][k] = (rows[r][k] - shift[k]) * scale[k] * factors[r]`, [count, width]; null stands for ones.
  void (*standardize)(
      const void *_Nonnull const *_Nonnull rows, size_t count, enum beem_element element, size_t width, const float *shift,
      const float *_Nullable scale, const float *_Nullable factors, float *target);

  /// Adds to `sums[k]` the sum over rows of `rows[r][k] - origin[k]`, a Float32, and to `squares[k]` that of its square; `lowest[k]`
  /// and `highest[k]` become what is lower or higher.
  void (*add_moments)(
      const void *_Nonnull const *_Nonnull rows, size_t count, enum beem_element element, size_t width, const float *origin,
      double *sums, double *squares, float *lowest, float *highest);

  /// `outputs[c * stride + r] = bias[c] + sum over k of (rows[r][k] - shift[k]) * weights[c * weight_stride + k]`: column by
  /// column, whose numbers lie side by side; `stride` is at least `count`. Null stands for a shift of zeros.
  void (*multiply)(
      const void *_Nonnull const *_Nonnull rows, size_t count, enum beem_element element, size_t width,
      const float *_Nullable shift, const float *weights, size_t weight_stride, const float *bias, size_t columns,
      size_t stride, float *outputs);

  /// Adds to `sums[c * sum_stride + k]` the sum over rows of `factors[c * stride + r] * (rows[r][k] - shift[k])`. Null stands for
  /// a shift of zeros.
  void (*add_products)(
      const void *_Nonnull const *_Nonnull rows, size_t count, enum beem_element element, size_t width,
      const float *_Nullable shift, const float *factors, size_t columns, size_t stride, float *sums, size_t sum_stride);

  /// Replaces `logits[r * stride + c]`, c < classes, by the gradient of the summed cross-entropy with respect to them,
  /// softmax(logits) - onehot(label), and returns the sum, in nats; not a number where a logit is not finite.
  double (*cross_entropy)(float *logits, const int32_t *labels, size_t rows, size_t classes, size_t stride);

  /// The same column by column, for few classes, of which the last one's logits are 0 and not there: `logits[c * stride + r]`,
  /// c < columns. Adds the sums of the gradient's columns to `column_sums` [columns].
  double (*cross_entropy_columns)(
      float *logits, const int32_t *labels, size_t rows, size_t columns, size_t stride, double *column_sums);

  /// `target[i] = exp(source[i])` for numbers that are at most 0, or NaN; 0 below -87.
  void (*exponential)(const float *source, size_t count, float *target);

  /// `target[i]` is the normal distribution function at `source[i]`.
  void (*normal_distribution)(const float *source, size_t count, float *target);

  /// The inner product of two vectors, in 32 sums that are added in order: the same bits with all instruction sets.
  double (*dot)(const double *left, const double *right, size_t count);

  /// The same of vectors of Float32, `left[v * stride + i]`, with one of Double.
  void (*dots)(
      const float *left, size_t left_count, size_t stride, const double *right, size_t count, double *results);

  /// `target[i] += factor * source[i]`, rounded after the product and after the sum.
  void (*add_scaled)(double factor, const double *source, size_t count, double *target);

  /// The same for vectors of Float32, `sources[v * stride + i]`, widened first, one after the other.
  void (*add_combination)(
      const double *factors, const float *sources, size_t source_count, size_t stride, size_t count, double *target);

  /// Replaces values by GELU of them, and gives its derivatives there where `slopes` is not null.
  void (*gelu)(float *values, float *_Nullable slopes, size_t count);
};

/// The best kernels for this processor; if the environment's BEEM_KERNELS names some ("AMX", "AVX-512", "AVX2" or "portable"),
/// no better ones.
const struct beem_kernels *beem_kernels_best(void);

/// What BEEM_KERNELS may name, by number, best first; null behind the last.
const char *_Nullable beem_kernels_name(size_t index);

/// How many instruction sets there are kernels for.
size_t beem_kernels_count(void);

/// The kernels of an instruction set by number, best first; null where this processor lacks one of its instructions.
const struct beem_kernels *_Nullable beem_kernels_at(size_t index);

#pragma clang assume_nonnull end

#endif
