// MPI's handles and constants are macros, which Swift does not import: a function of each one used.
#pragma once
#include <mpi.h>

// A handle is a pointer in Open MPI and a number in MPICH. In a struct, Swift sees both alike.
typedef struct __attribute__((swift_attr("unsafe"))) CMPI_Comm { MPI_Comm raw; } CMPI_Comm;
typedef struct __attribute__((swift_attr("unsafe"))) CMPI_Request { MPI_Request raw; } CMPI_Request;

static inline CMPI_Comm CMPI_COMM_WORLD(void) { return (CMPI_Comm){MPI_COMM_WORLD}; }
static inline CMPI_Comm CMPI_COMM_NULL(void) { return (CMPI_Comm){MPI_COMM_NULL}; }
static inline CMPI_Request CMPI_REQUEST_NULL(void) { return (CMPI_Request){MPI_REQUEST_NULL}; }
static inline MPI_Datatype CMPI_BYTE(void) { return MPI_BYTE; }
static inline MPI_Errhandler CMPI_ERRORS_RETURN(void) { return MPI_ERRORS_RETURN; }
static inline MPI_Status *CMPI_STATUS_IGNORE(void) { return MPI_STATUS_IGNORE; }
static inline MPI_Info CMPI_INFO_NULL(void) { return MPI_INFO_NULL; }
static inline int CMPI_COMM_TYPE_SHARED(void) { return MPI_COMM_TYPE_SHARED; }
static inline int CMPI_SUCCESS(void) { return MPI_SUCCESS; }
static inline int CMPI_THREAD_MULTIPLE(void) { return MPI_THREAD_MULTIPLE; }
static inline int CMPI_MAX_ERROR_STRING(void) { return MPI_MAX_ERROR_STRING; }
