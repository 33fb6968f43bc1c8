import Collectives
import Testing

@Suite struct LaunchTests {
  private func sees(_ environment: [String: String]) -> (Bool, Int?, Bool) {
    let variable = { (name: String) in environment[name] }
    return (
      Launch.isUnderLauncher(variable), Launch.expectedSize(variable),
      Launch.problem(variable) != nil
    )
  }

  @Test func nothingIsNoLauncher() { #expect(sees([:]) == (false, nil, false)) }

  @Test func openMPIIsSeen() {
    #expect(sees(["OMPI_COMM_WORLD_SIZE": "4", "PMIX_RANK": "1"]) == (true, 4, false))
  }

  @Test func mpirunInsideASlurmJobIsMpirun() {
    #expect(
      sees([
        "OMPI_COMM_WORLD_SIZE": "4", "SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "2",
      ]) == (true, 4, false))
  }

  @Test func srunWithPMIxIsSeen() {
    #expect(
      sees(["SLURM_PROCID": "1", "PMIX_RANK": "1", "SLURM_STEP_NUM_TASKS": "8"])
        == (true, 8, false))
  }

  @Test func hydraAndMvapichAreSeen() {
    #expect(sees(["PMI_RANK": "0", "PMI_SIZE": "3"]) == (true, 3, false))
    #expect(sees(["MV2_COMM_WORLD_SIZE": "2"]) == (true, 2, false))
  }

  @Test func hydraInsideASlurmJobIsHydra() {
    #expect(
      sees([
        "PMI_RANK": "1", "PMI_SIZE": "4", "SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "2",
      ]) == (true, 4, false))
  }

  @Test func aBatchScriptIsNoLauncher() {
    #expect(sees(["SLURM_PROCID": "0", "SLURM_NTASKS": "16"]) == (false, nil, false))
  }

  @Test func srunWithoutPMIIsAProblem() {
    #expect(sees(["SLURM_PROCID": "3", "SLURM_STEP_NUM_TASKS": "4"]) == (false, nil, true))
  }

  @Test func nonsenseIsNoSize() {
    #expect(sees(["OMPI_COMM_WORLD_SIZE": "many"]) == (true, nil, false))
  }
}
