import Formats
import Foundation
import TestSupport
import Testing

@Suite struct OutputFileTests {
  @Test func takesItsNameOnlyWhenWhole() throws {
    let folder = try TemporaryFolder()
    let file = try OutputFile(path: folder.path("out"))
    try file.write("hello ")
    try file.write([UInt8](repeating: 0x78, count: 1_000_000))
    #expect(!folder.exists("out"))
    try file.commit()
    #expect(try folder.read("out") == Array("hello ".utf8) + [UInt8](repeating: 0x78, count: 1_000_000))
    #expect(!folder.exists("out.tmp"))
  }

  @Test func leavesNothingWhenDropped() throws {
    let folder = try TemporaryFolder()
    do {
      let file = try OutputFile(path: folder.path("out"))
      try file.write("half")
    }
    #expect(!folder.exists("out") && !folder.exists("out.tmp"))
  }

  @Test func overwritesOnlyByForce() throws {
    let folder = try TemporaryFolder()
    let path = try folder.file("out", "old")
    #expect(throws: FormatError.exists(path: path)) { try OutputFile.write([1], to: path) }
    #expect(try folder.read("out") == Array("old".utf8))
    try OutputFile.write(Array("new".utf8), to: path, force: true)
    #expect(try folder.read("out") == Array("new".utf8))
    #expect(throws: FormatError.self) { try OutputFile.write([1], to: folder.path, force: true) }
  }

  @Test func whatAppearedMeanwhileIsKept() throws {
    let folder = try TemporaryFolder()
    let file = try OutputFile(path: folder.path("out"))
    _ = try folder.file("out", "other")
    #expect(throws: FormatError.exists(path: folder.path("out"))) { try file.commit() }
    #expect(try folder.read("out") == Array("other".utf8))
  }

  @Test func twoWritersOfOneFileAreRefused() throws {
    let folder = try TemporaryFolder()
    let first = try OutputFile(path: folder.path("out"))
    #expect(throws: FormatError.self) { try OutputFile(path: folder.path("out")) }
    try first.write("x")
    try first.commit()
    #expect(try folder.read("out") == [0x78])
  }

  @Test func aStaleTemporaryFileIsReplaced() throws {
    let folder = try TemporaryFolder()
    _ = try folder.file("out.tmp", "left by a killed run, longer")
    try OutputFile.write(Array("new".utf8), to: folder.path("out"))
    #expect(try folder.read("out") == Array("new".utf8))
  }

