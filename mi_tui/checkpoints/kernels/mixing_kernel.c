/* The mixing kernel compiled: what NumpyKernel in numpy_kernel.py does, bit for bit, in one pass.
 *
 * result = anchor + sum of weight * (source - anchor): one operation after another in this order,
 * rounded once at the end, to the nearest, ties to even. In float32 where all elements have 16
 * bits; in double where any have more. It must be compiled without fused multiply-add
 * (-ffp-contract=off) and never with -ffast-math. Little-endian machines only.
 */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef DIGEST /* Of this file: what was compiled from another one is not used. */
const char mi_tui_digest[] = DIGEST;
#endif

enum { F64, F32, F16, BF16 }; /* The order of DTYPES in compiled_kernel.py. */
enum { BLOCK = 1024 };        /* Elements at once: three blocks stay in the first-level cache. */

typedef union {
    float numbers[BLOCK];
    uint32_t bits[BLOCK];
} Block;

typedef union {
    double numbers[BLOCK];
    uint64_t bits[BLOCK];
} Wide;

#define INLINE static inline __attribute__((always_inline))

/* glibc chooses the version for the processor at hand when the library is loaded. */
#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__clang__) && __GNUC__ >= 12
#define FOR_EACH_PROCESSOR __attribute__((target_clones("arch=x86-64-v4", "avx2", "default")))
#elif defined(__x86_64__) && defined(__GLIBC__) && !defined(__clang__)
#define FOR_EACH_PROCESSOR __attribute__((target_clones("avx2", "default")))
#else
#define FOR_EACH_PROCESSOR
#endif

#define EACH(assignment) for (size_t i = 0; i < count; i++) assignment

INLINE float as_float(uint32_t bits)
{
    float number;
    memcpy(&number, &bits, sizeof number);
    return number;
}

INLINE uint32_t as_bits(float number)
{
    uint32_t bits;
    memcpy(&bits, &number, sizeof bits);
    return bits;
}

INLINE uint32_t from_float16(uint32_t half)
{
    uint32_t size = (half & 0x7FFF) << 13;
    uint32_t normal = size + (size < 0x7C00 << 13 ? 112u << 23 : 224u << 23); /* Inf and NaN stay. */
    uint32_t subnormal = as_bits(as_float(size + (113u << 23)) - 0x1p-14f);
    return (size < 0x0400 << 13 ? subnormal : normal) | (half & 0x8000) << 16;
}

/* NaN becomes the one without sign and payload: which survives depends on the processor. */
INLINE uint32_t settled(uint32_t bits)
{
    return (bits & 0x7FFFFFFF) > 0x7F800000 ? 0x7FC00000 : bits;
}

