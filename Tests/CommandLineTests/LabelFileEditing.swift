import CHDF5
import Testing

/// What a forger does to a label file.
enum LabelFileEditing {
  private static let readOnly: UInt32 = 0
  private static let readWrite: UInt32 = 1

  /// Puts the labels of one file into another of as many rows.
  static func copyLabels(from source: String, to path: String) throws {
    let from = H5Fopen(source, readOnly, 0)
    let to = H5Fopen(path, readWrite, 0)
    defer {
      H5Fclose(from)
      H5Fclose(to)
    }
    let isOpen = from >= 0 && to >= 0
    try #require(isOpen)
    let isDeleted = H5Ldelete(to, "labels", 0) >= 0
    let isCopied = H5Ocopy(from, "labels", to, "labels", 0, 0) >= 0
    try #require(isDeleted && isCopied)
  }
}
