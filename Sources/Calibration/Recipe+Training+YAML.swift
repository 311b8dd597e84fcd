import Backprop
import ExitHeads
import Safetensors
import Yams

extension Recipe {
    /// The L2 penalties that are tried when the recipe names none.
    public static let defaultL2 = [1e-4, 1e-3, 1e-2, 1e-1]

    /// Reads what a recipe says under `heads` and `training`.
    static func training(heads: RecipeNode?, training: RecipeNode?) throws(InputError) -> TrainingSettings {
        let architecture = try heads.map(self.architecture) ?? .linear
        guard let training else {
            return TrainingSettings(
                architecture: architecture, optimizer: try optimizer(nil, architecture), l2: defaultL2)
        }
        let map = try training.mapping(
            known: [
                "optimizer", "l2", "loss", "classWeights", "labelSmoothing", "temperature", "teacher",
            ] + lbfgsKeys + minibatchKeys + sgdKeys)
        let loss = try self.loss(map)
        let optimizer = try self.optimizer(map, architecture)
        if case .lbfgs = optimizer, loss.teacher?.isTrainedTogether == true, let node = map["teacher"] {
            throw node.error(
                expected: "`first` with `lbfgs`",
                advice: "A teacher that learns at the same time needs minibatches: `adamw` or `sgd`.")
        }
        let l2 = try map["l2"].map { node throws(InputError) in
            if case .scalar = node.node { return [try node.number("a number that is not negative") { $0 >= 0 }] }
            return try node.numbers("not negative") { $0 >= 0 }
        }
        return TrainingSettings(architecture: architecture, loss: loss, optimizer: optimizer, l2: l2 ?? defaultL2)
    }

    private static let lbfgsKeys = ["tolerance", "maximumEvaluations"]
    private static let minibatchKeys = [
        "learningRate", "schedule", "warmup", "maximumNorm", "epochs", "batchSize", "patience",
    ]
    private static let sgdKeys = ["momentum", "nesterov"]

    private static func architecture(_ node: RecipeNode) throws(InputError) -> TrainingSettings.Architecture {
        let hiddenKeys = ["width", "activation", "dropout", "layerNorm"]
        let map = try node.mapping(known: ["kind"] + hiddenKeys)
        guard try map.required("kind").choice([("linear", false), ("hidden", true)]) else {
            try map.refuse(hiddenKeys, seen: "a setting of hidden layers", expected: "no such key with `kind: linear`")
            return .linear
        }
        var layer = HiddenLayerSettings()
        layer.width = try map["width"]?.integer("at least 1") { $0 > 0 } ?? layer.width
        layer.activation =
            try map["activation"]?.choice(Activation.allCases.map { ($0.rawValue, $0) }) ?? layer.activation
        layer.dropout =
            try map["dropout"]?.number("a probability, at least 0 and below 1") { $0 >= 0 && $0 < 1 } ?? layer.dropout
        layer.hasLayerNorm = try map["layerNorm"]?.truth() ?? layer.hasLayerNorm
        return .hidden(layer)
    }

    private static func loss(_ map: RecipeMapping) throws(InputError) -> TrainingLoss {
        let kinds: [(String, (kind: TrainingLoss.Kind, isJoint: Bool?))] = [
            ("cross-entropy", (.crossEntropy, nil)), ("distillation", (.crossEntropy, false)),
            ("joint", (.crossEntropy, true)), ("squared-error", (.squaredError, nil)),
        ]
        let kind = try map["loss"]?.choice(kinds) ?? (kind: .crossEntropy, isJoint: nil)
        if kind.isJoint == nil {
            try map.refuse(
                ["temperature", "teacher"], seen: "a setting of a teacher",
                expected: "no such key without `loss: distillation` or `loss: joint`")
        }
        var loss = TrainingLoss(kind: kind.kind)
        loss.teacher = try kind.isJoint.map { isJoint throws(InputError) in
            TrainingLoss.Teacher(
                isJoint: isJoint, temperature: try map["temperature"]?.number("a positive number") { $0 > 0 } ?? 1,
                isTrainedTogether: try map["teacher"]?.choice([("first", false), ("together", true)]) ?? false)
        }
        if kind.kind == .squaredError {
            try map.refuse(
                ["classWeights", "labelSmoothing"], seen: "a setting of classes",
                expected: "no such key with `loss: squared-error`")
            return loss
        }
        if let node = map["classWeights"] {
            if case .sequence = node.node {
                loss.classWeights = .given(try node.numbers("not negative") { $0 >= 0 })
            } else {
                loss.classWeights = try node.choice([("balanced", .balanced), ("none", .none)])
            }
        }
        loss.smoothing =
            try map["labelSmoothing"]?.number("a share, at least 0 and below 1") { $0 >= 0 && $0 < 1 } ?? loss.smoothing
        return loss
    }

