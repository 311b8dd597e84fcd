// Whether the user lets kernels of a name be chosen.

#ifndef BEEM_CHOICE_H
#define BEEM_CHOICE_H

#include "CKernels.h"

// The environment's BEEM_KERNELS, if it is one of the names there are, rules out all that are better.
int beem_allows(const char *name);

#endif
