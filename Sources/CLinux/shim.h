// What Swift does not import of Linux: calls that are variadic, and extensions of GNU.
#pragma once
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/// Asks for a signal when the thread that started this process ends.
static inline int CLinux_signalAtParentsDeath(int number) {
  return prctl(PR_SET_PDEATHSIG, (unsigned long)number, 0, 0, 0);
}

/// A file in memory, without a name, that child processes inherit; −1 on failure.
static inline int CLinux_memoryFile(void) { return (int)syscall(SYS_memfd_create, "isogloss", 0); }

/// POSIX_SPAWN_SETSID, which is an extension too: the child leads a session of its own.
static const short CLinux_spawnInNewSession = 0x80;

#include <stdbool.h>
#include <stdio.h>

/// Whether something that was printed did not arrive. (Swift has no safe name for stdout.)
static inline bool CLinux_outputFailed(void) { return fflush(stdout) != 0 || ferror(stdout) != 0; }
