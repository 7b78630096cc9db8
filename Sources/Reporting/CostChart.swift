import Foundation

/// Truth against cost: seconds for 1000 rows, by powers of ten, against Spearman with the reference.
struct CostChart {
  /// One method.
  struct Point {
    var name: String
    var role: ComparedMethod.Role
    var seconds: Double
    var spearman: Double
  }

  var id: String
  var title: String
  var points: [Point]

  private let left = 34.0
  private let top = 14.0
  private let bottom = 236.0
  private let right = Chart.width - 8

  /// Where names would cover each other, points are numbered and the names stand below.
  private var isNumbered: Bool { points.count > 10 }

  private func shortName(_ index: Int) -> String { isNumbered ? "\(index + 1)" : points[index].name }

  func markup() -> Markup {
    let (x, xTicks) = Scale.powersOfTen(around: points.map(\.seconds), start: left + 8, end: right - 8)
    let (y, yTicks) = Scale.correlations(points.map(\.spearman), start: bottom, end: top)
    let places = points.map { (x: x($0.seconds), y: y($0.spearman)) }
    let content: Markup = """
      \(Chart.lines(y, ticks: yTicks, left: left, right: right) { NumberText.tick($0) })
      \(Chart.columns(x, ticks: xTicks, top: top, bottom: bottom) { NumberText.durationTick($0) })
      <text class="tick mid" x="\((left + right) / 2)" y="\(bottom + 31)">time for 1000 rows</text>
      \(zip(points, places).sorted { $0.0.role != .valuator && $1.0.role == .valuator }.map { point, place in
        Chart.mark(point.role, x: place.x, y: place.y)
      })
      \(labels(at: places).enumerated().map { label($0.offset, $0.element) })
      \(isNumbered ? points.indices.map(legend) : [])
      """
    let legendRows = isNumbered ? (points.count + 1) / 2 : 0
    return Chart.svg(
      id: id, height: bottom + 38 + 15 * Double(legendRows), title: title, description: description(), content
    )
  }

  private func label(_ index: Int, _ box: Box) -> Markup {
    """
    <text class="label halo mid \(points[index].role.rawValue)" \
    x="\(box.x + box.width / 2)" y="\(box.y + box.height - 3)">\(shortName(index))</text>
    """
  }

  /// A number's name, in two columns read downwards.
  private func legend(_ index: Int) -> Markup {
    let (column, row) = index.quotientAndRemainder(dividingBy: (points.count + 1) / 2)
    return """
      <text class="label \(points[index].role.rawValue)" x="\(left + Double(column) * Chart.width / 2)" \
      y="\(bottom + 49 + 15 * Double(row))">\(index + 1) \(points[index].name)</text>
      """
  }

  /// A rectangle of a label or a mark.
  private struct Box {
    var x: Double
    var y: Double
    var width: Double
    var height = 13.0

    func overlap(_ other: Box) -> Double {
      let across = min(x + width, other.x + other.width) - max(x, other.x)
      let down = min(y + height, other.y + other.height) - max(y, other.y)
      return max(0, across) * max(0, down)
    }
  }

  /// A place for every name beside its mark, the first of a dozen that covers nothing, else the one that covers
  /// least.
  private func labels(at places: [(x: Double, y: Double)]) -> [Box] {
    let marks = places.map { Box(x: $0.x - 6, y: $0.y - 6, width: 12, height: 12) }
    var placed: [Box] = []
    for (index, place) in places.enumerated() {
      let isBold = points[index].role == .valuator || points[index].role == .reference
      let width = Chart.textWidth(shortName(index)) * (isBold ? 1.12 : 1)
      let candidates = [
        (8, -6.5), (-8 - width, -6.5), (-width / 2, -20), (-width / 2, 7), (6, -17), (6, 5),
        (-6 - width, -17), (-6 - width, 5), (8, -30), (-8 - width, -30), (8, 17), (-8 - width, 17),
      ].map { Box(x: place.x + $0.0, y: place.y + $0.1, width: width) }
      let inside = candidates.filter {
        $0.x >= 2 && $0.x + width <= Chart.width && $0.y >= 0 && $0.y + 13 <= bottom
      }
      let cost = { (box: Box) in (marks + placed).reduce(0) { $0 + box.overlap($1) } }
      placed.append((inside.isEmpty ? candidates : inside).min { cost($0) < cost($1) }!)
    }
    return placed
  }

  private func description() -> String {
    points.map {
      "\($0.name): \(NumberText.duration($0.seconds)) for 1000 rows,"
        + " Spearman \(NumberText.correlation($0.spearman))"
    }.joined(separator: "; ")
  }
}
