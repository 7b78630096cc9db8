import ArgumentParser

@main
struct Alinfik: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "alinfik",
    abstract: "Measure what text is worth to a language model, and teach a small encoder to see it.")
}
