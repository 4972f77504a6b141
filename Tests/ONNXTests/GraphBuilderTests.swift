import ONNX
import Testing

/// Names, constants and attributes of graphs under construction.
@Suite struct GraphBuilderTests {
  @Test func `names follow from scope, operator and order`() {
    var builder = GraphBuilder(name: "graph")
    let x = builder.input("x", .float32, [.named("n")])
    let first = builder.sum(x, x)
    builder.scope = "layers.0"
    let (second, third) = (builder.sum(first, x), builder.sum(first, x))
    let parts = builder.split(third, [1, 2], axis: -1)
    let shape = builder.add("Shape", [second], label: "what_for")
    #expect(
      [first, second, third, shape].map(\.name) == [
        "Add_output", "layers.0/Add_output", "layers.0/Add_1_output", "layers.0/what_for_output",
      ])
    #expect(parts.map(\.name) == ["layers.0/Split_output_0", "layers.0/Split_output_1"])
    #expect(builder.build().message.node.map(\.opType) == ["Add", "Add", "Add", "Split", "Shape"])
    #expect(builder.build().message.node.last?.name == "layers.0/what_for")
  }

  @Test func `equal constants are one initializer`() {
    var builder = GraphBuilder(name: "graph")
    let numbers = [builder.constant(0.1 as Float), builder.constant(0.1 as Float), builder.constant(Float(-0.1))]
    #expect(Set(numbers).count == 2)
    #expect(builder.constant(1) != builder.constant(1 as Float))
    #expect(builder.constant([1]) != builder.constant(1))
    #expect(builder.constant([0, -1]) == builder.constant([0, -1]))
    let tensors = builder.build().message.initializer
    #expect(tensors.map(\.name) == ["float.0.1", "float.-0.1", "int.1", "float.1.0", "ints.1", "ints.0,-1"])
    #expect(tensors.map(\.dims) == [[], [], [], [], [1], [2]])
    #expect(tensors.map { $0.rawData.count } == [4, 4, 8, 4, 8, 16])
  }

  @Test func `attributes say what they are`() {
    var builder = GraphBuilder(name: "graph")
    let x = builder.input("x", .float32, [.named("n"), .size(4)])
    let weight = builder.weight("w", [4])
    _ = builder.layerNorm(x, weight: weight, bias: weight, epsilon: 1e-5)
    _ = builder.transposed(x, [1, 0])
    let attributes = builder.build().message.node.flatMap(\.attribute)
    #expect(attributes.map(\.name) == ["axis", "epsilon", "perm"])
    #expect(attributes.map(\.type) == [.int, .float, .ints])
    #expect(attributes[0].i == -1 && attributes[1].f == 1e-5 && attributes[2].ints == [1, 0])
  }

  @Test func `what would change nothing adds no node`() {
    var builder = GraphBuilder(name: "graph")
    let x = builder.input("x", .float32, [.named("n")])
    #expect(builder.scaled(x, by: 1) == x)
    #expect(builder.build().message.node.isEmpty)
  }
}
