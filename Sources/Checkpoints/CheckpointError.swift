public import Files

/// The error of files under its earlier name.
public typealias CheckpointError = FileError
