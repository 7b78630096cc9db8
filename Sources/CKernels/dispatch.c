#include "dispatch.h"
#include <pthread.h>
#include <sys/mman.h>

#if defined(__x86_64__)
static int has_avx512(void) {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq")
         && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512cd");
}

static int has_avx2(void) {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi")
         && __builtin_cpu_supports("bmi2");
}
#endif

static const ck_kernels *chosen = &ck_kernels_baseline;

// The sets from the largest on; the first that the processor has, and that is no larger than the one wished for, is taken.
// Before main, so that no kernel has to ask.
__attribute__((constructor)) static void choose(void) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  const char *wish = getenv("ALINFIK_INSTRUCTION_SET");
  int has_bf16 = has_avx512() && __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512vnni");
  const struct {
    const ck_kernels *kernels;
    int is_there;
  } sets[] = {
    {&ck_kernels_amx, has_bf16 && ck_may_use_amx()},
    {&ck_kernels_avx512bf16, has_bf16},
    {&ck_kernels_avx512, has_avx512()},
    {&ck_kernels_avx2, has_avx2()},
    {&ck_kernels_baseline, 1},
  };
  enum { COUNT = sizeof sets / sizeof *sets };
  int place = 0;
  for (int i = 0; wish && i < COUNT; i++)
    if (strcmp(wish, sets[i].kernels->instruction_set) == 0) place = i;
  while (!sets[place].is_there) place++;
  chosen = sets[place].kernels;
#endif
}

const char *ck_instruction_set(void) { return chosen->instruction_set; }

int ck_multiplies_bf16(void) {
#if defined(__x86_64__)
  return chosen == &ck_kernels_amx || chosen == &ck_kernels_avx512bf16;
#else
  return 0;
#endif
}

int ck_multiplies_int8(void) { return ck_multiplies_bf16(); }

int ck_multiplies_tiles(void) {
#if defined(__x86_64__)
  return chosen == &ck_kernels_amx;
#else
  return 0;
#endif
}

#define CK_CALL_void(call) call
#define CK_CALL_int(call) return call
#define CK_CALL_size_t(call) return call
#define CK_CALL_double(call) return call
#define CK_FORWARD(result, name, parameters, arguments) \
  result ck_##name parameters { CK_CALL_##result(chosen->name arguments); }
CK_EVERY(CK_FORWARD)

static pthread_key_t scratch_key;
static pthread_once_t scratch_once = PTHREAD_ONCE_INIT;
static void make_key(void) { pthread_key_create(&scratch_key, free); }
static pthread_key_t more_key;
static pthread_once_t more_once = PTHREAD_ONCE_INIT;
static void make_more_key(void) { pthread_key_create(&more_key, free); }

float *ck_gemm_scratch(void) {
  static _Thread_local float *scratch;
  if (scratch) return scratch;
  // One huge page: its addresses cost one entry of the translation buffer.
  size_t bytes = 2 << 20;
  scratch = aligned_alloc(bytes, bytes);
  if (!scratch) abort();
  madvise(scratch, bytes, MADV_HUGEPAGE);
  pthread_once(&scratch_once, make_key);
  pthread_setspecific(scratch_key, scratch);
  return scratch;
}

void *ck_scratch(size_t bytes) {
  static _Thread_local void *scratch;
  static _Thread_local size_t size;
  if (size >= bytes) return scratch;
  free(scratch);
  size = (bytes + 4095) / 4096 * 4096;
  scratch = aligned_alloc(64, size);
  if (!scratch) abort();
  pthread_once(&more_once, make_more_key);
  pthread_setspecific(more_key, scratch);
  return scratch;
}
