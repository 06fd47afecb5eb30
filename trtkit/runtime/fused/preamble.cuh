// What generated kernels call: 8 or 1 channels between memory and float registers. 16 bytes of half_t are aligned.
typedef unsigned short half_t;
typedef unsigned char byte_t;
__device__ __forceinline__ float widened(half_t bits) {
  float v;
  asm("cvt.f32.f16 %0, %1;" : "=f"(v) : "h"(bits));
  return v;
}
__device__ __forceinline__ half_t narrowed(float v) {
  half_t bits;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(v));
  return bits;
}
__device__ __forceinline__ void load8(const half_t* p, float* v) {
  const uint4 packed = *(const uint4*)p;
  const unsigned pairs[4] = {packed.x, packed.y, packed.z, packed.w};
#pragma unroll
  for (int i = 0; i < 4; ++i) { v[2 * i] = widened(pairs[i] & 0xffff); v[2 * i + 1] = widened(pairs[i] >> 16); }
}
__device__ __forceinline__ void load8(const float* p, float* v) {
  const float4 low = ((const float4*)p)[0], high = ((const float4*)p)[1];
  v[0] = low.x; v[1] = low.y; v[2] = low.z; v[3] = low.w; v[4] = high.x; v[5] = high.y; v[6] = high.z; v[7] = high.w;
}
__device__ __forceinline__ void load1(const half_t* p, float* v) { *v = widened(*p); }
__device__ __forceinline__ void load1(const float* p, float* v) { *v = *p; }
__device__ __forceinline__ void load1(const byte_t* p, float* v) { *v = *p; }
__device__ __forceinline__ void store1(half_t* p, const float* v) { *p = narrowed(*v); }
__device__ __forceinline__ void store1(float* p, const float* v) { *p = *v; }
__device__ __forceinline__ void store1(byte_t* p, const float* v) { *p = (byte_t)(int)*v; }
__device__ __forceinline__ void store8(half_t* p, const float* v) {
  unsigned pairs[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) pairs[i] = (unsigned)narrowed(v[2 * i]) | (unsigned)narrowed(v[2 * i + 1]) << 16;
  *(uint4*)p = make_uint4(pairs[0], pairs[1], pairs[2], pairs[3]);
}
__device__ __forceinline__ void store8(float* p, const float* v) {
  ((float4*)p)[0] = make_float4(v[0], v[1], v[2], v[3]);
  ((float4*)p)[1] = make_float4(v[4], v[5], v[6], v[7]);
}
__device__ __forceinline__ void store8(byte_t* p, const float* v) {
  uint2 packed = make_uint2(0, 0);
#pragma unroll
  for (int i = 0; i < 4; ++i) { packed.x |= (unsigned)(byte_t)(int)v[i] << 8 * i; packed.y |= (unsigned)(byte_t)(int)v[4 + i] << 8 * i; }
  *(uint2*)p = packed;
}
