import Testing

@Test func tablesAreFoundByTheirNames() {
  for table in Kernels.all { #expect(Kernels(named: table.name)?.name == table.name) }
  #expect(Set(Kernels.all.map(\.name)).count == Kernels.all.count)
  for name in ["", "no such table", "AVX2"] {
    let found = Kernels(named: name)?.name
    #expect(found == nil)
  }
}

@Test func theReferenceIsLastAndRunsEverywhere() {
  #expect(Kernels.all.last?.name == "reference")
  #expect(reference.runsHere)
}

@Test func theBestTableIsTheFirstThatRuns() {
  #expect(Kernels.best?.name == Kernels.all.first(where: \.runsHere)?.name)
}

@Test func theWideTableIsForTestsOnly() {
  #expect(!Kernels.all.contains { $0.name == "wide" })
  #if arch(x86_64)
    #expect(Kernels.all.map(\.name) == ["amx", "avx512-bf16", "avx512", "avx2", "reference"])
    #expect(Kernels(named: "wide")?.name == "wide")
  #endif
}