    private static func optimizer(
        _ map: RecipeMapping?, _ architecture: TrainingSettings.Architecture
    ) throws(InputError) -> TrainingSettings.Optimizer {
        let isLinear = architecture == .linear
        let name = try map?["optimizer"]?.choice(["lbfgs", "adamw", "sgd"].map { ($0, $0) })
        if name == "lbfgs", !isLinear, let node = map?["optimizer"] {
            throw node.error(
                expected: "`adamw` or `sgd` for a head with a hidden layer",
                advice: "L-BFGS minimises the convex objectives of linear heads.")
        }
        let chosen = name ?? (isLinear ? "lbfgs" : "adamw")
        let foreign = chosen == "lbfgs" ? minibatchKeys + sgdKeys : lbfgsKeys + (chosen == "sgd" ? [] : sgdKeys)
        try map?.refuse(foreign, seen: "a setting of another optimizer", expected: "no such key with `\(chosen)`")
        if chosen == "lbfgs" {
            var settings = LBFGSSettings()
            settings.tolerance = try map?["tolerance"]?.number("a positive number") { $0 > 0 } ?? settings.tolerance
            settings.maximumEvaluations =
                try map?["maximumEvaluations"]?.integer("at least 1") { $0 > 0 } ?? settings.maximumEvaluations
            return .lbfgs(settings)
        }
        // Hidden layers overfit small splits soon, and take smaller steps.
        var settings = MinibatchSettings(
            method: try method(chosen, map), learningRate: isLinear ? 0.01 : 0.001, patience: isLinear ? nil : 5)
        settings.learningRate =
            try map?["learningRate"]?.number("a positive number") { $0 > 0 } ?? settings.learningRate
        settings.schedule =
            try map?["schedule"]?.choice(LearningRateSchedule.Shape.allCases.map { ($0.rawValue, $0) })
            ?? settings.schedule
        settings.warmup =
            try map?["warmup"]?.number("a share of the steps, at least 0 and below 1") { $0 >= 0 && $0 < 1 }
            ?? settings.warmup
        settings.maximumNorm = try map?["maximumNorm"]?.number("a positive number") { $0 > 0 }
        settings.epochs = try map?["epochs"]?.integer("at least 1") { $0 > 0 } ?? settings.epochs
        settings.batchSize = try map?["batchSize"]?.integer("at least 1") { $0 > 0 } ?? settings.batchSize
        if let node = map?["patience"] {
            settings.patience =
                (try? node.choice([("none", true)])) == true
                ? nil : try node.integer("`none`, or a number of epochs from 1") { $0 > 0 }
        }
        return .minibatch(settings)
    }

    private static func method(_ name: String, _ map: RecipeMapping?) throws(InputError) -> MinibatchSettings.Method {
        guard name == "sgd" else { return .adamW() }
        let momentum = try map?["momentum"]?.number("at least 0 and below 1") { $0 >= 0 && $0 < 1 } ?? 0.9
        let isNesterov = try map?["nesterov"]?.truth() ?? false
        if isNesterov, momentum == 0, let node = map?["nesterov"] {
            throw node.error(expected: "`false` without momentum", advice: "Looking ahead needs momentum.")
        }
        return .sgd(momentum: momentum, isNesterov: isNesterov)
    }
}