INLINE uint32_t to_bfloat16(uint32_t bits)
{
    return (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
}

INLINE uint32_t to_float16(uint32_t bits)
{
    uint32_t size = bits & 0x7FFFFFFF;
    uint32_t normal = (size - (112u << 23) + 0xFFF + (size >> 13 & 1)) >> 13;
    /* The last place of 0.5 + size is that of a subnormal float16: the addition rounds. */
    uint32_t subnormal = as_bits(as_float(size) + 0.5f) - (126u << 23);
    uint32_t half = size < 113u << 23 ? subnormal : normal;
    half = size < 143u << 23 ? half : size > 0x7F800000 ? 0x7E00 : 0x7C00;
    return half | (bits >> 16 & 0x8000);
}

INLINE void widen(const void *raw, int dtype, size_t start, size_t count, Block *out)
{
    const double *doubles = raw;
    const float *floats = raw;
    const uint16_t *halves = raw;
    switch (dtype) {
    case F64: EACH(out->numbers[i] = (float)doubles[start + i]); break;
    case F32: EACH(out->numbers[i] = floats[start + i]); break;
    case F16: EACH(out->bits[i] = from_float16(halves[start + i])); break;
    case BF16: EACH(out->bits[i] = (uint32_t)halves[start + i] << 16); break;
    }
}

/* Uses up the block. */
INLINE void narrow(Block *in, int dtype, size_t start, size_t count, void *raw)
{
    double *doubles = raw;
    uint32_t *words = raw;
    uint16_t *halves = raw;
    switch (dtype) {
    case F64:
        EACH(in->bits[i] = settled(in->bits[i]));
        EACH(doubles[start + i] = in->numbers[i]);
        break;
    case F32: EACH(words[start + i] = settled(in->bits[i])); break;
    case F16: EACH(in->bits[i] = to_float16(settled(in->bits[i]))); break;
    case BF16: EACH(in->bits[i] = to_bfloat16(settled(in->bits[i]))); break;
    }
    if (dtype == F16 || dtype == BF16)
        EACH(halves[start + i] = in->bits[i]);
}

INLINE void widen_doubles(const void *raw, int dtype, size_t start, size_t count, Wide *out)
{
    const double *doubles = raw;
    const float *floats = raw;
    const uint16_t *halves = raw;
    switch (dtype) {
    case F64: EACH(out->numbers[i] = doubles[start + i]); break;
    case F32: EACH(out->numbers[i] = floats[start + i]); break;
    case F16: EACH(out->numbers[i] = as_float(from_float16(halves[start + i]))); break;
    case BF16: EACH(out->numbers[i] = as_float((uint32_t)halves[start + i] << 16)); break;
    }
}

/* The float towards zero, its last bit set where it is not exact: rounding it again to 16 bits
 * then gives what one rounding of the double gives (Boldo and Melquiond 2008). */
INLINE uint32_t to_odd_float(double number)
{
    float near = (float)number;
    uint32_t bits = as_bits(near);
    double difference = (double)near - number;
    if (difference < 0 || difference > 0) { /* Neither for NaN nor for Inf. */
        bits -= (near > 0) == (difference > 0) && near != 0;
        bits |= 1;
    }
    return bits;
}

/* Uses up the block. */
INLINE void narrow_doubles(Wide *in, int dtype, size_t start, size_t count, void *raw)
{
    uint64_t *longs = raw;
    uint32_t *words = raw;
    uint16_t *halves = raw;
    switch (dtype) {
    case F64:
        EACH(longs[start + i] = (in->bits[i] & INT64_MAX) > 0x7FF0000000000000
                                    ? 0x7FF8000000000000
                                    : in->bits[i]);
        break;
    case F32: EACH(words[start + i] = settled(as_bits((float)in->numbers[i]))); break;
    case F16: EACH(halves[start + i] = to_float16(settled(to_odd_float(in->numbers[i])))); break;
    case BF16: EACH(halves[start + i] = to_bfloat16(settled(to_odd_float(in->numbers[i])))); break;
    }
}

/* Whether the largest of the bits without the sign is that of infinity, or above, as of NaN. */
#define REACHES(infinity, type, elements, mask)             \
    do {                                                    \
        type largest = 0;                                   \
        for (size_t i = 0; i < count; i++) {                \
            type size = elements[start + i] & mask;         \
            largest = size > largest ? size : largest;      \
        }                                                   \
        return largest >= infinity;                         \
    } while (0)

INLINE int nonfinite(const void *raw, int dtype, size_t start, size_t count)
{
    const int64_t *longs = raw;
    const int32_t *words = raw;
    const int16_t *halves = raw;
    switch (dtype) {
    case F64: REACHES(0x7FF0000000000000, int64_t, longs, INT64_MAX);
    case F32: REACHES(0x7F800000, int32_t, words, INT32_MAX);
    case F16: REACHES(0x7C00, int16_t, halves, INT16_MAX);
    default: REACHES(0x7F80, int16_t, halves, INT16_MAX);
    }
}

FOR_EACH_PROCESSOR
int mi_tui_has_nonfinite(const void *raw, int dtype, size_t count)
{
    return nonfinite(raw, dtype, 0, count);
}

FOR_EACH_PROCESSOR
static int blend_doubles(const void *anchor, int anchor_dtype, int terms,
                         const void *const *sources, const int *dtypes, const double *weights,
                         void *out, int out_dtype, size_t total)
{
    Wide base, source, result;
    int found = 0;
    for (size_t start = 0; start < total; start += BLOCK) {
        size_t count = total - start < BLOCK ? total - start : BLOCK;
        widen_doubles(anchor, anchor_dtype, start, count, &base);
        for (int k = 0; k < terms; k++) {
            const double *before = k ? result.numbers : base.numbers;
            double weight = weights[k];
            widen_doubles(sources[k], dtypes[k], start, count, &source);
            EACH(result.numbers[i] = before[i] + weight * (source.numbers[i] - base.numbers[i]));
        }
        narrow_doubles(terms ? &result : &base, out_dtype, start, count, out);
        found |= nonfinite(out, out_dtype, start, count);
    }
    return found;
}

/* Blend `total` elements, each tensor of its own dtype; returns whether NaN or Inf came out. */
FOR_EACH_PROCESSOR
int mi_tui_blend(const void *anchor, int anchor_dtype, int terms, const void *const *sources,
                 const int *dtypes, const double *weights, void *out, int out_dtype, size_t total)
{
    int wide = anchor_dtype == F32 || anchor_dtype == F64;
    for (int k = 0; k < terms; k++)
        wide |= dtypes[k] == F32 || dtypes[k] == F64;
    if (wide)
        return blend_doubles(anchor, anchor_dtype, terms, sources, dtypes, weights, out, out_dtype,
                             total);
    Block base, source, result;
    int found = 0;
    for (size_t start = 0; start < total; start += BLOCK) {
        size_t count = total - start < BLOCK ? total - start : BLOCK;
        widen(anchor, anchor_dtype, start, count, &base);
        for (int k = 0; k < terms; k++) {
            const float *before = k ? result.numbers : base.numbers;
            float weight = (float)weights[k];
            widen(sources[k], dtypes[k], start, count, &source);
            EACH(result.numbers[i] = before[i] + weight * (source.numbers[i] - base.numbers[i]));
        }
        narrow(terms ? &result : &base, out_dtype, start, count, out);
        found |= nonfinite(out, out_dtype, start, count);
    }
    return found;
}
