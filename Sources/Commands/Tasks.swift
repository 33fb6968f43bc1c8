public import Training

/// The tasks of the program `isogloss`, the default first. A new one is a folder in Training/Tasks and a line here.
public let standardTasks: [any RunTask.Type] = [
  TokenClassificationTask.self,
  MaskedLMTask.self,
  ByteCRFTask.self,
  CharNERTask.self,
  ByteToSpanTask.self,
  PredictTask.self,
]
