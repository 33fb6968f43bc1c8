/// Deals the items of a step to shards of about equal cost.
public enum Sharding {
  /// The items of each shard, in the order of the step.
  ///
  /// The costliest item goes first, each to the shard with the least cost so far; the earlier of equal
  /// items and the lower of equal shards come first. No shard costs more than 4/3 of what the
  /// best deal could reach. Shards stay empty if there are fewer items.
  ///
  /// - Parameters:
  ///   - costs: The cost of each item of the step, at least 0.
  ///   - shards: At least 1.
  /// - Returns: Shape `[shards, items]`; every item index once.
  /// - Complexity: O(`items × (log items + shards)`).
  public static func assign(costs: [Int], shards: Int) -> [[Int]] {
    precondition(shards >= 1, "\(shards) shards")
    let order = costs.indices.sorted { left, right in
      costs[left] == costs[right] ? left < right : costs[left] > costs[right]
    }
    var loads = [Int](repeating: 0, count: shards)
    var members = [[Int]](repeating: [], count: shards)
    for item in order {
      precondition(costs[item] >= 0, "item \(item) costs \(costs[item])")
      var lightest = 0
      for shard in loads.indices where loads[shard] < loads[lightest] { lightest = shard }
      loads[lightest] += costs[item]
      members[lightest].append(item)
    }
    return members.map { $0.sorted() }
  }
}
