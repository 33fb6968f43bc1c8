import Files
import Glibc

/// What sorting on the disk may use.
package struct SortingBounds: Sendable {
  /// Bytes of records that are sorted in memory at a time.
  package var memoryBytes = 16 << 20
  /// Sorted files that are read at a time.
  package var openFiles = 64
  /// Bytes of each of them in memory.
  package var fileBytes = 1 << 16

  package init() {}
}

/// Sorts any number of records in bounded memory, with bounded numbers of open files.
final class ExternalSorter<Record: Comparable & BitwiseCopyable> {
  private let path: String
  private let bounds: SortingBounds
  private let capacity: Int
  private var records: [Record] = []
  /// Sorted files, the oldest first.
  private var runs: [String] = []
  private var made = 0

  /// - Parameter path: With what the names of the files begin.
  init(_ path: String, _ bounds: SortingBounds) {
    self.path = path
    self.bounds = bounds
    capacity = max(2, bounds.memoryBytes / MemoryLayout<Record>.stride)
    records.reserveCapacity(capacity)
  }

  func add(_ record: Record) throws(FileError) {
    records.append(record)
    if records.count == capacity { try writeRun() }
  }

  /// Gives all records to `body`, in order; the files are removed.
  func drain(_ body: (Record) throws(FileError) -> Void) throws(FileError) {
    if !records.isEmpty { try writeRun() }
    records = []
    while runs.count > bounds.openFiles {
      let merged = Array(runs.prefix(bounds.openFiles))
      let run = nextName()
      let file = try RecordWriter<Record>(run, bufferBytes: bounds.fileBytes)
      try merge(merged) { (record) throws(FileError) in try file.add(record) }
      try file.finish()
      runs.removeFirst(merged.count)
      runs.append(run)
    }
    try merge(runs, body)
    runs = []
  }

  private func nextName() -> String {
    made += 1
    return "\(path)-\(made)"
  }

  private func writeRun() throws(FileError) {
    records.sort()
    let run = nextName()
    let file = try RecordWriter<Record>(run, bufferBytes: bounds.fileBytes)
    for record in records { try file.add(record) }
    try file.finish()
    runs.append(run)
    records.removeAll(keepingCapacity: true)
  }

  private func merge(
    _ runs: [String], _ body: (Record) throws(FileError) -> Void
  ) throws(FileError) {
    // A heap: the reader with the least head is first, and none is less than the one at half its index.
    var heap: [(head: Record, reader: RecordReader<Record>)] = []
    for run in runs {
      let reader = try RecordReader<Record>(run, bufferBytes: bounds.fileBytes)
      if let head = reader.head { heap.append((head, reader)) }
    }
    heap.sort { $0.head < $1.head }
    while let (head, reader) = heap.first {
      try body(head)
      try reader.advance()
      if let next = reader.head {
        heap[0].head = next
      } else {
        heap[0] = heap[heap.count - 1]
        heap.removeLast()
      }
      var parent = 0
      while true {
        var least = parent
        for child in [2 * parent + 1, 2 * parent + 2]
        where child < heap.count && heap[child].head < heap[least].head {
          least = child
        }
        if least == parent { break }
        heap.swapAt(parent, least)
        parent = least
      }
    }
    for run in runs { try OutputFile.remove(run) }
  }
}

/// Writes records to a new file as they lie in memory.
final class RecordWriter<Record: BitwiseCopyable> {
  private let file: OutputFile
  private var buffer: [Record] = []
  private let capacity: Int

  init(_ path: String, bufferBytes: Int) throws(FileError) {
    file = try OutputFile(path)
    capacity = max(1, bufferBytes / MemoryLayout<Record>.stride)
    buffer.reserveCapacity(capacity)
  }

  func add(_ record: Record) throws(FileError) {
    buffer.append(record)
    if buffer.count == capacity { try flush() }
  }

  /// Returns when all is on the disk.
  func finish() throws(FileError) {
    try flush()
    try file.synchronize()
  }

  private func flush() throws(FileError) {
    let records = buffer
    try file.write(records: records.span)
    buffer.removeAll(keepingCapacity: true)
  }
}

/// Reads what a ``RecordWriter`` wrote, in order.
final class RecordReader<Record: BitwiseCopyable> {
  private let file: OpenFile
  private let capacity: Int
  private var buffer: [Record] = []
  private var index = 0
  private var place = 0
  /// The next record; nil at the end.
  private(set) var head: Record?

  init(_ path: String, bufferBytes: Int) throws(FileError) {
    file = try OpenFile(input: path)
    capacity = max(1, bufferBytes / MemoryLayout<Record>.stride)
    let size = try file.size()
    guard size % MemoryLayout<Record>.stride == 0 else {
      throw FileError(.data, path, "has \(size) bytes, and was cut; remove it and start again")
    }
    try advance()
  }

  /// Steps to the next record.
  func advance() throws(FileError) {
    if index == buffer.count {
      buffer = try file.records(place, capacity)
      place += buffer.count * MemoryLayout<Record>.stride
      index = 0
    }
    head = index < buffer.count ? buffer[index] : nil
    index += 1
    if head == nil { index = 0 }
  }

  /// Steps over the first records, those that are as told.
  func skip(while isSkipped: (Record) -> Bool) throws(FileError) {
    while let head, isSkipped(head) { try advance() }
  }
}

extension OutputFile {
  func write<Record: BitwiseCopyable>(records: Span<Record>) throws(FileError) {
    var failure: FileError?
    unsafe records.withUnsafeBytes { bytes in
      do throws(FileError) {
        let span = unsafe Span<UInt8>(_unsafeBytes: bytes)
        try write(span)
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
  }
}

extension OpenFile {
  /// At most `count` records from a place on: fewer at the end of the file.
  func records<Record: BitwiseCopyable>(_ place: Int, _ count: Int) throws(FileError)
    -> [Record]
  {
    let stride = MemoryLayout<Record>.stride
    let bytes = try read(count * stride, at: place)
    let whole = bytes.count / stride
    return unsafe [Record](unsafeUninitializedCapacity: whole) { records, written in
      unsafe bytes.withUnsafeBytes { bytes in
        unsafe UnsafeMutableRawBufferPointer(records).copyMemory(
          from: UnsafeRawBufferPointer(rebasing: bytes[..<(whole * stride)]))
      }
      written = whole
    }
  }
}
