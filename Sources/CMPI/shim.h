#pragma once
// MPI's handles and constants are macros and, by implementation, pointers or integers, which Swift cannot import
// as one thing: here handles are structs, types and operations are numbers, and each call used is a function.
#include <mpi.h>
#include <stdint.h>

typedef struct cmpi_comm { MPI_Comm value; } cmpi_comm;
typedef struct cmpi_request { MPI_Request value; } cmpi_request;

enum { CMPI_BYTE, CMPI_FLOAT, CMPI_DOUBLE, CMPI_INT64 };
enum { CMPI_SUM, CMPI_MIN, CMPI_MAX };

static inline MPI_Datatype cmpi_type(int type) {
  return type == CMPI_FLOAT ? MPI_FLOAT : type == CMPI_DOUBLE ? MPI_DOUBLE : type == CMPI_INT64 ? MPI_INT64_T : MPI_BYTE;
}
static inline MPI_Op cmpi_op(int op) { return op == CMPI_MIN ? MPI_MIN : op == CMPI_MAX ? MPI_MAX : MPI_SUM; }

static inline int cmpi_success(void) { return MPI_SUCCESS; }
static inline int cmpi_initialized(void) {
  int flag = 0;
  MPI_Initialized(&flag);
  return flag;
}
static inline int cmpi_finalized(void) {
  int flag = 0;
  MPI_Finalized(&flag);
  return flag;
}
/// MPI_Init_thread, asking for calls from one thread at a time; `*enough` says whether that is given.
static inline int cmpi_init(int *enough) {
  int provided = 0, status = MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &provided);
  *enough = provided >= MPI_THREAD_SERIALIZED;
  return status;
}
static inline int cmpi_finalize(void) { return MPI_Finalize(); }
static inline void cmpi_abort(int code) { MPI_Abort(MPI_COMM_WORLD, code); }
static inline cmpi_comm cmpi_world(void) { return (cmpi_comm){MPI_COMM_WORLD}; }
/// A duplicate of a communicator whose errors are returned.
static inline int cmpi_duplicate(cmpi_comm comm, cmpi_comm *copy) {
  MPI_Comm_set_errhandler(comm.value, MPI_ERRORS_RETURN);
  int status = MPI_Comm_dup(comm.value, &copy->value);
  if (status == MPI_SUCCESS) MPI_Comm_set_errhandler(copy->value, MPI_ERRORS_RETURN);
  return status;
}
static inline int cmpi_split(cmpi_comm comm, int color, int key, cmpi_comm *part) {
  return MPI_Comm_split(comm.value, color, key, &part->value);
}
static inline int cmpi_free(cmpi_comm *comm) { return MPI_Comm_free(&comm->value); }
static inline int cmpi_rank(cmpi_comm comm) {
  int rank = 0;
  MPI_Comm_rank(comm.value, &rank);
  return rank;
}
static inline int cmpi_size(cmpi_comm comm) {
  int size = 0;
  MPI_Comm_size(comm.value, &size);
  return size;
}
static inline int cmpi_isend(const void *from, int count, int type, int peer, int tag, cmpi_comm comm, cmpi_request *request) {
  return MPI_Isend(from, count, cmpi_type(type), peer, tag, comm.value, &request->value);
}
static inline int cmpi_irecv(void *to, int count, int type, int peer, int tag, cmpi_comm comm, cmpi_request *request) {
  return MPI_Irecv(to, count, cmpi_type(type), peer, tag, comm.value, &request->value);
}
static inline int cmpi_ibcast(void *values, int count, int type, int root, cmpi_comm comm, cmpi_request *request) {
  return MPI_Ibcast(values, count, cmpi_type(type), root, comm.value, &request->value);
}
/// MPI_Iallreduce, in place.
static inline int cmpi_iallreduce(void *values, int count, int type, int op, cmpi_comm comm, cmpi_request *request) {
  return MPI_Iallreduce(MPI_IN_PLACE, values, count, cmpi_type(type), cmpi_op(op), comm.value, &request->value);
}
static inline int cmpi_test(cmpi_request *request, int *done) { return MPI_Test(&request->value, done, MPI_STATUS_IGNORE); }
/// MPI's text for an error: into `text`, of at least `cmpi_error_capacity()` characters.
static inline int cmpi_error_capacity(void) { return MPI_MAX_ERROR_STRING + 1; }
static inline void cmpi_error_text(int status, char *text) {
  int length = 0;
  text[0] = 0;
  MPI_Error_string(status, text, &length);
}
