import Formats
import TestSupport
import Testing

@Suite struct InputFilesTests {
  @Test func foldersAreTheirFilesInOrder() throws {
    let folder = try TemporaryFolder()
    _ = try folder.folder("in/sub")
    for name in ["b.jsonl", "a.jsonl.gz", "a.jsonl.done.json", "notes.txt", "sub/c.jsonl.zst", "Z.jsonl"] {
      _ = try folder.file("in/" + name, "x")
    }
    let inside = folder.path("in")
    #expect(
      try InputFiles.found([inside]).map(\.name) == ["Z.jsonl", "a.jsonl.gz", "b.jsonl", "sub/c.jsonl.zst"])
    #expect(try InputFiles.paths(["-", inside + "/b.jsonl"]) == ["-", inside + "/b.jsonl"])
    // Whatever its name is, a file that is named is one.
    #expect(try InputFiles.paths([inside + "/notes.txt"]) == [inside + "/notes.txt"])
    // What a pattern finds beside scored files, but not where it is all that is named.
    let mark = inside + "/a.jsonl.done.json"
    #expect(try InputFiles.paths([mark, inside + "/b.jsonl"]) == [inside + "/b.jsonl"])
    #expect(try InputFiles.paths([mark]) == [mark])
    #expect(
      try InputFiles.found([inside], outputFolder: inside + "/sub").map(\.name)
        == ["Z.jsonl", "a.jsonl.gz", "b.jsonl"])
  }

  @Test func whatIsNotThereIsSaid() throws {
    let folder = try TemporaryFolder()
    let inside = try folder.folder("in")
    #expect(throws: FormatError.missing(path: inside + "/no")) { try InputFiles.paths([inside + "/no"]) }
    let empty = #expect(throws: FormatError.self) { try InputFiles.paths([inside]) }
    #expect("\(try #require(empty))".contains("no .jsonl"))
    _ = try folder.file("in/a.jsonl", "x")
    let own = #expect(throws: FormatError.self) { try InputFiles.found([inside], outputFolder: inside) }
    #expect("\(try #require(own))".contains("a folder of its own for the output"))
  }
}
