public import Files

/// The error of files under its earlier name.
public typealias CorpusError = FileError
