import Foundation

/// What the files of the kernel tell, below a root that tests set.
package struct SystemFiles {
  package var root: String

  package init(root: String = "") { self.root = root }

  package func line(_ path: String) -> String? {
    guard let text = try? String(contentsOfFile: root + path, encoding: .utf8) else { return nil }
    return text.split(separator: "\n").first.map { $0.trimmingCharacters(in: .whitespaces) }
  }

  /// The value behind `name:` in a file of such lines.
  private func value(_ name: String, in path: String) -> String? {
    guard let text = try? String(contentsOfFile: root + path, encoding: .utf8) else { return nil }
    return text.split(separator: "\n").first { $0.hasPrefix(name) }
      .flatMap { $0.split(separator: ":", maxSplits: 1).last }
      .map { $0.trimmingCharacters(in: .whitespaces) }
  }

  package var processor: String { value("model name", in: "/proc/cpuinfo") ?? "unknown" }

  package func cores(ofStatus path: String) -> [Int]? {
    value("Cpus_allowed_list:", in: path).flatMap(Self.cores)
  }

  /// What the control group leaves of the processors that are online.
  package var usableCores: [Int]? {
    guard let online = line("/sys/devices/system/cpu/online").flatMap(Self.cores) else {
      return nil
    }
    let paths =
      groups().map { "/sys/fs/cgroup\($0)/cpuset.cpus.effective" }
      + ["/sys/fs/cgroup/cpuset/cpuset.effective_cpus"]
    let group = paths.compactMap(line).compactMap(Self.cores).first
    return group.map { group in online.filter(group.contains) } ?? online
  }

  /// `0-3,8` as numbers in order; nil if it is anything else.
  package static func cores(_ text: String) -> [Int]? {
    var cores: [Int] = []
    for part in text.split(separator: ",") {
      let ends = part.split(separator: "-").compactMap { Int($0) }
      guard let first = ends.first, let last = ends.last, ends.count <= 2, 0 <= first,
        first <= last, last < 1 << 16
      else { return nil }
      cores += Array(first...last)
    }
    return cores.isEmpty ? nil : Array(Set(cores)).sorted()
  }

  /// The control groups that this process is in, the innermost first, the root as an empty path.
  private func groups() -> [String] {
    let text = (try? String(contentsOfFile: root + "/proc/self/cgroup", encoding: .utf8)) ?? ""
    let own = text.split(separator: "\n").first { $0.hasPrefix("0::") }?.dropFirst(3) ?? ""
    var parts = own.split(separator: "/")
    var paths: [String] = []
    while !parts.isEmpty {
      paths.append("/" + parts.joined(separator: "/"))
      parts.removeLast()
    }
    return paths + [""]
  }

  /// The least quota of processor time of this process's control groups, in cores.
  package var coreQuota: Double? {
    var quotas: [Double] = groups().compactMap { group in
      let words = line("/sys/fs/cgroup\(group)/cpu.max")?.split(separator: " ") ?? []
      guard words.count == 2, let time = Double(words[0]), let period = Double(words[1]), period > 0
      else { return nil }
      return time / period
    }
    if let time = line("/sys/fs/cgroup/cpu/cpu.cfs_quota_us").flatMap(Double.init), time > 0,
      let period = line("/sys/fs/cgroup/cpu/cpu.cfs_period_us").flatMap(Double.init), period > 0
    {
      quotas.append(time / period)
    }
    return quotas.min()
  }

  /// The memory that programs can still have: what the machine has, and what the control groups leave.
  package var availableBytes: Int? {
    let machine = value("MemAvailable:", in: "/proc/meminfo")
      .flatMap { $0.split(separator: " ").first }.flatMap { Int($0) }
      .map { $0.multipliedReportingOverflow(by: 1024) }.flatMap {
        $0.overflow ? nil : $0.partialValue
      }
    let left: [Int] = groups().compactMap { group in
      let folder = "/sys/fs/cgroup\(group)"
      guard let most = line(folder + "/memory.max").flatMap(Int.init) else { return nil }
      return max(0, most - (line(folder + "/memory.current").flatMap(Int.init) ?? 0))
    }
    return (left + [machine].compactMap(\.self)).min()
  }

  /// The bytes that may still be written below a directory; nil if the file system does not say.
  package static func freeBytes(in directory: String) -> Int? {
    var information = statvfs()
    guard unsafe statvfs(directory, &information) == 0, information.f_blocks > 0 else { return nil }
    let (bytes, overflow) = information.f_bavail.multipliedReportingOverflow(
      by: UInt(information.f_frsize))
    return overflow ? nil : Int(clamping: bytes)
  }

  package enum Limit { case addressSpace, openFiles }

  /// What `ulimit` allows this process; nil for no limit.
  package static func limit(_ limit: Limit) -> Int? {
    var values = rlimit()
    let kind = limit == .addressSpace ? RLIMIT_AS : RLIMIT_NOFILE
    guard unsafe getrlimit(__rlimit_resource_t(kind.rawValue), &values) == 0,
      values.rlim_cur < UInt(Int.max)
    else { return nil }
    return Int(values.rlim_cur)
  }
}
