import Glibc

/// Makes the libraries that choose kernels by processor follow `ISOGLOSS_KERNELS`.
enum LibraryChoice {
  /// OpenBLAS's name for the processors of each kernel table.
  private static let cores = [
    "reference": "Prescott", "avx2": "Haswell", "avx512": "SkylakeX", "avx512-bf16": "Cooperlake",
    "amx": "Cooperlake",
  ]

  /// Starts the program again with OpenBLAS's variable set, if kernels are forced and it is not: the library
  /// has chosen before any line of the program runs.
  static func applyForcedKernels() {
    guard let forced = variable("ISOGLOSS_KERNELS"), let core = cores[forced],
      variable("OPENBLAS_CORETYPE") != core
    else { return }
    unsafe setenv("OPENBLAS_CORETYPE", core, 1)
    var arguments = unsafe CommandLine.arguments.map { unsafe strdup($0) }
    unsafe arguments.append(nil)
    _ = unsafe execv("/proc/self/exe", &arguments)
  }

  private static func variable(_ name: String) -> String? {
    guard let value = unsafe getenv(name) else { return nil }
    return unsafe String(cString: value)
  }
}
