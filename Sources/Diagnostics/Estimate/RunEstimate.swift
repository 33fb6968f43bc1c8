import Checkpoints
public import Files
import Foundation
import Training

/// What a run would take on so many nodes, for each number asked for. Kept as `estimate.json`.
public struct RunEstimate: Codable, Sendable, Equatable {
  /// The file's name in a run's output directory.
  public static let fileName = Run.estimateFile

  public var formatVersion = 1
  public var threads: Int
  public var ranksPerNode: Int
  /// Whether the nodes were taken to share one machine's cores.
  public var isOneMachine: Bool
  public var network: NetworkFigures
  /// Whether ranks on the hosts measured the network; else it is as given or assumed.
  public var isNetworkMeasured: Bool
  public var cores: Int
  public var rows: [Row]
  /// Stages that are not in it, since what they work on is made by earlier ones: `'student' after 'labelled'`.
  public var knownLater: [String]?

  /// A number of nodes.
  public struct Row: Codable, Sendable, Equatable {
    public var nodes: Int
    public var ranks: Int
    /// Of the first stage, and so the next ones.
    public var stepMilliseconds: Double
    /// What sending adds to a step.
    public var notHiddenMilliseconds: Double
    public var tokensPerSecond: Double
    /// Against the row of the fewest nodes.
    public var speedUp: Double
    /// The speed-up for each time as many nodes.
    public var efficiency: Double
    /// By each rank.
    public var bytesSentPerStep: Double
    public var bytesPerRank: Double
    /// Of the steps of all stages, without evaluation and saving.
    public var hours: Double
    public var nodeHours: Double
    public var stages: [StageStep]
    public var compute: StepCompute
    public var overlap: Overlap
  }

  public struct StageStep: Codable, Sendable, Equatable {
    public var stage: String
    public var steps: Int
    public var stepMilliseconds: Double
  }

  /// Lines of text for people: a heading, a line a number of nodes, and what was assumed.
  public var text: String {
    var lines = [
      [
        "nodes", "ranks", "step ms", "not hidden", "tokens/s", "speed-up", "efficiency",
        "sent MB/step", "GB/rank", "hours", "node-hours",
      ]
    ]
    for row in rows {
      lines.append([
        "\(row.nodes)", "\(row.ranks)", format(row.stepMilliseconds, 1),
        format(row.notHiddenMilliseconds, 1), format(row.tokensPerSecond, 0),
        format(row.speedUp, 2), format(100 * row.efficiency, 0) + " %",
        format(row.bytesSentPerStep / 1e6, 2), format(row.bytesPerRank / 1e9, 2),
        format(row.hours, 3), format(row.nodeHours, 3),
      ])
    }
    let table = TextTable(lines, leftColumns: 0).text
    let link =
      "link of a node: \(format(network.bytesPerSecond / 1e6, 1)) MB/s each way, "
      + "\(format(network.latencySeconds * 1e6, 0)) µs a message "
      + (isNetworkMeasured ? "(measured)" : "(as given or assumed, not measured)")
    let cost =
      "moving a gigabyte takes a core \(format(network.processorSecondsPerByte * 1e9, 2)) s; "
      + "\(cores) cores a \(isOneMachine ? "machine, shared by all nodes" : "node"), "
      + "\(threads) thread\(threads == 1 ? "" : "s") a rank"
    let hours = "hours are those of the steps of all stages, without evaluation and saving"
    let later =
      knownLater.map { ["known later, and not counted: " + $0.joined(separator: ", ")] } ?? []
    return table + "\n" + ([link, cost, hours] + later).joined(separator: "\n") + "\n"
  }

  private func format(_ value: Double, _ digits: Int) -> String {
    String(format: "%.\(digits)f", value)
  }

  // MARK: Files

  public func write(to path: String) throws(FileError) {
    try RunState.write(self, to: path)
  }

  /// The estimate that a run's directory holds, or nil if it holds none that can be read.
  static func saved(in directory: String) -> RunEstimate? {
    try? RunState.read(RunEstimate.self, from: directory + "/" + fileName)
  }
}
