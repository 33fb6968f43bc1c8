import Glibc

/// The name of the machine that this process runs on; `unknown` if the system gives none.
func nameOfThisHost() -> String {
  var name = [CChar](repeating: 0, count: 256)
  guard unsafe gethostname(&name, name.count - 1) == 0 else { return "unknown" }
  return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

/// Writes what is buffered and ends this process at once, whatever its other threads do.
func endProcess(code: Int32) -> Never {
  fflush(nil)
  _exit(code)
}
