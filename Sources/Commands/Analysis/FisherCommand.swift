import Collectives
import Configuration
import Corpus
import Files
import Foundation
import Tensors
import Training

/// `isogloss analyze fisher`: the diagonal of a model's Fisher information on each language.
enum FisherCommand {
  static func command(_ tasks: [any RunTask.Type]) -> Command {
    Command(
      "analyze fisher",
      "Estimates which weights matter for each language: the diagonal of the Fisher information, with labels drawn from the model.",
      positionals: [
        Positional("MODEL", count: .one, "A directory with a model that labels words.")
      ],
      options: [
        Option(
          "data", value: "L=FILE", takesMany: true,
          "CoNLL or JSON-lines files of each language; their tags are not used."),
        Option(
          "sentences", value: "N", default: "all",
          "Sentences of each language, drawn by the seed."),
        Option("samples", value: "S", default: "1000", "Labellings drawn of each sentence."),
        Option("seed", value: "N", default: "1", "Of their random numbers."),
        Option(
          "save-seconds", value: "N", default: "300",
          "How often each rank writes what it has so far."),
        Option("out", value: "DIR", "Where L.safetensors is written for each language."),
      ] + Columns.options + [
        .precision, .threads,
        Option("json", "Prints one JSON object a language on standard output."),
      ],
      notes: [
        "Each sample is a forward and a backward pass over its sentence. Under a launcher such as mpirun up to eight ranks share a language, and the bits are those of one rank.",
        "A stop, by SIGINT or by SIGUSR1 (exit code 75), saves; the same command goes on. A language whose file is there is not done again.",
      ]
    ) { try run($0, tasks) }
  }

  private static func run(_ arguments: ParsedArguments, _ tasks: [any RunTask.Type]) throws {
    let languages = try LanguageFiles("data", of: arguments).all
    guard let out = arguments.value("out") else {
      throw UsageError(
        "--out is missing: a directory for the files", command: "isogloss analyze fisher")
    }
    var settings = FisherEstimate.Settings()
    settings.sentences = try arguments.integer("sentences", in: 1...Int.max)
    settings.samples = try arguments.integer("samples", in: 1...1_000_000) ?? settings.samples
    settings.seed = UInt64(try arguments.integer("seed", in: 0...Int.max) ?? 1)
    settings.saveSeconds =
      try arguments.integer("save-seconds", in: 1...1_000_000) ?? settings.saveSeconds
    let columns = try Columns.choice(arguments)
    let communicator = try Ranks.join(timeoutSeconds: 600)
    let workspace = try Workspace.chosen(by: arguments)
    defer { workspace.stop() }
    let path = arguments.positional("MODEL")
    let predictor = try StoredCheckpoint(directory: path).predictor(tasks)
    let estimate = FisherEstimate(
      of: predictor, model: path, settings, in: workspace, over: communicator)
    var request: StopRequest?
    for (language, files) in languages {
      let sentences = try TaggedText(reading: files, columns: columns).sentences
      let file = "\(out)/\(language).safetensors"
      request = try estimate.write(
        sentences, language: language, to: file, stop: { Signals.stopRequest })
      try predictor.confirmUnwritten()
      if request != nil { break }
      if communicator.rank == 0 { try report(file, asJSON: arguments.has("json")) }
    }
    try Ranks.leave()
    switch request {
    case nil: break
    case .interrupt: exit(130)
    case .preemption: exit(75)
    }
  }

  private static func report(_ path: String, asJSON: Bool) throws {
    let file = try FisherFile(path)
    var layers: [JSONValue] = []
    var rows = [[file.language, "weights", "zero", "sum", "largest"]]
    for (place, layer) in file.layers.enumerated() {
      let values = try file.values(ofLayer: place)
      let zeros = values.count { $0 == 0 }
      let sum = values.reduce(0) { $0 + Double($1) }
      let largest = Double(values.max() ?? 0)
      layers.append([
        "layer": .init(layer.name), "weights": .init(values.count), "zero": .init(zeros),
        "sum": .init(sum), "largest": .init(largest),
      ])
      rows.append(
        [layer.name, "\(values.count)", "\(zeros)"]
          + [sum, largest].map { String(format: "%.3g", $0) })
    }
    if asJSON {
      let object: JSONValue = [
        "analysis": "fisher", "file": .init(path), "model": .init(file.model),
        "language": .init(file.language), "sentences": .init(file.sentences),
        "samples": .init(file.samples), "layers": .array(layers),
      ]
      print(object.compactText)
    } else {
      print(
        TextTable(rows).text + "\(file.sentences) sentences × \(file.samples) samples: \(path)\n")
    }
  }
}
