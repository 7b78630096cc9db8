import Formats
import Foundation
import Testing

@Suite struct OutputFileTests {
  @Test func takesItsNameOnlyWhenWhole() throws {
    let folder = try TemporaryFolder()
    let file = try OutputFile(path: folder.file("out"))
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
      let file = try OutputFile(path: folder.file("out"))
      try file.write("half")
    }
    #expect(!folder.exists("out") && !folder.exists("out.tmp"))
  }

  @Test func overwritesOnlyByForce() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write("old", to: "out")
    #expect(throws: FormatError.exists(path: path)) { try OutputFile.write([1], to: path) }
    #expect(try folder.read("out") == Array("old".utf8))
    try OutputFile.write(Array("new".utf8), to: path, force: true)
    #expect(try folder.read("out") == Array("new".utf8))
    #expect(throws: FormatError.self) { try OutputFile.write([1], to: folder.path, force: true) }
  }

  @Test func whatAppearedMeanwhileIsKept() throws {
    let folder = try TemporaryFolder()
    let file = try OutputFile(path: folder.file("out"))
    _ = try folder.write("other", to: "out")
    #expect(throws: FormatError.exists(path: folder.file("out"))) { try file.commit() }
    #expect(try folder.read("out") == Array("other".utf8))
  }

  @Test func twoWritersOfOneFileAreRefused() throws {
    let folder = try TemporaryFolder()
    let first = try OutputFile(path: folder.file("out"))
    #expect(throws: FormatError.self) { try OutputFile(path: folder.file("out")) }
    try first.write("x")
    try first.commit()
    #expect(try folder.read("out") == [0x78])
  }

  @Test func aStaleTemporaryFileIsReplaced() throws {
    let folder = try TemporaryFolder()
    _ = try folder.write("left by a killed run, longer", to: "out.tmp")
    try OutputFile.write(Array("new".utf8), to: folder.file("out"))
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
      let output = try OutputDirectory(path: folder.file("dir/"), entries: ["alinfik.json"], force: force)
      try OutputFile.write([UInt8(round)], to: output.temporaryPath + "/alinfik.json")
      try output.commit()
      #expect(try folder.read("dir/alinfik.json") == [UInt8(round)])
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["dir"])
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.file("dir")) == ["alinfik.json"])
    #expect(throws: FormatError.exists(path: folder.file("dir"))) {
      try OutputDirectory(path: folder.file("dir"), entries: ["alinfik.json"])
    }
  }

  @Test func aFolderOfSomethingElseIsNeverReplaced() throws {
    let folder = try TemporaryFolder()
    try FileManager.default.createDirectory(atPath: folder.file("home"), withIntermediateDirectories: true)
    _ = try folder.write("precious", to: "home/letters")
    #expect(throws: FormatError.self) {
      try OutputDirectory(path: folder.file("home"), entries: ["alinfik.json"], force: true)
    }
    #expect(try folder.read("home/letters") == Array("precious".utf8))
    // A note beside the files of an earlier run, and a file in the place of a folder.
    _ = try folder.write("{}", to: "home/alinfik.json")
    let error = #expect(throws: FormatError.self) {
      try OutputDirectory(path: folder.file("home"), entries: ["alinfik.json"], force: true)
    }
    #expect("\(try #require(error))".contains("letters"))
    #expect(throws: FormatError.self) {
      try OutputDirectory(path: folder.file("home/letters"), entries: ["alinfik.json"], force: true)
    }
    #expect(try folder.read("home/letters") == Array("precious".utf8))
  }

  @Test func anInputIsNoOutput() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write("precious", to: "in.jsonl")
    try FileManager.default.createSymbolicLink(atPath: folder.file("link"), withDestinationPath: path)
    for output in [path, folder.file("link")] {
      #expect(throws: FormatError.isInput(path: output)) {
        try OutputFile.refuseInputs(output, ["/nonexistent", path])
      }
    }
    try OutputFile.refuseInputs(folder.file("new"), [path])
    #expect(throws: FormatError.self) { try OutputFile.refuseExisting("", force: true) }
  }

  @Test func hashesFilesAndBytes() throws {
    let folder = try TemporaryFolder()
    let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    #expect(try FileHash.sha256(path: folder.write("abc", to: "abc")) == expected)
    #expect(FileHash.sha256(Array("abc".utf8)) == expected)
    var stream = HashStream()
    stream.update([0x61])
    stream.update(numbers: [UInt16(0x6362)])
    #expect(stream.hexDigest() == expected)
    #expect(throws: FormatError.missing(path: "/nonexistent")) { try FileHash.sha256(path: "/nonexistent") }
  }

  @Test(arguments: [false, true]) func aFolderNamedLikeOursIsLeftAlone(outputExists: Bool) throws {
    let folder = try TemporaryFolder()
    try FileManager.default.createDirectory(atPath: folder.file("dir.tmp"), withIntermediateDirectories: true)
    _ = try folder.write("precious", to: "dir.tmp/thesis.txt")
    if outputExists {
      try FileManager.default.createDirectory(atPath: folder.file("dir"), withIntermediateDirectories: true)
      _ = try folder.write("{}", to: "dir/alinfik.json")
    }
    #expect(throws: FormatError.self) {
      try OutputDirectory(path: folder.file("dir"), entries: ["alinfik.json"])
    }
    #expect(try folder.read("dir.tmp/thesis.txt") == Array("precious".utf8))
  }

  @Test func twoWritersOfAFolderAreToldApart() throws {
    let folder = try TemporaryFolder()
    let first = try OutputDirectory(path: folder.file("dir"), entries: ["alinfik.json"])
    _ = try folder.write("1", to: "dir.tmp/alinfik.json")
    #expect {
      try OutputDirectory(path: folder.file("dir"), entries: ["alinfik.json"])
    } throws: { "\($0)".contains("another process") }
    try first.commit()
    #expect(try folder.read("dir/alinfik.json") == Array("1".utf8))
    #expect(!folder.exists("dir.tmp") && !folder.exists("dir/.unfinished"))
  }

  @Test func whatARunThatIsNoMoreLeftIsReplaced() throws {
    let folder = try TemporaryFolder()
    try FileManager.default.createDirectory(atPath: folder.file("dir.tmp"), withIntermediateDirectories: true)
    _ = try folder.write("", to: "dir.tmp/.unfinished")
    _ = try folder.write("old", to: "dir.tmp/alinfik.json")
    let output = try OutputDirectory(path: folder.file("dir"), entries: ["alinfik.json"])
    #expect(!folder.exists("dir.tmp/alinfik.json"))
    output.discard()
    #expect(!folder.exists("dir.tmp"))
  }
}
