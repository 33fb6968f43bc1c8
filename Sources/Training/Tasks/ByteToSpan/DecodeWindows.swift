import Checkpoints
import Configuration
import Corpus
import Files
import Tensors

/// `isogloss decode-windows`: what a Byte-to-Span gives for the windows of a tagged file, for another program to compare.
enum DecodeWindows {
  static let command = TaskCommand(
    "decode-windows",
    "Writes what a byte-to-span model says of a tagged file's windows, and the scores behind it.",
    positionals: [Positional("CHECKPOINT", "A directory with a byte-to-span model.")],
    options: [
      Option("data", value: "FILE", "CoNLL or JSON lines with tags."),
      Option("output", value: "FILE", "The tensors below, in safetensors."),
      Option("windows", value: "N", default: "64", "How many of the first windows."),
    ],
    notes: [
      "Tensors: targets [targets], the outputs that the tags ask for; target_counts [windows]; logits",
      "[targets, vocabulary], where each follows the wanted ones before it; outputs [outputs], those of greedy",
      "search; output_counts [windows].",
    ], run: run)

  private static func run(_ call: TaskCommand.Call) throws {
    let arguments = call.arguments
    guard let data = arguments.value("data"), let output = arguments.value("output") else {
      throw UsageError(
        "--data and --output are needed", command: "isogloss \(arguments.command)")
    }
    let count = try arguments.integer("windows", in: 1...100_000) ?? 64
    let model = try LoadedByteToSpan(
      StoredCheckpoint(directory: arguments.positional("CHECKPOINT")))
    let sentences = try TaggedText(reading: [data]).sentences
    let text = try ByteText(sentences, model.vocabulary, readsTags: true)
    let starts = text.windowStarts(stride: model.stride).prefix(count)
    let batch = SpanBatch(windows: Array(starts), of: text, model.vocabulary)
    let logits = model.method.logits(batch, model.parameters, in: call.workspace)
    let outputs = model.method.outputs(batch, model.parameters, in: call.workspace)
    try model.confirmUnwritten()
    let flat = outputs.flatMap { $0 }
    let outputCounts = outputs.map { Int32($0.count) }
    let targetCounts = zip(batch.targetBounds, batch.targetBounds.dropFirst()).map {
      Int32($1 - $0)
    }
    try SafetensorsWriter.write(
      to: output,
      [
        .init("logits", [batch.targets.count, model.vocabulary.count]),
        .init("targets", [batch.targets.count], .i32), .init("outputs", [flat.count], .i32),
        .init("target_counts", [batch.count], .i32), .init("output_counts", [batch.count], .i32),
      ]
    ) { writer throws(FileError) in
      try writer.append("logits", logits.span)
      try writer.appendExactly("targets", batch.targets.span)
      try writer.appendExactly("outputs", flat.span)
      try writer.appendExactly("target_counts", targetCounts.span)
      try writer.appendExactly("output_counts", outputCounts.span)
    }
  }
}
