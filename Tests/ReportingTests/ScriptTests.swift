import Files
import Foundation
import Reporting
import TestSupport
import Testing

/// Where Node.js is; nil without one.
private let node = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map { "\($0)/node" }
  .first { FileManager.default.isExecutableFile(atPath: $0) }

/// What the pages' scripts draw, by Node.js over a document that only remembers, where there is a Node.js.
@Suite(.enabled(if: node != nil)) struct ScriptTests {
  /// Runs the script of the page in `file` and prints what each figure holds.
  private static let document = """
    class Element {
      constructor(name) { Object.assign(this, { name, children: [], attributes: {}, style: {}, textContent: "" }); }
      append(...children) { this.children.push(...children); }
      replaceChildren(...children) { this.children = children; }
      setAttribute(name, value) { this.attributes[name] = String(value); }
      addEventListener() {}
      get value() { return this.chosen ?? this.children[0]?.attributes.value ?? ""; }
      set value(value) { this.chosen = value; }
      classList = { add() {}, remove() {}, toggle() {} };
      all(name) { return this.children.flatMap((child) => child instanceof Element
        ? [...(child.name === name ? [child] : []), ...child.all(name)] : []); }
      get words() { return this.children.map((child) => (child instanceof Element ? child.words : child)).join(""); }
    }
    const html = require("fs").readFileSync(process.argv[1], "utf8");
    const [page, data] = [new Element("main"), new Element("script")];
    data.textContent = html.split('id="data">')[1].split("</script>")[0];
    global.document = { getElementById: (id) => (id === "data" ? data : page), addEventListener() {}, body: new Element("body"),
      createElement: (name) => new Element(name), createElementNS: (_, name) => new Element(name) };
    global.HTMLTableCellElement = class {};
    global.ResizeObserver = global.IntersectionObserver = class { observe() {} };
    (0, eval)(html.split("<script>")[1].split("</script>")[0]);
    console.log(JSON.stringify(Object.fromEntries(page.all("figure").map((figure) => [
      figure.all("figcaption")[0].children[0], { circles: figure.all("circle").map((circle) => Number(circle.attributes.cx)),
        texts: figure.all("text").map((text) => [text.attributes.class || "", text.words]) }]))));
    """

  private struct Figure: Decodable {
    /// Where circles stand, from the left.
    var circles: [Double]
    /// Class and words.
    var texts: [[String]]

    func words(_ style: String) -> [String] { texts.filter { $0[0] == style }.map { $0[1] } }
    /// The values at the axes.
    var labels: [String] { words("") }
  }

  /// The figures of a page, by title.
  private func figures(_ kind: Page.Kind, _ data: String) throws -> [String: Figure] {
    try withTemporaryFolder { (folder) throws in
      try writeAtomically(Page(kind, title: "t", data: Array(data.utf8)).html, to: folder + "/page.html")
      let process = Process()
      process.executableURL = URL(fileURLWithPath: try #require(node))
      process.arguments = ["-e", Self.document, folder + "/page.html"]
      let output = Pipe()
      process.standardOutput = output
      try process.run()
      let bytes = output.fileHandleForReading.readDataToEndOfFile()
      process.waitUntilExit()
      #expect(process.terminationStatus == 0)
      return try JSONDecoder().decode([String: Figure].self, from: bytes)
    }
  }

  @Test func axesHaveLabelsThatDifferTitlesAndTheBestUpdate() throws {
    let lines = (1...50).map { step in
      """
      {"kind":"train","step":\(step),"loss":\(2.6 - 0.04 * Double(step)),"accuracy":0.5,"lr":\(6e-5 * Double(step)),
      "grad_norm":1.5,"tokens":100,"seconds":0.01,"tokens_per_second":\(4_000_000 + step * 1_000_000)}
      """
    }
    let evaluation = #"{"kind":"eval","step":20,"loss":1.25,"perplexity":3.49,"accuracy":0.6}"#
    let figures = try figures(
      .run,
      """
      {"name":"r","state":"finished","summary":"","planned":50,"settings":[],"details":[],
      "metrics":[\((lines + [evaluation]).joined(separator: ","))]}
      """)
    let (loss, speed) = (try #require(figures["Loss"]), try #require(figures["Speed"]))
    let rates = ["0.0005", "0.0010", "0.0015", "0.0020", "0.0025", "0.0030"]
    #expect(figures["Learning rate"]?.labels == rates + ["10", "20", "30", "40", "50"])
    #expect(loss.labels.prefix(4) == ["1.0", "1.5", "2.0", "2.5"])
    #expect(loss.words("title") == ["update", "nats a token"])
    #expect(loss.words("mark") == ["best: 1.250, update 20"])
    // Long figures in units of a power of ten.
    #expect(speed.labels.prefix(5) == ["1", "2", "3", "4", "5"])
    #expect(speed.words("title") == ["update", "tokens a second × 10⁷"])
    for (name, figure) in figures {
      #expect(figure.labels.count > 4 && figure.labels.allSatisfy { $0.count <= 6 }, "\(name)")
    }
  }

  /// One scale for what has one unit, zero below zero, and better to the right whichever way a measure goes.
  @Test func intervalsAreComparable() throws {
    let differences = [("loss", -2.0), ("token_f1", 0.4), ("rouge_l", 0.8), ("echo", 0.4), ("repetition", -0.4)].map {
      """
      {"measure":"\($0)","questions":9,"base":1,"tuned":1,"difference":\($1),"low":\($1 - 0.05),"high":\($1 + 0.05),
      "wins":1,"ties":1,"losses":1,"p_value":1,"conclusion":"unclear"}
      """
    }
    let score = #"{"ended":1,"overrun":0,"mean_tokens":1}"#
    let figures = try figures(
      .comparison,
      """
      {"names":["base","tuned"],"titles":{},"origin":{"date":"2026-11-24T17:46:02Z","command":"sft compare"},
      "comparison":{"items":[],
      "summary":{"questions":9,"with_reference":0,"with_choices":0,"base":\(score),"tuned":\(score),
      "differences":[\(differences.joined(separator: ","))]},
      "settings":{"model":"m","adapter":"a","template":"t","same_tokenizer":true,
      "generation":{"num_beams":1,"max_new_tokens":8,"sampling":{"temperature":0}}}}}
      """)
    let figure = try #require(figures["tuned against base, with 95 % intervals"])
    #expect(figure.words("title") == ["better by (nats a token)", "better by (share, of 1)"])
    #expect(figure.labels.contains("+0.5") && figure.labels.contains("−0.4") && figure.circles.count == 5)
    let places = figure.circles
    let zero = (places[3] + places[4]) / 2
    #expect(places[0] > zero && places[3] < zero)
    #expect(abs(places[1] - places[4]) < 1e-6 && abs((places[2] - zero) - 2 * (places[1] - zero)) < 1e-6)
  }
}
