import CEmbedded
import Files

/// The model inside the program: the files of a folder in Hugging Face layout, `Sources/CEmbedded/model`.
public enum EmbeddedModel {
  /// What a user calls it, and how it is recorded.
  public static let name = "embedded"

  public struct File {
    /// Plain, without a folder.
    public let name: String
    /// Valid for as long as the program runs: they lie in its read-only data, and are paged in when they are read.
    public let bytes: UnsafeRawBufferPointer
  }

  /// Sorted by name.
  public static var files: [File] {
    var files: [File] = []
    while let file = sft_embedded_file_at(files.count)?.pointee {
      files.append(
        File(
          name: String(cString: file.name), bytes: UnsafeRawBufferPointer(start: file.bytes, count: file.size)))
    }
    return files
  }

  /// SHA-256 over the files' names and content: another model, or another tokenizer, has another. Computed once.
  public static let digest: Digest = {
    var digester = Digester()
    for file in files {
      digester.update(file.name)
      digester.update(file.bytes.count)
      digester.update(file.bytes)
    }
    return digester.finish()
  }()
}
