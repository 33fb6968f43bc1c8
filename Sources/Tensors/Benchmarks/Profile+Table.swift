import Files

extension Profile {
  /// A table of operations, longest first, with their share of the time and of the machine's peak.
  ///
  /// - Parameter total: The seconds of all steps: what no operation took stands in a row of its own.
  public func table(total: Double, peaks: MachinePeaks) -> String {
    var lines = [["operation", "calls", "ms", "share %", "GFLOP/s", "GB/s", "of peak %"]]
    func line(
      _ name: String, _ calls: Int, _ seconds: Double, _ flops: Double, _ bytes: Double,
      isRounded: Bool = false
    ) {
      let isProduct = flops > 0
      let speed = seconds > 0 ? (isProduct ? flops : bytes) / seconds : 0
      let peak = isProduct ? peaks.flops(isRounded: isRounded) : peaks.bytesPerSecond
      lines.append([
        name, calls > 0 ? "\(calls)" : "", fixed(seconds * 1e3, 1), fixed(100 * seconds / total, 1),
        isProduct ? fixed(speed * 1e-9, 1) : "",
        !isProduct && bytes > 0 ? fixed(speed * 1e-9, 1) : "",
        speed > 0 ? fixed(100 * speed / peak, 0) : "",
      ])
    }
    for row in rows.sorted(by: { $0.seconds > $1.seconds }) where row.calls > 0 {
      line(
        row.name, row.calls, row.seconds, row.flops, row.bytes, isRounded: row.isRounded)
    }
    let named = rows.reduce(0) { $0 + $1.seconds }
    line("other", 0, max(0, total - named), 0, 0)
    line(
      "all steps", 0, total, rows.reduce(0) { $0 + $1.flops }, 0,
      isRounded: rows.contains(where: \.isRounded))
    return TextTable(lines).lines.joined(separator: "\n")
      + "\npeaks measured here: \(fixed(peaks.flopsPerSecond * 1e-9, 0)) GFLOP/s fp32, "
      + (peaks.bf16FlopsPerSecond.map { "\(fixed($0 * 1e-9, 0)) GFLOP/s bf16, " } ?? "")
      + "\(fixed(peaks.bytesPerSecond * 1e-9, 1)) GB/s; parallel regions take "
      + "\(fixed(100 * parallelSeconds / total, 1)) % of the time, and threads wait "
      + "\(fixed(100 * waitingShare, 1)) % of it for each other\n"
  }
}
