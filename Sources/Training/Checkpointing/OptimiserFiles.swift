public import Checkpoints
public import Tensors

/// The moments of AdamW as `optimizer.safetensors`, by the names of the parameters they belong to.
public enum OptimiserFiles {
  /// Writes both moments of every parameter. The file does not depend on the rank count.
  public static func write(
    _ state: AdamWState, to path: String
  ) throws(CheckpointError) {
    let entries = state.layout.entries
    let declarations = entries.flatMap { entry in
      ["exp_avg", "exp_avg_sq"].map {
        SafetensorsWriter.Declaration("\($0).\(entry.name)", entry.shape)
      }
    }
    try SafetensorsWriter.write(to: path, declarations) { (writer) throws(CheckpointError) in
      for entry in entries {
        let range = entry.offset..<entry.offset + entry.count
        try state.firstMoments.withSpan(range) { (span) throws(CheckpointError) in
          try writer.append("exp_avg.\(entry.name)", span)
        }
        try state.secondMoments.withSpan(range) { (span) throws(CheckpointError) in
          try writer.append("exp_avg_sq.\(entry.name)", span)
        }
      }
    }
  }

  /// Reads what ``write(_:to:)`` wrote for the same layout.
  public static func read(
    layout: ParameterLayout, updates: Int, from path: String
  ) throws(CheckpointError) -> AdamWState {
    let file = try SafetensorsFile(path)
    var state = AdamWState(layout: layout)
    state.step = updates
    for entry in layout.entries {
      let range = entry.offset..<entry.offset + entry.count
      try state.firstMoments.withMutableSpan(range) { (span) throws(CheckpointError) in
        try file.read("exp_avg.\(entry.name)", shape: entry.shape, into: &span)
      }
      try state.secondMoments.withMutableSpan(range) { (span) throws(CheckpointError) in
        try file.read("exp_avg_sq.\(entry.name)", shape: entry.shape, into: &span)
      }
    }
    return state
  }
}