  @Test func aFullDiskIsAnInputOutputError() throws {
    let error = #expect(throws: FormatError.self) { try OutputFile.write([1, 2, 3], to: "/dev/full") }
    guard case .inputOutput(path: "/dev/full", _) = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    try OutputFile.write([1, 2, 3], to: "/dev/null")
    let reason = "cannot create it: its folder does not exist"
    #expect(throws: FormatError.inputOutput(path: "/nonexistent/out.tmp", reason: reason)) {
      try OutputFile.write([1], to: "/nonexistent/out")
    }
  }

  @Test func aFolderTakesItsNameOnlyWhenWhole() throws {
    let folder = try TemporaryFolder()
    for (round, force) in [false, true].enumerated() {
      let output = try OutputDirectory(path: folder.path("dir/"), entries: ["alinfik.json"], force: force)
      try OutputFile.write([UInt8(round)], to: output.temporaryPath + "/alinfik.json")
      try output.commit()
      #expect(try folder.read("dir/alinfik.json") == [UInt8(round)])
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["dir"])
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path("dir")) == ["alinfik.json"])
    #expect(throws: FormatError.exists(path: folder.path("dir"))) {
      try OutputDirectory(path: folder.path("dir"), entries: ["alinfik.json"])
    }
  }

  @Test func aFolderOfSomethingElseIsNeverReplaced() throws {
    let folder = try TemporaryFolder()
    try FileManager.default.createDirectory(atPath: folder.path("home"), withIntermediateDirectories: true)
    _ = try folder.file("home/letters", "precious")
    #expect(throws: FormatError.self) {
      try OutputDirectory(path: folder.path("home"), entries: ["alinfik.json"], force: true)
    }
    #expect(try folder.read("home/letters") == Array("precious".utf8))
    // A note beside the files of an earlier run, and a file in the place of a folder.
    _ = try folder.file("home/alinfik.json", "{}")
    let error = #expect(throws: FormatError.self) {
      try OutputDirectory(path: folder.path("home"), entries: ["alinfik.json"], force: true)
    }
    #expect("\(try #require(error))".contains("letters"))
    #expect(throws: FormatError.self) {
      try OutputDirectory(path: folder.path("home/letters"), entries: ["alinfik.json"], force: true)
    }
    #expect(try folder.read("home/letters") == Array("precious".utf8))
  }

  @Test func anInputIsNoOutput() throws {
    let folder = try TemporaryFolder()
    let path = try folder.file("in.jsonl", "precious")
    try FileManager.default.createSymbolicLink(atPath: folder.path("link"), withDestinationPath: path)
    for output in [path, folder.path("link")] {
      #expect(throws: FormatError.isInput(path: output)) {
        try OutputFile.refuseInputs(output, ["/nonexistent", path])
      }
    }
    try OutputFile.refuseInputs(folder.path("new"), [path])
    #expect(throws: FormatError.self) { try OutputFile.refuseExisting("", force: true) }
  }

  @Test func hashesFilesAndBytes() throws {
    let folder = try TemporaryFolder()
    let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    #expect(try FileHash.sha256(path: folder.file("abc", "abc")) == expected)
    #expect(FileHash.sha256(Array("abc".utf8)) == expected)
    var stream = HashStream()
    stream.update([0x61])
    stream.update(numbers: [UInt16(0x6362)])
    #expect(stream.hexDigest() == expected)
    #expect(throws: FormatError.missing(path: "/nonexistent")) { try FileHash.sha256(path: "/nonexistent") }
  }

  @Test(arguments: [false, true]) func aFolderNamedLikeOursIsLeftAlone(outputExists: Bool) throws {
    let folder = try TemporaryFolder()
    try FileManager.default.createDirectory(atPath: folder.path("dir.tmp"), withIntermediateDirectories: true)
    _ = try folder.file("dir.tmp/thesis.txt", "precious")
    if outputExists {
      try FileManager.default.createDirectory(atPath: folder.path("dir"), withIntermediateDirectories: true)
      _ = try folder.file("dir/alinfik.json", "{}")
    }
    #expect(throws: FormatError.self) {
      try OutputDirectory(path: folder.path("dir"), entries: ["alinfik.json"])
    }
    #expect(try folder.read("dir.tmp/thesis.txt") == Array("precious".utf8))
  }

  @Test func twoWritersOfAFolderAreToldApart() throws {
    let folder = try TemporaryFolder()
    let first = try OutputDirectory(path: folder.path("dir"), entries: ["alinfik.json"])
    _ = try folder.file("dir.tmp/alinfik.json", "1")
    #expect {
      try OutputDirectory(path: folder.path("dir"), entries: ["alinfik.json"])
    } throws: { "\($0)".contains("another process") }
    try first.commit()
    #expect(try folder.read("dir/alinfik.json") == Array("1".utf8))
    #expect(!folder.exists("dir.tmp") && !folder.exists("dir/.unfinished"))
  }

  @Test func whatARunThatIsNoMoreLeftIsReplaced() throws {
    let folder = try TemporaryFolder()
    try FileManager.default.createDirectory(atPath: folder.path("dir.tmp"), withIntermediateDirectories: true)
    _ = try folder.file("dir.tmp/.unfinished", "")
    _ = try folder.file("dir.tmp/alinfik.json", "old")
    let output = try OutputDirectory(path: folder.path("dir"), entries: ["alinfik.json"])
    #expect(!folder.exists("dir.tmp/alinfik.json"))
    output.discard()
    #expect(!folder.exists("dir.tmp"))
  }
}
