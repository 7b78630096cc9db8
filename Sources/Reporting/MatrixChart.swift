/// A symmetric matrix of correlations as coloured cells with their numbers.
struct MatrixChart {
  var id: String
  var title: String
  var names: [String]
  var roles: [ComparedMethod.Role]
  var matrix: [[Double?]]

  func markup() -> Markup {
    let labels = Chart.labelWidth(names, limit: 100)
    let cell = min(40, (Chart.width - labels) / Double(max(1, names.count)))
    let top = Chart.labelWidth(names, limit: 92)
    let height = top + cell * Double(names.count) + 4
    let content: Markup = """
      \(names.indices.map { heading($0, x: labels + (Double($0) + 0.5) * cell, y: top) })
      \(names.indices.map { row($0, left: labels, top: top, cell: cell) })
      """
    return Chart.svg(id: id, height: height, title: title, description: description(), content)
  }

  private func heading(_ column: Int, x: Double, y: Double) -> Markup {
    """
    <text class="label \(roles[column].rawValue)" transform="translate(\(x + 4) \(y - 5)) rotate(-90)">\
    \(Chart.fitted(names[column], width: 88))</text>
    """
  }

  private func row(_ row: Int, left: Double, top: Double, cell: Double) -> Markup {
    let y = top + Double(row) * cell
    let cells = names.indices.map { column in
      self.cell(
        matrix[row][column], isDiagonal: row == column, x: left + Double(column) * cell, y: y, size: cell)
    }
    return """
      <text class="label \(roles[row].rawValue)" x="0" y="\(y + cell / 2 + 4)">\
      \(Chart.fitted(names[row], width: left - 4))</text>
      \(cells)
      """
  }

  private func cell(_ value: Double?, isDiagonal: Bool, x: Double, y: Double, size: Double) -> Markup {
    if isDiagonal {
      return "<rect class=\"diagonal\" x=\"\(x)\" y=\"\(y)\" width=\"\(size)\" height=\"\(size)\"/>"
    }
    let step = HeatColours.className(value)
    let number: Markup =
      size < Self.smallestNumbered
      ? ""
      : """
      <text class="cellnumber \(step)" x="\(x + size / 2)" y="\(y + size / 2 + 3.5)">\
      \(MatrixChart.short(value))</text>
      """
    return """
      <rect class="cell \(step)" x="\(x)" y="\(y)" width="\(size)" height="\(size)">\
      <title>\(NumberText.correlation(value))</title></rect>\(number)
      """
  }

  /// A cell narrower than that has no room for a sign and two digits; its number is shown where it is pointed at.
  private static let smallestNumbered = 26.0

  /// Two digits without the zero in front, which a small cell has no room for.
  private static func short(_ value: Double?) -> String {
    NumberText.correlation(value).replacing("0.", with: ".", maxReplacements: 1)
  }

  private func description() -> String {
    var pairs: [String] = []
    for row in names.indices {
      for column in names.indices where column > row {
        pairs.append("\(names[row]) and \(names[column]) \(NumberText.correlation(matrix[row][column]))")
      }
    }
    return pairs.joined(separator: "; ")
  }
}
