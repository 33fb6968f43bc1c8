internal import CKernels

/// The speed of one entry of a kernel table on one thread, on operands that lie in the caches.
public struct KernelSpeed: Sendable {
  public var table: String
  public var kernel: String
  /// `rows × columns`, or `tokens × head width`.
  public var shape: String
  public var nanoseconds: Double
  /// Floating-point operations a second of products, in 10⁹; nil for entries that memory bounds.
  public var gigaflops: Double?
  /// Bytes read and written a second, in 10⁹; nil for products.
  public var gigabytes: Double?
}

extension KernelTable {
  /// Measures the entries that a training step uses. Takes about a second.
  public func speeds() -> [KernelSpeed] {
    let (rows, columns) = (176, 384)
    let count = rows * columns
    let memory = FloatBuffer(count: 6 * count)
    memory.withMutableSpan { span in
      for i in span.indices { span[i] = Float(i % 17 - 8) * 0.11 }
    }
    let a = unsafe memory.base
    let (b, c, d) = unsafe (a + count, a + 2 * count, a + 3 * count)
    let (vector, sums) = unsafe (a + 4 * count, a + 5 * count)
    let places = (0..<rows).map { ck_place(item: 1, token: UInt32($0)) }
    var dropout = ck_dropout(key0: 1, key1: 2, op: 3, threshold: 1 << 28, scale: 1.1)
    var with = ck_adamw(
      grad_scale: 1, lr: 1e-9, beta1: 0.9, beta2: 0.999, eps: 1e-8, decay: 0.01, bias1: 0.1,
      bias2: 0.001)
    var found: [KernelSpeed] = []

    func measure(
      _ kernel: String, _ shape: String, passes: Int? = nil, flops: Double? = nil,
      _ body: () -> Void
    ) {
      time(kernel, shape, passes.map { 4 * count * $0 }, flops, body)
    }
    func time(
      _ kernel: String, _ shape: String, _ bytes: Int?, _ flops: Double?, _ body: () -> Void
    ) {
      body()
      var repeats = 1
      var best = Double.infinity
      while true {
        let start = Profile.now()
        for _ in 0..<repeats { body() }
        let seconds = Profile.now() - start
        best = min(best, seconds / Double(repeats))
        if seconds > 0.02 { break }
        repeats *= 2
      }
      found.append(
        KernelSpeed(
          table: name, kernel: kernel, shape: shape, nanoseconds: best * 1e9,
          gigaflops: flops.map { $0 / best * 1e-9 },
          gigabytes: bytes.map { Double($0) / best * 1e-9 }))
    }

    let dense = "\(rows) × \(columns)"
    measure("add", dense, passes: 3) { unsafe raw.pointee.add(c, a, count) }
    measure("gelu_forward", dense, passes: 2) { unsafe raw.pointee.gelu_forward(c, a, count) }
    measure("gelu_backward", dense, passes: 3) { unsafe raw.pointee.gelu_backward(c, b, a, count) }
    measure("bias_gelu", dense, passes: 3) {
      unsafe raw.pointee.bias_gelu(c, d, vector, rows, columns)
    }
    measure("tanh_forward", dense, passes: 2) { unsafe raw.pointee.tanh_forward(c, a, count) }
    measure("column_sums", dense, passes: 1) {
      unsafe raw.pointee.column_sums(sums, a, rows, columns, columns)
    }
    unsafe places.withUnsafeBufferPointer { places in
      measure("dropout", dense, passes: 2) {
        unsafe raw.pointee.dropout(c, a, rows, columns, &dropout, places.baseAddress)
      }
      measure("bias_dropout_add", dense, passes: 3) {
        unsafe raw.pointee.bias_dropout_add(
          c, vector, b, rows, columns, &dropout, places.baseAddress)
      }
    }
    measure("layernorm_forward", dense, passes: 3) {
      unsafe raw.pointee.layernorm_forward(c, d, sums, vector, vector, 1e-5, rows, columns)
    }
    measure("layernorm_backward", dense, passes: 3) {
      unsafe raw.pointee.layernorm_backward(c, b, a, sums, vector, rows, columns)
    }
    measure("layernorm_parameters", dense, passes: 2) {
      unsafe raw.pointee.layernorm_parameters(
        sums, sums + columns, a, b, rows, columns, columns)
    }
    measure("sum_of_squares", dense, passes: 1) { _ = unsafe raw.pointee.sum_of_squares(a, count) }
    measure("adamw", dense, passes: 7) { unsafe raw.pointee.adamw(a, b, c, d, count, &with) }
    products(time)
    for (length, width) in [(24, 32), (128, 64), (512, 64)] { attention(length, width, time) }
    return found
  }

