// Which tables there are, best first, and which one runs here.
#include "ckernels.h"

#include <string.h>

extern const ck_table ck_table_reference;
#if defined(__x86_64__)
extern const ck_table ck_table_avx512, ck_table_avx2, ck_table_wide;
static const ck_table *const tables[] = {&ck_table_avx512, &ck_table_avx2, &ck_table_reference};
#else
static const ck_table *const tables[] = {&ck_table_reference};
#endif
enum { table_count = sizeof tables / sizeof *tables };

const ck_table *const *ck_tables(size_t *count) {
  *count = table_count;
  return tables;
}

const ck_table *ck_table_named(const char *name) {
  for (size_t i = 0; i < table_count; i++)
    if (!strcmp(tables[i]->name, name)) return tables[i];
#if defined(__x86_64__)
  if (!strcmp(ck_table_wide.name, name)) return &ck_table_wide;
#endif
  return NULL;
}

const ck_table *ck_best_table(void) {
  for (size_t i = 0; i < table_count; i++)
    if (tables[i]->runs_here()) return tables[i];
  return &ck_table_reference;
}
