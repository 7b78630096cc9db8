import Formats
import Foundation
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
    #expect(try InputFiles.scored(["-", inside + "/b.jsonl"]) == ["-", inside + "/b.jsonl"])
    // Whatever its name is, a file that is named is one.
    #expect(try InputFiles.scored([inside + "/notes.txt"]) == [inside + "/notes.txt"])
    // What a pattern finds beside scored files, but not where it is all that is named.
    let mark = inside + "/a.jsonl.done.json"
    #expect(try InputFiles.scored([mark, inside + "/b.jsonl"]) == [inside + "/b.jsonl"])
    let alone = #expect(throws: FormatError.self) { try InputFiles.scored([mark]) }
    #expect("\(try #require(alone))".contains("holds no records"))
    #expect(
      try InputFiles.found([inside], outputFolder: inside + "/sub").map(\.name)
        == ["Z.jsonl", "a.jsonl.gz", "b.jsonl"])
  }

  @Test func linksAreFollowedAndNothingIsReadTwice() throws {
    let folder = try TemporaryFolder()
    let (inside, other) = (try folder.folder("in"), try folder.folder("other"))
    let file = try folder.file("other/a.jsonl", "x")
    for (link, target) in [("in/linked", other), ("other/back", inside), ("whole", inside)] {
      try FileManager.default.createSymbolicLink(atPath: folder.path(link), withDestinationPath: target)
    }
    #expect(try InputFiles.found([inside]).map(\.name) == ["linked/a.jsonl"])
    #expect(try InputFiles.scored([folder.path("whole")]) == [folder.path("whole/linked/a.jsonl")])
    for twice in [[file, file], [file, other + "/./a.jsonl"], [file, inside], ["-", "-"]] {
      let error = #expect(throws: FormatError.self) { try InputFiles.scored(twice) }
      #expect("\(try #require(error))".contains("named twice"))
    }
  }

  @Test func whatIsNotThereIsSaid() throws {
    let folder = try TemporaryFolder()
    let inside = try folder.folder("in")
    #expect(throws: FormatError.missing(path: inside + "/no")) { try InputFiles.scored([inside + "/no"]) }
    let empty = #expect(throws: FormatError.self) { try InputFiles.scored([inside]) }
    #expect("\(try #require(empty))".contains("no .jsonl"))
    _ = try folder.file("in/a.jsonl", "x")
    let own = #expect(throws: FormatError.self) { try InputFiles.found([inside], outputFolder: inside) }
    #expect("\(try #require(own))".contains("a folder of its own for the output"))
  }
}
