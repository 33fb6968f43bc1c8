#include "ckernels.h"

#include <string.h>

extern const ck_table ck_table_reference;
static const ck_table *const tables[] = {&ck_table_reference};

const ck_table *const *ck_tables(size_t *count) {
  *count = sizeof tables / sizeof *tables;
  return tables;
}
const ck_table *ck_table_named(const char *name) {
  for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
    if (!strcmp(tables[i]->name, name)) return tables[i];
  return NULL;
}
const ck_table *ck_best_table(void) {
  for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
    if (tables[i]->runs_here()) return tables[i];
  return &ck_table_reference;
}