  /// Products of a strip of columns, packed, and what makes their factors.
  private func products(
    _ measure: (String, String, Int?, Double?, () -> Void) -> Void
  ) {
    let (rows, depth, columns) = (96, 384, Int(CK_STRIP))
    let strip = unsafe max(
      raw.pointee.bf16_scratch(depth), raw.pointee.product_scratch?(depth) ?? 0)
    let memory = FloatBuffer(count: rows * (2 * depth + columns) + strip + columns * depth)
    memory.withMutableSpan { span in for i in span.indices { span[i] = Float(i % 5 - 2) * 0.3 } }
    let a = unsafe memory.base
    let (halves, b) = unsafe (a + rows * depth, a + 2 * rows * depth)
    let (c, packed) = unsafe (b + columns * depth, b + columns * depth + rows * columns)
    let words = unsafe UnsafeMutableRawPointer(halves).assumingMemoryBound(to: UInt16.self)
    let shape = "\(rows)×\(depth)×\(columns)"
    let flops = 2 * Double(rows * depth * columns)
    if let pack = unsafe raw.pointee.product_pack {
      measure("product_pack", shape, 8 * columns * depth, nil) {
        unsafe pack(packed, b, depth, true, depth, columns)
      }
      measure("product_packed", shape, nil, flops) {
        unsafe raw.pointee.product_packed(
          c, columns, a, depth, rows, packed, depth, columns, false)
      }
    }
    measure("bf16_rows", shape, 6 * rows * depth, nil) {
      unsafe raw.pointee.bf16_rows(words, depth, a, depth, rows, depth)
    }
    measure("bf16_columns", shape, 6 * rows * depth, nil) {
      unsafe raw.pointee.bf16_columns(words, rows, a, depth, rows, depth)
    }
    measure("bf16_pack", shape, 6 * columns * depth, nil) {
      unsafe raw.pointee.bf16_pack(packed, b, depth, true, depth, columns)
    }
    unsafe raw.pointee.bf16_rows(words, depth, a, depth, rows, depth)
    measure("bf16_packed", shape, nil, flops) {
      unsafe raw.pointee.bf16_packed(
        c, columns, words, depth, rows, packed, depth, columns, false)
    }
  }

  private func attention(
    _ length: Int, _ width: Int,
    _ measure: (String, String, Int?, Double?, () -> Void) -> Void
  ) {
    let qkv = FloatBuffer(count: 8 * length * width)
    qkv.withMutableSpan { span in for i in span.indices { span[i] = Float(i % 13 - 6) * 0.1 } }
    let stats = FloatBuffer(count: 2 * length)
    let scratch = FloatBuffer(count: unsafe raw.pointee.attention_scratch(length, width))
    let q = unsafe qkv.base
    var head = unsafe ck_attention(
      length: length, width: width, stride: 3 * width, out_stride: width, q: q, k: q + width,
      v: q + 2 * width, scale: 0.1, probs: nil, stats: stats.base, dropout: ck_dropout(),
      places: nil, head: 0, scratch: scratch.base)
    let (out, gradient) = unsafe (q + 3 * length * width, q + 4 * length * width)
    let product = 2 * Double(length * length * width)
    measure("attention_forward", "\(length) × \(width)", nil, 2 * product) {
      unsafe raw.pointee.attention_forward(&head, out)
    }
    measure("attention_backward", "\(length) × \(width)", nil, 5 * product) {
      unsafe raw.pointee.attention_backward(
        &head, out, gradient, gradient + width, gradient + 2 * width)
    }
  }
}
