import Core
import Glibc
import Synchronization

/// A program that is run to its end or to a time limit, in a process group of its own, so that what it starts ends with it.
///
/// While it runs, Ctrl-C and `kill` end it with this process. Where this process is killed outright, the program's standard
/// input ends, which it is to look for. One at a time.
package struct PythonProcess {
  package struct Ending {
    /// As a shell counts it; nil where the time was up.
    package var code: Int32?
    package var output: [UInt8]
    /// The end of what it wrote to standard error.
    package var errors: [UInt8]
  }

  private let path: String
  private let arguments: [String]
  private let input: String
  private let descriptor: Int32?
  private let timeLimit: Double

  /// `path` has a slash, or is of the current folder. `input` is short, as it is written before anything is read; the end of
  /// standard input comes with this process's. `descriptor` is what the program finds open as descriptor 3. `timeLimit` is in
  /// seconds.
  package init(path: String, arguments: [String], input: String, descriptor: Int32? = nil, timeLimit: Double) {
    (self.path, self.arguments, self.input) = (path, arguments, input)
    (self.descriptor, self.timeLimit) = (descriptor, timeLimit)
  }

  static let longestOutput = 16 << 20
  private static let longestErrors = 1 << 16
  /// The group to be killed with this process.
  private static let child = Atomic<Int32>(0)

  /// Throws `notFound` or `inputOutput` where it cannot be started.
  package func run() throws -> Ending {
    // A socket, because writing to one that nobody reads need not be a signal.
    let input = try pair { socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, $0) }
    defer { close(input.0) }
    let output = try pair(pipe)
    defer { close(output.0) }
    let errors = try pair(pipe)
    defer { close(errors.0) }
    // Where the parent ignores it, nobody would hear how the child ended.
    signal(SIGCHLD, SIG_DFL)
    // Only what a signal handler may do: atomics, kill and _exit.
    let former = [SIGINT, SIGTERM].map { number in
      (
        number,
        signal(number) { number in
          let child = PythonProcess.child.load(ordering: .relaxed)
          if child > 0 { kill(-child, SIGKILL) }
          _exit(128 + number)
        }
      )
    }
    defer { for (number, handler) in former { signal(number, handler) } }
    let child: pid_t
    do {
      defer { for end in [input.1, output.1, errors.1] { close(end) } }
      child = try spawn(input: input.1, output: output.1, errors: errors.1)
    }
    Self.child.store(child, ordering: .relaxed)
    defer { Self.child.store(0, ordering: .relaxed) }
    send(to: input.0)
    return collect(child, output: output.0, errors: errors.0)
  }

  private func send(to socket: Int32) {
    var bytes = Array(input.utf8)[...]
    while !bytes.isEmpty {
      let count = bytes.withUnsafeBytes { Glibc.send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
      if count < 0, errno == EINTR { continue }
      if count <= 0 { return }
      bytes = bytes.dropFirst(count)
    }
  }

  /// Reads until the child has ended; what it started may hold the pipes open for longer.
  private func collect(_ child: pid_t, output: Int32, errors: Int32) -> Ending {
    var ending = Ending(code: nil, output: [], errors: [])
    let end = ContinuousClock.now + .seconds(timeLimit)
    for descriptor in [output, errors] { _ = fcntl(descriptor, F_SETFL, O_NONBLOCK) }
    var isDone = false
    while true {
      let isLate = ContinuousClock.now >= end
      if isLate { kill(-child, SIGKILL) }
      isDone = isDone || hasEnded(child, waiting: isLate)
      let outputEnds = drain(output) { ending.output.append(contentsOf: $0) }
      let errorsEnd = drain(errors) { ending.errors.append(contentsOf: $0) }
      if ending.errors.count > Self.longestErrors {
        ending.errors.removeFirst(ending.errors.count - Self.longestErrors)
      }
      if ending.output.count > Self.longestOutput { kill(-child, SIGKILL) }
      if isDone {
        // The process has its number until it is waited for, so the group is still its own.
        kill(-child, SIGKILL)
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0, errno == EINTR {}
        if !isLate { ending.code = status & 0x7f == 0 ? (status >> 8) & 0xff : 128 + status & 0x7f }
        return ending
      }
      // Poll ignores a negative descriptor, and only waits.
      var polled = [
        pollfd(fd: outputEnds ? -1 : output, events: Int16(POLLIN), revents: 0),
        pollfd(fd: errorsEnd ? -1 : errors, events: Int16(POLLIN), revents: 0),
      ]
      _ = poll(&polled, nfds_t(polled.count), 20)
    }
  }

  private func hasEnded(_ child: pid_t, waiting: Bool) -> Bool {
    var info = siginfo_t()
    let options = WEXITED | WNOWAIT | (waiting ? 0 : WNOHANG)
    var result: Int32
    repeat { result = waitid(P_PID, id_t(child), &info, Int32(options)) } while result < 0 && errno == EINTR
    return result < 0 || info.si_signo == SIGCHLD
  }

  /// Hands over what is there; whether that is all there will be.
  private func drain(_ descriptor: Int32, _ body: (UnsafeRawBufferPointer) -> Void) -> Bool {
    withUnsafeTemporaryAllocation(byteCount: 1 << 16, alignment: 16) { buffer in
      // One that writes without end is not to keep the clock from being looked at.
      for _ in 0..<16 {
        let count = read(descriptor, buffer.baseAddress, buffer.count)
        if count < 0, errno == EINTR { continue }
        if count < 0 { return errno != EAGAIN }
        if count == 0 { return true }
        body(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
      }
      return false
    }
  }

  /// Two descriptors that only those who are given them inherit.
  private func pair(_ make: (UnsafeMutablePointer<Int32>) -> Int32) throws -> (Int32, Int32) {
    var ends: [Int32] = [-1, -1]
    guard ends.withUnsafeMutableBufferPointer({ $0.baseAddress.map(make) }) == 0 else { throw failure(errno) }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    return (ends[0], ends[1])
  }

  private func failure(_ number: Int32) -> SFTError {
    SFTError(
      [ENOENT, EACCES, ENOEXEC].contains(number) ? .notFound : .inputOutput,
      "cannot be started: \(String(cString: strerror(number)))", file: path)
  }

  private func spawn(input: Int32, output: Int32, errors: Int32) throws -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    // The fourth last: the others' own numbers may be 3.
    let places = [(STDIN_FILENO, input), (STDOUT_FILENO, output), (STDERR_FILENO, errors), (3, descriptor ?? -1)]
    for (number, descriptor) in places where descriptor >= 0 {
      posix_spawn_file_actions_adddup2(&actions, descriptor, number)
    }
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP))
    posix_spawnattr_setpgroup(&attributes, 0)
    let arguments = ([path] + arguments).map { (text: String) in strdup(text) }
    defer { for argument in arguments { free(argument) } }
    var child: pid_t = 0
    let result = posix_spawn(&child, path, &actions, &attributes, arguments + [nil], environ)
    guard result == 0 else { throw failure(result) }
    return child
  }
}
