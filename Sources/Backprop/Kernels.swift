import CKernels

/// The inner loops, compiled for the instructions that this processor has.
let kernels = beem_kernels_best().pointee
