import Testing

@testable import Statistics

@Suite("The normal distribution")
struct NormalTests {
    @Test("the distribution function agrees with 60 digits, far out too, and with SciPy")
    func cdf() throws {
        for row in Golden.values.normal.cdf {
            let (z, exact) = (try #require(row[0]), try #require(row[2]))
            // A relative error of half an ulp of z is one of z^2 / 2 ulps of the tail.
            let tolerance = (4 + z * z) * 0x1p-52
            #expect(relativeError(Normal.cdf(z), exact) < tolerance, "\(row)")
            #expect(relativeError(Normal.upperTail(-z), exact) < tolerance, "\(row)")
            if let scipy = row[1] { #expect(relativeError(Normal.cdf(z), scipy) < 1e-12, "\(row)") }
        }
    }

    @Test("quantiles agree with 60 digits and with SciPy, from 1e-300 to 1 - 2^-53")
    func quantile() throws {
        for row in Golden.values.normal.quantile {
            let (probability, exact) = (try #require(row[0]), try #require(row[2]))
            #expect(relativeError(Normal.quantile(probability), exact) < 1e-14, "\(row)")
            if let scipy = row[1] { #expect(relativeError(Normal.quantile(probability), scipy) < 1e-12, "\(row)") }
        }
    }

    @Test("quantiles are infinite at 0 and 1, and rise in between without a seam")
    func ends() {
        #expect(Normal.quantile(0) == -.infinity && Normal.quantile(1) == .infinity)
        let probabilities = (1..<4000).map { Double($0) / 4000 }
        let quantiles = probabilities.map(Normal.quantile)
        #expect(zip(quantiles, quantiles.dropFirst()).allSatisfy(<))
        #expect(Normal.quantile(.leastNonzeroMagnitude) < -37.5)
    }
}
