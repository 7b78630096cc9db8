import ArgumentParser
import Encoder
import Formats
import Foundation
import Verification

struct SignCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sign",
    abstract: "Sign a valuator, so that others can tell that it comes from you.",
    discussion: """
      Examples:
        alinfik sign --make-key signing.pem
        alinfik sign valuator --key signing.pem
        alinfik verify valuator --public-key signing.pem.pub

      The hashes in alinfik.json show that a valuator's files belong together; anybody can make such hashes. A signature (Ed25519, of
      alinfik.json, in alinfik.sig) shows that the owner of a key has vouched for them. Give signing.pem.pub to those who check, by a
      way on which nobody can exchange it, or read its fingerprint to them; signing.pem to nobody. Whoever has it can sign as you.

      Keys are PEM files as openssl has them: openssl genpkey -algorithm ed25519 makes one too, and
      openssl pkeyutl -verify -pubin -inkey signing.pem.pub -rawin -in valuator/alinfik.json -sigfile valuator/alinfik.sig checks.
      """)

  @Argument(help: "The valuator's directory.", completion: .directory)
  var valuator: String?

  @Option(help: ArgumentHelp("The private key to sign with.", valueName: "file"), completion: .file())
  var key: String?

  @Option(
    help: ArgumentHelp(
      "Make a new private key, readable by you alone, and FILE.pub, the public one.", valueName: "file"),
    completion: .file())
  var makeKey: String?

  @Flag(help: "Only warnings and errors.")
  var quiet = false

  @Flag(help: "Print a final summary as one JSON object.")
  var json = false

  @Flag(help: "Look whether it could be signed, and write nothing.")
  var dryRun = false

  @Flag(help: "Replace a signature, or a key, that is there. A key that is replaced is lost.")
  var force = false

  func validate() throws {
    if makeKey != nil {
      if valuator != nil || key != nil { throw ValidationError("--make-key makes a key and signs nothing") }
    } else if valuator == nil || key == nil {
      throw ValidationError("say what to sign, and with which --key (--make-key FILE makes one)")
    }
  }

  func run() throws {
    let terminal = Terminal(isQuiet: quiet)
    if let makeKey { return try make(makeKey, terminal) }
    guard let valuator, let key else { return }
    let signing = try SigningKey(path: key)
    let files = try ValuatorFiles(directory: valuator)
    let unlisted = try files.unlisted()
    if !unlisted.isEmpty {
      terminal.warn(
        "the signature is not of files that alinfik.json does not name: \(unlisted.inShort.printable)")
    }
    let made: [(key: ByteString, value: JSONValue)] = [
      ("signature", JSONValue(files.signaturePath)),
      ("fingerprint", JSONValue(signing.publicKey.fingerprint)),
    ]
    if dryRun {
      try ValuatorSignature.check(files, by: signing, force: force)
      return plan(
        made,
        "\(files.signaturePath) would be written (the key's fingerprint: \(signing.publicKey.fingerprint))")
    }
    try ValuatorSignature.sign(files, by: signing, force: force)
    say(made, "\(valuator): signed (the key's fingerprint: \(signing.publicKey.fingerprint))", terminal)
  }

  private func make(_ path: String, _ terminal: Terminal) throws {
    let publicPath = path + ".pub"
    for path in [path, publicPath] where !force && FileManager.default.fileExists(atPath: path) {
      throw VerificationError.options(
        "\(path) exists already; give another name (--force overwrites it, and a key that is overwritten is lost)"
      )
    }
    let made: [(key: ByteString, value: JSONValue)] = [
      ("key", JSONValue(path)), ("public_key", JSONValue(publicPath)),
    ]
    if dryRun { return plan(made, "\(path) and \(publicPath) would be written") }
    let key = SigningKey()
    try key.write(to: path, force: force)
    try key.publicKey.write(to: publicPath, force: force)
    let fingerprint = key.publicKey.fingerprint
    say(
      made + [("fingerprint", JSONValue(fingerprint))],
      "\(path): your private key; \(publicPath): give this to those who check (the key's fingerprint: \(fingerprint))",
      terminal)
  }

  private func say(_ made: [(key: ByteString, value: JSONValue)], _ words: String, _ terminal: Terminal) {
    terminal.say(words)
    if json { print(String(decoding: JSONValue.object(made).serialized(), as: UTF8.self)) }
  }

  private func plan(_ made: [(key: ByteString, value: JSONValue)], _ words: String) {
    print(json ? String(decoding: JSONValue.object(made).serialized(), as: UTF8.self) : words)
  }
}
