// The headers of OpenBLAS and LAPACKE, as Debian installs them.
#include <cblas.h>
#include <lapacke.h>
