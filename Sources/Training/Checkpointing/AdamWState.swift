public import Tensors

public typealias AdamWState = OptimiserState

extension OptimiserState {
  public init(layout: ParameterLayout, share: OptimiserShare? = nil) {
    self.init(.adamW(AdamW()), layout: layout, share: share)
  }

  var firstMoments: FloatBuffer { moments[0] }
  var secondMoments: FloatBuffer { moments[1] }
}
