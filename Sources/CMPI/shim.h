// What Swift cannot import of MPI: its constants are macros that cast addresses (Open MPI) or integers (MPICH).
#include <mpi.h>

static inline MPI_Comm beem_comm_world(void) { return MPI_COMM_WORLD; }
static inline MPI_Datatype beem_byte(void) { return MPI_BYTE; }
static inline MPI_Datatype beem_int64(void) { return MPI_INT64_T; }
static inline MPI_Datatype beem_uint64(void) { return MPI_UINT64_T; }
static inline MPI_Op beem_sum(void) { return MPI_SUM; }
static inline MPI_Op beem_max(void) { return MPI_MAX; }
static inline int beem_thread_serialized(void) { return MPI_THREAD_SERIALIZED; }
