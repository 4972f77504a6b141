import Core
import Files
import Kernels
import Tokenizing

/// Trains a tokenizer into a folder.
public struct TokenizerTraining: Sendable {
  public static let standardMinimumCount = TrainedTokenizer.standardMinimumCount

  private let files: [String]
  private let vocabularySize: Int
  private let minimumCount: Int
  private let threads: Int

  public init(files: [String], vocabularySize: Int, minimumCount: Int, threads: Int?) {
    self.files = files
    self.vocabularySize = vocabularySize
    self.minimumCount = minimumCount
    self.threads = threads ?? Compute.availableThreads
  }

  /// Writes the folder as a whole. Throws `cannotCreate` where it holds something already.
  public func callAsFunction(to folder: String, progress: (Int) -> Void) throws -> TrainedTokenizer {
    if let status = try FileStatus(folder) {
      guard status.kind == .directory, try directoryEntries(folder).isEmpty else {
        throw SFTError(.cannotCreate, "is there already, and is not an empty folder", file: folder)
      }
    }
    let tokenizer = try TrainedTokenizer(
      training: files, vocabularySize: vocabularySize, minimumCount: minimumCount, threads: threads,
      progress: progress)
    try writeDirectoryAtomically(folder) { try tokenizer.write(to: $0) }
    return tokenizer
  }
}
