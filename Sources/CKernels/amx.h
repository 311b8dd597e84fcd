// What the kernels for AMX share: tiles, and how one is turned.

#ifndef BEEM_AMX_H
#define BEEM_AMX_H

#if defined(__x86_64__) && defined(__linux__)
#define BEEM_HAS_AMX 1

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#include "choice.h"

// For all functions of a file that includes this one; it ends with `#pragma clang attribute pop`.
#pragma clang attribute push(                                                                          \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,amx-tile,amx-bf16,amx-int8"))), apply_to = function)

// A tile is 16 rows of 64 bytes.
enum { side = 16, tile_bytes = 4 * side * side };

typedef uint32_t words __attribute__((vector_size(64)));
typedef int32_t integers __attribute__((vector_size(64)));
typedef float numbers __attribute__((vector_size(64)));
typedef uint32_t loaded_words __attribute__((vector_size(64), aligned(1)));

static inline words load_words(const float *source, size_t count) {
  words value = {};
  if (count >= side) return *(const loaded_words *)source;
  memcpy(&value, source, count * sizeof(float));
  return value;
}

static inline numbers load_numbers(const float *source, size_t count) { return (numbers)load_words(source, count); }

static inline void store_numbers(numbers values, size_t count, float *target) {
  // One store, not a call, where all are wanted.
  if (count >= side) {
    memcpy(target, &values, sizeof values);
  } else {
    memcpy(target, &values, count * sizeof(float));
  }
}

// Float32 to BF16, in the upper half, to nearest; a tie goes away from zero.
static inline words rounded(numbers values) { return ((words)values + 0x8000u) & 0xFFFF0000u; }

// Pairs of BF16, from the upper halves of both.
static inline words paired(words first, words second) { return (first >> 16) | second; }

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

// What the processor is told of its tiles.
struct configuration {
  uint8_t palette, start_row, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
};

// All of them whole.
static inline struct configuration whole_tiles(void) {
  struct configuration configuration = {.palette = 1};
  for (int tile = 0; tile < 8; tile++) {
    configuration.row_bytes[tile] = 4 * side;
    configuration.rows[tile] = side;
  }
  return configuration;
}

// Whether the system and the user let this process use tiles.
int beem_amx_is_allowed(void);

#endif

#endif
