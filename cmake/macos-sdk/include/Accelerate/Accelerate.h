// The declarations of Accelerate that kernels/ uses, written from Apple's reference.
#pragma once

#include <Availability.h>

#ifndef ACCELERATE_NEW_LAPACK
#error "the BLAS of before macOS 13.3 is not declared here"
#endif

extern "C" {
enum CBLAS_ORDER { CblasRowMajor = 101, CblasColMajor = 102 };
enum CBLAS_TRANSPOSE { CblasNoTrans = 111, CblasTrans = 112, CblasConjTrans = 113 };
void cblas_sgemm(enum CBLAS_ORDER order, enum CBLAS_TRANSPOSE a_transposed, enum CBLAS_TRANSPOSE b_transposed,
                 int rows, int columns, int depth, float alpha, const float* a, int a_stride, const float* b,
                 int b_stride, float beta, float* c, int c_stride)
    __API_AVAILABLE(macos(13.3)) __asm("_cblas_sgemm$NEWLAPACK");

typedef enum BLAS_THREADING : unsigned int {
  BLAS_THREADING_MULTI_THREADED,
  BLAS_THREADING_SINGLE_THREADED
} BLAS_THREADING;
int BLASSetThreading(BLAS_THREADING threading) __API_AVAILABLE(macos(15.0));
}
