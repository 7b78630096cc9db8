#include <cblas.h>

// LAPACK lives in the same library; Debian's package has no C header for it.
void dposv_(const char *uplo, const int *n, const int *nrhs, double *a, const int *lda, double *b,
            const int *ldb, int *info);
