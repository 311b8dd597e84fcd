import Testing

@testable import beem

@Suite("The next command")
struct NextCommandTests {
    @Test("is quoted where a shell would take it apart, and only there")
    func quoting() {
        let plain = NextCommand("run", "recipes/a-b_c.yaml").with("--seed", 3).with("--output", nil as String?)
        #expect("\(plain)" == "beem run recipes/a-b_c.yaml --seed 3")
        #expect("\(NextCommand("run", "my recipe's.yaml"))" == "beem run 'my recipe'\\''s.yaml'")
        #expect("\(NextCommand("run", "$HOME*", ""))" == "beem run '$HOME*' ''")
    }

    @Test("of a wide cache is to draw splits, then to compress; a narrow or compressed one is ready")
    func caches() {
        func next(_ width: Int, isCompressed: Bool = false, hasTrain: Bool = false, path: String = "a/f.safetensors")
            -> String?
        {
            NextCommand(preparing: path, width: width, isCompressed: isCompressed, hasTrain: hasTrain).map { "\($0)" }
        }
        #expect(
            next(768)
                == "beem features split a/f.safetensors --train 0.5 --tune 0.15 --certify 0.2 --test 0.15 "
                + "--output a/f-split.safetensors")
        #expect(
            next(768, hasTrain: true)
                == "beem features compress a/f.safetensors --components 128 --output a/f-128.safetensors")
        #expect(
            next(768, hasTrain: true, path: "f.safetensors.index.json")
                == "beem features compress f.safetensors.index.json --components 128 --output f-128.safetensors")
        #expect(next(128) == nil && next(512, isCompressed: true) == nil)
    }
}
