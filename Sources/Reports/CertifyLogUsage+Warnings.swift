import Calibration

extension CertifyLog.Usage {
    /// What a certificate is worth once its samples have been looked at before, in sentences.
    ///
    /// - Parameter planned: over how many uses delta was divided beforehand.
    public func warnings(planned: Int) -> [String] {
        var warnings: [String] = []
        if uses > planned {
            warnings.append(
                "this certify split has been used by \(uses) different runs; the guarantee holds for the first "
                    + "\(planned == 1 ? "" : "\(planned) ")only, since delta was divided over \(planned), and this is "
                    + "number \(place)")
        }
        if otherDraws > 0 {
            warnings.append(
                "\(otherDraws) other draws of certify samples from these features have been used; choosing the seed by "
                    + "its certificate voids the guarantee")
        }
        return warnings
    }
}
