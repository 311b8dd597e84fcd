// The only C of the package: the headers of OpenBLAS and LAPACKE, as Debian installs them.
#include <cblas.h>
#include <lapacke.h>
