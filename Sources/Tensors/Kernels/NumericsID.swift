internal import COpenBLAS
import Glibc

/// What bits depend on beside config, seed and ranks: runs are compared bit by bit only where it is equal.
public enum NumericsID {
  /// The kernel table and its precision, OpenBLAS with the processor it chose, and the C library, whose mathematics the losses use.
  public static func of(_ kernels: KernelTable, _ precision: Precision) -> String {
    let bf16 = precision == .bf16 ? " with bf16 products" : ""
    let library = unsafe text(openblas_get_config()).split(separator: " ").prefix(2)
      .joined(separator: " ")
    let core = unsafe text(openblas_get_corename())
    return "\(kernels.name) kernels\(bf16), \(library) for \(core), \(cLibrary)"
  }

  private static var cLibrary: String {
    var name = [CChar](repeating: 0, count: 64)
    guard unsafe confstr(Int32(_CS_GNU_LIBC_VERSION), &name, name.count) > 0 else {
      return "unknown C library"
    }
    return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  private static func text(_ pointer: UnsafePointer<CChar>?) -> String {
    guard let pointer = unsafe pointer else { return "unknown" }
    return unsafe String(cString: pointer)
  }
}
