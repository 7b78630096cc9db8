import Foundation
import Glibc

/// A file that is written beside its final name (`NAME.tmp`) and takes that name only when it is whole.
///
/// `commit` makes it final; an object that goes without `commit` takes the temporary file with it. What
/// exists is overwritten only by force. A device or a pipe (`/dev/null`, `/dev/stdout`) is written to
/// directly. Not for use by several threads at once.
package final class OutputFile {
  package let path: String
  /// Where the bytes go until `commit`.
  package let temporaryPath: String
  private let force: Bool
  private let isDirect: Bool
  private var descriptor: Int32
  private var buffer: [UInt8] = []
  /// Whether something could not be written: nothing is written behind it.
  private var isBroken = false
  private static let bufferSize = 1 << 18

  /// Begins the file; throws `exists` where the name is taken and `force` is false.
  ///
  /// - Parameter isPrivate: only its owner may read it, from before anything is in it.
  package init(path: String, force: Bool = false, isPrivate: Bool = false) throws(FormatError) {
    self.path = path
    self.force = force
    isDirect = Self.isDevice(path)
    temporaryPath = isDirect ? path : path + ".tmp"
    try Self.refuseExisting(path, force: force)
    descriptor = isDirect ? open(path, O_WRONLY | O_CLOEXEC) : try openLocked(temporaryPath)
    if descriptor < 0 { throw .output(path, "open it for writing") }
    guard isDirect || ftruncate(descriptor, 0) == 0 && (!isPrivate || fchmod(descriptor, 0o600) == 0) else {
      let error = FormatError.system(temporaryPath, "empty it")
      close(descriptor)
      throw error
    }
    buffer.reserveCapacity(Self.bufferSize)
  }

  deinit { discard() }

  /// Throws `exists` where something has this name, unless by force; a folder is never replaced by a file.
  package static func refuseExisting(_ path: String, force: Bool) throws(FormatError) {
    if path.isEmpty { throw .inputOutput(path: "(output)", reason: "its name is empty; give one") }
    var status = stat()
    guard !isDevice(path), lstat(path, &status) == 0 else { return }
    if !force { throw .exists(path: path) }
    if status.st_mode & S_IFMT == S_IFDIR {
      throw .inputOutput(path: path, reason: "it is a folder, and a file of that name is to be written")
    }
  }

  /// Throws where an output, a file or a folder, is one of the inputs or holds one: not even by force is what is read
  /// overwritten.
  package static func refuseInputs(_ outputs: [String], _ inputs: [String]) throws(FormatError) {
    struct Identity: Hashable {
      var device: dev_t
      var node: ino_t
    }
    func found(_ path: String) -> (identity: Identity, kind: mode_t)? {
      var status = stat()
      guard stat(path, &status) == 0 else { return nil }
      return (Identity(device: status.st_dev, node: status.st_ino), status.st_mode & S_IFMT)
    }
    var written: [Identity: String] = [:]
    for output in outputs {
      guard let (identity, kind) = found(output), [S_IFREG, S_IFDIR].contains(kind) else { continue }
      written[identity] = output
    }
    if written.isEmpty { return }
    var seen: Set<String> = []
    for input in inputs {
      var place = resolved(input)
      // The input itself, then every folder that it is in and that was not looked at before.
      while let current = place, seen.insert(current).inserted {
        if let output = found(current).flatMap({ written[$0.identity] }) { throw .isInput(path: output) }
        place = current.lastIndex(of: "/").map { String(current[..<$0]) }.flatMap { $0.isEmpty ? nil : $0 }
      }
    }
  }

  package static func refuseInputs(_ path: String, _ inputs: [String]) throws(FormatError) {
    try refuseInputs([path], inputs)
  }

  /// The absolute path without links; nil where there is nothing.
  private static func resolved(_ path: String) -> String? {
    guard let real = realpath(path, nil) else { return nil }
    defer { free(real) }
    return String(cString: real)
  }

  private static func isDevice(_ path: String) -> Bool {
    var status = stat()
    guard stat(path, &status) == 0 else { return false }
    let kind = status.st_mode & S_IFMT
    return kind == S_IFCHR || kind == S_IFIFO || kind == S_IFSOCK
  }

  // MARK: Writing

  package func write(_ bytes: [UInt8]) throws(FormatError) {
    if buffer.count + bytes.count > Self.bufferSize { try flush() }
    if bytes.count >= Self.bufferSize {
      try breaking { () throws(FormatError) in try Self.writeAll(bytes, to: descriptor, path: path) }
    } else {
      buffer += bytes
    }
  }

  package func write(_ text: String) throws(FormatError) { try write(Array(text.utf8)) }

  package func write(_ bytes: UnsafeRawBufferPointer) throws(FormatError) {
    try flush()
    try breaking { () throws(FormatError) in try Self.writeAll(bytes, to: descriptor, path: path) }
  }

  /// Hands what is buffered to the system.
  package func flush() throws(FormatError) {
    try breaking { () throws(FormatError) in try Self.writeAll(buffer, to: descriptor, path: path) }
    buffer.removeAll(keepingCapacity: true)
  }

  /// Remembers a failure: part of what was to be written may stand there, and must not be written again.
  private func breaking(_ body: () throws(FormatError) -> Void) throws(FormatError) {
    if isBroken { throw .inputOutput(path: path, reason: "an earlier part of it could not be written") }
    isBroken = true
    try body()
    isBroken = false
  }

  static func writeAll(_ bytes: [UInt8], to descriptor: Int32, path: String) throws(FormatError) {
    let outcome = bytes.withUnsafeBytes { raw in
      Result { () throws(FormatError) in try writeAll(raw, to: descriptor, path: path) }
    }
    try outcome.get()
  }

  /// Writes every byte, however many calls it takes.
  static func writeAll(
    _ bytes: UnsafeRawBufferPointer, to descriptor: Int32, path: String
  ) throws(FormatError) {
    var written = 0
    while written < bytes.count {
      let count = Glibc.write(descriptor, bytes.baseAddress! + written, bytes.count - written)
      if count < 0 && errno == EINTR { continue }
      if count < 0 { throw .system(path, "write it") }
      written += count
    }
  }

  // MARK: Ending

  /// Writes what is left, makes it safe on disk and gives the file its name.
  package func commit() throws(FormatError) {
    try flush()
    if isDirect { return discard() }
    guard fsync(descriptor) == 0 else { throw .system(path, "write it to disk") }
    try Self.rename(temporaryPath, to: path, force: force)
    close(descriptor)
    descriptor = -1
  }

  /// Keeps what was written, under the name `NAME.partial`, where work was broken off; nil where there is none. Where not all
  /// could be written (a full disk), that is what could be: its last line may be cut.
  package func setAside() -> String? {
    guard descriptor >= 0, !isDirect else { return nil }
    try? flush()
    guard lseek(descriptor, 0, SEEK_CUR) > 0 else { return nil }
    let partial = path + ".partial"
    guard Glibc.rename(temporaryPath, partial) == 0 else { return nil }
    close(descriptor)
    descriptor = -1
    return partial
  }

  /// Gives up: the temporary file goes.
  package func discard() {
    guard descriptor >= 0 else { return }
    if !isDirect { unlink(temporaryPath) }
    close(descriptor)
    descriptor = -1
  }

  /// Renames a whole file to its final name and makes the folder's entry safe too.
  static func rename(_ temporary: String, to path: String, force: Bool) throws(FormatError) {
    try refuseExisting(path, force: force)
    guard Glibc.rename(temporary, path) == 0 else { throw .output(path, "give it its name") }
    let folder = open(URL(fileURLWithPath: path).deletingLastPathComponent().path, O_RDONLY | O_CLOEXEC)
    guard folder >= 0 else { return }
    fsync(folder)
    close(folder)
  }

  /// Writes a whole file at once.
  package static func write(
    _ bytes: [UInt8], to path: String, force: Bool = false, isPrivate: Bool = false
  ) throws(FormatError) {
    let file = try OutputFile(path: path, force: force, isPrivate: isPrivate)
    try file.write(bytes)
    try file.commit()
  }
}

