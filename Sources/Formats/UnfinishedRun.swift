/// Throws `FormatError.differentConfiguration` for the first setting in which a run now differs from the one that an unfinished
/// file was begun with: what decides the bits must be the same to go on.
package func refuseOtherConfiguration(
  _ now: JSONValue, than kept: JSONValue, path: String
) throws(FormatError) {
  let keys = (now.members ?? []).map(\.key) + (kept.members ?? []).map(\.key)
  for key in keys where kept[key] != now[key] {
    func text(_ value: JSONValue?) -> String {
      let whole = value.map { String(decoding: $0.serialized(), as: UTF8.self) } ?? "not given"
      return whole.count > 80 ? whole.prefix(77) + "..." : whole
    }
    throw .differentConfiguration(
      path: path, option: key.string, journal: text(kept[key]), now: text(now[key]))
  }
}
