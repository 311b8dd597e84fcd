/// The version of the toolkit.
public let version = "0.1.0"
