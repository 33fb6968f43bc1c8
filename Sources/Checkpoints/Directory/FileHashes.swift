import Dispatch
import Files
import Foundation
import Synchronization

/// The SHA-256 of files, and of every tensor of those that are safetensors.
///
/// A file's hash is a chain, so that the hashes of its tensors are made beside it, on other processors. Memory: 1 MiB a
/// thread. With two processors or more it takes as long as hashing the files alone on one.
enum FileHashes {
  private struct Job {
    var file: Int
    /// The tensor in the file; nil for the whole file.
    var tensor: Int?
    var byteRange: Range<Int>
  }

  /// Describes the files `names` of `directory` in that order.
  ///
  /// - Parameters:
  ///   - isLenient: Whether a file that is called safetensors and is none has no tensors, and is no error.
  ///   - threads: How many may hash at once; nil for one a processor.
  /// - Throws: ``FileError`` where a file cannot be read, or a header of safetensors is wrong.
  static func of(
    _ names: [String], in directory: String, isLenient: Bool = false, threads: Int? = nil
  ) throws(FileError) -> [CheckpointManifest.File] {
    var files: [CheckpointManifest.File] = []
    var jobs: [Job] = []
    for (index, name) in names.enumerated() {
      let file = try OpenFile(reading: directory + "/" + name)
      let size = try file.size()
      files.append(.init(name: name, size: size, sha256: ""))
      jobs.append(Job(file: index, tensor: nil, byteRange: 0..<size))
      guard isSafetensors(name) else { continue }
      let tensors: [TensorEntry]
      do throws(FileError) {
        tensors = try SafetensorsHeader(of: file, fileLength: size).tensors
      } catch {
        guard isLenient else { throw error }
        continue
      }
      for (number, tensor) in tensors.enumerated() {
        files[index].tensors.append(.init(name: tensor.name, sha256: ""))
        jobs.append(Job(file: index, tensor: number, byteRange: tensor.byteRange))
      }
    }
    // The long ones first, so that none is left to one processor at the end.
    jobs.sort { ($0.byteRange.count, $1.file) > ($1.byteRange.count, $0.file) }
    let hashes = try hash(
      jobs, paths: names.map { directory + "/" + $0 },
      threads: threads ?? ProcessInfo.processInfo.activeProcessorCount)
    for (job, hash) in zip(jobs, hashes) {
      if let tensor = job.tensor {
        files[job.file].tensors[tensor].sha256 = hash
      } else {
        files[job.file].sha256 = hash
      }
    }
    return files
  }

  static func isSafetensors(_ name: String) -> Bool { name.hasSuffix(".safetensors") }

  private static func hash(
    _ jobs: [Job], paths: [String], threads: Int
  ) throws(FileError) -> [String] {
    let next = Atomic(0)
    let hashes = Mutex([String](repeating: "", count: jobs.count))
    let failure = Mutex<FileError?>(nil)
    DispatchQueue.concurrentPerform(iterations: max(1, min(threads, jobs.count))) { _ in
      do throws(FileError) {
        while failure.withLock({ $0 == nil }) {
          let index = next.add(1, ordering: .relaxed).oldValue
          guard index < jobs.count else { break }
          let file = try OpenFile(reading: paths[jobs[index].file])
          let hash = try SHA256.digest(of: file, jobs[index].byteRange)
          hashes.withLock { $0[index] = hash }
        }
      } catch {
        failure.withLock { $0 = $0 ?? error }
      }
    }
    if let error = failure.withLock({ $0 }) { throw error }
    return hashes.withLock { $0 }
  }
}
