#include "arguments.h"

static int count;
static char **values;

// The GNU C library hands constructors what it hands main, which Swift's own main drops.
__attribute__((constructor)) static void keep(int argc, char **argv) {
  count = argc;
  values = argv;
}

int ca_count(void) { return count; }
char *const *ca_values(void) { return values; }
