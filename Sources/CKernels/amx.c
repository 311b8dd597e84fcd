#include "choice.h"

#if defined(__x86_64__) && defined(__linux__)

#include <immintrin.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,amx-tile,amx-bf16"))), apply_to = function)

// A tile is 16 rows of 64 bytes: 16 columns of the features, each with 32 rows of them, a step, as 16 pairs of BF16.
enum { side = 16, step_rows = 32, tile_words = side * side };

typedef uint32_t words __attribute__((vector_size(64)));
typedef uint32_t loaded_words __attribute__((vector_size(64), aligned(1)));

static inline size_t steps_of(size_t rows) { return (rows + step_rows - 1) / step_rows; }

// Tiles are taken two by two, so their number is even.
static inline size_t tiles_of(size_t width) { return (width + 2 * side - 1) / (2 * side) * 2; }

static size_t packed_size(size_t rows, size_t width) {
  return 2 * sizeof(uint32_t) * steps_of(rows) * tiles_of(width) * tile_words;
}

static inline words load_words(const float *source, size_t count) {
  words value = {};
  if (count >= side) return *(const loaded_words *)source;
  memcpy(&value, source, count * sizeof(float));
  return value;
}

// One exchange of a transposition: of blocks of `distance` numbers beside the diagonal, in all pairs of vectors that far apart.
#define EXCHANGE(distance, LOW, HIGH)                                      \
  for (int row = 0; row < side; row++) {                                   \
    if (row & distance) continue;                                          \
    words a = rows[row], b = rows[row + distance];                         \
    rows[row] = __builtin_shufflevector(a, b, LOW);                        \
    rows[row + distance] = __builtin_shufflevector(a, b, HIGH);            \
  }

static inline __attribute__((always_inline)) void transpose(words rows[side]) {
#define LOW8 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23
#define HIGH8 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31
#define LOW4 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27
#define HIGH4 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31
#define LOW2 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29
#define HIGH2 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31
#define LOW1 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30
#define HIGH1 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31
#pragma clang loop unroll(full)
  EXCHANGE(8, LOW8, HIGH8)
#pragma clang loop unroll(full)
  EXCHANGE(4, LOW4, HIGH4)
#pragma clang loop unroll(full)
  EXCHANGE(2, LOW2, HIGH2)
#pragma clang loop unroll(full)
  EXCHANGE(1, LOW1, HIGH1)
}

// For each step and tile: the pairs [16 pairs, 16 columns], then the same turned [16 columns, 16 pairs].
static void pack(const float *block, size_t rows, size_t width, void *packed) {
  const size_t tiles = tiles_of(width);
  for (size_t step = 0; step < steps_of(rows); step++) {
    for (size_t tile = 0; tile < tiles; tile++) {
      size_t column = tile * side;
      size_t count = column < width ? width - column : 0;
      words pairs[side];
      for (size_t pair = 0; pair < side; pair++) {
        size_t row = step * step_rows + 2 * pair;
        words first = {}, second = {};
        if (row < rows) first = load_words(block + row * width + column, count);
        if (row + 1 < rows) second = load_words(block + (row + 1) * width + column, count);
        // To nearest; a tie goes away from zero.
        pairs[pair] = ((first + 0x8000u) >> 16) | ((second + 0x8000u) & 0xFFFF0000u);
      }
      char *target = (char *)packed + 2 * sizeof pairs * (step * tiles + tile);
      memcpy(target, pairs, sizeof pairs);
      transpose(pairs);
      memcpy(target + sizeof pairs, pairs, sizeof pairs);
    }
  }
}

// What the processor is told of its tiles: all are whole.
struct configuration {
  uint8_t palette, start_row, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
};

// Adds a square of 2 x 2 tiles to `sums`, whose rows are `stride` numbers apart.
static inline void add_square(
    const char *packed, size_t steps, size_t tiles, size_t row, size_t column, float *sums, size_t stride) {
  enum { tile_bytes = tile_words * sizeof(uint32_t) };
  const size_t bytes = stride * sizeof(float);
  _tile_loadd(0, sums, bytes);
  _tile_loadd(1, sums + side, bytes);
  _tile_loadd(2, sums + side * stride, bytes);
  _tile_loadd(3, sums + side * stride + side, bytes);
  for (size_t step = 0; step < steps; step++) {
    const char *left = packed + 2 * tile_bytes * (step * tiles + row) + tile_bytes;
    const char *right = packed + 2 * tile_bytes * (step * tiles + column);
    _tile_loadd(4, left, 64);
    _tile_loadd(6, right, 64);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(7, right + 2 * tile_bytes, 64);
    _tile_dpbf16ps(1, 4, 7);
    _tile_loadd(5, left + 2 * tile_bytes, 64);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_stored(0, sums, bytes);
  _tile_stored(1, sums + side, bytes);
  _tile_stored(2, sums + side * stride, bytes);
  _tile_stored(3, sums + side * stride + side, bytes);
}

static void add(const void *packed, size_t rows, size_t width, size_t first, size_t last, float *sums) {
  struct configuration configuration = {.palette = 1};
  for (int tile = 0; tile < 8; tile++) {
    configuration.row_bytes[tile] = 64;
    configuration.rows[tile] = side;
  }
  _tile_loadconfig(&configuration);
  const size_t steps = steps_of(rows), tiles = tiles_of(width);
  for (size_t row = first; row < last; row += 2 * side) {
    for (size_t column = row; column < width; column += 2 * side) {
      if (row + 2 * side <= width && column + 2 * side <= width) {
        add_square(packed, steps, tiles, row / side, column / side, sums + row * width + column, width);
        continue;
      }
      // At the edge, where the square is not all there.
      float square[4 * tile_words];
      memset(square, 0, sizeof square);
      add_square(packed, steps, tiles, row / side, column / side, square, 2 * side);
      for (size_t i = 0; i < 2 * side && row + i < width; i++) {
        for (size_t j = 0; j < 2 * side && column + j < width; j++) {
          sums[(row + i) * width + column + j] += square[i * 2 * side + j];
        }
      }
    }
  }
  _tile_release();
}

#pragma clang attribute pop

static const struct beem_moments amx = {
    .name = "AMX", .most_rows = 512, .packed_size = packed_size, .pack = pack, .add = add};

const struct beem_moments *beem_moments_best(void) {
  static int is_allowed = -1;
  int known = __atomic_load_n(&is_allowed, __ATOMIC_RELAXED);
  if (known < 0) {
    // Linux lets a process use tiles that has asked for them.
    enum { request_permission = 0x1023, tile_data = 18 };
    known = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
            __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
            __builtin_cpu_supports("amx-tile") && __builtin_cpu_supports("amx-bf16") &&
            syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
    __atomic_store_n(&is_allowed, known, __ATOMIC_RELAXED);
  }
  return known && beem_allows(amx.name) ? &amx : 0;
}

#else

const struct beem_moments *beem_moments_best(void) { return 0; }

#endif
