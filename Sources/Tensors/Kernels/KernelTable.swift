package import CKernels
import Glibc

/// One set of kernels: plain C, or that for an instruction set.
///
/// A table is chosen once, when a ``Workspace`` is made. `ISOGLOSS_KERNELS` forces one by its name.
@safe public struct KernelTable: Sendable {
  /// The functions, which live as long as the program.
  nonisolated(unsafe) package let raw: UnsafePointer<ck_table>

  /// The table's name: `reference`, `avx2`, `avx512`, `avx512-bf16` or `amx`.
  public var name: String { unsafe String(cString: raw.pointee.name) }

  /// The instructions that multiply bf16 factors; nil where fp32 ones do it and nothing is gained.
  public var bf16Unit: String? {
    unsafe raw.pointee.bf16_unit.map { unsafe String(cString: $0) }
  }

  /// What products run in where `asked` is asked for: bf16 needs a processor that multiplies it, or
  /// `ISOGLOSS_BF16=emulate`, which asks for its roundings alone.
  public func precision(_ asked: Precision) -> Precision {
    if asked == .fp32 || bf16Unit != nil { return asked }
    guard let wish = unsafe getenv("ISOGLOSS_BF16") else { return .fp32 }
    return unsafe String(cString: wish) == "emulate" ? .bf16 : .fp32
  }

  /// The best table that this processor runs.
  public static var best: KernelTable { unsafe KernelTable(raw: ck_best_table()) }

  /// The tables that this processor runs, best first.
  public static var runnable: [KernelTable] {
    var count = 0
    guard let tables = unsafe ck_tables(&count) else { return [] }
    return (0..<count).compactMap { index in
      guard let table = unsafe tables[index], unsafe table.pointee.runs_here() else { return nil }
      return unsafe KernelTable(raw: table)
    }
  }

  /// The table that `ISOGLOSS_KERNELS` names, or the best one where it is not set.
  ///
  /// - Throws: ``KernelTableError`` if the name is unknown or its instructions are missing here.
  public static func chosen() throws(KernelTableError) -> KernelTable {
    guard let forced = unsafe getenv("ISOGLOSS_KERNELS") else { return best }
    let name = unsafe String(cString: forced)
    guard let table = runnable.first(where: { $0.name == name }) else {
      throw KernelTableError(name: name, runnable: runnable.map(\.name))
    }
    return table
  }
}

/// A kernel table was asked for that this program or processor does not have.
public struct KernelTableError: Error, CustomStringConvertible {
  public var name: String
  public var runnable: [String]

  public var description: String {
    "ISOGLOSS_KERNELS=\(name): no such kernel table runs on this processor; "
      + "set it to one of: \(runnable.joined(separator: ", "))"
  }
}
