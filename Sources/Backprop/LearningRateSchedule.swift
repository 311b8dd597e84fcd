import Foundation

/// The learning rate of each step: a linear rise to the peak, then constant, or a fall to 0 along a line or half a
/// cosine (Loshchilov and Hutter, 2017, equation 5, without restarts).
///
/// It is a function of the step alone and has no state: a checkpoint needs the number of steps taken and nothing else.
public struct LearningRateSchedule: Codable, Equatable, Sendable {
    /// How the rate falls after the warm-up.
    public enum Shape: String, Codable, CaseIterable, Sendable {
        /// It stays at the peak.
        case constant
        /// To 0 along half a cosine.
        case cosine
        /// To 0 along a line.
        case linear
    }

    /// The highest rate.
    public let peak: Double
    /// How the rate falls after the warm-up.
    public let shape: Shape
    /// How many steps there are; one more would have rate 0, unless constant.
    public let stepCount: Int
    /// How many of them the rate rises for.
    public let warmupSteps: Int

    /// Creates a schedule.
    public init(peak: Double, shape: Shape = .cosine, stepCount: Int, warmupSteps: Int = 0) {
        precondition(peak > 0 && peak.isFinite, "a rate above 0")
        precondition(stepCount > 0 && (0...stepCount).contains(warmupSteps), "the warm-up is part of the steps")
        self.peak = peak
        self.shape = shape
        self.stepCount = stepCount
        self.warmupSteps = warmupSteps
    }

    /// The rate of a step, counted from 0.
    ///
    /// With W warm-up steps out of N: `peak (step + 1) / W` for `step < W`, so that no step is wasted on rate 0 and the
    /// last of them has the peak; then the shape at `(step - W) / (N - W)`, which starts at the peak again; from step N on 0,
    /// unless constant.
    public func rate(atStep step: Int) -> Double {
        if step < warmupSteps { return peak * Double(step + 1) / Double(warmupSteps) }
        switch shape {
        case .constant: return peak
        case _ where step >= stepCount: return 0
        case .cosine: return peak * 0.5 * (1 + cos(.pi * progress(atStep: step)))
        case .linear: return peak * (1 - progress(atStep: step))
        }
    }

    private func progress(atStep step: Int) -> Double {
        Double(step - warmupSteps) / Double(stepCount - warmupSteps)
    }
}
