#include "ckernels.h"

#include <string.h>

extern const ck_table ck_table_reference;
#if defined(__x86_64__)
extern const ck_table ck_table_avx512, ck_table_avx2, ck_table_wide;
#endif

static const ck_table *const tables[] = {
#if defined(__x86_64__)
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
