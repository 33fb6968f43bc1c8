#define _GNU_SOURCE  // syscall
#include "ckernels.h"

#include <string.h>

extern const ck_table ck_table_reference;
#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

extern const ck_table ck_table_amx, ck_table_avx512_bf16, ck_table_avx512, ck_table_avx2, ck_table_wide;
#endif

static const ck_table *const tables[] = {
#if defined(__x86_64__)
    &ck_table_amx,
    &ck_table_avx512_bf16,
    &ck_table_avx512,
    &ck_table_avx2,
#endif
    &ck_table_reference,
};

const ck_table *const *ck_tables(size_t *count) {
  *count = sizeof tables / sizeof *tables;
  return tables;
}
const ck_table *ck_table_named(const char *name) {
  for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
    if (!strcmp(tables[i]->name, name)) return tables[i];
#if defined(__x86_64__)
  if (!strcmp(ck_table_wide.name, name)) return &ck_table_wide;  // for tests: never the best
#endif
  return NULL;
}
const ck_table *ck_best_table(void) {
  for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
    if (tables[i]->runs_here()) return tables[i];
  return &ck_table_reference;
}

#if defined(__x86_64__)
static bool ask_for_tiles(void) {
  enum { AMX_BF16 = 1 << 22, AMX_TILE = 1 << 24, OSXSAVE = 1 << 27, TILE_STATES = 3 << 17 };
  enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };  // arch_prctl, Linux 5.16 and later
  unsigned a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & OSXSAVE)) return false;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || ~d & (AMX_BF16 | AMX_TILE)) return false;
  unsigned low, high;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return !(~low & TILE_STATES) && !syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA);
}
#endif
bool ck_tiles_allowed(void) {
#if defined(__x86_64__)
  static _Atomic int known;  // 0: not asked yet
  if (!known) known = ask_for_tiles() ? 1 : -1;
  return known == 1;
#else
  return false;
#endif
}