/// A folder that is filled beside its final name (`NAME.tmp`) and takes that name only when it is whole.
///
/// By force it replaces a folder of that name, but only an empty one or one that an earlier run made: it has the
/// first of `entries` in it and nothing that is not among them. A slip of the keyboard must not cost a home folder,
/// nor a note that was put beside the files.
package final class OutputDirectory {
  package let path: String
  /// Put the files here.
  package let temporaryPath: String
  private let force: Bool
  private let entries: [String]
  /// Of `unfinished`, which is locked while the folder is filled; -1 before and after, when the folder is not ours to remove.
  private var descriptor: Int32 = -1

  package init(path: String, entries: [String], force: Bool = false) throws(FormatError) {
    if path.isEmpty { throw .inputOutput(path: "(output)", reason: "its name is empty; give one") }
    let path = Self.name(path)
    self.path = path
    self.entries = entries
    self.force = force
    temporaryPath = path + ".tmp"
    try refuseExisting()
    try removeEarlier()
    guard mkdir(temporaryPath, 0o777) == 0 else { throw .output(temporaryPath, "create it") }
    let mark = temporaryPath + "/" + Self.unfinished
    descriptor = open(mark, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else {
      let error = FormatError.output(mark, "create it")
      rmdir(temporaryPath)
      throw error
    }
    guard lockFile(descriptor) else { throw .system(mark, "lock it") }
  }

  /// Removes what a run that is no more has left under the temporary name.
  private func removeEarlier() throws(FormatError) {
    let mark = open(temporaryPath + "/" + Self.unfinished, O_RDWR | O_CLOEXEC)
    guard mark >= 0 else { return }
    defer { close(mark) }
    guard lockFile(mark) else {
      throw .inputOutput(path: path, reason: "another process is writing it")
    }
    try Self.perform(temporaryPath, "remove what an earlier run left") {
      try FileManager.default.removeItem(atPath: temporaryPath)
    }
  }

  /// A folder's name without the slashes that it may end in.
  package static func name(_ path: String) -> String {
    var path = path
    while path.count > 1 && path.hasSuffix("/") { path.removeLast() }
    return path
  }

  /// The file that marks a folder as one of ours that is not whole yet.
  private static let unfinished = ".unfinished"

  deinit { discard() }

  private func refuseExisting() throws(FormatError) {
    let manager = FileManager.default
    var isDirectory: ObjCBool = false
    guard manager.fileExists(atPath: path, isDirectory: &isDirectory) else { return }
    guard isDirectory.boolValue, let found = try? manager.contentsOfDirectory(atPath: path) else {
      throw .inputOutput(path: path, reason: "it is a file, and a folder of that name is to be written")
    }
    if found.isEmpty { return }
    guard force else { throw .exists(path: path) }
    if !found.contains(entries[0]) {
      throw .inputOutput(
        path: path,
        reason: "it holds other files (and no \(entries[0])), so it is not replaced; give another name")
    }
    if let stranger = found.sorted().first(where: { !entries.contains($0) }) {
      throw .inputOutput(
        path: path, reason: "it holds '\(stranger)', which would be lost; move that away or give another name"
      )
    }
  }

  /// Gives the folder its name; one that it replaces is removed after that.
  package func commit() throws(FormatError) {
    try refuseExisting()
    let manager = FileManager.default
    unlink(temporaryPath + "/" + Self.unfinished)
    let replaced = path + ".replaced"
    let hasOld = manager.fileExists(atPath: path)
    if hasOld {
      try Self.perform(path, "move the earlier one aside") {
        try manager.moveItem(atPath: path, toPath: replaced)
      }
    }
    guard rename(temporaryPath, path) == 0 else {
      let error = FormatError.output(path, "give it its name")
      if hasOld { rename(replaced, path) }
      throw error
    }
    release()
    if hasOld { try Self.perform(replaced, "remove it") { try manager.removeItem(atPath: replaced) } }
  }

  /// Gives up: the temporary folder goes.
  package func discard() {
    if descriptor >= 0 { try? FileManager.default.removeItem(atPath: temporaryPath) }
    release()
  }

  private func release() {
    if descriptor >= 0 { close(descriptor) }
    descriptor = -1
  }

  private static func perform(
    _ path: String, _ doing: String, _ body: () throws -> Void
  ) throws(FormatError) {
    do { try body() } catch {
      throw .inputOutput(path: path, reason: "cannot \(doing): \(error.localizedDescription)")
    }
  }
}

/// Opens a file, or makes it, locked, so that two processes never write into one. A file that another process renamed between the
/// opening and the lock is not the one of that name any more: try again.
func openLocked(_ path: String) throws(FormatError) -> Int32 {
  while true {
    let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
    if descriptor < 0 { throw .output(path, "create it") }
    guard lockFile(descriptor) else {
      let code = errno
      close(descriptor)
      if code == EWOULDBLOCK { throw .inputOutput(path: path, reason: "another process is writing it") }
      throw .system(path, "lock it", code: code)
    }
    var opened = stat()
    var named = stat()
    if fstat(descriptor, &opened) == 0, stat(path, &named) == 0, opened.st_ino == named.st_ino,
      opened.st_dev == named.st_dev
    {
      return descriptor
    }
    close(descriptor)
  }
}

/// Locks an opened file for this process alone; false (and `errno`) where another holds it. A child that is being
/// started holds its parent's files for a moment, so a lock that is taken is tried again for a second.
func lockFile(_ descriptor: Int32) -> Bool {
  for _ in 0..<20 {
    if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { return true }
    if errno != EWOULDBLOCK { return false }
    usleep(50_000)
  }
  errno = EWOULDBLOCK
  return false
}
