/// `--name value` pairs.
struct Options {
  private var values: [String: String] = [:]

  init(_ arguments: ArraySlice<String>) {
    var name: String?
    for argument in arguments {
      if let key = name {
        values[key] = argument
        name = nil
      } else {
        name = String(argument.drop { $0 == "-" })
      }
    }
  }

  subscript(name: String) -> String? { values[name] }

  func required(_ name: String) throws -> String {
    guard let value = values[name] else { throw Refusal("--\(name) is missing") }
    return value
  }

  func integer(_ name: String, default fallback: Int) -> Int { values[name].flatMap { Int($0) } ?? fallback }
}

/// Why a benchmark does not run.
struct Refusal: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}
