// preamble.cuh for g++: the same functions on float registers, and a grid that is walked through one thread at a time.
#include <algorithm>
#include <cmath>
#include <cstring>
using std::max;
using std::min;
#define __global__
#define __restrict__
struct Three { int x, y, z; };
static thread_local Three blockIdx, threadIdx, blockDim;
struct uint4 { unsigned x, y, z, w; };
typedef unsigned short half_t;
typedef unsigned char byte_t;
static float widened(half_t bits) { _Float16 v; std::memcpy(&v, &bits, 2); return (float)v; }
static half_t narrowed(float v) { _Float16 h = (_Float16)v; half_t bits; std::memcpy(&bits, &h, 2); return bits; }
static float wide(half_t v) { return widened(v); }
static float wide(float v) { return v; }
static float wide(byte_t v) { return v; }
static void put(half_t* p, float v) { *p = narrowed(v); }
static void put(float* p, float v) { *p = v; }
static void put(byte_t* p, float v) { *p = (byte_t)(int)v; }
template <int lanes, class T> static void load(const T* p, float* v) {
  if ((size_t)p % (lanes * sizeof(T)) && lanes > 1) std::abort();  // a GPU would refuse it, too
  for (int i = 0; i < lanes; ++i) v[i] = wide(p[i]);
}
template <int lanes, class T> static void store(T* p, const float* v) {
  if ((size_t)p % (lanes * sizeof(T)) && lanes > 1) std::abort();
  for (int i = 0; i < lanes; ++i) put(p + i, v[i]);
}
#define load8 load<8>
#define load1 load<1>
#define store8 store<8>
#define store1 store<1>
